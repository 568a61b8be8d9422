//! A download whose requests break, on tokio's paused clock.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stamina::{Retry, Timer, when};
use stamina_cookbook::storage::{Backend, Download};
use tokio::time::{Instant, timeout};

use crate::by_hand;

const ATTEMPTS: u32 = 4;
const TIMEOUT: Duration = Duration::from_secs(5);
const OBJECT: &[u8] = b"0123456789";

/// An object of ten bytes, in chunks of one. For each request: how many chunks come before it breaks; `None` refuses it.
#[derive(Clone)]
struct Store {
    script: Vec<Option<usize>>,
    error: io::ErrorKind,
    /// The offsets that were asked for.
    asked: Arc<Mutex<Vec<usize>>>,
}

struct Body {
    offset: usize,
    left: usize,
}

impl Backend for Store {
    type Body = Body;

    async fn get(&mut self, key: &str, offset: usize) -> io::Result<Body> {
        assert_eq!(key, "object");
        let number = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(offset);
            asked.len() - 1
        };
        let what = self.script.get(number).copied().unwrap_or(Some(usize::MAX));
        let left = what.ok_or(self.error)?;
        Ok(Body { offset, left })
    }

    async fn chunk(&mut self, body: &mut Body) -> io::Result<Option<Vec<u8>>> {
        body.left = body.left.checked_sub(1).ok_or(self.error)?;
        let chunk = OBJECT.get(body.offset).map(|byte| vec![*byte]);
        body.offset += 1;
        Ok(chunk)
    }
}

type Read = (io::Result<Vec<u8>>, Vec<usize>);

/// Reads the whole object with both.
async fn read(script: &[Option<usize>], error: io::ErrorKind) -> [Read; 2] {
    let store = || Store {
        script: script.to_vec(),
        error,
        asked: Arc::default(),
    };
    let policy = Retry::on::<io::Error>()
        .when_fn(when::transient_io)
        .attempts(ATTEMPTS)
        .timeout(TIMEOUT)
        .timer(Timer::tokio());
    let options = by_hand::storage::Options {
        attempts: ATTEMPTS,
        timeout: TIMEOUT,
        transient: when::transient_io,
    };
    macro_rules! all {
        ($download:expr, $asked:expr) => {{
            let asked = $asked;
            let mut download = $download;
            let task = tokio::spawn(async move {
                let mut object = Vec::new();
                while let Some(chunk) = download.next().await? {
                    object.extend(chunk);
                }
                Ok(object)
            });
            (task.await.unwrap(), asked.lock().unwrap().clone())
        }};
    }
    let (one, other) = (store(), store());
    let (asked, other_asked) = (Arc::clone(&one.asked), Arc::clone(&other.asked));
    [
        all!(Download::new(one, "object".into(), policy), asked),
        all!(
            by_hand::storage::Download::new(other, "object".into(), options),
            other_asked
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_request_that_breaks_is_made_again_from_its_offset() {
    let script = [None, Some(3), None, Some(0), Some(2), Some(1), Some(4)];
    for (object, asked) in read(&script, io::ErrorKind::ConnectionReset).await {
        assert_eq!(object.unwrap(), OBJECT);
        assert_eq!(asked, [0, 0, 3, 3, 3, 5, 6, 10]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_limits_span_requests_and_progress_begins_them_anew() {
    // Three failures, then a byte, for each byte: more than the attempts and the time of one call allow.
    let script: Vec<_> = [Some(0), None, Some(1)].repeat(10);
    let started = Instant::now();
    for (object, _) in read(&script, io::ErrorKind::ConnectionReset).await {
        assert_eq!(object.unwrap(), OBJECT);
    }
    assert!(started.elapsed() > 2 * TIMEOUT);

    let script = [Some(2), None, Some(0), None, None, None];
    for (object, asked) in read(&script, io::ErrorKind::ConnectionReset).await {
        assert_eq!(object.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(asked, [0, 2, 2, 2]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_permanent_error_comes_back_at_once() {
    for (object, asked) in read(&[Some(1), None], io::ErrorKind::PermissionDenied).await {
        assert_eq!(object.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(asked, [0]);
    }
}

/// A `next` that is dropped while it waits has not used up an attempt, and the next one goes on.
#[tokio::test(start_paused = true)]
async fn a_wait_that_is_given_up_counts_as_nothing() {
    let store = Store {
        script: vec![Some(2), None, None],
        error: io::ErrorKind::ConnectionReset,
        asked: Arc::default(),
    };
    let policy = Retry::on::<io::Error>()
        .attempts(2)
        .fixed(Duration::from_secs(1))
        .timer(Timer::tokio());
    let mut download = Download::new(store, "object".into(), policy);
    let mut object = Vec::new();
    let mut given_up = 0;
    loop {
        match timeout(Duration::from_millis(400), download.next()).await {
            Err(_) => given_up += 1,
            Ok(chunk) => match chunk.unwrap() {
                Some(chunk) => object.extend(chunk),
                None => break,
            },
        }
    }
    assert_eq!((object.as_slice(), given_up), (OBJECT, 3));
}

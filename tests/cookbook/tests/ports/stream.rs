//! A stream that reconnects, on tokio's paused clock.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use stamina::{Retry, Timer};
use stamina_cookbook::stream::Reconnecting;
use tokio::time::{Instant, Sleep, sleep};

use crate::by_hand;

const ATTEMPTS: u32 = 5;
const TIMEOUT: Duration = Duration::from_secs(45);
const HEALTHY: Duration = Duration::from_secs(60);

/// What a connection does: it is refused, or it lives for so long, sends these items and breaks, or ends.
#[derive(Clone, Copy)]
enum Session {
    Refused,
    Breaks(u64, u32),
    Ends(u64, u32),
}
use Session::{Breaks, Ends, Refused};

struct Connection {
    life: Pin<Box<Sleep>>,
    items: VecDeque<io::Result<u32>>,
}

impl Stream for Connection {
    type Item = io::Result<u32>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        ready!(self.life.as_mut().poll(cx));
        Poll::Ready(self.items.pop_front())
    }
}

/// What came, and when the connections were made.
#[derive(Debug)]
struct Played {
    name: &'static str,
    items: Vec<Result<u32, io::ErrorKind>>,
    connects: Vec<Instant>,
}

impl Played {
    fn waits(&self) -> Vec<f64> {
        let pairs = self.connects.windows(2);
        pairs
            .map(|pair| (pair[1] - pair[0]).as_secs_f64())
            .collect()
    }
}

/// Plays a script with both; its last session goes on for ever.
async fn play(script: &[Session]) -> [Played; 2] {
    let connects = Arc::new(Mutex::new(Vec::new()));
    let connect = || {
        let mut left: VecDeque<Session> = script.iter().copied().collect();
        let connects = Arc::clone(&connects);
        move || {
            connects.lock().unwrap().push(Instant::now());
            let session = if left.len() > 1 {
                left.pop_front().unwrap()
            } else {
                left[0]
            };
            async move {
                let (secs, count, end) = match session {
                    Refused => return Err(io::ErrorKind::ConnectionRefused.into()),
                    Breaks(secs, count) => (
                        secs,
                        count,
                        Some(Err(io::ErrorKind::ConnectionReset.into())),
                    ),
                    Ends(secs, count) => (secs, count, None),
                };
                Ok(Connection {
                    life: Box::pin(sleep(Duration::from_secs(secs))),
                    items: (0..count).map(Ok).chain(end).collect(),
                })
            }
        }
    };
    let mut played = Vec::new();
    let policy = Retry::on::<io::Error>()
        .attempts(ATTEMPTS)
        .timeout(TIMEOUT)
        .reset_after(HEALTHY)
        .timer(Timer::tokio());
    let options = by_hand::stream::Options {
        attempts: ATTEMPTS,
        timeout: TIMEOUT,
        healthy: HEALTHY,
    };
    let library = tokio::spawn(read(Reconnecting::new(policy, connect())));
    played.push((
        "library",
        library.await.unwrap(),
        std::mem::take(&mut *connects.lock().unwrap()),
    ));
    let by_hand = tokio::spawn(read(by_hand::stream::Reconnecting::new(options, connect())));
    played.push((
        "by hand",
        by_hand.await.unwrap(),
        std::mem::take(&mut *connects.lock().unwrap()),
    ));
    let played = played.into_iter().map(|(name, items, connects)| Played {
        name,
        items,
        connects,
    });
    played.collect::<Vec<_>>().try_into().unwrap()
}

async fn read<S: Stream<Item = io::Result<u32>>>(stream: S) -> Vec<Result<u32, io::ErrorKind>> {
    let mut stream = Box::pin(stream);
    let mut items = Vec::new();
    while let Some(item) = poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
        items.push(item.map_err(|error| error.kind()));
    }
    assert!(
        poll_fn(|cx| stream.as_mut().poll_next(cx)).await.is_none(),
        "it has ended"
    );
    items
}

#[tokio::test(start_paused = true)]
async fn items_come_through_whatever_breaks() {
    let script = [
        Refused,
        Breaks(0, 2),
        Refused,
        Refused,
        Breaks(100, 1),
        Refused,
        Ends(0, 1),
    ];
    for played in play(&script).await {
        assert_eq!(
            played.items,
            [Ok(0), Ok(1), Ok(0), Ok(0)],
            "{}",
            played.name
        );
        let waits = played.waits();
        // A connection that broke at once was not healthy, so the waits grew; the one of 100 s was.
        for (wait, at_least) in waits.iter().zip([0.1, 0.2, 0.4, 0.8, 100.1, 0.2]) {
            assert!(
                (at_least..=at_least + 1.01).contains(wait),
                "{}: {waits:?}",
                played.name
            );
        }
        assert_eq!(waits.len(), 6, "{}", played.name);
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_error_is_the_last_item() {
    for played in play(&[Refused]).await {
        assert_eq!(
            played.items,
            [Err(io::ErrorKind::ConnectionRefused)],
            "{}",
            played.name
        );
        assert_eq!(played.connects.len(), ATTEMPTS as usize, "{}", played.name);
    }
}

#[tokio::test(start_paused = true)]
async fn a_healthy_connection_never_uses_up_the_limits() {
    let script: Vec<Session> = std::iter::repeat_n(Breaks(61, 1), 100)
        .chain([Ends(0, 0)])
        .collect();
    for played in play(&script).await {
        assert_eq!(played.items, [Ok(0); 100], "{}", played.name);
        assert!(
            played
                .waits()
                .iter()
                .all(|wait| (61.1..=62.2).contains(wait)),
            "{}",
            played.name
        );
    }
}

/// What a library wants that takes its waits as an iterator.
#[test]
fn a_jittered_list_of_waits_is_an_iterator() {
    let policy = Retry::on::<io::Error>().attempts(5);
    let mut delays = policy.delays();
    let waits: Vec<Duration> = delays.by_ref().collect();
    assert_eq!(waits.len(), 4);
    assert!(waits[3] >= Duration::from_millis(800) && waits[3] <= Duration::from_millis(1800));
    delays.reset();
    assert_eq!(delays.count(), 4);
    let boxed: Box<dyn Iterator<Item = Duration> + Send + Sync> = Box::new(policy.delays());
    assert!(
        boxed
            .map(|wait| wait.as_millis())
            .ne(waits.iter().map(Duration::as_millis))
    );
}

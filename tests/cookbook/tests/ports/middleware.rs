//! The cases that users of HTTP retry middleware report.

use std::future::{pending, ready};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Body, Client, Method, Request};
use stamina::Timer;
use stamina::testing::VirtualClock;
use stamina_cookbook::middleware::{Http, Outcome};

use tokio::task::JoinHandle;

use crate::by_hand;

const ATTEMPTS: u32 = 5;
const TIMEOUT: Duration = Duration::from_secs(1000);

/// One of the two, and what it waited.
struct Port {
    name: &'static str,
    client: Client,
    /// In a task of its own.
    send: Box<dyn Fn(Request) -> JoinHandle<Outcome>>,
    clock: &'static VirtualClock,
}

fn ports() -> [Port; 2] {
    let client = Client::builder().timeout(Duration::from_millis(300));
    ports_with(&client.build().unwrap())
}

fn ports_with(client: &Client) -> [Port; 2] {
    let (clock, hand_clock) = (leak(VirtualClock::new()), leak(VirtualClock::new()));
    let mut http = Http::new(client.clone());
    http.policy = http.policy.attempts(ATTEMPTS).timeout(TIMEOUT);
    http.policy = http.policy.timer(Timer::custom(clock));
    let by_hand = by_hand::middleware::Http {
        client: client.clone(),
        attempts: ATTEMPTS,
        timeout: TIMEOUT,
        clock: hand_clock,
    };
    let (http, by_hand) = (leak(http), leak(by_hand));
    [
        Port {
            name: "library",
            client: client.clone(),
            send: Box::new(|request| tokio::spawn(async { http.send(request).await })),
            clock,
        },
        Port {
            name: "by hand",
            client: client.clone(),
            send: Box::new(|request| tokio::spawn(async { by_hand.send(request).await })),
            clock: hand_clock,
        },
    ]
}

fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

impl Port {
    fn waits(&self) -> Vec<f64> {
        self.clock
            .waits()
            .iter()
            .map(Duration::as_secs_f64)
            .collect()
    }

    async fn get(&self, url: &str) -> Outcome {
        self.send(self.client.get(url).build().unwrap()).await
    }

    async fn send(&self, request: Request) -> Outcome {
        (self.send)(request).await.unwrap()
    }
}

enum Reply {
    /// Says this and hangs up.
    Says(String),
    /// Says this and nothing more.
    Hangs(&'static str),
}

fn status(status: u16, headers: &str) -> Reply {
    Reply::Says(format!(
        "HTTP/1.1 {status} X\r\ncontent-length: 2\r\nconnection: close\r\n{headers}\r\nok"
    ))
}

/// Answers each connection with the next of `replies`, and refuses all others.
fn server(replies: Vec<Reply>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut kept: Vec<TcpStream> = Vec::new();
        for reply in replies {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            match reply {
                Reply::Says(text) => stream.write_all(text.as_bytes()).unwrap(),
                Reply::Hangs(text) => {
                    stream.write_all(text.as_bytes()).unwrap();
                    kept.push(stream);
                }
            }
        }
        drop(listener);
        // Until the client has given up on the ones that hang.
        for mut stream in kept {
            let _ = stream.read_to_end(&mut Vec::new());
        }
    });
    url
}

#[tokio::test]
async fn the_hints_of_servers_are_taken() {
    for port in ports() {
        let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(100));
        let past = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH);
        let url = server(vec![
            status(429, "retry-after: 7\r\n"),
            status(503, "retry-after: 292.05\r\n"),
            status(503, &format!("retry-after: {date}\r\n")),
            status(503, &format!("retry-after: {past}\r\n")),
            status(200, ""),
        ]);
        let answer = port.get(&url).await.unwrap();
        assert_eq!(
            (answer.status.as_u16(), &*answer.body),
            (200, &b"ok"[..]),
            "{}",
            port.name
        );
        let waits = port.waits();
        // At least the hint, at least the own wait, and at most a second of jitter.
        for (wait, at_least) in waits.iter().zip([7.0, 293.0, 98.0, 0.8]) {
            assert!(
                (at_least..=at_least + 3.0).contains(wait),
                "{}: {waits:?}",
                port.name
            );
        }
        assert_eq!(waits.len(), 4, "{}", port.name);
    }
}

#[tokio::test]
async fn a_hint_past_the_deadline_ends_the_call_now() {
    for port in ports() {
        let url = server(vec![status(503, "retry-after: 1001\r\n"), status(200, "")]);
        assert_eq!(port.get(&url).await.unwrap().status, 503, "{}", port.name);
        assert!(port.waits().is_empty(), "{}", port.name);
    }
}

#[tokio::test]
async fn what_can_not_be_sent_twice_is_sent_once() {
    for port in ports() {
        let url = server(vec![
            status(503, ""),
            status(503, ""),
            status(503, ""),
            status(200, ""),
        ]);
        let chunks = Body::wrap(http_body_util::Full::new(bytes::Bytes::from_static(
            b"data",
        )));
        let stream = port.client.put(&url).body(chunks).build().unwrap();
        assert!(stream.try_clone().is_none(), "it has no copy");
        assert_eq!(
            port.send(stream).await.unwrap().status,
            503,
            "{}",
            port.name
        );

        let post = || Request::new(Method::POST, url.parse().unwrap());
        assert_eq!(
            port.send(post()).await.unwrap().status,
            503,
            "{}",
            port.name
        );
        assert!(port.waits().is_empty(), "{}", port.name);

        let mut with_key = post();
        with_key
            .headers_mut()
            .insert("idempotency-key", "7".parse().unwrap());
        assert_eq!(
            port.send(with_key).await.unwrap().status,
            200,
            "{}",
            port.name
        );
        assert_eq!(port.waits().len(), 1, "{}", port.name);
    }
}

#[tokio::test]
async fn refused_connections_are_retried_until_the_attempts_are_used_up() {
    for port in ports() {
        let error = port.get(&server(vec![])).await.unwrap_err();
        assert!(error.is_connect(), "{error:?}");
        let waits = port.waits();
        assert_eq!(waits.len(), ATTEMPTS as usize - 1, "{}", port.name);
        for (wait, at_least) in waits.iter().zip([0.1, 0.2, 0.4, 0.8]) {
            assert!(
                (at_least..=at_least + 1.0).contains(wait),
                "{}: {waits:?}",
                port.name
            );
        }
    }
}

/// A resolver that never answers the first so many connections, and then names this machine.
struct HangsFirst(Mutex<u32>);

impl Resolve for HangsFirst {
    fn resolve(&self, _: Name) -> Resolving {
        let mut left = self.0.lock().unwrap();
        if *left == 0 {
            let here: Addrs = Box::new(std::iter::once(([127, 0, 0, 1], 0).into()));
            return Box::pin(ready(Ok(here)));
        }
        *left -= 1;
        Box::pin(pending())
    }
}

#[tokio::test]
async fn connections_that_are_not_made_in_time_are_retried() {
    let port = |number: usize, hangs: u32| {
        let client = Client::builder()
            .connect_timeout(Duration::from_millis(30))
            .dns_resolver(HangsFirst(Mutex::new(hangs)));
        let [library, by_hand] = ports_with(&client.build().unwrap());
        if number == 0 { library } else { by_hand }
    };
    for number in 0..2 {
        let url = server(vec![status(200, "")]).replace("127.0.0.1", "name.test");
        let recovers = port(number, 3);
        let answer = recovers.get(&url).await.unwrap();
        assert_eq!(answer.status, 200, "{}", recovers.name);
        assert_eq!(recovers.waits().len(), 3, "{}", recovers.name);

        let fails = port(number, ATTEMPTS);
        let error = fails.get("http://name.test").await.unwrap_err();
        assert!(error.is_connect() && error.is_timeout(), "{error:?}");
        assert_eq!(fails.waits().len(), ATTEMPTS as usize - 1, "{}", fails.name);
    }
}

#[tokio::test]
async fn silence_and_bodies_that_hang_or_break_off_are_retried() {
    for port in ports() {
        let url = server(vec![
            Reply::Hangs(""),
            Reply::Hangs("HTTP/1.1 200 X\r\ncontent-length: 9\r\n\r\nhalf"),
            Reply::Says("HTTP/1.1 200 X\r\ncontent-length: 9\r\n\r\nhalf".into()),
            Reply::Says(String::new()),
            status(200, ""),
        ]);
        let answer = port.get(&url).await.unwrap();
        assert_eq!(&*answer.body, b"ok", "{}", port.name);
        assert_eq!(port.waits().len(), 4, "{}", port.name);
    }
}

#[tokio::test]
async fn permanent_answers_come_back_at_once() {
    for port in ports() {
        let url = server(vec![status(404, "retry-after: 7\r\n"), status(200, "")]);
        assert_eq!(port.get(&url).await.unwrap().status, 404, "{}", port.name);
        assert!(port.waits().is_empty(), "{}", port.name);
    }
}

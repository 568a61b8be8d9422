//! Events of `tracing`, as the JSON formatter of tracing-subscriber writes them.
//!
//! Alone in its process: it installs a subscriber, and a logger that must stay silent.
#![cfg(feature = "tracing")]

mod support;

use std::cell::Cell;
use std::fmt::{self, Debug, Formatter};
use std::future::ready;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use futures::executor::block_on;
use serde_json::{Value, json};
use stamina::instrument::{self, Hook, TracingHook};
use stamina::{Retry, Timer, testing};
use support::{clock, lock};
use tracing::level_filters::LevelFilter;
use tracing::{Instrument, Level, info_span};

#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lock(&self.0).extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a subscriber of this level writes during a call: the lines.
fn lines(level: impl Into<LevelFilter>, call: impl FnOnce()) -> Vec<String> {
    let output = Output::default();
    let writer = output.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_max_level(level)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, call);
    let text = String::from_utf8(lock(&output.0).clone()).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// The same, parsed.
fn events(call: impl FnOnce()) -> Vec<Value> {
    let parse = |line: &String| serde_json::from_str(line).unwrap();
    lines(Level::INFO, call).iter().map(parse).collect()
}

fn policy() -> Retry<&'static str> {
    Retry::on()
        .wait_jitter(Duration::ZERO)
        .attempts(3)
        .named("fetch")
        .timer(Timer::custom(clock()))
}

fn down() -> Result<(), &'static str> {
    Err("down")
}

#[test]
fn typed_fields() {
    let mut errors = ["down"].into_iter();
    let events = events(|| {
        assert!(policy().call(down).is_err());
        policy().call(|| errors.next().map_or(Ok(()), Err)).unwrap();
    });
    assert!(events.iter().all(|event| event["target"] == "stamina"));
    let seen: Vec<_> = events
        .iter()
        .map(|event| (event["level"].as_str().unwrap(), event["fields"].clone()))
        .collect();
    let retry = |retry_num: u32, wait_for: f64, waited_so_far: f64| {
        let fields = json!({
            "message": "stamina.retry_scheduled", "callable": "fetch", "retry_num": retry_num, "wait_for": wait_for,
            "waited_so_far": waited_so_far, "error": "\"down\"", "error_type": "&str",
        });
        ("WARN", fields)
    };
    let gave_up = json!({
        "message": "stamina.gave_up", "callable": "fetch", "attempts": 3, "reason": "attempts_exhausted",
        "waited_so_far": 0.3, "error": "\"down\"", "error_type": "&str",
    });
    let recovered = json!({
        "message": "stamina.recovered", "callable": "fetch", "attempts": 2, "waited_so_far": 0.1,
    });
    let expected = [
        retry(1, 0.1, 0.0),
        retry(2, 0.2, 0.1),
        ("WARN", gave_up),
        retry(1, 0.1, 0.0),
        ("INFO", recovered),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn events_are_in_the_span_of_the_caller() {
    let spans = |events: &[Value]| -> Vec<Vec<String>> {
        let name = |span: &Value| span["name"].as_str().unwrap().to_owned();
        let of = |event: &Value| {
            event["spans"]
                .as_array()
                .unwrap()
                .iter()
                .map(name)
                .collect()
        };
        events.iter().map(of).collect()
    };
    // Each attempt has a span of its own. It is closed when the event is emitted, because the event is the call's.
    let blocking = events(|| {
        let _request = info_span!("request", id = 7).entered();
        let attempt = || info_span!("attempt").in_scope(down);
        assert!(policy().attempts(2).call(attempt).is_err());
    });
    assert_eq!(spans(&blocking), [["request"], ["request"]]);
    assert_eq!(blocking[0]["span"], json!({"name": "request", "id": 7}));
    let asynchronous = events(|| {
        let policy = policy().attempts(2);
        let attempt = || ready(down()).instrument(info_span!("attempt"));
        let call = policy.call_async(attempt).instrument(info_span!("request"));
        assert!(block_on(call).is_err());
    });
    assert_eq!(spans(&asynchronous), [["request"], ["request"]]);
}

/// Counts the records of the facade `log`.
struct Counter(AtomicU32);

static LOGGED: Counter = Counter(AtomicU32::new(0));

impl log::Log for Counter {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        if record.target() == "stamina" {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    fn flush(&self) {}
}

#[test]
fn each_event_is_seen_once() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        log::set_logger(&LOGGED).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
    });
    let call = || assert!(policy().call(down).is_err());
    assert_eq!(
        instrument::hooks().len(),
        1 + usize::from(cfg!(feature = "metrics"))
    );
    assert_eq!(events(call).len(), 3);
    assert_eq!(LOGGED.0.load(Ordering::Relaxed), 0);
    // The hook alone.
    let alone = events(|| {
        let _hooks = instrument::scoped_hooks([Arc::new(TracingHook) as Arc<dyn Hook>]);
        call();
    });
    assert_eq!(alone.len(), 3);
    assert_eq!(LOGGED.0.load(Ordering::Relaxed), 0);
}

#[test]
fn nothing_without_an_event_or_below_the_level() {
    #[track_caller]
    fn silent(level: impl Into<LevelFilter>, call: impl FnOnce()) {
        assert_eq!(lines(level, call), [""; 0]);
    }
    let call = || assert!(policy().call(down).is_err());
    silent(Level::TRACE, || policy().call(|| Ok(())).unwrap());
    silent(Level::TRACE, || {
        assert!(policy().when(|_| false).call(down).is_err());
    });
    silent(Level::TRACE, || {
        let _off = testing::inactive();
        call();
    });
    silent(Level::TRACE, || {
        let _muted = instrument::scoped_hooks([]);
        call();
    });
    silent(Level::ERROR, call);
    let mut errors = ["down"].into_iter();
    let recovers = || policy().call(|| errors.next().map_or(Ok(()), Err)).unwrap();
    assert_eq!(lines(Level::WARN, recovers).len(), 1);
}

#[test]
fn an_event_is_one_line_of_limited_length() {
    /// Writes twelve bytes a million times, and counts.
    struct Megabytes<'a>(&'a Cell<u32>);
    impl Debug for Megabytes<'_> {
        fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
            (0..1 << 20).try_for_each(|_| {
                self.0.set(self.0.get() + 1);
                f.write_str("twelve bytes")
            })
        }
    }
    let written = Cell::new(0);
    let events = events(|| {
        let policy = Retry::on().attempts(1);
        assert!(policy.call(|| Err::<(), _>(Megabytes(&written))).is_err());
        let policy = Retry::on().attempts(1);
        let error = || anyhow::anyhow!("rain\non the roof").context("down");
        assert!(policy.call(|| Err::<(), _>(error())).is_err());
    });
    let errors: Vec<_> = events
        .iter()
        .map(|event| event["fields"]["error"].as_str().unwrap())
        .collect();
    // 85 pieces fit.
    assert_eq!(written.get(), 86);
    assert_eq!(errors[0].len(), 1024);
    assert!(errors[0].ends_with("twelve bytest..."));
    assert_eq!(errors[1], "down...");
}

//! ```sh
//! cargo run --example predicate
//! ```
//!
//! Name the errors that are worth another attempt. A bug or a refusal does not go away by itself.

use std::io::{self, ErrorKind};
use std::time::Duration;

use stamina::{Decision, Retry, when};

#[derive(Debug)]
enum PayError {
    Connection(io::Error),
    Busy { seconds: u64 },
    CardDeclined,
}

/// A `bool` is enough for `when_fn`. A `Decision` can also say how long to wait.
fn decide(error: &PayError) -> Decision {
    match error {
        PayError::Connection(error) => when::transient_io(error).into(),
        PayError::Busy { seconds } => Decision::RetryAfter(Duration::from_secs(*seconds)),
        PayError::CardDeclined => Decision::Stop,
    }
}

static PAY: Retry<PayError> = Retry::on::<PayError>()
    .attempts(3)
    .wait_initial(Duration::from_millis(10))
    .wait_jitter(Duration::from_millis(10))
    .decide_fn(decide);

fn pay(expected: u32, error: impl Fn() -> PayError) {
    let report = PAY.report(|| Err::<(), _>(error()));
    let (attempts, reason) = (report.attempts, report.stop_reason);
    println!("{:?}\n  => attempts: {attempts}, {reason:?}", error());
    assert_eq!(attempts, expected);
}

fn main() {
    pay(3, || PayError::Connection(ErrorKind::TimedOut.into()));
    pay(1, || PayError::Connection(ErrorKind::NotFound.into()));
    pay(3, || PayError::Busy { seconds: 0 });
    pay(1, || PayError::CardDeclined);

    // Predicates combine, and a closure can be one.
    let teapot = |error: &io::Error| error.to_string().contains("teapot");
    let policy = Retry::on::<io::Error>().when(when::any_of(when::transient_io, teapot));
    let decision = |text: &str| policy.start().decide(&io::Error::other(text));
    println!(
        "a teapot: {:?}\na cup: {:?}",
        decision("a teapot"),
        decision("a cup")
    );
    assert!(decision("a teapot").is_ok() && decision("a cup").is_err());
}

//! ```sh
//! cargo run --example poll
//! ```
//!
//! Poll until something is ready. Here an `Ok` needs another attempt: "not ready yet". With `call_outcome` the predicate
//! sees the whole result, and the last one comes back, whatever it is.

use std::time::Duration;

use stamina::Retry;

#[derive(Debug, PartialEq)]
enum Job {
    Queued,
    Running { percent: u32 },
    Done(&'static str),
}

type Outcome = Result<Job, String>;

/// `fixed`: every wait is exactly this long. `quiet`: a poll that is not ready is no news for the log.
static POLL: Retry<Outcome> = Retry::on::<Outcome>()
    .when_fn(not_ready)
    .unlimited_attempts()
    .timeout(Duration::from_millis(200))
    .fixed(Duration::from_millis(20))
    .quiet();

/// A finished job ends the polling, and so does an error.
fn not_ready(outcome: &Outcome) -> bool {
    println!("  {outcome:?}");
    matches!(outcome, Ok(Job::Queued | Job::Running { .. }))
}

fn main() {
    println!("A job that takes its time:");
    let mut progress = [0, 30, 60, 90, 100].into_iter();
    let outcome = POLL.call_outcome(|| match progress.next() {
        Some(0) => Ok(Job::Queued),
        Some(percent) if percent < 100 => Ok(Job::Running { percent }),
        _ => Ok(Job::Done("42 pages")),
    });
    assert_eq!(outcome, Ok(Job::Done("42 pages")));

    println!("A job that fails:");
    let mut polls = 0;
    let outcome = POLL.call_outcome(|| {
        polls += 1;
        Err("no such job".to_owned())
    });
    assert_eq!((outcome, polls), (Err("no such job".to_owned()), 1));

    println!("A job that is not ready within 200 ms:");
    let outcome = POLL.call_outcome(|| Ok(Job::Queued));
    assert_eq!(outcome, Ok(Job::Queued));
}

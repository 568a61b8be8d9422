//! ```sh
//! cargo run --example outcome
//! ```
//!
//! Sometimes it is an `Ok` that calls for another attempt: "not ready yet". With `call_outcome` the predicate sees the
//! whole outcome, and the last one comes back, whatever it is.

use std::time::Duration;

use stamina::{Decision, Retry};

#[derive(Debug, PartialEq)]
enum Report {
    Queued,
    Running { percent: u32 },
    Done(&'static str),
}

type Outcome = Result<Report, String>;

/// Done is done, an error is permanent here, and everything else is asked for again.
fn decide(outcome: &Outcome) -> Decision {
    println!("  {outcome:?}");
    matches!(outcome, Ok(Report::Queued | Report::Running { .. })).into()
}

/// Asks every 20 to 25 ms, for 200 ms at most.
static POLL: Retry<Outcome> = Retry::on::<Outcome>()
    .unlimited_attempts()
    .timeout(Duration::from_millis(200))
    .wait_initial(Duration::from_millis(20))
    .wait_exp_base(1.0)
    .wait_jitter(Duration::from_millis(5))
    .when_fn(decide);

fn main() {
    println!("A report that takes its time:");
    let mut progress = [0, 30, 60, 90, 100].into_iter();
    let outcome = POLL.call_outcome(|| match progress.next() {
        Some(0) => Ok(Report::Queued),
        Some(percent) if percent < 100 => Ok(Report::Running { percent }),
        _ => Ok(Report::Done("42 pages")),
    });
    assert_eq!(outcome, Ok(Report::Done("42 pages")));

    println!("A report that fails:");
    let outcome = POLL.call_outcome(|| Err("no such report".to_owned()));
    assert_eq!(outcome, Err("no such report".to_owned()));

    println!("A report that is not ready in time:");
    let outcome = POLL.call_outcome(|| Ok(Report::Queued));
    assert_eq!(outcome, Ok(Report::Queued));
}

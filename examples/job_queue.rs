//! ```sh
//! cargo run --example job_queue
//! ```
//!
//! Retries that outlive the process. A job's row holds the attempts made and when the first one began. Any worker
//! continues from there: `resume(..)`, then `decide(&error)` returns the wait before the next attempt, or why there is
//! none. Here the table is an array and time is a number.

use std::time::Duration;

use stamina::Retry;

static JOBS: Retry<&str> = Retry::on::<&str>()
    .attempts(5)
    .wait_initial(Duration::from_secs(2))
    .wait_jitter(Duration::from_secs(1));

struct Row {
    job: &'static str,
    attempts_made: u32,
    first_run: Option<Duration>,
    next_run: Option<Duration>,
}

/// What a worker does with a row that is due. Nothing is kept in memory between two attempts.
fn work(row: &mut Row, now: Duration, result: Result<(), &'static str>) {
    let first_run = *row.first_run.get_or_insert(now);
    let mut attempts = JOBS.resume(row.attempts_made, now.saturating_sub(first_run));
    row.attempts_made = attempts.number();
    row.next_run = match result {
        Ok(()) => attempts.succeed(None), // credits the budget, and is reported
        Err(error) => attempts.decide(&error).ok().map(|wait| now + wait),
    };
    let (at, number, reason) = (now.as_secs_f32(), row.attempts_made, attempts.stop_reason());
    let reason = reason.map_or("", |reason| reason.as_str());
    println!(
        "{at:>5.1} s  {:<7}  attempt {number}: {result:?} {reason}",
        row.job
    );
}

fn main() {
    let mut table = ["mail", "invoice"].map(|job| Row {
        job,
        attempts_made: 0,
        first_run: None,
        next_run: Some(Duration::ZERO),
    });
    // Each round could be another process: which row is due next?
    let due = |row: &&mut Row| row.next_run.is_some();
    while let Some(row) = table.iter_mut().filter(due).min_by_key(|row| row.next_run) {
        let ends_well = row.job == "mail" && row.attempts_made == 2;
        let now = row.next_run.unwrap_or_default();
        work(row, now, if ends_well { Ok(()) } else { Err("refused") });
    }
    assert_eq!(table.map(|row| row.attempts_made), [3, 5]);
}

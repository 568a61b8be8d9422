//! ```sh
//! cargo run --example job_queue
//! ```
//!
//! Retries that outlive the process. A job's state is a row: attempts made, and when it first ran. Any worker goes on
//! from there: `resume(..)`, then `decide(&error)` says when to run it again, or that it is enough. The table is an
//! array and time is virtual here; with a database it is the same.

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

/// What a worker does with a row that is due; afterwards it might as well die.
fn work(row: &mut Row, now: Duration, result: Result<(), &'static str>) {
    let first_run = *row.first_run.get_or_insert(now);
    let mut attempts = JOBS.resume(row.attempts_made, now.saturating_sub(first_run));
    row.attempts_made = attempts.number();
    row.next_run = match result {
        Ok(()) => attempts.succeed(None), // tells budget and metrics
        Err(error) => attempts.decide(&error).ok().map(|wait| now + wait),
    };
    let (at, number, reason) = (now.as_secs_f32(), row.attempts_made, attempts.stop_reason());
    let story = reason.map_or("", |reason| reason.as_str());
    println!(
        "{at:>5.1} s  {:<7}  attempt {number}: {result:?} {story}",
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
    // Each turn could be another process: what is due next?
    let due = |row: &&mut Row| row.next_run.is_some();
    while let Some(row) = table.iter_mut().filter(due).min_by_key(|row| row.next_run) {
        let ends_well = row.job == "mail" && row.attempts_made == 2;
        let now = row.next_run.unwrap_or_default();
        work(row, now, if ends_well { Ok(()) } else { Err("refused") });
    }
    assert_eq!(table.map(|row| row.attempts_made), [3, 5]);
}

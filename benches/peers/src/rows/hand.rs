//! The loops written by hand. *Plain* is what a careful person writes in the place where it is
//! needed. *Best* is the same with everything after the first failure moved into one cold function,
//! and whole nanoseconds instead of `Duration` arithmetic.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::case::{self, ALONE, BEST, Case, PLAIN, SLEEP, case};
use crate::operation::{
    Failure, Fetch, Operation, Outcome, finish, finish_later, pause, pause_async, pause_dropped,
    pause_later,
};
use crate::settings::{ATTEMPTS, TIMEOUT, WAIT_INITIAL, WAIT_JITTER, WAIT_MAX};
use crate::telemetry;

pub const CASES: &[Case] = &[
    case(ALONE, case::SYNC_SUCCESS, sync_alone),
    case(ALONE, case::ASYNC_SUCCESS, async_alone),
    case(PLAIN, case::SYNC_SUCCESS, sync_plain),
    case(PLAIN, case::SYNC_SUCCESS_DEADLINE, sync_plain_deadline),
    case(PLAIN, case::SYNC_SUCCESS_BUDGET, sync_plain_budget),
    case(PLAIN, case::SYNC_FAILURES, sync_plain),
    case(PLAIN, case::SYNC_FAILURES_DEADLINE, sync_plain_deadline),
    case(PLAIN, case::SYNC_PREDICATE, sync_plain_predicate),
    case(PLAIN, case::SYNC_BUDGET, sync_plain_budget),
    case(PLAIN, case::SYNC_TELEMETRY, sync_plain_telemetry),
    case(PLAIN, case::SYNC_PROMETHEUS, sync_plain_telemetry),
    case(PLAIN, case::ASYNC_SUCCESS, async_plain),
    case(PLAIN, case::ASYNC_SUCCESS_DEADLINE, async_plain_deadline),
    case(PLAIN, case::ASYNC_SUCCESS_BUDGET, async_plain_budget),
    case(PLAIN, case::ASYNC_FAILURES, async_plain),
    case(PLAIN, case::ASYNC_FAILURES_DEADLINE, async_plain_deadline),
    case(PLAIN, case::ASYNC_PREDICATE, async_plain_predicate),
    case(PLAIN, case::ASYNC_BUDGET, async_plain_budget),
    case(PLAIN, case::ASYNC_WAITS, async_plain_waits),
    case(PLAIN, case::ASYNC_BLOCK, async_plain_block),
    case(PLAIN, case::ASYNC_BLOCK_FAILURES, async_plain_block),
    case(SLEEP, case::ASYNC_SUCCESS, async_sleep),
    case(SLEEP, case::ASYNC_SUCCESS_DEADLINE, async_sleep_deadline),
    case(SLEEP, case::ASYNC_FAILURES, async_sleep),
    case(SLEEP, case::ASYNC_FAILURES_DEADLINE, async_sleep_deadline),
    case(PLAIN, case::ASYNC_TELEMETRY, async_plain_telemetry),
    case(PLAIN, case::ASYNC_PROMETHEUS, async_plain_telemetry),
    case(BEST, case::SYNC_SUCCESS, sync_best),
    case(BEST, case::SYNC_SUCCESS_DEADLINE, sync_best_deadline),
    case(BEST, case::SYNC_FAILURES, sync_best),
    case(BEST, case::SYNC_FAILURES_DEADLINE, sync_best_deadline),
    case(BEST, case::ASYNC_SUCCESS, async_best),
    case(BEST, case::ASYNC_SUCCESS_DEADLINE, async_best_deadline),
    case(BEST, case::ASYNC_FAILURES, async_best),
    case(BEST, case::ASYNC_FAILURES_DEADLINE, async_best_deadline),
];

/// An empty function of the same shape: what it costs is taken off every count.
pub fn nothing(_: &Operation) -> Outcome {
    Ok(0)
}

fn sync_alone(operation: &Operation) -> Outcome {
    operation.attempt()
}

fn async_alone(operation: &Operation) -> Outcome {
    finish(Fetch::new(operation))
}

// ---- plain ------------------------------------------------------------------------------------

fn sync_plain(operation: &Operation) -> Outcome {
    let mut attempt = 1;
    let mut backoff = WAIT_INITIAL;
    loop {
        match operation.attempt() {
            Ok(value) => return Ok(value),
            Err(error) if attempt == ATTEMPTS => return Err(error),
            Err(_) => pause(wait(backoff)),
        }
        attempt += 1;
        backoff *= 2;
    }
}

fn sync_plain_deadline(operation: &Operation) -> Outcome {
    let start = Instant::now();
    let mut attempt = 1;
    let mut backoff = WAIT_INITIAL;
    loop {
        match operation.attempt() {
            Ok(value) => return Ok(value),
            Err(error) if attempt == ATTEMPTS => return Err(error),
            Err(error) => {
                let wait = wait(backoff);
                if start.elapsed() + wait >= TIMEOUT {
                    return Err(error);
                }
                pause(wait);
            }
        }
        attempt += 1;
        backoff *= 2;
    }
}

fn sync_plain_predicate(operation: &Operation) -> Outcome {
    let mut attempt = 1;
    let mut backoff = WAIT_INITIAL;
    loop {
        match operation.attempt() {
            Ok(value) => return Ok(value),
            Err(error) if attempt == ATTEMPTS || !transient(&error) => return Err(error),
            Err(_) => pause(wait(backoff)),
        }
        attempt += 1;
        backoff *= 2;
    }
}

fn sync_plain_budget(operation: &Operation) -> Outcome {
    let mut attempt = 1;
    let mut backoff = WAIT_INITIAL;
    loop {
        match operation.attempt() {
            Ok(value) => {
                BUDGET.deposit(attempt > 1);
                return Ok(value);
            }
            Err(error) if attempt == ATTEMPTS || !BUDGET.withdraw() => return Err(error),
            Err(_) => pause(wait(backoff)),
        }
        attempt += 1;
        backoff *= 2;
    }
}

fn sync_plain_telemetry(operation: &Operation) -> Outcome {
    let mut attempt = 1;
    let mut backoff = WAIT_INITIAL;
    loop {
        match operation.attempt() {
            Ok(value) => {
                if attempt > 1 {
                    telemetry::recovered(attempt);
                }
                return Ok(value);
            }
            Err(error) if attempt == ATTEMPTS => return Err(error),
            Err(error) => {
                let wait = wait(backoff);
                telemetry::retry_scheduled(&error, attempt, wait);
                pause(wait);
            }
        }
        attempt += 1;
        backoff *= 2;
    }
}

fn async_plain(operation: &Operation) -> Outcome {
    finish(plain(|| Fetch::new(operation), pause_async))
}

fn async_sleep(operation: &Operation) -> Outcome {
    finish(plain(|| Fetch::new(operation), pause_dropped))
}

fn async_sleep_deadline(operation: &Operation) -> Outcome {
    finish(plain_deadline(|| Fetch::new(operation), pause_dropped))
}

fn async_plain_waits(operation: &Operation) -> Outcome {
    finish_later(plain(|| Fetch::new(operation), pause_later))
}

fn async_plain_block(operation: &Operation) -> Outcome {
    finish(plain(|| async { Fetch::new(operation).await }, pause_async))
}

/// The plain async loop, for its size too.
pub async fn plain<F: Future<Output = Outcome>, S: Future<Output = ()>>(
    mut fetch: impl FnMut() -> F,
    sleep: impl Fn(Duration) -> S,
) -> Outcome {
    let mut attempt = 1;
    let mut backoff = WAIT_INITIAL;
    loop {
        match fetch().await {
            Ok(value) => return Ok(value),
            Err(error) if attempt == ATTEMPTS => return Err(error),
            Err(_) => sleep(wait(backoff)).await,
        }
        attempt += 1;
        backoff *= 2;
    }
}

fn async_plain_deadline(operation: &Operation) -> Outcome {
    finish(plain_deadline(|| Fetch::new(operation), pause_async))
}

/// The plain async loop with a deadline, for its size too.
pub async fn plain_deadline<F: Future<Output = Outcome>, S: Future<Output = ()>>(
    mut fetch: impl FnMut() -> F,
    sleep: impl Fn(Duration) -> S,
) -> Outcome {
    let start = Instant::now();
    let mut attempt = 1;
    let mut backoff = WAIT_INITIAL;
    loop {
        match fetch().await {
            Ok(value) => return Ok(value),
            Err(error) if attempt == ATTEMPTS => return Err(error),
            Err(error) => {
                let wait = wait(backoff);
                if start.elapsed() + wait >= TIMEOUT {
                    return Err(error);
                }
                sleep(wait).await;
            }
        }
        attempt += 1;
        backoff *= 2;
    }
}

fn async_plain_predicate(operation: &Operation) -> Outcome {
    finish(async {
        let mut attempt = 1;
        let mut backoff = WAIT_INITIAL;
        loop {
            match Fetch::new(operation).await {
                Ok(value) => return Ok(value),
                Err(error) if attempt == ATTEMPTS || !transient(&error) => return Err(error),
                Err(_) => pause_async(wait(backoff)).await,
            }
            attempt += 1;
            backoff *= 2;
        }
    })
}

fn async_plain_budget(operation: &Operation) -> Outcome {
    finish(async {
        let mut attempt = 1;
        let mut backoff = WAIT_INITIAL;
        loop {
            match Fetch::new(operation).await {
                Ok(value) => {
                    BUDGET.deposit(attempt > 1);
                    return Ok(value);
                }
                Err(error) if attempt == ATTEMPTS || !BUDGET.withdraw() => return Err(error),
                Err(_) => pause_async(wait(backoff)).await,
            }
            attempt += 1;
            backoff *= 2;
        }
    })
}

fn async_plain_telemetry(operation: &Operation) -> Outcome {
    finish(async {
        let mut attempt = 1;
        let mut backoff = WAIT_INITIAL;
        loop {
            match Fetch::new(operation).await {
                Ok(value) => {
                    if attempt > 1 {
                        telemetry::recovered(attempt);
                    }
                    return Ok(value);
                }
                Err(error) if attempt == ATTEMPTS => return Err(error),
                Err(error) => {
                    let wait = wait(backoff);
                    telemetry::retry_scheduled(&error, attempt, wait);
                    pause_async(wait).await;
                }
            }
            attempt += 1;
            backoff *= 2;
        }
    })
}

/// `min(backoff, wait_max - jitter) + uniform(0, jitter)`, the obvious way.
#[inline]
pub fn wait(backoff: Duration) -> Duration {
    let jitter = Duration::from_nanos(fastrand::u64(0..=WAIT_JITTER.as_nanos() as u64));
    backoff.min(WAIT_MAX - WAIT_JITTER) + jitter
}

#[inline]
pub fn transient(error: &Failure) -> bool {
    error.code != 0
}

/// The decaying success bucket of stamina's `Budget`, behind a lock, with the same defaults.
#[derive(Debug)]
pub struct Bucket {
    state: Mutex<Option<(f64, Instant)>>,
}

pub static BUDGET: Bucket = Bucket {
    state: Mutex::new(None),
};
const FLOOR: f64 = 2.0;
const RATIO: f64 = 0.2;
const DECAY_SECONDS: f64 = 10.0;

impl Bucket {
    /// A success. One that needed a retry gives a token back, up to the floor.
    pub fn deposit(&self, retried: bool) {
        self.change(|balance| {
            *balance += RATIO;
            if retried && *balance < FLOOR {
                *balance = FLOOR.min(*balance + 1.0);
            }
            true
        });
    }

    pub fn withdraw(&self) -> bool {
        self.change(|balance| {
            let enough = *balance >= 1.0;
            if enough {
                *balance -= 1.0;
            }
            enough
        })
    }

    fn change(&self, change: impl FnOnce(&mut f64) -> bool) -> bool {
        let now = Instant::now();
        let mut state = self.state.lock().unwrap();
        let (balance, last) = state.get_or_insert((FLOOR, now));
        if *balance > FLOOR {
            let seconds = now.duration_since(*last).as_secs_f64();
            *balance = FLOOR + (*balance - FLOOR) * (-seconds / DECAY_SECONDS).exp();
        }
        *last = now;
        change(balance)
    }
}

// ---- best -------------------------------------------------------------------------------------

fn sync_best(operation: &Operation) -> Outcome {
    match operation.attempt() {
        Ok(value) => Ok(value),
        Err(error) => sync_after_failure(operation, error, None),
    }
}

fn sync_best_deadline(operation: &Operation) -> Outcome {
    let start = Instant::now();
    match operation.attempt() {
        Ok(value) => Ok(value),
        Err(error) => sync_after_failure(operation, error, Some(start)),
    }
}

#[cold]
#[inline(never)]
fn sync_after_failure(
    operation: &Operation,
    mut error: Failure,
    start: Option<Instant>,
) -> Outcome {
    for attempt in 1..ATTEMPTS {
        let wait = Duration::from_nanos(wait_nanos(attempt));
        if let Some(start) = start
            && start.elapsed() + wait >= TIMEOUT
        {
            break;
        }
        pause(wait);
        match operation.attempt() {
            Ok(value) => return Ok(value),
            Err(next) => error = next,
        }
    }
    Err(error)
}

fn async_best(operation: &Operation) -> Outcome {
    finish(best(|| Fetch::new(operation), pause_async))
}

/// The best async loop, for its size too.
pub async fn best<F: Future<Output = Outcome>, S: Future<Output = ()>>(
    mut fetch: impl FnMut() -> F,
    sleep: impl Fn(Duration) -> S,
) -> Outcome {
    match fetch().await {
        Ok(value) => Ok(value),
        Err(error) => async_after_failure(fetch, sleep, error, None).await,
    }
}

fn async_best_deadline(operation: &Operation) -> Outcome {
    finish(best_deadline(|| Fetch::new(operation), pause_async))
}

/// The best async loop with a deadline, for its size too.
pub async fn best_deadline<F: Future<Output = Outcome>, S: Future<Output = ()>>(
    mut fetch: impl FnMut() -> F,
    sleep: impl Fn(Duration) -> S,
) -> Outcome {
    let start = Instant::now();
    match fetch().await {
        Ok(value) => Ok(value),
        Err(error) => async_after_failure(fetch, sleep, error, Some(start)).await,
    }
}

#[cold]
async fn async_after_failure<F: Future<Output = Outcome>, S: Future<Output = ()>>(
    mut fetch: impl FnMut() -> F,
    sleep: impl Fn(Duration) -> S,
    mut error: Failure,
    start: Option<Instant>,
) -> Outcome {
    for attempt in 1..ATTEMPTS {
        let wait = Duration::from_nanos(wait_nanos(attempt));
        if let Some(start) = start
            && start.elapsed() + wait >= TIMEOUT
        {
            break;
        }
        sleep(wait).await;
        match fetch().await {
            Ok(value) => return Ok(value),
            Err(next) => error = next,
        }
    }
    Err(error)
}

/// [`wait`] in whole nanoseconds, the random number scaled by one widening multiplication.
#[inline]
fn wait_nanos(attempt: u32) -> u64 {
    const INITIAL: u64 = WAIT_INITIAL.as_nanos() as u64;
    const JITTER: u64 = WAIT_JITTER.as_nanos() as u64;
    const CEILING: u64 = WAIT_MAX.as_nanos() as u64 - JITTER;
    let scaled = (u128::from(fastrand::u64(..)) * u128::from(JITTER + 1)) >> 64;
    (INITIAL << (attempt - 1)).min(CEILING) + scaled as u64
}

//! backoff. It has no limit of attempts, always reads the clock (at the start and after each
//! failure), and its blocking form always calls `thread::sleep`, so its blocking waits are zero
//! here. Its jitter is multiplicative. It has no budget; a predicate is the operation's own mapping
//! of its error to permanent or transient.

use std::future::Ready;
use std::time::{Duration, Instant};

use ::backoff::future::{Retry, Sleeper};

use ::backoff::{Error, ExponentialBackoff, SystemClock};

use crate::case::{self, BACKOFF, Case, case};
use crate::operation::{Failure, Fetch, Operation, Outcome, finish, pause_async};
use crate::rows::hand::transient;
use crate::settings::{TIMEOUT, WAIT_INITIAL, WAIT_MAX};
use crate::telemetry;

pub const CASES: &[Case] = &[
    case(BACKOFF, case::SYNC_SUCCESS, sync),
    case(BACKOFF, case::SYNC_SUCCESS_DEADLINE, sync_deadline),
    case(BACKOFF, case::SYNC_FAILURES, sync),
    case(BACKOFF, case::SYNC_FAILURES_DEADLINE, sync_deadline),
    case(BACKOFF, case::SYNC_PREDICATE, sync_predicate),
    case(BACKOFF, case::SYNC_TELEMETRY, sync_telemetry),
    case(BACKOFF, case::SYNC_PROMETHEUS, sync_telemetry),
    case(BACKOFF, case::ASYNC_SUCCESS, asynchronous),
    case(BACKOFF, case::ASYNC_SUCCESS_DEADLINE, async_deadline),
    case(BACKOFF, case::ASYNC_FAILURES, asynchronous),
    case(BACKOFF, case::ASYNC_FAILURES_DEADLINE, async_deadline),
    case(BACKOFF, case::ASYNC_PREDICATE, async_predicate),
    case(BACKOFF, case::ASYNC_TELEMETRY, async_telemetry),
    case(BACKOFF, case::ASYNC_PROMETHEUS, async_telemetry),
];

struct NoSleep;

impl Sleeper for NoSleep {
    type Sleep = Ready<()>;

    fn sleep(&self, wait: Duration) -> Ready<()> {
        pause_async(wait)
    }
}

/// futures-timer's sleep.
#[derive(Debug)]
pub struct FuturesTimer;

impl Sleeper for FuturesTimer {
    type Sleep = futures_timer::Delay;

    fn sleep(&self, wait: Duration) -> Self::Sleep {
        futures_timer::Delay::new(wait)
    }
}

#[must_use]
pub fn policy(initial: Duration, timeout: Option<Duration>) -> ExponentialBackoff {
    ExponentialBackoff {
        current_interval: initial,
        initial_interval: initial,
        randomization_factor: 0.5,
        multiplier: 2.0,
        max_interval: WAIT_MAX,
        start_time: Instant::now(),
        max_elapsed_time: timeout,
        clock: SystemClock::default(),
    }
}

fn unwrapped(error: Error<Failure>) -> Failure {
    match error {
        Error::Permanent(error) => error,
        Error::Transient { err, .. } => err,
    }
}

fn sync(operation: &Operation) -> Outcome {
    ::backoff::retry(policy(Duration::ZERO, None), || {
        operation.attempt().map_err(Error::transient)
    })
    .map_err(unwrapped)
}

fn sync_deadline(operation: &Operation) -> Outcome {
    ::backoff::retry(policy(Duration::ZERO, Some(TIMEOUT)), || {
        operation.attempt().map_err(Error::transient)
    })
    .map_err(unwrapped)
}

fn judged(error: Failure) -> Error<Failure> {
    if transient(&error) {
        Error::transient(error)
    } else {
        Error::permanent(error)
    }
}

fn sync_predicate(operation: &Operation) -> Outcome {
    ::backoff::retry(policy(Duration::ZERO, None), || {
        operation.attempt().map_err(judged)
    })
    .map_err(unwrapped)
}

fn sync_telemetry(operation: &Operation) -> Outcome {
    let mut retries = 0;
    let outcome = ::backoff::retry_notify(
        policy(Duration::ZERO, None),
        || operation.attempt().map_err(Error::transient),
        |error, wait| {
            retries += 1;
            telemetry::retry_scheduled(&error, retries, wait);
        },
    )
    .map_err(unwrapped);
    if outcome.is_ok() && retries > 0 {
        telemetry::recovered(retries + 1);
    }
    outcome
}

fn asynchronous(operation: &Operation) -> Outcome {
    finish(Retry::new(
        NoSleep,
        policy(WAIT_INITIAL, None),
        |_, _| {},
        || async { Fetch::new(operation).await.map_err(Error::transient) },
    ))
}

fn async_deadline(operation: &Operation) -> Outcome {
    finish(Retry::new(
        NoSleep,
        policy(WAIT_INITIAL, Some(TIMEOUT)),
        |_, _| {},
        || async { Fetch::new(operation).await.map_err(Error::transient) },
    ))
}

fn async_predicate(operation: &Operation) -> Outcome {
    finish(Retry::new(
        NoSleep,
        policy(WAIT_INITIAL, None),
        |_, _| {},
        || async { Fetch::new(operation).await.map_err(judged) },
    ))
}

fn async_telemetry(operation: &Operation) -> Outcome {
    let mut retries = 0;
    let outcome = finish(Retry::new(
        NoSleep,
        policy(WAIT_INITIAL, None),
        |error, wait| {
            retries += 1;
            telemetry::retry_scheduled(&error, retries, wait);
        },
        || async { Fetch::new(operation).await.map_err(Error::transient) },
    ));
    if outcome.is_ok() && retries > 0 {
        telemetry::recovered(retries + 1);
    }
    outcome
}

//! mettle. It always reads the clock at the start, and always emits through `tracing` (here without
//! a subscriber), which counters cannot be hung on. Its jitter is `uniform(0, wait)` in place of the
//! wait. No budget. A policy is a one-shot value, built for each call.

use std::future::{IntoFuture, Ready};
use std::time::{Duration, Instant};

use ::mettle::{Backoff, ExponentialBackoff, ExponentialBackoffConfig, Jittered, RetryError};

use crate::case::{self, Case, METTLE, case};
use crate::operation::{Fetch, Operation, Outcome, finish, pause, pause_async};
use crate::rows::hand::transient;
use crate::settings::{ATTEMPTS, TIMEOUT, WAIT_INITIAL, WAIT_MAX};

pub const CASES: &[Case] = &[
    case(METTLE, case::SYNC_SUCCESS, sync),
    case(METTLE, case::SYNC_SUCCESS_DEADLINE, sync_deadline),
    case(METTLE, case::SYNC_FAILURES, sync),
    case(METTLE, case::SYNC_FAILURES_DEADLINE, sync_deadline),
    case(METTLE, case::SYNC_PREDICATE, sync_predicate),
    case(METTLE, case::ASYNC_SUCCESS, asynchronous),
    case(METTLE, case::ASYNC_SUCCESS_DEADLINE, async_deadline),
    case(METTLE, case::ASYNC_FAILURES, asynchronous),
    case(METTLE, case::ASYNC_FAILURES_DEADLINE, async_deadline),
    case(METTLE, case::ASYNC_PREDICATE, async_predicate),
];

/// The system's clock, without sleeping.
#[derive(Debug, Clone, Copy)]
struct NoSleep;

impl ::mettle::blocking::Clock for NoSleep {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep(&self, wait: Duration) {
        pause(wait);
    }
}

impl ::mettle::Clock for NoSleep {
    type Sleep = Ready<()>;

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep(&self, wait: Duration) -> Ready<()> {
        pause_async(wait)
    }
}

/// The system's clock and futures-timer's sleep.
#[derive(Debug, Clone, Copy)]
pub struct FuturesTimer;

impl ::mettle::Clock for FuturesTimer {
    type Sleep = futures_timer::Delay;

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep(&self, wait: Duration) -> Self::Sleep {
        futures_timer::Delay::new(wait)
    }
}

#[must_use]
pub fn backoff() -> Jittered<ExponentialBackoff> {
    let config = ExponentialBackoffConfig {
        factor: 2,
        base: WAIT_INITIAL,
        max_retries: ATTEMPTS - 1,
        max_delay: WAIT_MAX,
    };
    ExponentialBackoff::new(config)
        .expect("the settings are valid")
        .jittered()
}

fn sync(operation: &Operation) -> Outcome {
    ::mettle::blocking::retry(|| operation.attempt())
        .backoff(backoff())
        .clock(NoSleep)
        .call()
        .map_err(RetryError::into_error)
}

fn sync_deadline(operation: &Operation) -> Outcome {
    ::mettle::blocking::retry(|| operation.attempt())
        .backoff(backoff())
        .clock(NoSleep)
        .max_elapsed(TIMEOUT)
        .call()
        .map_err(RetryError::into_error)
}

fn sync_predicate(operation: &Operation) -> Outcome {
    ::mettle::blocking::retry(|| operation.attempt())
        .backoff(backoff())
        .clock(NoSleep)
        .when(transient)
        .call()
        .map_err(RetryError::into_error)
}

fn asynchronous(operation: &Operation) -> Outcome {
    let retry = ::mettle::retry(|| Fetch::new(operation))
        .backoff(backoff())
        .clock(NoSleep);
    finish(retry.into_future()).map_err(RetryError::into_error)
}

fn async_deadline(operation: &Operation) -> Outcome {
    let retry = ::mettle::retry(|| Fetch::new(operation))
        .backoff(backoff())
        .clock(NoSleep)
        .max_elapsed(TIMEOUT);
    finish(retry.into_future()).map_err(RetryError::into_error)
}

fn async_predicate(operation: &Operation) -> Outcome {
    let retry = ::mettle::retry(|| Fetch::new(operation))
        .backoff(backoff())
        .clock(NoSleep)
        .when(transient);
    finish(retry.into_future()).map_err(RetryError::into_error)
}

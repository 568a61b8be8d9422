//! relentless. Its jitter comes before its cap, so it vanishes there; it always reads its clock (a
//! custom one for the async rows, which have no default). No budget.

use std::future::Ready;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use ::relentless::predicate::{PredicateError, error};
use ::relentless::stop::{StopAfterAttempts, attempts};
use ::relentless::wait::{Jittered, WaitCapped, WaitExponential, exponential};
use ::relentless::{
    AsyncClock, AttemptState, Clock, DefaultClassifier, RetryError, RetryPolicy, SyncClock, Wait,
    When,
};

use crate::case::{self, Case, RELENTLESS, case};
use crate::operation::{Failure, Fetch, Operation, Outcome, finish, pause, pause_async};
use crate::rows::hand::transient;
use crate::settings::{ATTEMPTS, TIMEOUT, WAIT_INITIAL, WAIT_JITTER, WAIT_MAX};
use crate::telemetry;

pub const CASES: &[Case] = &[
    case(RELENTLESS, case::SYNC_SUCCESS, sync),
    case(RELENTLESS, case::SYNC_SUCCESS_DEADLINE, sync_deadline),
    case(RELENTLESS, case::SYNC_FAILURES, sync),
    case(RELENTLESS, case::SYNC_FAILURES_DEADLINE, sync_deadline),
    case(RELENTLESS, case::SYNC_PREDICATE, sync_predicate),
    case(RELENTLESS, case::SYNC_TELEMETRY, sync_telemetry),
    case(RELENTLESS, case::SYNC_PROMETHEUS, sync_telemetry),
    case(RELENTLESS, case::ASYNC_SUCCESS, asynchronous),
    case(RELENTLESS, case::ASYNC_SUCCESS_DEADLINE, async_deadline),
    case(RELENTLESS, case::ASYNC_FAILURES, asynchronous),
    case(RELENTLESS, case::ASYNC_FAILURES_DEADLINE, async_deadline),
    case(RELENTLESS, case::ASYNC_PREDICATE, async_predicate),
    case(RELENTLESS, case::ASYNC_TELEMETRY, async_telemetry),
    case(RELENTLESS, case::ASYNC_PROMETHEUS, async_telemetry),
];

/// The system's clock, without sleeping.
#[derive(Debug, Clone, Copy)]
struct NoSleep;

impl Clock for NoSleep {
    fn now(&self) -> Duration {
        static ANCHOR: LazyLock<Instant> = LazyLock::new(Instant::now);
        ANCHOR.elapsed()
    }
}

impl SyncClock for NoSleep {
    fn wait(&self, wait: Duration) {
        pause(wait);
    }
}

impl AsyncClock for NoSleep {
    type Wait = Ready<()>;

    fn wait_async(&self, wait: Duration) -> Ready<()> {
        pause_async(wait)
    }
}

/// The system's clock and futures-timer's sleep.
#[derive(Debug, Clone, Copy)]
pub struct FuturesTimer;

impl Clock for FuturesTimer {
    fn now(&self) -> Duration {
        NoSleep.now()
    }
}

impl AsyncClock for FuturesTimer {
    type Wait = futures_timer::Delay;

    fn wait_async(&self, wait: Duration) -> Self::Wait {
        futures_timer::Delay::new(wait)
    }
}

type Policy<C> = RetryPolicy<StopAfterAttempts, WaitCapped<Jittered<WaitExponential>>, C>;

fn policy() -> Policy<DefaultClassifier> {
    RetryPolicy::new()
        .stop(attempts(ATTEMPTS))
        .wait(exponential(WAIT_INITIAL).jitter(WAIT_JITTER).cap(WAIT_MAX))
}

pub static POLICY: LazyLock<Policy<DefaultClassifier>> = LazyLock::new(policy);
static POLICY_DEADLINE: LazyLock<Policy<DefaultClassifier>> =
    LazyLock::new(|| policy().timeout(TIMEOUT));
static POLICY_PREDICATE: LazyLock<Policy<When<PredicateError<fn(&Failure) -> bool>>>> =
    LazyLock::new(|| policy().when(error(transient as fn(&Failure) -> bool)));

fn unwrapped(error: RetryError<Failure, Outcome>) -> Failure {
    error.into_last_error().unwrap_or(Failure { code: 0 })
}

fn sync(operation: &Operation) -> Outcome {
    POLICY
        .retry(|_| operation.attempt())
        .clock(NoSleep)
        .call()
        .map_err(unwrapped)
}

fn sync_deadline(operation: &Operation) -> Outcome {
    POLICY_DEADLINE
        .retry(|_| operation.attempt())
        .clock(NoSleep)
        .call()
        .map_err(unwrapped)
}

fn sync_predicate(operation: &Operation) -> Outcome {
    POLICY_PREDICATE
        .retry(|_| operation.attempt())
        .clock(NoSleep)
        .call()
        .map_err(unwrapped)
}

fn sync_telemetry(operation: &Operation) -> Outcome {
    POLICY
        .retry(|_| operation.attempt())
        .clock(NoSleep)
        .after_attempt(told)
        .call()
        .map_err(unwrapped)
}

fn asynchronous(operation: &Operation) -> Outcome {
    finish(
        POLICY
            .retry_async(|_| Fetch::new(operation))
            .clock(NoSleep)
            .call(),
    )
    .map_err(unwrapped)
}

fn async_deadline(operation: &Operation) -> Outcome {
    finish(
        POLICY_DEADLINE
            .retry_async(|_| Fetch::new(operation))
            .clock(NoSleep)
            .call(),
    )
    .map_err(unwrapped)
}

fn async_predicate(operation: &Operation) -> Outcome {
    finish(
        POLICY_PREDICATE
            .retry_async(|_| Fetch::new(operation))
            .clock(NoSleep)
            .call(),
    )
    .map_err(unwrapped)
}

fn async_telemetry(operation: &Operation) -> Outcome {
    finish(
        POLICY
            .retry_async(|_| Fetch::new(operation))
            .clock(NoSleep)
            .after_attempt(told)
            .call(),
    )
    .map_err(unwrapped)
}

/// Its hook runs before the wait is known.
fn told(state: &AttemptState<'_, Outcome>) {
    match state.outcome {
        Ok(_) if state.attempt > 1 => telemetry::recovered(state.attempt),
        Ok(_) => {}
        Err(error) => telemetry::retry_scheduled(error, state.attempt, Duration::ZERO),
    }
}

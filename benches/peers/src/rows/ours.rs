//! stamina. Its telemetry is on, as by default: the log and metrics facades, without a recorder
//! except in the rows that name one. The policies are statics, as the docs recommend.

use std::time::{Duration, Instant};

use stamina::{Budget, Clock, Retry, Sleep, Timer};

use crate::case::{self, Case, STAMINA, case};
use crate::operation::{
    Failure, Fetch, Operation, Outcome, finish, finish_later, pause, pause_dropped, pause_later,
};
use crate::rows::hand::transient;
use crate::settings::{ATTEMPTS, TIMEOUT, WAIT_INITIAL, WAIT_JITTER, WAIT_MAX};

pub const CASES: &[Case] = &[
    case(STAMINA, case::SYNC_SUCCESS, sync),
    case(STAMINA, case::SYNC_SUCCESS_DEADLINE, sync_deadline),
    case(STAMINA, case::SYNC_SUCCESS_BUDGET, sync_budget),
    case(STAMINA, case::SYNC_FAILURES, sync),
    case(STAMINA, case::SYNC_FAILURES_DEADLINE, sync_deadline),
    case(STAMINA, case::SYNC_PREDICATE, sync_predicate),
    case(STAMINA, case::SYNC_BUDGET, sync_budget),
    case(STAMINA, case::SYNC_TELEMETRY, sync),
    case(STAMINA, case::SYNC_PROMETHEUS, sync),
    case(STAMINA, case::ASYNC_SUCCESS, asynchronous),
    case(STAMINA, case::ASYNC_SUCCESS_DEADLINE, async_deadline),
    case(STAMINA, case::ASYNC_SUCCESS_BUDGET, async_budget),
    case(STAMINA, case::ASYNC_FAILURES, asynchronous),
    case(STAMINA, case::ASYNC_FAILURES_DEADLINE, async_deadline),
    case(STAMINA, case::ASYNC_PREDICATE, async_predicate),
    case(STAMINA, case::ASYNC_BUDGET, async_budget),
    case(STAMINA, case::ASYNC_WAITS, async_waits),
    case(STAMINA, case::ASYNC_BLOCK, async_block),
    case(STAMINA, case::ASYNC_BLOCK_FAILURES, async_block),
    case(STAMINA, case::ASYNC_TELEMETRY, asynchronous),
    case(STAMINA, case::ASYNC_PROMETHEUS, asynchronous),
];

/// The system's clock, without sleeping.
struct NoSleep;

impl Clock for NoSleep {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep(&self, wait: Duration) -> Sleep {
        pause_dropped(wait)
    }

    fn sleep_blocking(&self, wait: Duration) {
        pause(wait);
    }
}

/// [`NoSleep`], but its futures are ready only when they are polled for the second time.
struct Later;

impl Clock for Later {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep(&self, wait: Duration) -> Sleep {
        pause_later(wait)
    }

    fn sleep_blocking(&self, wait: Duration) {
        pause(wait);
    }
}

const BASE: Retry<Failure> = Retry::on::<Failure>()
    .attempts(ATTEMPTS)
    .no_timeout()
    .wait_initial(WAIT_INITIAL)
    .wait_max(WAIT_MAX)
    .wait_jitter(WAIT_JITTER)
    .timer(Timer::custom(&NoSleep));

pub static POLICY: Retry<Failure> = BASE;
pub static POLICY_DEADLINE: Retry<Failure> = BASE.timeout(TIMEOUT);
static POLICY_PREDICATE: Retry<Failure> = BASE.when_fn(transient);
/// It forgets slowly, so that no tick of its time passes between two calls: else the count would depend on how fast the
/// machine is.
pub static BUDGET: Budget = Budget::new().decay(Duration::from_secs(86_400));
pub static POLICY_BUDGET: Retry<Failure> = BASE.budget(&BUDGET);
static POLICY_WAITS: Retry<Failure> = BASE.timer(Timer::custom(&Later));

fn sync(operation: &Operation) -> Outcome {
    POLICY.call(|| operation.attempt())
}

fn sync_deadline(operation: &Operation) -> Outcome {
    POLICY_DEADLINE.call(|| operation.attempt())
}

fn sync_predicate(operation: &Operation) -> Outcome {
    POLICY_PREDICATE.call(|| operation.attempt())
}

fn sync_budget(operation: &Operation) -> Outcome {
    POLICY_BUDGET.call(|| operation.attempt())
}

fn asynchronous(operation: &Operation) -> Outcome {
    finish(POLICY.call_async(|| Fetch::new(operation)))
}

fn async_deadline(operation: &Operation) -> Outcome {
    finish(POLICY_DEADLINE.call_async(|| Fetch::new(operation)))
}

fn async_predicate(operation: &Operation) -> Outcome {
    finish(POLICY_PREDICATE.call_async(|| Fetch::new(operation)))
}

fn async_budget(operation: &Operation) -> Outcome {
    finish(POLICY_BUDGET.call_async(|| Fetch::new(operation)))
}

fn async_waits(operation: &Operation) -> Outcome {
    finish_later(POLICY_WAITS.call_async(|| Fetch::new(operation)))
}

fn async_block(operation: &Operation) -> Outcome {
    finish(POLICY.call_async(|| async { Fetch::new(operation).await }))
}

//! backon. Its jitter is `uniform(0, wait)` on top of the wait and passes the cap; its
//! `total_delay` adds up the waits and reads no clock; it has no budget.

use std::time::Duration;

use ::backon::{BlockingRetryable, ExponentialBuilder, Retryable};

use crate::case::{self, BACKON, Case, case};
use crate::operation::{
    Fetch, Operation, Outcome, finish, finish_later, pause, pause_async, pause_later,
};
use crate::rows::hand::transient;
use crate::settings::{ATTEMPTS, TIMEOUT, WAIT_INITIAL, WAIT_MAX};
use crate::telemetry;

pub const CASES: &[Case] = &[
    case(BACKON, case::SYNC_SUCCESS, sync),
    case(BACKON, case::SYNC_SUCCESS_DEADLINE, sync_deadline),
    case(BACKON, case::SYNC_FAILURES, sync),
    case(BACKON, case::SYNC_FAILURES_DEADLINE, sync_deadline),
    case(BACKON, case::SYNC_PREDICATE, sync_predicate),
    case(BACKON, case::SYNC_TELEMETRY, sync_telemetry),
    case(BACKON, case::SYNC_PROMETHEUS, sync_telemetry),
    case(BACKON, case::ASYNC_SUCCESS, asynchronous),
    case(BACKON, case::ASYNC_SUCCESS_DEADLINE, async_deadline),
    case(BACKON, case::ASYNC_FAILURES, asynchronous),
    case(BACKON, case::ASYNC_FAILURES_DEADLINE, async_deadline),
    case(BACKON, case::ASYNC_PREDICATE, async_predicate),
    case(BACKON, case::ASYNC_WAITS, async_waits),
    case(BACKON, case::ASYNC_BLOCK, async_block),
    case(BACKON, case::ASYNC_BLOCK_FAILURES, async_block),
    case(BACKON, case::ASYNC_TELEMETRY, async_telemetry),
    case(BACKON, case::ASYNC_PROMETHEUS, async_telemetry),
];

pub static POLICY: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(WAIT_INITIAL)
    .with_max_delay(WAIT_MAX)
    .with_factor(2.0)
    .with_jitter()
    .with_max_times(ATTEMPTS as usize - 1);
static POLICY_DEADLINE: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(WAIT_INITIAL)
    .with_max_delay(WAIT_MAX)
    .with_factor(2.0)
    .with_jitter()
    .with_max_times(ATTEMPTS as usize - 1)
    .with_total_delay(Some(TIMEOUT));

fn sync(operation: &Operation) -> Outcome {
    (|| operation.attempt()).retry(&POLICY).sleep(pause).call()
}

fn sync_deadline(operation: &Operation) -> Outcome {
    (|| operation.attempt())
        .retry(&POLICY_DEADLINE)
        .sleep(pause)
        .call()
}

fn sync_predicate(operation: &Operation) -> Outcome {
    (|| operation.attempt())
        .retry(&POLICY)
        .sleep(pause)
        .when(transient)
        .call()
}

fn sync_telemetry(operation: &Operation) -> Outcome {
    let mut retries = 0;
    let outcome = (|| operation.attempt())
        .retry(&POLICY)
        .sleep(pause)
        .notify(|error, wait: Duration| {
            retries += 1;
            telemetry::retry_scheduled(error, retries, wait);
        })
        .call();
    if outcome.is_ok() && retries > 0 {
        telemetry::recovered(retries + 1);
    }
    outcome
}

fn asynchronous(operation: &Operation) -> Outcome {
    finish((|| Fetch::new(operation)).retry(&POLICY).sleep(pause_async))
}

fn async_deadline(operation: &Operation) -> Outcome {
    finish(
        (|| Fetch::new(operation))
            .retry(&POLICY_DEADLINE)
            .sleep(pause_async),
    )
}

fn async_predicate(operation: &Operation) -> Outcome {
    finish(
        (|| Fetch::new(operation))
            .retry(&POLICY)
            .sleep(pause_async)
            .when(transient),
    )
}

fn async_waits(operation: &Operation) -> Outcome {
    finish_later((|| Fetch::new(operation)).retry(&POLICY).sleep(pause_later))
}

fn async_block(operation: &Operation) -> Outcome {
    finish(
        (|| async { Fetch::new(operation).await })
            .retry(&POLICY)
            .sleep(pause_async),
    )
}

fn async_telemetry(operation: &Operation) -> Outcome {
    let mut retries = 0;
    let outcome = finish(
        (|| Fetch::new(operation))
            .retry(&POLICY)
            .sleep(pause_async)
            .notify(|error, wait: Duration| {
                retries += 1;
                telemetry::retry_scheduled(error, retries, wait);
            }),
    );
    if outcome.is_ok() && retries > 0 {
        telemetry::recovered(retries + 1);
    }
    outcome
}

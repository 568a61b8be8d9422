//! retry: blocking only. It always calls `thread::sleep`, so its waits are zero here; its jitter is
//! `uniform(0, wait)` in place of the wait. No deadline, no budget, no hook. A predicate is the
//! operation's own mapping of its result.

use std::time::Duration;

use ::retry::delay::{Exponential, jitter};
use ::retry::{OperationResult, retry};

use crate::case::{self, Case, RETRY, case};
use crate::operation::{Operation, Outcome};
use crate::rows::hand::transient;
use crate::settings::{ATTEMPTS, WAIT_INITIAL, WAIT_MAX};

pub const CASES: &[Case] = &[
    case(RETRY, case::SYNC_SUCCESS, sync_success),
    case(RETRY, case::SYNC_FAILURES, sync),
    case(RETRY, case::SYNC_PREDICATE, sync_predicate),
];

fn waits(initial: Duration) -> impl Iterator<Item = Duration> {
    Exponential::from_millis_with_factor(initial.as_millis() as u64, 2.0)
        .map(|wait| wait.min(WAIT_MAX))
        .map(jitter)
        .take(ATTEMPTS as usize - 1)
}

fn sync_success(operation: &Operation) -> Outcome {
    retry(waits(WAIT_INITIAL), || operation.attempt()).map_err(|error| error.error)
}

fn sync(operation: &Operation) -> Outcome {
    retry(waits(Duration::ZERO), || operation.attempt()).map_err(|error| error.error)
}

fn sync_predicate(operation: &Operation) -> Outcome {
    retry(waits(Duration::ZERO), || match operation.attempt() {
        Ok(value) => OperationResult::Ok(value),
        Err(error) if transient(&error) => OperationResult::Retry(error),
        Err(error) => OperationResult::Err(error),
    })
    .map_err(|error| error.error)
}

//! tokio-retry2: async only, and always on tokio's timer, so its rows with failures wait zero under
//! a paused tokio clock and contain what tokio's sleep costs. Its deadline stops retries that begin
//! too late, and can be slept past. Jitter is multiplicative. No budget.

use std::time::Duration;

use ::tokio_retry2::strategy::{ExponentialFactorBackoff, MaxInterval, jitter};
use ::tokio_retry2::{Notify, Retry, RetryError as Error, RetryIf};

use crate::case::{self, Case, TOKIO_RETRY2, case};
use crate::operation::{Failure, Fetch, Operation, Outcome, finish};
use crate::rows::hand::transient;
use crate::settings::{ATTEMPTS, TIMEOUT, WAIT_INITIAL, WAIT_MAX};
use crate::telemetry;

pub const CASES: &[Case] = &[
    case(TOKIO_RETRY2, case::ASYNC_SUCCESS, success),
    case(TOKIO_RETRY2, case::ASYNC_SUCCESS_DEADLINE, success_deadline),
    case(TOKIO_RETRY2, case::ASYNC_FAILURES, failures),
    case(
        TOKIO_RETRY2,
        case::ASYNC_FAILURES_DEADLINE,
        failures_deadline,
    ),
    case(TOKIO_RETRY2, case::ASYNC_PREDICATE, predicate),
    case(TOKIO_RETRY2, case::ASYNC_TELEMETRY, with_telemetry),
    case(TOKIO_RETRY2, case::ASYNC_PROMETHEUS, with_telemetry),
];

pub fn waits(initial: Duration) -> impl Iterator<Item = Duration> {
    ExponentialFactorBackoff::from_millis(initial.as_millis() as u64, 2.0)
        .max_delay(WAIT_MAX)
        .map(jitter)
        .take(ATTEMPTS as usize - 1)
}

fn success(operation: &Operation) -> Outcome {
    finish(Retry::spawn(waits(WAIT_INITIAL), || async {
        Fetch::new(operation).await.map_err(Error::transient)
    }))
}

fn success_deadline(operation: &Operation) -> Outcome {
    finish(Retry::spawn(
        waits(WAIT_INITIAL).max_duration(TIMEOUT),
        || async { Fetch::new(operation).await.map_err(Error::transient) },
    ))
}

fn failures(operation: &Operation) -> Outcome {
    finish(Retry::spawn(waits(Duration::ZERO), || async {
        Fetch::new(operation).await.map_err(Error::transient)
    }))
}

fn failures_deadline(operation: &Operation) -> Outcome {
    finish(Retry::spawn(
        waits(Duration::ZERO).max_duration(TIMEOUT),
        || async { Fetch::new(operation).await.map_err(Error::transient) },
    ))
}

struct Silent;

impl Notify<Failure> for Silent {
    fn notify(&mut self, _: &Failure, _: Duration) {}
}

fn predicate(operation: &Operation) -> Outcome {
    finish(RetryIf::spawn(
        waits(Duration::ZERO),
        || async { Fetch::new(operation).await.map_err(Error::transient) },
        transient as fn(&Failure) -> bool,
        Silent,
    ))
}

fn with_telemetry(operation: &Operation) -> Outcome {
    struct Told(u32);
    impl Notify<Failure> for Told {
        fn notify(&mut self, error: &Failure, wait: Duration) {
            self.0 += 1;
            telemetry::retry_scheduled(error, self.0, wait);
        }
    }
    let outcome = finish(Retry::spawn_notify(
        waits(Duration::ZERO),
        || async { Fetch::new(operation).await.map_err(Error::transient) },
        Told(0),
    ));
    if outcome.is_ok() && operation.calls() > 1 {
        telemetry::recovered(operation.calls());
    }
    outcome
}

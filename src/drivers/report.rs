//! What a call took.

use std::time::Duration;

use crate::engine::CallState;
use crate::policy::{Config, StopReason};

/// How a call ended, and what it took.
///
/// After a reset ([`reset_after`](crate::Retry::reset_after)) the numbers count from the reset.
///
/// # Examples
///
/// ```
/// use stamina::{Retry, StopReason, testing};
///
/// let _guard = testing::scoped(testing::Testing::attempts(3));
/// let report = Retry::on::<&str>().report(|| Err::<(), _>("down"));
///
/// assert_eq!(report.result, Err("down"));
/// assert_eq!(report.attempts, 3);
/// assert_eq!(report.stop_reason, Some(StopReason::AttemptsExhausted));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "the result of the call is in it"]
pub struct Report<T, E> {
    /// What [`Retry::call`](crate::Retry::call) would have returned.
    pub result: Result<T, E>,
    /// Attempts made, the first included.
    pub attempts: u32,
    /// All waits together.
    pub waited: Duration,
    /// The whole call, attempts and waits; always measured.
    pub elapsed: Duration,
    /// Why the call ended with its error; `None` for a success.
    pub stop_reason: Option<StopReason>,
}

impl<T, E> Report<T, E> {
    pub(super) fn new(
        config: &Config,
        state: &CallState,
        attempts: u32,
        stop_reason: Option<StopReason>,
        result: Result<T, E>,
    ) -> Self {
        Self {
            result,
            attempts,
            waited: Duration::from_nanos(state.waited),
            elapsed: state.elapsed(state.now(config)),
            stop_reason,
        }
    }
}

//! What to do about a failed attempt, and why a call ended.

use std::time::Duration;

/// What to do about a failed attempt: the result of a predicate given to [`Retry::when`].
///
/// A predicate may return anything that converts into a decision:
///
/// - `bool`: `true` is [`Retry`](Decision::Retry), `false` is [`Stop`](Decision::Stop);
/// - [`Duration`]: [`RetryAfter`](Decision::RetryAfter), so that the short spelling spreads clients that were given the
///   same hint.
///
/// The limits on attempts and time and the budget apply to every kind of retry. After a wait that a predicate has
/// chosen, the exponential continues by attempt number.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use stamina::Decision;
///
/// let hint = Duration::from_secs(7);
///
/// assert_eq!(Decision::from(true), Decision::Retry);
/// assert_eq!(Decision::from(false), Decision::Stop);
/// assert_eq!(Decision::from(hint), Decision::RetryAfter(hint));
/// ```
///
/// [`Retry::when`]: crate::Retry::when
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Decision {
    /// Try again after the policy's own wait.
    Retry,
    /// Try again, but not before the other side's hint (`Retry-After`) has passed.
    ///
    /// The hint is a floor under the policy's own wait: the wait is the longer of the hint and the own wait without
    /// jitter, plus the jitter. So a hint of zero, or of a date that has passed, can't make a loop without waits, and
    /// clients that were given the same hint spread. `wait_max` does not cut a hint. The deadline does: if the hint
    /// does not end before it, the call ends now.
    RetryAfter(Duration),
    /// Try again after exactly this long, without jitter and without `wait_max`. Zero means at once.
    ///
    /// Clients that choose the same wait come back together. Use [`RetryAfter`](Decision::RetryAfter) for a hint that
    /// many clients get.
    RetryExactly(Duration),
    /// Don't retry: the error is permanent.
    Stop,
}

impl From<bool> for Decision {
    fn from(retry: bool) -> Self {
        if retry { Self::Retry } else { Self::Stop }
    }
}

impl From<Duration> for Decision {
    fn from(hint: Duration) -> Self {
        Self::RetryAfter(hint)
    }
}

/// Why a call ended with its error instead of another attempt.
///
/// # Examples
///
/// ```
/// use stamina::{Retry, StopReason};
///
/// let report = Retry::on::<&str>().attempts(1).report(|| Err::<(), _>("down"));
///
/// assert_eq!(report.stop_reason, Some(StopReason::AttemptsExhausted));
/// assert_eq!(StopReason::AttemptsExhausted.as_str(), "attempts_exhausted");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StopReason {
    /// The predicate decided that the error is permanent.
    NotRetryable,
    /// The policy allows no more attempts.
    AttemptsExhausted,
    /// The next attempt would have begun at or after the deadline.
    TimedOut,
    /// The budget had no permit left for a retry.
    BudgetExhausted,
    /// Retries are switched off ([`set_active`](crate::set_active), [`testing::inactive`](crate::testing::inactive)).
    Inactive,
    /// The policy is [`outermost_only`](crate::Retry::outermost_only) and the call ran inside another call, which
    /// decides whether to retry.
    Nested,
}

impl StopReason {
    /// The stable label used in telemetry, in snake case.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(stamina::StopReason::TimedOut.as_str(), "timed_out");
    /// ```
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotRetryable => "not_retryable",
            Self::AttemptsExhausted => "attempts_exhausted",
            Self::TimedOut => "timed_out",
            Self::BudgetExhausted => "budget_exhausted",
            Self::Inactive => "inactive",
            Self::Nested => "nested",
        }
    }

    /// Whether a limit ended the call, so that it gave up on an error that it would have retried.
    pub(crate) const fn is_limit(self) -> bool {
        match self {
            Self::NotRetryable | Self::Inactive | Self::Nested => false,
            Self::AttemptsExhausted | Self::TimedOut | Self::BudgetExhausted => true,
        }
    }
}

impl std::fmt::Display for StopReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

//! What a predicate says of a failed attempt, and why a call ended.

use std::time::Duration;

/// What to do about a failed attempt: the answer of a predicate given to [`Retry::when`].
///
/// A predicate may return anything that converts: `bool` (`true` is [`Retry`](Decision::Retry), `false` is
/// [`Stop`](Decision::Stop)) or a [`Duration`] ([`RetryExactly`](Decision::RetryExactly)). Whatever it says, the limits on
/// attempts and time and the budget bind it. [`RetryExactly`](Decision::RetryExactly) zero means "at once"; a hint of zero still
/// has its jitter.
///
/// The exponential goes on by attempt number after a wait that a predicate has chosen.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use stamina::Decision;
///
/// assert_eq!(Decision::from(true), Decision::Retry);
/// assert_eq!(Decision::from(false), Decision::Stop);
/// assert_eq!(Decision::from(Duration::ZERO), Decision::RetryExactly(Duration::ZERO));
/// ```
///
/// [`Retry::when`]: crate::Retry::when
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Decision {
    /// Try again after the policy's usual wait.
    Retry,
    /// The other side's hint (`Retry-After`): wait this long plus jitter, so that clients that were given the same
    /// hint come back spread out. The jitter is uniform in `[0, min(wait_jitter, wait_max)]`; `wait_max` does not cut
    /// the hint.
    RetryAfter(Duration),
    /// Wait exactly this long, without jitter.
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
    /// The predicate said that the error is permanent.
    NotRetryable,
    /// As many attempts were made as the policy allows.
    AttemptsExhausted,
    /// The next attempt would have begun at or after the deadline.
    TimedOut,
    /// The budget had no token left for a retry.
    BudgetExhausted,
    /// Retries are switched off ([`set_active`](crate::set_active), [`testing::inactive`](crate::testing::inactive)).
    Inactive,
    /// The call was inside of another retried call, and its policy is `outermost_only`.
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

    /// Whether a limit ended the call, so that it gave up on an error that was to be retried.
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

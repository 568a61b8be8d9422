//! Which outcomes of an attempt are failures, and how a failure looks to the step function and to telemetry.

use std::any::type_name;
use std::fmt::{self, Debug};

use crate::policy::{Decision, Retry};
use crate::telemetry::RetryDetails;

/// Classifies the outcomes of attempts.
pub(crate) trait Classify<Outcome> {
    /// What the policy is on.
    type On: Debug + IntoOutcome<Outcome>;

    /// The failure in an outcome; `None` if the call has succeeded.
    fn failure<'a>(
        policy: &'a Retry<Self::On>,
        outcome: &'a Outcome,
    ) -> Option<Failed<'a, Self::On>>;
}

/// What an attempt that is cut fails with: an error, or a whole outcome.
#[cfg_attr(
    not(feature = "tower"),
    allow(unreachable_pub, reason = "only tower's layer names it")
)]
pub trait IntoOutcome<Outcome> {
    /// The outcome of the attempt.
    fn into_outcome(self) -> Outcome;
}

impl<T, E> IntoOutcome<Result<T, E>> for E {
    fn into_outcome(self) -> Result<T, E> {
        Err(self)
    }
}

impl<T, E> IntoOutcome<Result<T, E>> for Result<T, E> {
    fn into_outcome(self) -> Self {
        self
    }
}

/// An `Err` is a failure, and the predicate sees its error.
pub(crate) struct ByError;

/// The predicate sees the whole outcome. Without a predicate an `Err` is a failure.
pub(crate) struct ByOutcome;

impl<T, E: Debug> Classify<Result<T, E>> for ByError {
    type On = E;

    #[inline]
    fn failure<'a>(policy: &'a Retry<E>, outcome: &'a Result<T, E>) -> Option<Failed<'a, E>> {
        let error = outcome.as_ref().err()?;
        Some(Failed::new(policy, error))
    }
}

impl<T: Debug, E: Debug> Classify<Result<T, E>> for ByOutcome {
    type On = Result<T, E>;

    #[inline]
    fn failure<'a>(
        policy: &'a Retry<Self::On>,
        outcome: &'a Result<T, E>,
    ) -> Option<Failed<'a, Self::On>> {
        (outcome.is_err() || policy.has_predicate()).then_some(Failed {
            policy,
            error: outcome,
            is_ok: outcome.is_ok(),
            error_type: if outcome.is_ok() {
                type_name::<T>()
            } else {
                type_name::<E>()
            },
        })
    }
}

/// A failed attempt, whatever the type of its error.
pub(crate) trait Failure {
    /// Asks the predicate.
    fn decide(&self) -> Decision;

    /// Whether it is an `Ok` that the predicate may want to retry: it is a success if the call does not retry it.
    fn is_ok(&self) -> bool;

    fn error_type(&self) -> &'static str;

    /// Writes the error for telemetry.
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;

    fn has_own_hook(&self) -> bool;

    fn call_own_hook(&self, details: &RetryDetails<'_>);
}

/// A failed attempt under a policy.
#[derive(Debug)]
pub(crate) struct Failed<'a, E> {
    policy: &'a Retry<E>,
    error: &'a E,
    is_ok: bool,
    error_type: &'static str,
}

impl<'a, E> Failed<'a, E> {
    #[inline]
    pub(crate) fn new(policy: &'a Retry<E>, error: &'a E) -> Self {
        Self {
            policy,
            error,
            is_ok: false,
            error_type: type_name::<E>(),
        }
    }
}

impl<E: Debug> Failure for Failed<'_, E> {
    fn decide(&self) -> Decision {
        self.policy.decide(self.error)
    }

    fn is_ok(&self) -> bool {
        self.is_ok
    }

    fn error_type(&self) -> &'static str {
        self.error_type
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.policy.describe_fn() {
            Some(describe) => describe(self.error, f),
            None => self.error.fmt(f),
        }
    }

    fn has_own_hook(&self) -> bool {
        self.policy.own_hook().is_some()
    }

    fn call_own_hook(&self, details: &RetryDetails<'_>) {
        if let Some(hook) = self.policy.own_hook() {
            hook(self.error, details);
        }
    }
}

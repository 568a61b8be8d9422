//! The judge: the one place that decides whether a failed attempt is retried and after how long.
//!
//! It neither sleeps nor reads a clock. Every driver makes its attempts, hands what happened to this file, and sleeps
//! as it is told.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use crate::budget::Token;
use crate::decision::{Decision, StopReason};
use crate::depth::depth;
use crate::instrument::{self, Cause};
use crate::retry::{Plan, Retry};
use crate::standing::Standing;
use crate::switch::Mode;

/// A failed attempt, as the judge sees it.
#[derive(Clone, Copy)]
pub(crate) struct Failure<'a> {
    /// What the predicate said.
    decision: Decision,
    error: &'a dyn Debug,
    error_type: &'static str,
    /// The time now, where the call has a clock.
    now: Option<Instant>,
}

/// Decides on a failed attempt: how long to wait before the next, or why there is none. The `token` of a budget is the
/// driver's to spend when the next attempt starts.
fn judge(
    plan: &Plan,
    standing: &Standing<'_>,
    failure: &Failure<'_>,
    token: &mut Option<Token>,
) -> Result<Duration, StopReason> {
    if plan.is_plain() && standing.is_plain() {
        rules::<true>(plan, standing, failure, token)
    } else {
        judge_with_extras(plan, standing, failure, token)
    }
}

#[cold]
fn judge_with_extras(
    plan: &Plan,
    standing: &Standing<'_>,
    failure: &Failure<'_>,
    token: &mut Option<Token>,
) -> Result<Duration, StopReason> {
    rules::<false>(plan, standing, failure, token)
}

/// Every rule there is, in their order. `PLAIN`: a policy with plain numbers alone and a call in no scope, so that the
/// compiler can leave out what can't apply to it.
#[allow(
    clippy::inline_always,
    reason = "one source for the two cases; each is compiled once, in `judge`"
)]
#[inline(always)]
fn rules<const PLAIN: bool>(
    plan: &Plan,
    standing: &Standing<'_>,
    failure: &Failure<'_>,
    token: &mut Option<Token>,
) -> Result<Duration, StopReason> {
    // 1. The switch: an inactive call is a plain one, and silent.
    let mode = if PLAIN {
        Mode::Normal
    } else {
        standing.origin.mode()
    };
    if mode == Mode::Inactive {
        return Err(StopReason::Inactive);
    }

    // 2. The decision. It was asked for on the last attempt too, so that the predicate sees every failure once.
    if failure.decision == Decision::Stop {
        return Err(StopReason::NotRetryable);
    }

    // 3. Attempts.
    let limit = if PLAIN {
        plan.settings.attempts
    } else {
        standing.limit(plan)
    };
    if limit.is_some_and(|limit| standing.number >= limit) {
        return Err(gave_up(
            plan,
            standing,
            failure,
            StopReason::AttemptsExhausted,
        ));
    }

    // 4. The wait.
    let random = || {
        if PLAIN {
            fastrand::u64(..)
        } else {
            random(plan, standing)
        }
    };
    let wait = match (mode, failure.decision) {
        (Mode::Testing(_) | Mode::Inactive, _) | (_, Decision::Stop) => Duration::ZERO,
        (Mode::Normal, Decision::Retry) => plan.backoff.wait(standing.number, random()),
        (Mode::Normal, Decision::RetryAfter(hint)) => plan.backoff.hinted(hint, random()),
        (Mode::Normal, Decision::RetryIn(wait)) => wait,
    };

    // 5. The deadline: a retry must begin before it.
    if let (Mode::Normal, Some(timeout)) = (mode, plan.settings.timeout) {
        if standing.elapsed_at(failure.now).saturating_add(wait) >= timeout {
            return Err(gave_up(plan, standing, failure, StopReason::TimedOut));
        }
    }

    // 6. The budget, only asked when all else allows.
    if !PLAIN && mode == Mode::Normal && plan.has_budget() {
        let budget = plan.budget_handle().zip(failure.now);
        let first = standing.number == 1;
        *token = budget.and_then(|(budget, now)| Token::take(budget, now, first));
        if token.is_none() {
            return Err(gave_up(
                plan,
                standing,
                failure,
                StopReason::BudgetExhausted,
            ));
        }
    }

    // 7. Telemetry, before the wait.
    let own = if PLAIN { None } else { plan.on_retry() };
    if own.is_some() || instrument::listening(standing.origin.hooks(), true) {
        retry_scheduled(plan, standing, failure, wait);
    }
    Ok(wait)
}

#[cold]
fn retry_scheduled(plan: &Plan, standing: &Standing<'_>, failure: &Failure<'_>, wait: Duration) {
    let event = standing.event(plan, failure.now);
    instrument::retry_scheduled(event, wait, failure.cause(), plan.on_retry());
}

#[cold]
fn gave_up(
    plan: &Plan,
    standing: &Standing<'_>,
    failure: &Failure<'_>,
    reason: StopReason,
) -> StopReason {
    if instrument::listening(standing.origin.hooks(), true) {
        instrument::gave_up(standing.event(plan, failure.now), reason, failure.cause());
    }
    reason
}

impl<'a> Failure<'a> {
    fn cause(&self) -> Cause<'a> {
        Cause {
            error: self.error,
            error_type: self.error_type,
            depth: depth(),
        }
    }
}

/// A random number for the wait after this attempt: drawn now, or by seed and number, so that a resumed call goes on
/// in its sequence.
#[inline]
fn random(plan: &Plan, standing: &Standing<'_>) -> u64 {
    match standing
        .resumed
        .and_then(|resumed| resumed.seed)
        .or(plan.seed)
    {
        None => fastrand::u64(..),
        Some(seed) => seeded(seed, standing.number),
    }
}

#[cold]
fn seeded(seed: u64, number: u32) -> u64 {
    // The golden ratio spreads the numbers, the first draw the seeds, which are often 1, 2, 3.
    let spread = u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    fastrand::Rng::with_seed(fastrand::Rng::with_seed(seed).u64(..) ^ spread).u64(..)
}

/// How the outcome of an attempt reads: which part of it, if any, is put before the judge.
pub trait Reading<Outcome> {
    /// What the policy is on.
    type On: Debug;

    /// The failure in an outcome, or `None` where the call has ended well.
    #[doc(hidden)]
    fn failure<'a>(policy: &Retry<Self::On>, outcome: &'a Outcome) -> Option<&'a Self::On>;

    /// Whether an outcome that the predicate wants no retry for is a success.
    #[doc(hidden)]
    fn is_fine(outcome: &Outcome) -> bool;

    /// What is told of the error's type.
    #[doc(hidden)]
    fn error_type() -> &'static str;
}

/// An `Err` is a failure, and its error is put before the judge.
#[derive(Debug)]
pub struct ByError<E>(PhantomData<fn(&E)>);

impl<T, E: Debug> Reading<Result<T, E>> for ByError<E> {
    type On = E;

    #[inline]
    fn failure<'a>(_: &Retry<E>, outcome: &'a Result<T, E>) -> Option<&'a E> {
        outcome.as_ref().err()
    }

    fn is_fine(_: &Result<T, E>) -> bool {
        false
    }

    fn error_type() -> &'static str {
        std::any::type_name::<E>()
    }
}

/// The whole outcome is put before the judge; without a predicate, an `Err` is a failure.
#[derive(Debug)]
pub struct ByOutcome<T, E>(PhantomData<fn(&T, &E)>);

impl<T: Debug, E: Debug> Reading<Result<T, E>> for ByOutcome<T, E> {
    type On = Result<T, E>;

    #[inline]
    fn failure<'a>(
        policy: &Retry<Self::On>,
        outcome: &'a Result<T, E>,
    ) -> Option<&'a Result<T, E>> {
        (outcome.is_err() || policy.has_predicate()).then_some(outcome)
    }

    fn is_fine(outcome: &Result<T, E>) -> bool {
        outcome.is_ok()
    }

    fn error_type() -> &'static str {
        std::any::type_name::<E>()
    }
}

/// Puts a failure before the judge.
#[allow(
    clippy::inline_always,
    reason = "a step of the cold loop, not a function to be called twice"
)]
#[inline(always)]
pub(crate) fn put<O, R: Reading<O>>(
    policy: &Retry<R::On>,
    standing: &Standing<'_>,
    failure: &R::On,
    token: &mut Option<Token>,
) -> Result<Duration, StopReason> {
    let mut told = Failure {
        decision: Decision::Retry,
        error: failure,
        error_type: R::error_type(),
        now: None,
    };
    if policy.has_predicate() {
        told.decision = match standing.origin.mode() {
            // Nobody is asked in vain: the judge will say that the call is inactive.
            Mode::Inactive => Decision::Stop,
            Mode::Normal | Mode::Testing(_) => policy.ask(failure),
        };
    }
    // A permanent error, or an outcome that is fine, needs no time.
    if told.decision != Decision::Stop {
        told.now = standing.now(&policy.plan);
    }
    judge(&policy.plan, standing, &told, token)
}

/// Puts an outcome before the judge: `None` where the call has ended well, and then that is noted.
#[allow(
    clippy::inline_always,
    reason = "a step of the cold loop, not a function to be called twice"
)]
#[inline(always)]
pub(crate) fn examine<O, R: Reading<O>>(
    policy: &Retry<R::On>,
    standing: &Standing<'_>,
    outcome: &O,
    token: &mut Option<Token>,
) -> Result<Option<Duration>, StopReason> {
    if let Some(failure) = R::failure(policy, outcome) {
        match put::<O, R>(policy, standing, failure, token) {
            Err(StopReason::NotRetryable | StopReason::Inactive) if R::is_fine(outcome) => {}
            judged => return judged.map(Some),
        }
    }
    standing.succeeded(&policy.plan);
    Ok(None)
}

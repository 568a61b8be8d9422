//! The judge: the one place that decides whether a failed attempt is retried and after how long.
//!
//! It never sleeps. Every driver makes its attempts, hands what happened to this file, and sleeps as it is told.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use crate::backoff::Wait;
use crate::budget::Token;
use crate::decision::{Decision, StopReason};
use crate::events;
use crate::retry::{Plan, Retry};
use crate::standing::Standing;
use crate::switch::Mode;
use crate::telemetry::{Level, anyone_listens};

/// Decides on a failed attempt: how long to wait before the next, or `None` where there is to be none.
///
/// The decision is booked. After a wait `standing` is that of the next attempt, and has the token of a budget, which the
/// driver is to spend when that attempt starts; otherwise it has the reason.
///
/// The most usual case, a plain retry, is compiled into the caller.
#[inline]
pub(crate) fn judge<E: Debug>(
    policy: &Retry<E>,
    standing: &mut Standing<'_>,
    error: &E,
) -> Option<Duration> {
    let plan = &policy.plan;
    // Nobody is asked in vain: an inactive call makes no other attempt anyway.
    if policy.has_predicate() && standing.mode() != Mode::Inactive {
        let decision = policy.ask(error);
        if decision != Decision::Retry {
            return judge_otherwise(plan, standing, &decision, error);
        }
    }
    if standing.plain {
        rules::<true>(plan, standing, &Decision::Retry, error)
    } else {
        judge_otherwise(plan, standing, &Decision::Retry, error)
    }
}

/// [`judge`], where there is more to the policy, the call or the decision.
#[inline(never)]
fn judge_otherwise(
    plan: &Plan,
    standing: &mut Standing<'_>,
    decision: &Decision,
    error: &dyn Debug,
) -> Option<Duration> {
    rules::<false>(plan, standing, decision, error)
}

/// Every rule there is, in their order. `PLAIN`: the policy is plain and the call was made in no scope, so that the
/// compiler can leave out what can't apply to them.
#[allow(
    clippy::inline_always,
    reason = "one source for two cases: a part of the loop, and `judge_otherwise`"
)]
#[inline(always)]
fn rules<const PLAIN: bool>(
    plan: &Plan,
    standing: &mut Standing<'_>,
    decision: &Decision,
    error: &dyn Debug,
) -> Option<Duration> {
    // 1. The switch: an inactive call is a plain one, and silent.
    let mode = if PLAIN { Mode::Normal } else { standing.mode() };
    if mode == Mode::Inactive {
        return standing.stop(StopReason::Inactive);
    }

    // 2. The decision. It was asked for on the last attempt too, so that the predicate sees every failure once.
    if *decision == Decision::Stop {
        return standing.stop(StopReason::NotRetryable);
    }
    let now = standing.now(plan);
    let gave_up = |standing, reason| gave_up(plan, standing, now, error, reason);

    // 3. Attempts.
    let limit = if PLAIN {
        plan.settings.attempts
    } else {
        standing.limit(plan)
    };
    if limit.is_some_and(|limit| standing.number >= limit) {
        return gave_up(standing, StopReason::AttemptsExhausted);
    }

    // 4. The wait.
    let random = || {
        if PLAIN {
            fastrand::u64(..)
        } else {
            random(plan, standing)
        }
    };
    let wait = match (mode, *decision) {
        (Mode::Testing(_) | Mode::Inactive, _) | (_, Decision::Stop) => Wait::ZERO,
        (Mode::Normal, Decision::Retry) => plan.backoff.wait::<PLAIN>(standing.number, random()),
        (Mode::Normal, Decision::RetryAfter(hint)) => plan.backoff.hinted(hint, random()),
        (Mode::Normal, Decision::RetryIn(wait)) => wait.into(),
    };

    // 5. The deadline: a retry must begin before it.
    if let (Mode::Normal, Some(timeout)) = (mode, plan.settings.timeout) {
        if standing.too_late(now, wait.duration, timeout) {
            return gave_up(standing, StopReason::TimedOut);
        }
    }

    // 6. The budget, only asked when all else allows.
    if plan.has_budget() && mode == Mode::Normal && !take_token(plan, standing, now) {
        return gave_up(standing, StopReason::BudgetExhausted);
    }

    // 7. Telemetry, before the wait.
    let own = if PLAIN { None } else { plan.on_retry() };
    let scoped = if PLAIN { None } else { standing.origin.hooks() };
    if own.is_some() || anyone_listens(scoped, Level::Warn) {
        retry_scheduled(plan, standing, now, error, wait.duration);
    }
    standing.advance(wait);
    Some(wait.duration)
}

/// Takes a token of the policy's budget; false when there is none.
#[inline(never)]
fn take_token(plan: &Plan, standing: &mut Standing<'_>, now: Option<Instant>) -> bool {
    let budget = plan.budget_handle().zip(now);
    let first = standing.number == 1;
    standing.token = budget.and_then(|(budget, now)| Token::take(budget, now, first));
    standing.token.is_some()
}

#[cold]
#[inline(never)]
fn retry_scheduled(
    plan: &Plan,
    standing: &Standing<'_>,
    now: Option<Instant>,
    error: &dyn Debug,
    wait: Duration,
) {
    let (event, cause) = (standing.event(plan, now), standing.cause(error));
    let listened_to = anyone_listens(standing.origin.hooks(), Level::Warn);
    events::retry_scheduled(&event, wait, cause, plan.on_retry(), listened_to);
}

#[cold]
#[inline(never)]
fn gave_up(
    plan: &Plan,
    standing: &mut Standing<'_>,
    now: Option<Instant>,
    error: &dyn Debug,
    reason: StopReason,
) -> Option<Duration> {
    if anyone_listens(standing.origin.hooks(), Level::Warn) {
        events::gave_up(&standing.event(plan, now), reason, standing.cause(error));
    }
    standing.stop(reason)
}

/// A random number for the wait after this attempt: drawn now, or by seed and number, so that a resumed call goes on
/// in its sequence.
#[inline]
fn random(plan: &Plan, standing: &Standing<'_>) -> u64 {
    match standing.seed().or(plan.seed) {
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

/// Puts an outcome before the judge: the wait before the next attempt, or `None` where the call has ended. That it ended
/// well is noted.
#[inline]
pub(crate) fn examine<O, R: Reading<O>>(
    policy: &Retry<R::On>,
    standing: &mut Standing<'_>,
    outcome: &O,
) -> Option<Duration> {
    if let Some(failure) = R::failure(policy, outcome) {
        let wait = judge(policy, standing, failure);
        if wait.is_some() || !standing.was_let_pass() || !R::is_fine(outcome) {
            return wait;
        }
        standing.stop_reason = None;
    }
    standing.succeeded(&policy.plan);
    None
}

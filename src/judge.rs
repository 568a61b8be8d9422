//! The judge: the one place that decides whether a failed attempt is retried and after how long.
//!
//! It neither sleeps nor reads a clock. Every driver makes its attempts, hands what happened to this file, and sleeps
//! as it is told.

use std::fmt::{self, Debug};
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use crate::backoff::nanos;
use crate::budget::Token;
use crate::decision::{Decision, StopReason};
use crate::depth::depth;
use crate::instrument::{self, Callable, Cause, Event, Hooks};
use crate::retry::{Plan, Retry};
use crate::scope::any_unusual;
use crate::switch::{self, Mode};

/// What is fixed when a call is made: when it started, and what scopes it was made in.
///
/// Outside of tests a call is made in no scope, so that case takes no more room than the time alone: a future is kept
/// by the million.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// In no scope; not started yet, or without any use for the time.
    Plain,
    /// In no scope, started then.
    Started(Instant),
    /// Some switch, scope or hook of this process is not at its default.
    Unusual(Box<Unusual>),
}

#[derive(Clone, Debug)]
pub(crate) struct Unusual {
    started: Option<Instant>,
    mode: Mode,
    hooks: Option<ScopedHooks>,
}

#[derive(Clone)]
struct ScopedHooks(Hooks);

impl Debug for ScopedHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} hooks", self.0.len())
    }
}

impl Origin {
    /// Reads the switches: a call is made now on this thread.
    #[inline]
    pub(crate) fn here() -> Self {
        if any_unusual() {
            Self::unusual()
        } else {
            Self::Plain
        }
    }

    #[cold]
    fn unusual() -> Self {
        let mode = switch::mode();
        let hooks = instrument::scoped_now().map(ScopedHooks);
        Self::Unusual(Box::new(Unusual {
            started: None,
            mode,
            hooks,
        }))
    }

    /// Starts the call's time, if the policy or the driver (`measured`) has a use for it.
    #[inline]
    pub(crate) fn start(&mut self, plan: &Plan, measured: bool) {
        if measured || plan.needs_clock() {
            let now = plan.timer.now();
            match self {
                Self::Unusual(unusual) => unusual.started = Some(now),
                origin => *origin = Self::Started(now),
            }
        }
    }

    fn started(&self) -> Option<Instant> {
        match self {
            Self::Plain => None,
            Self::Started(started) => Some(*started),
            Self::Unusual(unusual) => unusual.started,
        }
    }

    fn mode(&self) -> Mode {
        match self {
            Self::Plain | Self::Started(_) => Mode::Normal,
            Self::Unusual(unusual) => unusual.mode,
        }
    }

    fn hooks(&self) -> Option<&Hooks> {
        match self {
            Self::Plain | Self::Started(_) => None,
            Self::Unusual(unusual) => unusual.hooks.as_ref().map(|hooks| &hooks.0),
        }
    }
}

/// Where a call stands: everything the judge knows of it besides the policy.
#[derive(Clone, Copy)]
pub(crate) struct Standing<'a> {
    pub(crate) origin: &'a Origin,
    /// The attempt under way, from 1.
    pub(crate) number: u32,
    /// All waits so far, in nanoseconds.
    pub(crate) waited: u64,
    /// Time that the call had taken before it was resumed here.
    pub(crate) before: Duration,
    /// A seed of the call's own.
    pub(crate) seed: Option<u64>,
    pub(crate) callable: Callable,
}

impl<'a> Standing<'a> {
    pub(crate) fn new(origin: &'a Origin, number: u32, waited: u64, callable: Callable) -> Self {
        Self {
            origin,
            number,
            waited,
            before: Duration::ZERO,
            seed: None,
            callable,
        }
    }

    /// The time that the call has taken until `now`; without a clock, the time waited.
    fn elapsed_at(&self, now: Option<Instant>) -> Duration {
        let here = match (self.origin.started(), now) {
            (Some(started), Some(now)) => now.saturating_duration_since(started),
            _ => Duration::from_nanos(self.waited),
        };
        self.before.saturating_add(here)
    }

    /// Reads the clock, if this call has one.
    fn now(&self, plan: &Plan) -> Option<Instant> {
        self.origin.started().map(|_| plan.timer.now())
    }

    pub(crate) fn elapsed(&self, plan: &Plan) -> Duration {
        self.elapsed_at(self.now(plan))
    }

    /// Time left before the policy's deadline; `None` without one.
    pub(crate) fn left(&self, plan: &Plan) -> Option<Duration> {
        match self.origin.mode() {
            Mode::Normal => plan
                .settings
                .timeout
                .map(|timeout| timeout.saturating_sub(self.elapsed(plan))),
            Mode::Testing(_) | Mode::Inactive => None,
        }
    }

    /// Whether policy, switches and nesting leave no attempt after this one.
    fn is_last(&self, plan: &Plan) -> bool {
        let limit = match self.origin.mode() {
            Mode::Inactive => Some(1),
            _ if plan.outermost_only && depth() > 0 => Some(1),
            Mode::Testing(testing) => Some(testing.limit(plan.settings.attempts)),
            Mode::Normal => plan.settings.attempts,
        };
        limit.is_some_and(|limit| self.number >= limit)
    }

    /// The bounds of the wait after this attempt, unless it is the last.
    pub(crate) fn next_wait(&self, plan: &Plan) -> Option<(Duration, Duration)> {
        if self.is_last(plan) {
            return None;
        }
        let (shortest, longest) = match self.origin.mode() {
            Mode::Normal => plan.backoff().bounds(self.number),
            Mode::Testing(_) | Mode::Inactive => (0, 0),
        };
        let (shortest, longest) = (
            Duration::from_nanos(shortest),
            Duration::from_nanos(longest),
        );
        let in_time = self.left(plan).is_none_or(|left| shortest < left);
        in_time.then_some((shortest, longest))
    }

    fn event(&self, plan: &Plan, elapsed: Duration) -> Event<'a> {
        Event {
            callable: plan.callable(self.callable),
            attempts: self.number,
            waited_so_far: Duration::from_nanos(self.waited),
            elapsed,
            scoped: self.origin.hooks(),
        }
    }

    /// Notes that the call ended well. Nothing to do for a first-try success without a budget.
    pub(crate) fn succeeded(&self, plan: &Plan) {
        match self.origin.mode() {
            Mode::Inactive => return,
            Mode::Testing(_) => {}
            // The start is time enough for a budget, and spares reading the clock again.
            Mode::Normal => {
                if let (Some(budget), Some(started)) = (plan.budget(), self.origin.started()) {
                    budget.credit(started);
                }
            }
        }
        if self.number > 1 {
            instrument::recovered(self.event(plan, self.elapsed(plan)));
        }
    }
}

/// A failed attempt, as the judge sees it.
pub(crate) struct Failure<'a> {
    /// Asks the predicate.
    pub(crate) ask: &'a dyn Fn() -> Decision,
    pub(crate) error: &'a dyn Debug,
    pub(crate) error_type: &'static str,
}

/// Leave for another attempt.
#[derive(Debug)]
pub(crate) struct Go {
    pub(crate) wait: Duration,
    pub(crate) token: Token,
}

/// Decides on a failed attempt. Every rule there is, in their order.
pub(crate) fn judge(
    plan: &Plan,
    standing: &Standing<'_>,
    failure: &Failure<'_>,
) -> Result<Go, StopReason> {
    // 1. The switch: an inactive call is a plain one, and silent.
    let mode = standing.origin.mode();
    if mode == Mode::Inactive {
        return Err(StopReason::Inactive);
    }

    // 2. The decision. Asked on the last attempt too, so that it sees every failure once.
    let decision = (failure.ask)();
    if decision == Decision::Stop {
        return Err(StopReason::NotRetryable);
    }

    let now = standing.now(plan);
    let elapsed = standing.elapsed_at(now);
    let cause = Cause {
        error: failure.error,
        error_type: failure.error_type,
        depth: depth(),
    };
    let give_up = |reason| {
        instrument::gave_up(standing.event(plan, elapsed), reason, cause);
        Err(reason)
    };

    // 3. Attempts.
    if standing.is_last(plan) {
        return give_up(StopReason::AttemptsExhausted);
    }

    // 4. The wait.
    let wait = if matches!(mode, Mode::Testing(_)) {
        Duration::ZERO
    } else {
        match decision {
            Decision::Retry => plan.backoff().wait(standing.number, random(plan, standing)),
            Decision::RetryAfter(hint) => plan.backoff().hinted(hint, random(plan, standing)),
            Decision::RetryIn(wait) => wait,
            Decision::Stop => Duration::ZERO,
        }
    };

    // 5. The deadline: a retry must begin before it.
    if mode == Mode::Normal
        && plan
            .settings
            .timeout
            .is_some_and(|timeout| elapsed.saturating_add(wait) >= timeout)
    {
        return give_up(StopReason::TimedOut);
    }

    // 6. The budget, only asked when all else allows.
    let token = match (mode, plan.budget(), now) {
        (Mode::Normal, Some(budget), Some(now)) => match Token::take(budget, now) {
            Some(token) => token,
            None => return give_up(StopReason::BudgetExhausted),
        },
        _ => Token::FREE,
    };

    // 7. Telemetry, before the wait.
    instrument::retry_scheduled(standing.event(plan, elapsed), wait, cause, plan.on_retry());
    Ok(Go { wait, token })
}

/// A random number for the wait after this attempt: drawn now, or by seed and number, so that a resumed call goes on
/// in its sequence.
fn random(plan: &Plan, standing: &Standing<'_>) -> u64 {
    match standing.seed.or(plan.seed) {
        None => fastrand::u64(..),
        Some(seed) => {
            // The golden ratio spreads the numbers, the first draw the seeds, which are often 1, 2, 3.
            let spread = u64::from(standing.number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            fastrand::Rng::with_seed(fastrand::Rng::with_seed(seed).u64(..) ^ spread).u64(..)
        }
    }
}

/// The time waited, one wait later.
pub(crate) fn waited(before: u64, wait: Duration) -> u64 {
    before.saturating_add(nanos(wait))
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
pub(crate) fn put<O, R: Reading<O>>(
    policy: &Retry<R::On>,
    standing: &Standing<'_>,
    failure: &R::On,
) -> Result<Go, StopReason> {
    let ask = || policy.ask(failure);
    judge(
        &policy.plan,
        standing,
        &Failure {
            ask: &ask,
            error: failure,
            error_type: R::error_type(),
        },
    )
}

/// Puts an outcome before the judge: `None` where the call has ended well, and then that is noted.
#[cold]
#[inline(never)]
pub(crate) fn examine<O, R: Reading<O>>(
    policy: &Retry<R::On>,
    standing: &Standing<'_>,
    outcome: &O,
) -> Result<Option<Go>, StopReason> {
    let judged = match R::failure(policy, outcome) {
        Some(failure) => put::<O, R>(policy, standing, failure).map(Some),
        None => Ok(None),
    };
    let fine = match &judged {
        Ok(go) => go.is_none(),
        Err(StopReason::NotRetryable | StopReason::Inactive) => R::is_fine(outcome),
        Err(_) => false,
    };
    if fine {
        standing.succeeded(&policy.plan);
        return Ok(None);
    }
    judged
}

//! Where a call stands: what is fixed when it is made, and what changes from one attempt to the next.

use std::fmt::{self, Debug};
use std::time::{Duration, Instant};

use crate::backoff::nanos;
use crate::depth::depth;
use crate::instrument::{self, Callable, Event, Hooks};
use crate::retry::Plan;
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

impl Drop for Unusual {
    // Cold, because a future's end is looked at for it, and hardly ever finds it.
    #[cold]
    fn drop(&mut self) {
        drop(self.hooks.take());
    }
}

impl Unusual {
    #[cold]
    #[allow(
        clippy::unnecessary_box_returns,
        reason = "the box is made here, off the fast path"
    )]
    fn here() -> Box<Self> {
        let mode = switch::mode();
        let hooks = instrument::scoped_now().map(ScopedHooks);
        Box::new(Self {
            started: None,
            mode,
            hooks,
        })
    }
}

impl Origin {
    /// Reads the switches: a call is made now on this thread.
    #[inline]
    pub(crate) fn here() -> Self {
        if any_unusual() {
            Self::Unusual(Unusual::here())
        } else {
            Self::Plain
        }
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

    #[inline]
    pub(crate) fn started(&self) -> Option<Instant> {
        match self {
            Self::Plain => None,
            Self::Started(started) => Some(*started),
            Self::Unusual(unusual) => unusual.started,
        }
    }

    #[inline]
    pub(crate) fn mode(&self) -> Mode {
        match self {
            Self::Plain | Self::Started(_) => Mode::Normal,
            Self::Unusual(unusual) => unusual.mode,
        }
    }

    #[inline]
    pub(crate) fn hooks(&self) -> Option<&Hooks> {
        match self {
            Self::Plain | Self::Started(_) => None,
            Self::Unusual(unusual) => unusual.hooks.as_ref().map(|hooks| &hooks.0),
        }
    }
}

/// What a call may bring along from elsewhere.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Resumed {
    /// Time that it had taken before.
    pub(crate) before: Duration,
    /// A seed of its own.
    pub(crate) seed: Option<u64>,
}

/// Where a call stands: all that is known of it besides the policy.
#[derive(Clone, Copy)]
pub(crate) struct Standing<'a> {
    pub(crate) origin: &'a Origin,
    /// The attempt under way, from 1.
    pub(crate) number: u32,
    /// All waits so far, in nanoseconds.
    pub(crate) waited: u64,
    pub(crate) resumed: Option<&'a Resumed>,
    pub(crate) callable: Callable,
}

impl<'a> Standing<'a> {
    pub(crate) fn new(origin: &'a Origin, number: u32, waited: u64, callable: Callable) -> Self {
        Self {
            origin,
            number,
            waited,
            resumed: None,
            callable,
        }
    }

    /// Counts a wait, and the attempt after it.
    #[inline]
    pub(crate) fn advance(&mut self, wait: Duration) {
        self.waited = self.waited.saturating_add(nanos(wait));
        self.number = self.number.saturating_add(1);
    }

    /// Reads the clock, if this call has one.
    #[inline]
    pub(crate) fn now(&self, plan: &Plan) -> Option<Instant> {
        self.origin.started().map(|_| plan.timer.now())
    }

    /// The time that the call has taken until `now`; without a clock, the time waited.
    pub(crate) fn elapsed_at(&self, now: Option<Instant>) -> Duration {
        let here = match (self.origin.started(), now) {
            (Some(started), Some(now)) => now.saturating_duration_since(started),
            _ => Duration::from_nanos(self.waited),
        };
        match self.resumed {
            Some(resumed) => resumed.before.saturating_add(here),
            None => here,
        }
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

    /// Whether the call was made in no scope and brings nothing along.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.resumed.is_none() && !matches!(self.origin, Origin::Unusual(_))
    }

    /// The most attempts that policy, switches and nesting allow.
    pub(crate) fn limit(&self, plan: &Plan) -> Option<u32> {
        match self.origin.mode() {
            Mode::Inactive => Some(1),
            _ if plan.outermost_only && depth() > 0 => Some(1),
            Mode::Testing(testing) => Some(testing.limit(plan.settings.attempts)),
            Mode::Normal => plan.settings.attempts,
        }
    }

    /// The bounds of the wait after this attempt, unless it is the last.
    pub(crate) fn next_wait(&self, plan: &Plan) -> Option<(Duration, Duration)> {
        if self.limit(plan).is_some_and(|limit| self.number >= limit) {
            return None;
        }
        let (shortest, longest) = match self.origin.mode() {
            Mode::Normal => plan.backoff.bounds(self.number),
            Mode::Testing(_) | Mode::Inactive => (0, 0),
        };
        let (shortest, longest) = (
            Duration::from_nanos(shortest),
            Duration::from_nanos(longest),
        );
        let in_time = self.left(plan).is_none_or(|left| shortest < left);
        in_time.then_some((shortest, longest))
    }

    /// What telemetry is told of the call.
    pub(crate) fn event(&self, plan: &Plan, now: Option<Instant>) -> Event<'a> {
        let budget = match self.origin.mode() {
            Mode::Normal => plan.budget().zip(now),
            Mode::Testing(_) | Mode::Inactive => None,
        };
        Event {
            callable: plan.callable(self.callable),
            attempts: self.number,
            waited_so_far: Duration::from_nanos(self.waited),
            elapsed: self.elapsed_at(now),
            budget: budget.and_then(|(budget, now)| budget.gauge(now)),
            scoped: self.origin.hooks(),
        }
    }

    /// Notes that the call ended well. Nothing to do for a first-try success without a budget.
    #[inline]
    pub(crate) fn succeeded(&self, plan: &Plan) {
        let told = self.number > 1 && instrument::listening(self.origin.hooks(), false);
        if told || plan.has_budget() {
            self.note_success(plan, told);
        }
    }

    #[cold]
    fn note_success(&self, plan: &Plan, told: bool) {
        let mode = self.origin.mode();
        if mode == Mode::Inactive {
            return;
        }
        let retried = self.number > 1;
        // At the first try the start is time enough, and spares reading the clock again.
        let now = if retried {
            self.now(plan)
        } else {
            self.origin.started()
        };
        if let (Mode::Normal, Some(budget), Some(now)) = (mode, plan.budget(), now) {
            budget.credit(now, !retried);
        }
        if told {
            instrument::recovered(self.event(plan, now));
        }
    }
}

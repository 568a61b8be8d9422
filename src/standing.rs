//! Where a call stands: what is fixed when it is made, and what changes from one attempt to the next.

use std::fmt::{self, Debug};
use std::time::{Duration, Instant};

use crate::backoff::Wait;
use crate::budget::Token;
use crate::decision::StopReason;
use crate::depth::depth;
use crate::events::{self, Cause, Event, Names};
use crate::retry::Plan;
use crate::scope::any_unusual;
use crate::switch::{self, Mode};
use crate::telemetry::{self, BudgetLevel, Hooks, Level};

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
    // Cold, because every future's end has to look for one, and hardly any finds it.
    #[cold]
    fn drop(&mut self) {
        if let Some(ScopedHooks(hooks)) = self.hooks.take() {
            telemetry::drop_contained(hooks);
        }
    }
}

impl Unusual {
    #[cold]
    fn has_started(&self) -> bool {
        self.started.is_some()
    }

    #[cold]
    #[allow(
        clippy::unnecessary_box_returns,
        reason = "the box is made here, off the fast path"
    )]
    fn here() -> Box<Self> {
        let mode = switch::mode();
        let hooks = telemetry::scoped_hooks_now().map(ScopedHooks);
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

    /// Credits the budget with a success at the first try. The call's start is time enough, and spares reading the
    /// clock again.
    #[inline(never)]
    pub(crate) fn first_try_succeeded(&self, plan: &Plan) {
        if self.mode() == Mode::Normal {
            plan.credit(self.started());
        }
    }

    /// Time left before the policy's deadline, after so many nanoseconds of waiting; `None` without a deadline.
    pub(crate) fn left(&self, plan: &Plan, waited: u64) -> Option<Duration> {
        let nobody_is_told = Names::new(|| ("", ""));
        Standing::new(plan, self, 1, waited, nobody_is_told).left(plan)
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
pub(crate) struct Standing<'a> {
    pub(crate) origin: &'a Origin,
    /// The attempt under way, from 1.
    pub(crate) number: u32,
    /// All waits so far, in nanoseconds.
    pub(crate) waited: u64,
    resumed: Option<&'a Resumed>,
    /// Whether its time is measured.
    measured: bool,
    /// Whether the policy is plain, and the call was made in no scope and brings nothing along.
    pub(crate) plain: bool,
    pub(crate) names: Names,
    /// What was taken from a budget for the attempt that comes next.
    pub(crate) token: Option<Token>,
    /// Why the last failure is not retried.
    pub(crate) stop_reason: Option<StopReason>,
}

impl<'a> Standing<'a> {
    #[inline]
    pub(crate) fn new(
        plan: &Plan,
        origin: &'a Origin,
        number: u32,
        waited: u64,
        names: Names,
    ) -> Self {
        let (measured, in_no_scope) = match origin {
            Origin::Plain => (false, true),
            Origin::Started(_) => (true, true),
            Origin::Unusual(unusual) => (unusual.has_started(), false),
        };
        Self {
            measured,
            plain: in_no_scope && plan.is_plain(),
            origin,
            number,
            waited,
            resumed: None,
            names,
            token: None,
            stop_reason: None,
        }
    }

    pub(crate) fn resumed(mut self, resumed: &'a Resumed) -> Self {
        self.resumed = Some(resumed);
        self.plain = false;
        self
    }

    #[inline]
    pub(crate) fn mode(&self) -> Mode {
        if self.plain {
            Mode::Normal
        } else {
            self.origin.mode()
        }
    }

    /// Its own seed, if it brings one along.
    pub(crate) fn seed(&self) -> Option<u64> {
        self.resumed.and_then(|resumed| resumed.seed)
    }

    /// Counts a wait, and the attempt after it.
    #[inline]
    pub(crate) fn advance(&mut self, wait: Wait) {
        self.waited = self.waited.saturating_add(wait.nanos);
        self.number = self.number.saturating_add(1);
    }

    /// There is to be no other attempt, because of that.
    #[inline]
    pub(crate) fn stop(&mut self, reason: StopReason) -> Option<Duration> {
        self.stop_reason = Some(reason);
        None
    }

    /// Whether it stopped without a limit, so that an outcome that is fine is a success.
    pub(crate) fn was_let_pass(&self) -> bool {
        self.stop_reason.is_some_and(|reason| !reason.is_limit())
    }

    /// Reads the clock, if this call has one.
    #[inline]
    pub(crate) fn now(&self, plan: &Plan) -> Option<Instant> {
        self.measured.then(|| plan.timer.now())
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

    /// Whether a retry after `wait` would begin at the deadline or later: whether elapsed + `wait` >= `timeout`.
    #[inline]
    pub(crate) fn too_late(&self, now: Option<Instant>, wait: Duration, timeout: Duration) -> bool {
        // The other way round: a time is cheaper to move and to compare than two are to subtract.
        let mut room = timeout.saturating_sub(wait);
        if let Some(resumed) = self.resumed {
            room = room.saturating_sub(resumed.before);
        }
        let used_up = match (self.origin.started(), now) {
            (Some(started), Some(now)) => started.checked_add(room).is_some_and(|end| now >= end),
            _ => Duration::from_nanos(self.waited) >= room,
        };
        used_up || room.is_zero()
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
            callable: plan.callable(self.names),
            attempts: self.number,
            waited_so_far: Duration::from_nanos(self.waited),
            elapsed: self.elapsed_at(now),
            budget: budget
                .and_then(|(budget, now)| budget.gauge(now))
                .map(|(name, balance)| BudgetLevel { name, balance }),
            scoped: self.origin.hooks(),
        }
    }

    /// What telemetry is told of the error.
    pub(crate) fn cause<'e>(&self, error: &'e dyn Debug) -> Cause<'e> {
        Cause {
            error,
            error_type: self.names.error_type(),
            depth: depth(),
        }
    }

    /// Notes that the call ended well. Nothing to do for a first-try success without a budget.
    #[inline]
    pub(crate) fn succeeded(&self, plan: &Plan) {
        let told = self.number > 1 && telemetry::anyone_listens(self.origin.hooks(), Level::Info);
        if told || plan.has_budget() {
            self.note_success(plan, told);
        }
    }

    #[cold]
    #[inline(never)]
    fn note_success(&self, plan: &Plan, told: bool) {
        if self.number == 1 {
            return self.origin.first_try_succeeded(plan);
        }
        let mode = self.mode();
        if mode == Mode::Inactive {
            return;
        }
        let now = self.now(plan);
        if let (Mode::Normal, Some(budget), Some(now)) = (mode, plan.budget(), now) {
            budget.credit(now, false);
        }
        if told {
            events::recovered(&self.event(plan, now));
        }
    }
}

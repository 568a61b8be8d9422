//! What a call remembers between its attempts.

use std::sync::Mutex;
use std::time::Duration;

use super::nesting::{DepthGuard, depth};
use crate::policy::Config;
use crate::telemetry::{self, Hooks};
use crate::testing::mode::{self, Mode};
use crate::testing::scope::any_override;
use crate::time::{Instant, Sleep};

/// What a call remembers besides the number of the attempt under way, which futures keep elsewhere to stay small.
pub(crate) struct CallState {
    clock: CallClock,
    /// All waits so far, in nanoseconds.
    pub(crate) waited: u64,
}

/// When a call started. One enum, because most calls need no more than this, and futures are kept by the million.
enum CallClock {
    /// Not started, or without any use for the time.
    Unread,
    Started(Instant),
    /// The call has more to remember.
    WithExtras(Box<Extras>),
}

/// What few calls need to remember.
#[derive(Default)]
struct Extras {
    started: Option<Instant>,
    /// `None` if the attempt under way started with the call's clock, or if nobody needs to know.
    attempt_started: Option<Instant>,
    /// What the switches for tests and the nesting said when the call was made.
    made_in: Surroundings,
    /// Time that the call had taken before it was resumed here.
    elapsed_before: Duration,
    /// A seed of this call alone.
    seed: Option<u64>,
    /// When the attempt under way is cut.
    cutoff: Option<Cutoff>,
}

/// The scopes and the nesting that a call was made in.
#[derive(Clone, Default)]
pub(crate) struct Surroundings {
    mode: Mode,
    /// The hooks of a scope, which take the place of the process's.
    hooks: Option<Hooks>,
    depth: u32,
}

/// When an attempt is cut.
pub(crate) struct Cutoff {
    /// `None` if no clock reaches that far.
    pub(crate) at: Option<Instant>,
    /// Made only once the attempt has to be waited for. The mutex is never locked: it makes the state `Sync`.
    pub(crate) sleep: Mutex<Option<Sleep>>,
    pub(crate) has_cut: bool,
}

impl Surroundings {
    /// Those in force on this thread now.
    #[cold]
    #[inline(never)]
    fn here() -> Self {
        Self {
            mode: mode::current(),
            hooks: telemetry::scoped_hooks_now(),
            depth: depth(),
        }
    }
}

impl Drop for Extras {
    // Cold, because every future's end has to look for one, and hardly any finds it.
    #[cold]
    #[inline(never)]
    fn drop(&mut self) {
        self.cutoff = None;
        // The call may be the last to hold a hook, whose destructor may panic.
        if let Some(hooks) = self.made_in.hooks.take() {
            telemetry::drop_contained(hooks);
        }
    }
}

/// Credits the budget with a success at the first try. It counts from the start of the call, which spares another look at
/// the clock.
#[cold]
#[inline(never)]
pub(crate) fn credit_first_try(config: &Config, mode: Mode, depth: u32, started: Option<Instant>) {
    let counts = mode == Mode::Normal && !(config.outermost_only && depth > 0);
    if let (true, Some(budget), Some(started)) = (counts, &config.budget, started) {
        budget.credit(started, false);
    }
}

impl CallState {
    /// The state of a call that is made here and now, before it starts.
    #[inline]
    pub(crate) fn new() -> Self {
        // `|` and not `||`: one branch instead of two, for the gates of a future's first-try success.
        let clock = if any_override() | (depth() > 0) {
            CallClock::WithExtras(Extras::made_here())
        } else {
            CallClock::Unread
        };
        Self { clock, waited: 0 }
    }

    /// The state of no call, with nothing of where it is made.
    #[cfg(feature = "tower")]
    pub(crate) fn idle() -> Self {
        Self {
            clock: CallClock::Unread,
            waited: 0,
        }
    }

    /// The state of a blocking call that is under way on this thread, and was made outside of all scopes.
    #[inline]
    pub(crate) fn begun(started: Option<Instant>) -> Self {
        let mut state = Self {
            clock: if depth() > 0 {
                CallClock::WithExtras(Extras::made_here())
            } else {
                CallClock::Unread
            },
            waited: 0,
        };
        if let Some(started) = started {
            state.start_at(started);
        }
        state
    }

    /// Starts the call's clock and its first attempt. `measured`: the driver needs the time although the policy does not.
    #[inline]
    pub(crate) fn start(&mut self, config: &Config, measured: bool) {
        if measured || config.reads_clock {
            self.start_at(config.timer.now());
        }
    }

    // Inlined for the gate `async-success-deadline`: most calls have a deadline.
    #[inline]
    pub(crate) fn start_at(&mut self, now: Instant) {
        match &mut self.clock {
            CallClock::WithExtras(extras) => extras.started = Some(now),
            clock => *clock = CallClock::Started(now),
        }
    }

    /// Starts the call anew: what it took before is forgotten, and its clock starts now.
    pub(crate) fn restart(&mut self, now: Option<Instant>) {
        self.waited = 0;
        if let CallClock::WithExtras(extras) = &mut self.clock {
            extras.elapsed_before = Duration::ZERO;
        }
        if let Some(now) = now {
            self.start_at(now);
        }
    }

    /// Notes that another attempt begins.
    #[inline]
    pub(crate) fn attempt_begins(&mut self, config: &Config) {
        if config.times_attempts() {
            self.set_attempt_started(config.timer.now());
        }
    }

    // Cold, as few policies time their attempts.
    #[cold]
    fn set_attempt_started(&mut self, now: Instant) {
        self.extras_mut().attempt_started = Some(now);
    }

    /// Notes that the caller waits itself before the attempt under way.
    pub(crate) fn attempt_begins_after(&mut self, wait: Duration) {
        if let CallClock::WithExtras(extras) = &mut self.clock {
            let begins = |now: Instant| now.checked_add(wait).unwrap_or(now);
            extras.attempt_started = extras.attempt_started.map(begins);
        }
    }

    /// Takes over a call that began elsewhere.
    pub(crate) fn resume(&mut self, elapsed: Duration) {
        if !elapsed.is_zero() {
            self.extras_mut().elapsed_before = elapsed;
        }
    }

    /// Gives the call a seed of its own.
    pub(crate) fn set_seed(&mut self, seed: u64) {
        self.extras_mut().seed = Some(seed);
    }

    #[inline]
    pub(crate) fn seed(&self) -> Option<u64> {
        self.extras()?.seed
    }

    #[inline]
    pub(crate) fn started(&self) -> Option<Instant> {
        match &self.clock {
            CallClock::Unread => None,
            CallClock::Started(started) => Some(*started),
            CallClock::WithExtras(extras) => extras.started,
        }
    }

    /// Reads the clock, if this call has a use for it.
    #[inline]
    pub(crate) fn now(&self, config: &Config) -> Option<Instant> {
        self.started().map(|_| config.timer.now())
    }

    /// The time that the call has taken; without a clock, the time that it has waited.
    // Not inlined, to keep binaries small: each caller would have a copy.
    #[inline(never)]
    pub(crate) fn elapsed(&self, now: Option<Instant>) -> Duration {
        let here = match (self.started(), now) {
            (Some(started), Some(now)) => now.saturating_duration_since(started),
            _ => Duration::from_nanos(self.waited),
        };
        let before = self
            .extras()
            .map_or(Duration::ZERO, |extras| extras.elapsed_before);
        before.saturating_add(here)
    }

    /// The time that is left before the deadline; `None` if there is none.
    #[inline]
    pub(crate) fn remaining(&self, config: &Config, now: Option<Instant>) -> Option<Duration> {
        let timeout = config.settings.timeout?;
        (self.mode() == Mode::Normal).then(|| timeout.saturating_sub(self.elapsed(now)))
    }

    /// How long the attempt took, if it ended at `ended`; `None` without a clock.
    #[inline]
    pub(crate) fn attempt_took(&self, ended: Option<Instant>) -> Option<Duration> {
        let own = self.extras().and_then(|extras| extras.attempt_started);
        let started = own.or(self.started())?;
        Some(ended?.saturating_duration_since(started))
    }

    /// Whether an attempt that took so long and failed at `ended` starts the call anew. If the driver
    /// `cuts_attempts`, one that was cut has hung and is not healthy.
    #[inline]
    pub(crate) fn is_healthy(
        &self,
        config: &Config,
        took: Option<Duration>,
        ended: Option<Instant>,
        cuts_attempts: bool,
    ) -> bool {
        let healthy = config.reset_after.zip(took);
        healthy.is_some_and(|(healthy, took)| {
            took >= healthy && !self.has_hung(config, took, ended, cuts_attempts)
        })
    }

    /// Whether the attempt ran into its attempt timeout or, if attempts are cut, into the deadline.
    ///
    /// Not inlined for the gates of failures, as few policies have a `reset_after`.
    #[cold]
    #[inline(never)]
    fn has_hung(
        &self,
        config: &Config,
        took: Duration,
        ended: Option<Instant>,
        cuts_attempts: bool,
    ) -> bool {
        if let Some(cutoff) = self.extras().and_then(|call| call.cutoff.as_ref()) {
            return cutoff.has_cut;
        }
        // Attempts of a code block or a service are cut elsewhere, at the same times.
        let limit = config.settings.attempt_timeout.filter(|_| cuts_attempts);
        limit.is_some_and(|limit| {
            took >= limit || self.remaining(config, ended) == Some(Duration::ZERO)
        })
    }

    /// Whether it has more to remember than most.
    #[inline]
    pub(crate) fn has_extras(&self) -> bool {
        matches!(self.clock, CallClock::WithExtras(_))
    }

    /// Credits the budget of the policy with a success at the first try.
    #[cold]
    pub(crate) fn credit_first_try(&self, config: &Config) {
        credit_first_try(config, self.mode(), self.depth(), self.started());
    }

    #[inline]
    pub(crate) fn mode(&self) -> Mode {
        match &self.clock {
            CallClock::WithExtras(extras) => extras.made_in.mode,
            _ => Mode::Normal,
        }
    }

    #[inline]
    pub(crate) fn hooks(&self) -> Option<&Hooks> {
        self.extras()?.made_in.hooks.as_ref()
    }

    #[inline]
    pub(crate) fn depth(&self) -> u32 {
        match &self.clock {
            CallClock::WithExtras(extras) => extras.made_in.depth,
            _ => 0,
        }
    }

    /// Whether the policy leaves the retries to a call around this one.
    #[inline]
    pub(crate) fn is_nested(&self, config: &Config) -> bool {
        config.outermost_only && self.depth() > 0
    }

    /// Enters the operation, so that calls inside of it know that they are.
    #[inline]
    pub(crate) fn enter_operation(&self) -> DepthGuard {
        DepthGuard::inside_of(self.depth())
    }

    #[inline]
    pub(crate) fn cutoff(&mut self) -> Option<&mut Cutoff> {
        match &mut self.clock {
            CallClock::WithExtras(extras) => extras.cutoff.as_mut(),
            _ => None,
        }
    }

    pub(crate) fn set_cutoff(&mut self, cutoff: Cutoff) {
        self.extras_mut().cutoff = Some(cutoff);
    }

    /// Lets go of the timer of an attempt that has ended.
    #[inline]
    pub(crate) fn clear_cutoff(&mut self) {
        if let CallClock::WithExtras(extras) = &mut self.clock {
            extras.cutoff = None;
        }
    }

    #[inline]
    fn extras(&self) -> Option<&Extras> {
        match &self.clock {
            CallClock::WithExtras(extras) => Some(extras),
            _ => None,
        }
    }

    fn extras_mut(&mut self) -> &mut Extras {
        if !matches!(self.clock, CallClock::WithExtras(_)) {
            let started = self.started();
            let mut extras = Box::<Extras>::default();
            extras.started = started;
            self.clock = CallClock::WithExtras(extras);
        }
        match &mut self.clock {
            CallClock::WithExtras(extras) => extras,
            _ => unreachable!("it was extended above"),
        }
    }
}

impl Extras {
    #[cold]
    #[inline(never)]
    fn made_here() -> Box<Self> {
        let mut extras = Box::<Self>::default();
        extras.made_in = Surroundings::here();
        extras
    }
}

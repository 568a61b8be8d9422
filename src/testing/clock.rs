//! A clock that only moves when it is told to.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crate::time::{Clock, Instant, Sleep, system_now};

/// A [`Clock`] for tests: sleeping advances it at once and records the wait.
///
/// The time after which [`attempt_timeout`](crate::RetryFuture::attempt_timeout) cuts is slept for too: on this clock it
/// cuts every attempt that is not ready at once.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use stamina::testing::VirtualClock;
/// use stamina::{Retry, Timer};
///
/// static CLOCK: VirtualClock = VirtualClock::new();
/// static POLICY: Retry<&str> = Retry::on::<&str>()
///     .attempts(4)
///     .wait_jitter(Duration::ZERO)
///     .timer(Timer::custom(&CLOCK));
///
/// let result = POLICY.call(|| {
///     CLOCK.advance(Duration::from_secs(1)); // each attempt takes a second
///     Err::<(), _>("down")
/// });
///
/// assert_eq!(result, Err("down"));
/// assert_eq!(CLOCK.waits(), [100, 200, 400].map(Duration::from_millis));
/// assert_eq!(CLOCK.elapsed(), Duration::from_millis(4 * 1000 + 700));
/// ```
#[derive(Debug, Default)]
pub struct VirtualClock {
    start: OnceLock<Instant>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    elapsed: Duration,
    waits: Vec<Duration>,
}

impl State {
    const NEW: Self = Self {
        elapsed: Duration::ZERO,
        waits: Vec::new(),
    };
}

impl Default for State {
    fn default() -> Self {
        Self::NEW
    }
}

impl VirtualClock {
    /// A clock at its start.
    ///
    /// # Examples
    ///
    /// ```
    /// static CLOCK: stamina::testing::VirtualClock = stamina::testing::VirtualClock::new();
    /// assert!(CLOCK.elapsed().is_zero());
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        Self {
            start: OnceLock::new(),
            state: Mutex::new(State::NEW),
        }
    }

    /// Lets time pass.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let clock = stamina::testing::VirtualClock::new();
    /// clock.advance(Duration::from_secs(3));
    /// assert_eq!(clock.elapsed(), Duration::from_secs(3));
    /// ```
    pub fn advance(&self, duration: Duration) {
        let mut state = self.state();
        state.elapsed = state.elapsed.saturating_add(duration);
    }

    /// Time passed since the start.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(stamina::testing::VirtualClock::new().elapsed().is_zero());
    /// ```
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.state().elapsed
    }

    /// All waits so far, in their order; a wait of zero too.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(stamina::testing::VirtualClock::new().waits().is_empty());
    /// ```
    #[must_use]
    pub fn waits(&self) -> Vec<Duration> {
        self.state().waits.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, duration: Duration) {
        let mut state = self.state();
        state.elapsed = state.elapsed.saturating_add(duration);
        state.waits.push(duration);
    }
}

/// The furthest that this clock can be read: an `Instant` has an end, and not the same one everywhere.
const HORIZON: Duration = Duration::from_secs(1000 * 365 * 24 * 3600);

impl Clock for VirtualClock {
    fn now(&self) -> Instant {
        let start = *self.start.get_or_init(system_now);
        let elapsed = self.elapsed();
        start
            .checked_add(elapsed)
            .or_else(|| start.checked_add(HORIZON))
            .unwrap_or(start)
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        self.wait(duration);
        Sleep::ready()
    }

    fn sleep_blocking(&self, duration: Duration) {
        self.wait(duration);
    }
}

//! Time: the only folder that reads a clock or sleeps.

mod buckets;
mod coarse;
#[cfg(not(all(target_arch = "wasm32", target_os = "unknown")))]
#[path = "native.rs"]
mod host;
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
#[path = "browser.rs"]
mod host;
mod sleep;
#[cfg(all(
    feature = "tokio",
    not(all(target_arch = "wasm32", target_os = "unknown"))
))]
mod tokio;
#[cfg(not(all(
    feature = "tokio",
    not(all(target_arch = "wasm32", target_os = "unknown"))
)))]
#[path = "without_tokio.rs"]
mod tokio;

use std::fmt;
use std::time::Duration;

pub use host::Instant;
pub use sleep::Sleep;

use self::tokio::Tokio;
pub(crate) use self::tokio::TokioSleep;

/// Whole nanoseconds, at most 584 years.
#[inline]
pub(crate) const fn nanos(duration: Duration) -> u64 {
    duration
        .as_secs()
        .saturating_mul(1_000_000_000)
        .saturating_add(duration.subsec_nanos() as u64)
}

/// A source of time of your own, for [`Timer::custom`].
///
/// [`testing::VirtualClock`](crate::testing::VirtualClock) is one.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use stamina::{Clock, Instant, Retry, Sleep, Timer};
///
/// /// Never waits.
/// struct Impatient;
///
/// impl Clock for Impatient {
///     fn now(&self) -> Instant {
///         Instant::now()
///     }
///     fn sleep(&self, _: Duration) -> Sleep {
///         Sleep::ready()
///     }
///     fn sleep_blocking(&self, _: Duration) {}
/// }
///
/// static POLICY: Retry<&str> = Retry::on::<&str>().timer(Timer::custom(&Impatient));
///
/// let report = POLICY.report(|| Err::<(), _>("down"));
/// assert_eq!(report.attempts, 10);
/// assert!(report.elapsed < Duration::from_secs(1));
/// ```
pub trait Clock: Send + Sync {
    /// The time now. It may jump; a time before an earlier one counts as no time passed.
    fn now(&self) -> Instant;

    /// A future that is ready after `duration`, which may be zero and may be `Duration::MAX`.
    fn sleep(&self, duration: Duration) -> Sleep;

    /// Blocks this thread for `duration`.
    fn sleep_blocking(&self, duration: Duration);
}

/// Where a policy takes its time from.
///
/// # Examples
///
/// ```
/// use stamina::testing::VirtualClock;
/// use stamina::{Retry, Timer};
///
/// static CLOCK: VirtualClock = VirtualClock::new();
/// static POLICY: Retry<&str> = Retry::on::<&str>().timer(Timer::custom(&CLOCK));
///
/// assert_eq!(POLICY.call(|| Err::<(), _>("down")), Err("down"));
/// assert_eq!(CLOCK.waits().len(), 9);
/// ```
#[derive(Clone, Copy)]
pub struct Timer(Kind);

// Two enums, because a pointer has room for one other variant only: a single enum would not fit into two registers, and
// each wait would copy it.
#[derive(Clone, Copy)]
enum Kind {
    Known(Known),
    Custom(&'static dyn Clock),
}

#[derive(Clone, Copy)]
enum Known {
    FuturesTimer,
    #[allow(dead_code, reason = "it is only made if tokio is there")]
    Tokio(Tokio),
}

impl Timer {
    /// The default: `futures-timer`, [`Instant::now`] and [`std::thread::sleep`]. Works on every executor.
    ///
    /// All its sleeping futures share one helper thread of the process. If the system can't start a thread, a future
    /// still waits: it is polled again and again, and blocks its executor for a millisecond at a time.
    ///
    /// On `wasm32-unknown-unknown` futures sleep by `setTimeout`, and a blocking call panics when it has to wait, because
    /// nothing can block there.
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::{Retry, Timer};
    ///
    /// let policy = Retry::on::<()>().timer(Timer::futures_timer());
    /// # let _ = policy;
    /// ```
    #[must_use]
    pub const fn futures_timer() -> Self {
        Self(Kind::Known(Known::FuturesTimer))
    }

    /// For very many waits at once: waits end on whole milliseconds, by one helper thread of stamina's own. The clock is
    /// [`Instant::now`], and blocking calls use [`std::thread::sleep`]. Works on every executor.
    ///
    /// A future's wait ends with the first whole millisecond at or after its end, counted from the timer's first use. It
    /// never ends early, and at most a millisecond later than it could. All waits that end in the same millisecond end
    /// together, which makes them cheap: they take less processor time than with `futures-timer`, and a quarter of its
    /// memory. Up to some 10,000 waits at once `futures-timer` is more punctual; with 100,000 this timer is, and with a
    /// million it is late by less than a fifth as much. `docs/performance.md` has the figures.
    ///
    /// The thread starts with the first wait and stays for the life of the process; it sleeps while there are no waits.
    /// A wait that is dropped before its end leaves 16 bytes behind until all waits of its millisecond have ended or
    /// been dropped. If the system can't start a thread, as on `wasm32-unknown-unknown`, a future waits as with
    /// [`futures_timer`](Self::futures_timer).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use stamina::{Retry, Timer};
    ///
    /// static POLL: Retry<&str> = Retry::on::<&str>()
    ///     .attempts(3)
    ///     .wait_initial(Duration::from_millis(2))
    ///     .wait_exp_base(1.0)
    ///     .wait_jitter(Duration::ZERO)
    ///     .timer(Timer::coarse());
    ///
    /// let start = Instant::now();
    /// let result = futures::executor::block_on(POLL.call_async(|| async { Err::<(), _>("not yet") }));
    ///
    /// assert_eq!(result, Err("not yet"));
    /// assert!(start.elapsed() >= Duration::from_millis(4), "two waits, and neither is cut short");
    /// ```
    #[must_use]
    pub const fn coarse() -> Self {
        Self(Kind::Custom(&coarse::COARSE))
    }

    /// tokio's sleep and tokio's clock, so that `tokio::time::pause()` holds for waits and deadlines.
    ///
    /// Blocking calls sleep with [`std::thread::sleep`], which no paused clock advances.
    ///
    /// It does not exist on `wasm32-unknown-unknown`, where tokio has no clock.
    ///
    /// # Panics
    ///
    /// A wait panics, as tokio's own sleep does, outside of a tokio runtime with time enabled.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::{Retry, Timer};
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() {
    /// let policy = Retry::on::<&str>().attempts(3).wait_jitter(Duration::ZERO).timer(Timer::tokio());
    ///
    /// let start = tokio::time::Instant::now();
    /// let result = policy.call_async(|| async { Err::<(), _>("down") }).await;
    ///
    /// assert_eq!((result, start.elapsed().as_millis()), (Err("down"), 300));
    /// # }
    /// ```
    #[cfg(feature = "tokio")]
    #[cfg(not(all(target_arch = "wasm32", target_os = "unknown")))]
    #[must_use]
    pub const fn tokio() -> Self {
        Self(Kind::Known(Known::Tokio(Tokio)))
    }

    /// A clock of your own.
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::testing::VirtualClock;
    /// use stamina::{Retry, Timer};
    ///
    /// static CLOCK: VirtualClock = VirtualClock::new();
    /// let policy = Retry::on::<()>().timer(Timer::custom(&CLOCK));
    /// # let _ = policy;
    /// ```
    #[must_use]
    pub const fn custom(clock: &'static dyn Clock) -> Self {
        Self(Kind::Custom(clock))
    }

    #[inline]
    pub(crate) fn now(self) -> Instant {
        match self.0 {
            Kind::Known(Known::FuturesTimer) => system_now(),
            Kind::Known(Known::Tokio(tokio)) => tokio.now(),
            Kind::Custom(clock) => clock.now(),
        }
    }

    pub(crate) fn sleep(self, duration: Duration) -> Sleep {
        match self.0 {
            // A custom clock learns of every wait, also one of zero.
            Kind::Custom(clock) => clock.sleep(duration),
            _ if duration.is_zero() => Sleep::ready(),
            Kind::Known(Known::FuturesTimer) => host::sleep(duration),
            Kind::Known(Known::Tokio(tokio)) => Sleep::boxed(tokio.sleep(duration)),
        }
    }

    /// tokio's own sleep, for a future that can hold it in place: a box for each wait costs a quarter of the processor
    /// time of a million waiting tasks. `None` with any other timer, and for a wait of zero: then use
    /// [`sleep`](Self::sleep).
    pub(crate) fn tokio_sleep(self, duration: Duration) -> Option<TokioSleep> {
        match self.0 {
            Kind::Known(Known::Tokio(tokio)) if !duration.is_zero() => Some(tokio.sleep(duration)),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn sleep_blocking(self, duration: Duration) {
        match self.0 {
            Kind::Custom(clock) => clock.sleep_blocking(duration),
            _ if duration.is_zero() => {}
            Kind::Known(_) => host::sleep_blocking(duration),
        }
    }
}

/// The host's monotonic clock.
#[allow(
    clippy::disallowed_methods,
    reason = "`time` is the place for reading a clock"
)]
#[inline]
pub(crate) fn system_now() -> Instant {
    Instant::now()
}

impl Default for Timer {
    fn default() -> Self {
        Self::futures_timer()
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Known(Known::FuturesTimer) => "Timer::futures_timer()",
            Kind::Known(Known::Tokio(_)) => "Timer::tokio()",
            Kind::Custom(clock) if std::ptr::addr_eq(clock, &raw const coarse::COARSE) => {
                "Timer::coarse()"
            }
            Kind::Custom(_) => "Timer::custom(..)",
        })
    }
}

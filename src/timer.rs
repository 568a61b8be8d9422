//! Time: the only file that reads a clock or sleeps.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_timer::Delay;
use pin_project_lite::pin_project;

use crate::coarse::{Buckets, Place, Waits};

#[cfg(feature = "tokio")]
use tokio::time::Sleep as TokioSleep;

/// Stands in for tokio's sleep where the feature is off; it is never made. It is not `Unpin` either: a feature that
/// some other crate switches on must not take that away from anybody's future.
#[cfg(not(feature = "tokio"))]
struct TokioSleep;

#[cfg(not(feature = "tokio"))]
impl Future for TokioSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

/// A source of time of your own, for [`Timer::custom`].
///
/// [`testing::VirtualClock`](crate::testing::VirtualClock) is one.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
/// use stamina::{Clock, Retry, Sleep, Timer};
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

// In two steps, because a pointer has room for one other variant only: as one enum a timer would not fit into two
// registers, and each wait would copy it.
#[derive(Clone, Copy)]
enum Kind {
    Known(Known),
    Custom(&'static dyn Clock),
}

#[derive(Clone, Copy)]
enum Known {
    FuturesTimer,
    #[cfg(feature = "tokio")]
    Tokio,
}

impl Timer {
    /// The default: `futures-timer`, [`Instant::now`] and [`std::thread::sleep`]. Works on every executor.
    ///
    /// All its sleeping futures share one helper thread of the process. Where the system has no thread to give, a
    /// future waits all the same: it is polled again and again, and blocks its executor for a millisecond at a time.
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

    /// For very many waits at once: to the millisecond, by one helper thread of stamina's own, [`Instant::now`] and
    /// [`std::thread::sleep`]. Works on every executor.
    ///
    /// A wait of a future's ends with the first whole millisecond, counted from the timer's first use, at or after its
    /// end: never early, and up to a millisecond later than it could. All waits that end in the same millisecond end
    /// together, which is what makes them cheap: they take less processor time than by `futures-timer` and a quarter of
    /// its memory. Up to some 10,000 waits at once `futures-timer` is the more punctual; with 100,000 this is, and for a
    /// million it is late by less than a fifth as much. `docs/performance.md` has the figures.
    ///
    /// The thread starts with the first wait and stays for the life of the process; while nobody waits, it sleeps. A
    /// wait that is dropped before its end leaves 16 bytes behind until all waits of its millisecond have ended or
    /// been dropped. Where the system has no thread to give, a future waits as by
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
        Self(Kind::Custom(&COARSE))
    }

    /// tokio's sleep and tokio's clock, so that `tokio::time::pause()` holds for waits and deadlines.
    ///
    /// Blocking calls sleep with [`std::thread::sleep`], which no paused clock advances.
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
    #[must_use]
    pub const fn tokio() -> Self {
        Self(Kind::Known(Known::Tokio))
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
            #[cfg(feature = "tokio")]
            Kind::Known(Known::Tokio) => tokio::time::Instant::now().into_std(),
            Kind::Custom(clock) => clock.now(),
        }
    }

    pub(crate) fn sleep(self, duration: Duration) -> Sleep {
        match self.0 {
            // A clock of the user's is told of every wait, a zero one too.
            Kind::Custom(clock) => clock.sleep(duration),
            _ if duration.is_zero() => Sleep::ready(),
            Kind::Known(Known::FuturesTimer) => delay(duration),
            #[cfg(feature = "tokio")]
            Kind::Known(Known::Tokio) => Sleep {
                sleeping: Sleeping::Tokio {
                    sleep: Box::pin(tokio::time::sleep(duration)),
                },
            },
        }
    }

    #[allow(clippy::disallowed_methods, reason = "this is the room for sleeping")]
    #[inline]
    pub(crate) fn sleep_blocking(self, duration: Duration) {
        match self.0 {
            Kind::Custom(clock) => clock.sleep_blocking(duration),
            _ if duration.is_zero() => {}
            Kind::Known(_) => std::thread::sleep(duration),
        }
    }
}

/// The system's monotonic clock.
#[allow(
    clippy::disallowed_methods,
    reason = "this is the room for reading a clock"
)]
#[inline]
pub(crate) fn system_now() -> Instant {
    Instant::now()
}

/// A wait by futures-timer. Not in line, or `Timer::sleep` would save registers for it on behalf of every timer.
#[inline(never)]
fn delay(duration: Duration) -> Sleep {
    /// Whether its helper thread is known to run. Once it does, it does so for good.
    static RUNS: AtomicBool = AtomicBool::new(false);

    let mut delay = Delay::new(duration);
    if !RUNS.load(Ordering::Relaxed) {
        // A delay that could not start the thread panics when it is polled. By then the caller's error is gone, so it
        // is found out here.
        let mut first_poll = || Pin::new(&mut delay).poll(&mut Context::from_waker(Waker::noop()));
        if catch_unwind(AssertUnwindSafe(&mut first_poll)).is_err() {
            return without_thread(duration);
        }
        RUNS.store(true, Ordering::Relaxed);
    }
    Sleep {
        sleeping: Sleeping::Delay { delay },
    }
}

/// [`Timer::coarse`] is a custom clock, and its waits find it behind a pointer, so that a program that does not name it
/// does not contain it.
struct Coarse {
    buckets: Buckets,
    starting: Mutex<()>,
}

static COARSE: Coarse = Coarse {
    buckets: Buckets::new(),
    starting: Mutex::new(()),
};

/// Set once the helper thread of `COARSE` runs: what its milliseconds are counted from, and its buckets.
static RUNNING: OnceLock<(Instant, &dyn Waits)> = OnceLock::new();

impl Coarse {
    #[cold]
    fn start(&'static self) -> Option<&'static (Instant, &'static dyn Waits)> {
        let _alone = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        if RUNNING.get().is_none() {
            let epoch = system_now();
            let left = move |tick| {
                Duration::from_millis(tick)
                    .saturating_sub(system_now().saturating_duration_since(epoch))
            };
            let thread = std::thread::Builder::new().name("stamina-timer".to_owned());
            thread
                .spawn(move || {
                    loop {
                        self.buckets.turn(left);
                    }
                })
                .ok()?;
            let _ = RUNNING.set((epoch, &self.buckets));
        }
        RUNNING.get()
    }
}

impl Clock for Coarse {
    fn now(&self) -> Instant {
        system_now()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        if duration.is_zero() {
            return Sleep::ready();
        }
        let Some((epoch, _)) = RUNNING.get().or_else(|| COARSE.start()) else {
            return without_thread(duration);
        };
        // Rounded up.
        let end = system_now()
            .saturating_duration_since(*epoch)
            .saturating_add(duration)
            .saturating_add(Duration::from_nanos(999_999));
        let tick = u64::try_from(end.as_millis()).unwrap_or(u64::MAX);
        Sleep {
            sleeping: Sleeping::Coarse {
                wait: CoarseWait(Place::new(tick)),
            },
        }
    }

    #[allow(clippy::disallowed_methods, reason = "this is the room for sleeping")]
    fn sleep_blocking(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}

/// A place in the buckets, given back when it is dropped.
struct CoarseWait(Place);

impl CoarseWait {
    fn poll(&mut self, waker: &Waker) -> Poll<()> {
        RUNNING.get().map_or(Poll::Ready(()), |(_, buckets)| {
            buckets.poll(&mut self.0, waker)
        })
    }
}

impl Drop for CoarseWait {
    fn drop(&mut self) {
        if let Some((_, buckets)) = RUNNING.get() {
            buckets.cancel(&self.0);
        }
    }
}

/// A wait where no thread can be had: it asks to be polled again and again, and blocks its executor a millisecond each
/// time, so that other tasks have their turn and no processor is kept busy.
#[cold]
#[allow(clippy::disallowed_methods, reason = "this is the room for sleeping")]
fn without_thread(duration: Duration) -> Sleep {
    const TURN: Duration = Duration::from_millis(1);

    let until = system_now().checked_add(duration);
    Sleep::boxed(std::future::poll_fn(move |cx| {
        let now = system_now();
        let left = until.map_or(Duration::MAX, |until| until.saturating_duration_since(now));
        if left.is_zero() {
            return Poll::Ready(());
        }
        std::thread::sleep(left.min(TURN));
        cx.waker().wake_by_ref();
        Poll::Pending
    }))
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
            #[cfg(feature = "tokio")]
            Kind::Known(Known::Tokio) => "Timer::tokio()",
            Kind::Custom(clock) if std::ptr::addr_eq(clock, &raw const COARSE) => "Timer::coarse()",
            Kind::Custom(_) => "Timer::custom(..)",
        })
    }
}

pin_project! {
    /// A future that is ready when a wait is over, as [`Clock::sleep`] returns it.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::Sleep;
    ///
    /// fn sleep(duration: Duration) -> Sleep {
    ///     if duration.is_zero() {
    ///         return Sleep::ready();
    ///     }
    ///     Sleep::boxed(futures_timer::Delay::new(duration))
    /// }
    /// # let _ = sleep(Duration::ZERO);
    /// ```
    #[must_use = "futures do nothing unless polled"]
    pub struct Sleep {
        #[pin]
        sleeping: Sleeping,
    }
}

pin_project! {
    // tokio's sleep is held in place: a box for each wait costs a quarter of the time of a million waiting tasks.
    #[project = Project]
    enum Sleeping {
        Ready,
        Delay { delay: Delay },
        Coarse { wait: CoarseWait },
        Tokio { sleep: Pin<Box<TokioSleep>> },
        Boxed { sleep: Pin<Box<dyn Future<Output = ()> + Send>> },
    }
}

impl Sleep {
    /// Over at once.
    ///
    /// # Examples
    ///
    /// ```
    /// let over = stamina::Sleep::ready();
    /// # let _ = over;
    /// ```
    pub const fn ready() -> Self {
        Self {
            sleeping: Sleeping::Ready,
        }
    }

    /// Any future of your runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// let over = stamina::Sleep::boxed(async {});
    /// # let _ = over;
    /// ```
    pub fn boxed(sleep: impl Future<Output = ()> + Send + 'static) -> Self {
        Self {
            sleeping: Sleeping::Boxed {
                sleep: Box::pin(sleep),
            },
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.project().sleeping.project() {
            Project::Ready => Poll::Ready(()),
            Project::Delay { delay } => Pin::new(delay).poll(cx),
            Project::Coarse { wait } => wait.poll(cx.waker()),
            Project::Tokio { sleep } => sleep.as_mut().poll(cx),
            Project::Boxed { sleep } => sleep.as_mut().poll(cx),
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").finish_non_exhaustive()
    }
}

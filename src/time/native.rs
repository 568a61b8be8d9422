//! Time from the operating system: the clock, the default sleep and the blocking sleep.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

pub(super) use futures_timer::Delay;
pub use std::time::Instant;

use super::{Sleep, system_now};

pub(super) type Boxed = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A sleep by futures-timer.
// Not inlined, or `Timer::sleep` would save registers for it for every timer.
#[inline(never)]
pub(super) fn sleep(duration: Duration) -> Sleep {
    /// Whether futures-timer's helper thread is known to run. Once it runs, it never ends.
    static RUNS: AtomicBool = AtomicBool::new(false);

    let mut delay = Delay::new(duration);
    if !RUNS.load(Ordering::Relaxed) {
        // If the thread could not be started, the delay panics when it is polled. That would lose the caller's error,
        // so find out here.
        let mut first_poll = || Pin::new(&mut delay).poll(&mut Context::from_waker(Waker::noop()));
        if catch_unwind(AssertUnwindSafe(&mut first_poll)).is_err() {
            return without_thread(duration);
        }
        RUNS.store(true, Ordering::Relaxed);
    }
    Sleep::host(delay)
}

/// A sleep if no thread can be started. It asks to be polled again and again, and blocks its executor for a millisecond
/// each time, so that other tasks get their turn and no processor is kept busy.
#[cold]
fn without_thread(duration: Duration) -> Sleep {
    const TURN: Duration = Duration::from_millis(1);

    let until = system_now().checked_add(duration);
    Sleep::boxed(std::future::poll_fn(move |cx| {
        let now = system_now();
        let left = until.map_or(Duration::MAX, |until| until.saturating_duration_since(now));
        if left.is_zero() {
            return Poll::Ready(());
        }
        sleep_blocking(left.min(TURN));
        cx.waker().wake_by_ref();
        Poll::Pending
    }))
}

#[allow(
    clippy::disallowed_methods,
    reason = "`time` is the place for sleeping"
)]
#[inline]
pub(super) fn sleep_blocking(duration: Duration) {
    std::thread::sleep(duration);
}

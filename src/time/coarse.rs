//! [`Timer::coarse`](crate::Timer::coarse): buckets of waits, and the helper thread that empties them.
//!
//! It is a custom clock, and its waits reach its buckets through a pointer, so that a program that does not use it does
//! not contain it.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use super::buckets::{Buckets, Wait, WaitQueue};
use super::{Clock, Instant, Sleep, host, system_now};

pub(super) struct Coarse {
    buckets: Buckets,
    starting: Mutex<()>,
}

pub(super) static COARSE: Coarse = Coarse {
    buckets: Buckets::new(),
    starting: Mutex::new(()),
};

/// Set once the helper thread of `COARSE` runs: the start from which its milliseconds are counted, and its buckets.
static RUNNING: OnceLock<(Instant, &dyn WaitQueue)> = OnceLock::new();

impl Coarse {
    /// Starts the helper thread; `None` if the system has no thread to give.
    #[cold]
    fn start(&'static self) -> Option<&'static (Instant, &'static dyn WaitQueue)> {
        let _starting = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        if RUNNING.get().is_none() {
            let epoch = system_now();
            let time_left = move |tick| {
                Duration::from_millis(tick)
                    .saturating_sub(system_now().saturating_duration_since(epoch))
            };
            let thread = std::thread::Builder::new().name("stamina-timer".to_owned());
            thread
                .spawn(move || {
                    loop {
                        self.buckets.run_once(time_left);
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
            return host::sleep(duration);
        };
        // Rounded up.
        let end = system_now()
            .saturating_duration_since(*epoch)
            .saturating_add(duration)
            .saturating_add(Duration::from_nanos(999_999));
        let tick = u64::try_from(end.as_millis()).unwrap_or(u64::MAX);
        Sleep::coarse(CoarseWait(Wait::new(tick)))
    }

    fn sleep_blocking(&self, duration: Duration) {
        if !duration.is_zero() {
            host::sleep_blocking(duration);
        }
    }
}

/// A wait in the buckets of [`COARSE`], which is cancelled when it is dropped.
pub(super) struct CoarseWait(Wait);

impl CoarseWait {
    pub(super) fn poll(&mut self, waker: &Waker) -> Poll<()> {
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

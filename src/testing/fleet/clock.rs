//! The time of a simulation: whatever its thread has set.

use std::cell::Cell;
use std::sync::OnceLock;
use std::time::Duration;

use crate::time::{Clock, Instant, Sleep, Timer, system_now};

/// Reads the time that [`set`] has set on this thread.
struct FleetClock;

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(0) };
}

static START: OnceLock<Instant> = OnceLock::new();

/// Sets this thread's simulated time, in nanoseconds.
pub(super) fn set(now: u64) {
    NOW.set(now);
}

pub(super) fn timer() -> Timer {
    Timer::custom(&FleetClock)
}

impl Clock for FleetClock {
    fn now(&self) -> Instant {
        let start = *START.get_or_init(system_now);
        start
            .checked_add(Duration::from_nanos(NOW.get()))
            .unwrap_or(start)
    }

    // A simulation is told how long to wait and never sleeps.
    fn sleep(&self, _: Duration) -> Sleep {
        Sleep::ready()
    }

    fn sleep_blocking(&self, _: Duration) {}
}

//! A clock that stands still unless it is moved.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use stamina::{Clock, Sleep};

#[derive(Debug)]
pub(crate) struct Stage {
    base: OnceLock<Instant>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    now: u64,
    /// Deadlines that somebody waits for.
    naps: Vec<(u64, u64)>,
    next_nap: u64,
}

/// One for each thread that plays.
pub(crate) static STAGES: [Stage; 4] = [const { Stage::new() }; 4];

impl Stage {
    const fn new() -> Self {
        let state = State {
            now: 0,
            naps: Vec::new(),
            next_nap: 0,
        };
        Self {
            base: OnceLock::new(),
            state: Mutex::new(state),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic under this lock")
    }

    /// Sets the clock to the middle of its range.
    pub(crate) fn begin(&self) {
        *self.state() = State {
            now: 1_000_000_000_000_000_000,
            naps: Vec::new(),
            next_nap: 0,
        };
    }

    pub(crate) fn nanos(&self) -> u64 {
        self.state().now
    }

    pub(crate) fn pass(&self, duration: Duration) {
        let mut state = self.state();
        state.now = state.now.saturating_add(nanos(duration));
    }

    pub(crate) fn jump(&self, by: i64) {
        let mut state = self.state();
        state.now = state.now.saturating_add_signed(by);
    }

    pub(crate) fn nap(&'static self, duration: Duration) -> Nap {
        let mut state = self.state();
        let (number, until) = (state.next_nap, state.now.saturating_add(nanos(duration)));
        state.next_nap += 1;
        state.naps.push((number, until));
        Nap {
            stage: self,
            number,
            until,
        }
    }

    /// How many waits are under way.
    pub(crate) fn naps(&self) -> usize {
        self.state().naps.len()
    }

    /// Moves to the next deadline.
    pub(crate) fn pass_to_next(&self) {
        let mut state = self.state();
        let next = state.naps.iter().map(|(_, until)| *until).min();
        let next = next.expect("a future that is pending waits for something");
        state.now = state.now.max(next);
    }

    fn index(&self) -> usize {
        STAGES
            .iter()
            .position(|stage| std::ptr::eq(stage, self))
            .expect("a stage of the list")
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

pub(crate) struct Nap {
    stage: &'static Stage,
    number: u64,
    until: u64,
}

impl Future for Nap {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.stage.state().now >= self.until {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for Nap {
    fn drop(&mut self) {
        self.stage
            .state()
            .naps
            .retain(|(number, _)| *number != self.number);
    }
}

impl Clock for Stage {
    fn now(&self) -> Instant {
        let base = *self.base.get_or_init(Instant::now);
        base + Duration::from_nanos(self.state().now)
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        // `Clock` lends itself for shorter than `boxed` needs; the stage is known to be a static.
        Sleep::boxed(STAGES[self.index()].nap(duration))
    }

    fn sleep_blocking(&self, duration: Duration) {
        self.pass(duration);
    }
}

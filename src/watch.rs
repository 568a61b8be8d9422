//! Notices budgets that cannot be doing their work.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::instrument::{self, Suspicion};

/// So many budgets must have served a single call before that is told: one or two may have their reasons.
const SINGLE: u32 = 10;
/// So many retries must have been asked of a budget without any success.
const UNFED: u32 = 100;

static SINGLES: AtomicU32 = AtomicU32::new(0);
static TOLD_PER_CALL: AtomicBool = AtomicBool::new(false);
static TOLD_NEVER_FED: AtomicBool = AtomicBool::new(false);

/// What is noticed of one budget. Counts of which only "none", "one" and "more" matter stop there, so that a success
/// has nothing to write once there have been two.
#[derive(Debug)]
pub(crate) struct Watch {
    on: bool,
    successes: AtomicU32,
    /// Calls that asked for a retry.
    calls: AtomicU32,
    /// Retries asked for.
    asked: AtomicU32,
}

impl Watch {
    pub(crate) const fn new() -> Self {
        Self {
            on: true,
            successes: AtomicU32::new(0),
            calls: AtomicU32::new(0),
            asked: AtomicU32::new(0),
        }
    }

    /// Notices nothing.
    pub(crate) const fn off() -> Self {
        Self {
            on: false,
            ..Self::new()
        }
    }

    #[inline]
    pub(crate) fn succeeded(&self) {
        count_to_two(&self.successes);
    }

    /// A call asks for a retry, for the first time or once more.
    pub(crate) fn asked(&self, first: bool, name: Option<&'static str>) {
        if first {
            count_to_two(&self.calls);
        }
        let asked = self.asked.load(Ordering::Relaxed);
        if asked < UNFED {
            self.asked.fetch_add(1, Ordering::Relaxed);
        } else if self.on && self.successes.load(Ordering::Relaxed) == 0 {
            tell_once(&TOLD_NEVER_FED, &Suspicion::NeverFed { asked, name });
        }
    }

    /// The budget is dropped.
    pub(crate) fn dropped(&self, name: Option<&'static str>) {
        let (successes, calls) = (
            self.successes.load(Ordering::Relaxed),
            self.calls.load(Ordering::Relaxed),
        );
        let used = successes > 0 || self.asked.load(Ordering::Relaxed) > 0;
        if !self.on || !used || successes > 1 || calls > 1 {
            return;
        }
        let singles = SINGLES.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if singles >= SINGLE {
            tell_once(&TOLD_PER_CALL, &Suspicion::PerCall { singles, name });
        }
    }
}

#[inline]
fn count_to_two(counter: &AtomicU32) {
    if counter.load(Ordering::Relaxed) < 2 {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

fn tell_once(told: &AtomicBool, suspicion: &Suspicion) {
    let heard = !told.load(Ordering::Relaxed) && instrument::hears_suspicions();
    if heard && !told.swap(true, Ordering::Relaxed) {
        instrument::suspect(suspicion);
    }
}

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

/// What is noticed of one budget. A count of which only "none", "one" and "more" matter stops there, so that a success
/// soon has nothing to write.
#[derive(Debug)]
pub(crate) struct Watch {
    on: bool,
    /// Calls that succeeded at once or asked for a retry: none, one or more.
    calls: AtomicU32,
    fed: AtomicBool,
    /// Retries asked for.
    asked: AtomicU32,
}

impl Watch {
    pub(crate) const fn new() -> Self {
        Self {
            on: true,
            calls: AtomicU32::new(0),
            fed: AtomicBool::new(false),
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

    /// A call succeeded, at its first try or later.
    #[inline]
    pub(crate) fn succeeded(&self, at_once: bool) {
        if !self.fed.load(Ordering::Relaxed) {
            self.fed.store(true, Ordering::Relaxed);
        }
        if at_once {
            self.one_more_call();
        }
    }

    #[inline]
    fn one_more_call(&self) {
        if self.calls.load(Ordering::Relaxed) < 2 {
            self.calls.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A call asks for a retry, for the first time or once more.
    pub(crate) fn asked(&self, first: bool, name: Option<&'static str>) {
        if first {
            self.one_more_call();
        }
        let asked = self.asked.load(Ordering::Relaxed);
        if asked < UNFED {
            self.asked.fetch_add(1, Ordering::Relaxed);
        } else if self.on && !self.fed.load(Ordering::Relaxed) {
            tell_once(&TOLD_NEVER_FED, &Suspicion::NeverFed { asked, name });
        }
    }

    /// The budget is dropped.
    pub(crate) fn dropped(&self, name: Option<&'static str>) {
        let calls = self.calls.load(Ordering::Relaxed);
        // A call that was resumed is not counted, though it asks.
        let used = calls > 0 || self.asked.load(Ordering::Relaxed) > 0;
        if !self.on || !used || calls > 1 {
            return;
        }
        let singles = SINGLES.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if singles >= SINGLE {
            tell_once(&TOLD_PER_CALL, &Suspicion::PerCall { singles, name });
        }
    }
}

fn tell_once(told: &AtomicBool, suspicion: &Suspicion) {
    let heard = !told.load(Ordering::Relaxed) && instrument::hears_suspicions();
    if heard && !told.swap(true, Ordering::Relaxed) {
        instrument::suspect(suspicion);
    }
}

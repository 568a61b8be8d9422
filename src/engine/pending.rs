//! A retry that was decided on, but has not begun.

use std::time::Duration;

use super::state::CallState;
use crate::budget::Permit;
use crate::policy::Config;

/// The retry that a driver waits for. Dropping it, as a future does that is dropped while it waits, undoes it: nothing is
/// counted, and the permit goes back to the budget.
#[derive(Debug)]
#[must_use = "dropping it undoes the decision to retry"]
pub(crate) struct Pending {
    /// In nanoseconds.
    wait: u64,
    permit: Option<Permit>,
}

impl Pending {
    pub(super) fn new(wait: u64, permit: Option<Permit>) -> Self {
        Self { wait, permit }
    }

    #[inline]
    pub(crate) fn wait(&self) -> Duration {
        Duration::from_nanos(self.wait)
    }

    /// Whether dropping it would give a permit back.
    pub(crate) fn has_permit(&self) -> bool {
        self.permit.is_some()
    }

    /// Begins the retry after its wait: counts it and spends the permit.
    #[inline]
    pub(crate) fn begin(self, config: &Config, state: &mut CallState, attempt: &mut u32) {
        self.count(state, attempt);
        state.attempt_begins(config);
        self.spend();
    }

    /// Counts the wait and the attempt after it.
    #[inline]
    pub(crate) fn count(&self, state: &mut CallState, attempt: &mut u32) {
        state.waited = state.waited.saturating_add(self.wait);
        *attempt = attempt.saturating_add(1);
    }

    /// Spends the permit: the attempt begins.
    #[inline]
    pub(crate) fn spend(self) {
        if let Some(permit) = self.permit {
            permit.spend();
        }
    }
}

//! Permission for one retry.

use crate::time::Instant;
use std::ops::Deref;
use std::sync::Arc;

use super::Budget;

/// How a policy refers to its budget.
#[derive(Clone, Debug)]
pub(crate) enum BudgetRef {
    Static(&'static Budget),
    Shared(Arc<Budget>),
}

impl Deref for BudgetRef {
    type Target = Budget;

    fn deref(&self) -> &Budget {
        match self {
            Self::Static(budget) => budget,
            Self::Shared(budget) => budget,
        }
    }
}

/// A token that was taken for one retry. Dropping it before the retry begins, as a future does that is dropped while it
/// waits, gives the token back.
#[derive(Debug)]
#[must_use = "dropping a permit gives its token back"]
pub(crate) struct Permit {
    /// `None` once it is spent.
    budget: Option<BudgetRef>,
    /// The budget's tick at which it was taken.
    taken: u64,
}

impl Permit {
    /// Takes a token, if the budget allows a retry. `slow`: the failed attempt took at least the budget's
    /// `earned_after`.
    pub(crate) fn take(budget: BudgetRef, now: Instant, slow: bool) -> Option<Self> {
        let taken = budget.take(now, slow)?;
        Some(Self {
            budget: Some(budget),
            taken,
        })
    }

    /// The retry begins.
    pub(crate) fn spend(mut self) {
        self.budget = None;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(budget) = &self.budget {
            budget.give_back(self.taken);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permit_is_three_words() {
        assert_eq!(size_of::<Option<Permit>>(), 24);
    }
}

//! What is switched for one thread only, and the one flag that keeps all switches off the fast path.

use std::cell::RefCell;
use std::mem::ManuallyDrop;

use crate::sync::{AtomicUsize, Ordering, process_wide};

process_wide! {
    /// How many process-wide switches and scopes are away from their defaults.
    ///
    /// A call reads this once; at zero, which is how production runs, it looks no further. Relaxed is enough: whoever
    /// switches and whoever calls are ordered by the program, or they race and either answer is right.
    static OVERRIDES: AtomicUsize = AtomicUsize::new(0);
}

/// Whether any switch of the process or scope of any thread is away from its default.
#[inline]
pub(crate) fn any_override() -> bool {
    OVERRIDES.load(Ordering::Relaxed) != 0
}

/// For the model checker, which sees more than a caller can.
#[cfg(shuttle = "switches")]
#[must_use]
pub fn overrides() -> usize {
    OVERRIDES.load(Ordering::Relaxed)
}

/// Notes that something has left its default.
pub(crate) fn override_begins() {
    OVERRIDES.fetch_add(1, Ordering::Relaxed);
}

/// Notes that something is back at its default.
pub(crate) fn override_ends() {
    OVERRIDES.fetch_sub(1, Ordering::Relaxed);
}

/// The nested scopes of one thread, the innermost last.
///
/// It has no destructor, so that the scopes of a thread work as long as the thread runs: while the thread's other locals
/// are destroyed, code of the user's may still enter and leave some. Nothing leaks, because the last scope that is left
/// frees the memory. Only a guard that is forgotten leaks its scope.
#[derive(Debug)]
pub(crate) struct Scopes<T> {
    entered: ManuallyDrop<RefCell<Vec<(usize, T)>>>,
}

impl<T: Clone> Scopes<T> {
    pub(crate) const fn new() -> Self {
        Self {
            entered: ManuallyDrop::new(RefCell::new(Vec::new())),
        }
    }

    /// Enters a scope; the number is for leaving it.
    pub(crate) fn enter(&self, value: T) -> usize {
        override_begins();
        let mut entered = self.entered.borrow_mut();
        let number = entered.last().map_or(0, |(last, _)| last.saturating_add(1));
        entered.push((number, value));
        number
    }

    /// Leaves a scope. Guards may be dropped in any order: those entered later stay in force.
    pub(crate) fn leave(&self, number: usize) {
        let mut entered = self.entered.borrow_mut();
        let at = entered.iter().position(|(entered, _)| *entered == number);
        let left = at.map(|at| entered.remove(at));
        if entered.is_empty() {
            *entered = Vec::new();
        }
        drop(entered);
        if left.is_some() {
            override_ends();
        }
        // `left` is dropped only here: it may hold hooks, whose own drop may use scopes.
    }

    pub(crate) fn innermost(&self) -> Option<T> {
        self.entered.borrow().last().map(|(_, value)| value.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::{OVERRIDES, Ordering, Scopes};
    use crate::testing::{Testing, set_testing};
    use crate::{instrument, set_active};
    use std::sync::{Mutex, PoisonError};

    /// The count is the process's.
    static ALONE: Mutex<()> = Mutex::new(());

    #[test]
    fn what_is_back_at_its_default_leaves_the_fast_path_alone() {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let away = || OVERRIDES.load(Ordering::Relaxed);
        let mut counts = vec![away()];
        for change in [
            || set_active(false),
            || set_testing(Some(Testing::attempts(2))),
            || set_active(true),
            || set_testing(None),
            || set_testing(None),
            || instrument::set_hooks([]),
            || instrument::set_hooks([]),
            instrument::reset_hooks,
            instrument::reset_hooks,
        ] {
            change();
            counts.push(away());
        }
        // Hooks of the process don't count: production has them too.
        assert_eq!(counts, [0, 1, 1, 1, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn scopes_that_were_left_hold_no_memory_and_no_override() {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let before = OVERRIDES.load(Ordering::Relaxed);
        let scopes = Scopes::new();
        assert!(!std::mem::needs_drop::<Scopes<String>>());
        let (outer, inner) = (scopes.enter("outer"), scopes.enter("inner"));
        assert_eq!(OVERRIDES.load(Ordering::Relaxed), before + 2);
        scopes.leave(outer);
        assert_eq!(scopes.innermost(), Some("inner"));
        scopes.leave(inner);
        scopes.leave(inner);
        assert_eq!(OVERRIDES.load(Ordering::Relaxed), before);
        assert_eq!(scopes.entered.borrow().capacity(), 0);
    }
}

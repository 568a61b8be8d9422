//! The switches for tests: off, testing or normal, for the process and for scopes of a thread.

use std::marker::PhantomData;
use std::sync::PoisonError;

use crate::message::{Message, refuse};
use crate::sync::{RwLock, process_wide, thread_local};
use crate::testing::scope::{Scopes, any_override, override_begins, override_ends};

/// How calls behave in testing mode: no waits, no timeout, and another number of attempts.
///
/// # Examples
///
/// ```
/// use stamina::Retry;
/// use stamina::testing::{self, Testing};
///
/// let _guard = testing::scoped(Testing::attempts(3));
///
/// let mut attempts = 0;
/// let result = Retry::on::<&str>().attempts(100).call(|| {
///     attempts += 1;
///     Err::<(), _>("down")
/// });
///
/// assert_eq!((result, attempts), (Err("down"), 3));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Testing {
    attempts: u32,
    capped: bool,
}

impl Testing {
    /// Replaces the attempts of every policy, also of one without a limit.
    ///
    /// # Panics
    ///
    /// If `attempts` is 0: the first attempt counts.
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::testing::Testing;
    ///
    /// const ONCE_MORE: Testing = Testing::attempts(2);
    /// # let _ = ONCE_MORE;
    /// ```
    #[must_use]
    #[track_caller]
    pub const fn attempts(attempts: u32) -> Self {
        if attempts == 0 {
            refuse(Some(&Message::new(
                "stamina: `Testing::attempts` is 0, but must be at least 1 (the first attempt counts)",
            )));
        }
        Self {
            attempts,
            capped: false,
        }
    }

    /// Takes the smaller of these attempts and the policy's own.
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::Retry;
    /// use stamina::testing::{self, Testing};
    ///
    /// let _guard = testing::scoped(Testing::attempts(100).capped());
    /// let report = Retry::on::<&str>().attempts(2).report(|| Err::<(), _>("down"));
    /// assert_eq!(report.attempts, 2);
    /// ```
    #[must_use]
    pub const fn capped(mut self) -> Self {
        self.capped = true;
        self
    }

    /// The limit on attempts for a policy whose own is `own`.
    pub(crate) fn limit(self, own: Option<u32>) -> u32 {
        match own {
            Some(own) if self.capped => own.min(self.attempts),
            _ => self.attempts,
        }
    }
}

/// What the switches make of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    #[default]
    Normal,
    Testing(Testing),
    Inactive,
}

/// The process-wide switches.
#[derive(Clone, Copy, PartialEq)]
struct Process {
    active: bool,
    testing: Option<Testing>,
}

impl Process {
    const DEFAULT: Self = Self {
        active: true,
        testing: None,
    };

    fn mode(self) -> Mode {
        match self {
            Self { active: false, .. } => Mode::Inactive,
            Self {
                testing: Some(testing),
                ..
            } => Mode::Testing(testing),
            Self { testing: None, .. } => Mode::Normal,
        }
    }
}

process_wide! {
    static PROCESS: RwLock<Process> = RwLock::new(Process::DEFAULT);
}

fn switch(change: impl FnOnce(&mut Process)) {
    let mut process = PROCESS.write().unwrap_or_else(PoisonError::into_inner);
    let before = *process;
    change(&mut process);
    match (before == Process::DEFAULT, *process == Process::DEFAULT) {
        (true, false) => override_begins(),
        (false, true) => override_ends(),
        _ => {}
    }
}

thread_local! {
    static MODES: Scopes<Mode> = const { Scopes::new() };
}

/// How a call that is made on this thread now behaves.
pub(crate) fn current() -> Mode {
    if !any_override() {
        return Mode::Normal;
    }
    let scoped = MODES.try_with(Scopes::innermost).ok().flatten();
    scoped.unwrap_or_else(|| {
        PROCESS
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .mode()
    })
}

/// Switches retries on (the default) or off, for the whole process.
///
/// When off, each call is a single attempt: no waits, no hooks, no budget. That beats testing mode. A call reads the
/// switch once, when it is made. A scope of the thread ([`testing::inactive`](crate::testing::inactive) and its like)
/// wins over the process-wide switch, and is what tests in one process want.
///
/// # Examples
///
/// ```
/// use stamina::{Retry, StopReason};
///
/// stamina::set_active(false);
/// let report = Retry::on::<&str>().report(|| Err::<(), _>("down"));
/// stamina::set_active(true);
///
/// assert_eq!((report.attempts, report.stop_reason), (1, Some(StopReason::Inactive)));
/// ```
pub fn set_active(active: bool) {
    switch(|process| process.active = active);
}

/// Whether a call that is made on this thread now would retry.
///
/// # Examples
///
/// ```
/// assert!(stamina::is_active());
/// let guard = stamina::testing::inactive();
/// assert!(!stamina::is_active());
/// drop(guard);
/// assert!(stamina::is_active());
/// ```
#[must_use]
pub fn is_active() -> bool {
    current() != Mode::Inactive
}

/// Switches testing mode on or off (`None`), for the whole process.
///
/// In testing mode the attempts are those of [`Testing`], all waits are zero, the timeout is ignored and a budget is
/// neither asked nor fed; predicates and hooks still run.
///
/// # Examples
///
/// ```
/// use stamina::testing::{self, Testing};
///
/// testing::set_testing(Some(Testing::attempts(2)));
/// assert!(testing::is_testing());
/// testing::set_testing(None);
/// assert!(!testing::is_testing());
/// ```
pub fn set_testing(testing: Option<Testing>) {
    switch(|process| process.testing = testing);
}

/// Whether a call that is made on this thread now would be in testing mode.
///
/// # Examples
///
/// ```
/// use stamina::testing::{self, Testing};
///
/// let _testing = testing::scoped(Testing::attempts(1));
/// assert!(testing::is_testing());
/// let _inactive = testing::inactive();
/// assert!(!testing::is_testing());
/// ```
#[must_use]
pub fn is_testing() -> bool {
    matches!(current(), Mode::Testing(_))
}

/// Keeps a mode in force on this thread until it is dropped.
///
/// Made by [`scoped`], [`inactive`] and [`normal`]. Scopes nest, and the innermost is the whole mode. A future that is
/// made in a scope keeps its mode, wherever and whenever it is polled.
#[must_use = "the scope ends when this is dropped, so `let _ = ..` ends it at once: use `let _guard = ..`"]
#[derive(Debug)]
pub struct Scope {
    /// `None` on a thread that is ending, if its platform has destroyed the scopes by then.
    number: Option<usize>,
    /// A scope belongs to its thread.
    not_send: PhantomData<*const ()>,
}

impl Scope {
    fn enter(mode: Mode) -> Self {
        Self {
            number: MODES.try_with(|modes| modes.enter(mode)).ok(),
            not_send: PhantomData,
        }
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            let _ = MODES.try_with(|modes| modes.leave(number));
        }
    }
}

/// Testing mode for calls that are made on this thread, until the guard is dropped.
///
/// # Examples
///
/// ```
/// use stamina::Retry;
/// use stamina::testing::{self, Testing};
///
/// let _guard = testing::scoped(Testing::attempts(2));
/// let report = Retry::on::<&str>().report(|| Err::<(), _>("down"));
/// assert_eq!((report.attempts, report.waited.as_secs()), (2, 0));
/// ```
pub fn scoped(testing: Testing) -> Scope {
    Scope::enter(Mode::Testing(testing))
}

/// No retries for calls that are made on this thread, until the guard is dropped.
///
/// # Examples
///
/// ```
/// let _guard = stamina::testing::inactive();
/// assert!(!stamina::is_active());
/// ```
pub fn inactive() -> Scope {
    Scope::enter(Mode::Inactive)
}

/// Ordinary behaviour for calls that are made on this thread, until the guard is dropped, whatever is set around it.
///
/// # Examples
///
/// ```
/// let _off = stamina::testing::inactive();
/// let _on = stamina::testing::normal();
/// assert!(stamina::is_active());
/// ```
pub fn normal() -> Scope {
    Scope::enter(Mode::Normal)
}

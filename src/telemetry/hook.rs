//! Hooks and the details that they receive.

use std::fmt::Debug;
use std::time::Duration;

use crate::policy::StopReason;

/// The level of a named [`Budget`](crate::Budget) at an event.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct BudgetLevel {
    /// The budget's name.
    pub name: &'static str,
    /// The permits that are left.
    pub balance: f64,
}

/// A retry is scheduled: an attempt failed, and the wait before the next one begins.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RetryDetails<'a> {
    /// What is retried: the policy's name, or else the path of the operation, or else the `file:line` of
    /// [`start`](crate::Retry::start).
    pub callable: &'a str,
    /// `callable` again, if it lives as long as the program: every name but a `file:line`. For labels that then need no
    /// copy.
    pub static_callable: Option<&'static str>,
    /// The retry's number; 1 is the first.
    pub retry_num: u32,
    /// The wait that begins now.
    pub wait_for: Duration,
    /// All waits before this one.
    pub waited_so_far: Duration,
    /// Time since the call started. A call that reads no clock (its policy has no timeout, budget or `reset_after`,
    /// and it is no `report`) has `waited_so_far` here.
    pub elapsed: Duration,
    /// The error. Its `Debug` writes one line of at most 1,024 bytes, and ends in `...` if something was left out.
    pub caused_by: &'a dyn Debug,
    /// The name of the error's type.
    pub error_type: &'static str,
    /// How many retried operations this call is inside of; 0 is the outermost call.
    pub depth: u32,
    /// The level of the call's budget, if the budget has a name. `None` in testing mode.
    pub budget: Option<BudgetLevel>,
}

/// A call gave up: it ends with a retryable error because of a limit.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct GaveUp<'a> {
    /// What was retried, as in [`RetryDetails`].
    pub callable: &'a str,
    /// As in [`RetryDetails`].
    pub static_callable: Option<&'static str>,
    /// Attempts made, the first included.
    pub attempts: u32,
    /// The limit.
    pub reason: StopReason,
    /// All waits.
    pub waited_so_far: Duration,
    /// Time since the call started, as in [`RetryDetails`].
    pub elapsed: Duration,
    /// The error that the caller gets, as in [`RetryDetails`].
    pub caused_by: &'a dyn Debug,
    /// The name of the error's type.
    pub error_type: &'static str,
    /// How many retried operations this call is inside of; 0 is the outermost call.
    pub depth: u32,
    /// The level of the call's budget, as in [`RetryDetails`].
    pub budget: Option<BudgetLevel>,
}

/// A call recovered: it succeeded after at least one retry.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Recovered<'a> {
    /// What was retried, as in [`RetryDetails`].
    pub callable: &'a str,
    /// As in [`RetryDetails`].
    pub static_callable: Option<&'static str>,
    /// Attempts made, the first included.
    pub attempts: u32,
    /// All waits.
    pub waited_so_far: Duration,
    /// Time since the call started, as in [`RetryDetails`].
    pub elapsed: Duration,
    /// The level of the call's budget, as in [`RetryDetails`].
    pub budget: Option<BudgetLevel>,
}

/// Receives the events of calls.
///
/// Each method has an empty default. A hook runs on the caller's thread, before the wait: keep it short, and don't block.
/// A panic in a hook is contained, so a test should keep what the hook received and assert on it afterwards.
/// A hook also receives the events of calls that it makes itself, unless it mutes them
/// ([`scoped_hooks`](crate::instrument::scoped_hooks) with an empty list).
///
/// # Examples
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use stamina::instrument::{self, Hook, RetryDetails};
/// use stamina::{Retry, testing};
///
/// #[derive(Default)]
/// struct Seen(Mutex<Vec<u32>>);
///
/// impl Hook for Seen {
///     fn retry_scheduled(&self, details: &RetryDetails<'_>) {
///         self.0.lock().unwrap().push(details.retry_num);
///     }
/// }
///
/// let seen = Arc::new(Seen::default());
/// let _hooks = instrument::scoped_hooks([seen.clone() as Arc<dyn Hook>]);
/// let _testing = testing::scoped(testing::Testing::attempts(3));
///
/// let _ = Retry::on::<&str>().call(|| Err::<(), _>("down"));
/// assert_eq!(*seen.0.lock().unwrap(), [1, 2]);
/// ```
pub trait Hook: Send + Sync {
    /// A retry is scheduled; its wait begins now.
    fn retry_scheduled(&self, details: &RetryDetails<'_>) {
        let _ = details;
    }

    /// A call gave up: its caller gets a retryable error because of a limit.
    fn gave_up(&self, details: &GaveUp<'_>) {
        let _ = details;
    }

    /// A call succeeded after at least one retry.
    fn recovered(&self, details: &Recovered<'_>) {
        let _ = details;
    }
}

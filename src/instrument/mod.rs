//! What a call tells about its retries: details, hooks, and who is told.
//!
//! Three events are told: a retry is scheduled (before its wait), a call gave up on a retryable error because of a
//! limit, a call recovered after at least one retry. A first-try success and a permanent error cost and emit nothing.
//!
//! Out of the box `LogHook` and `MetricsHook` listen (features `log` and `metrics`, both on by default); they emit
//! through the facades `log` and `metrics` and never install anything. [`set_hooks`] replaces them for the process,
//! [`scoped_hooks`] for one thread, [`Retry::on_retry`](crate::Retry::on_retry) adds one to a policy.
//!
//! A hook that panics is contained: the call goes on as if the hook had returned, and the other hooks are told.

use std::borrow::Cow;
use std::fmt::Debug;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::decision::StopReason;
use crate::scope::Scopes;
use crate::sync::{AtomicBool, Ordering, RwLock, process_wide, thread_local};

#[cfg(feature = "log")]
mod log;
#[cfg(feature = "metrics")]
mod metrics;

#[cfg(feature = "log")]
pub use self::log::LogHook;
#[cfg(feature = "metrics")]
pub use self::metrics::{MetricsHook, describe_metrics};

/// What metrics make labels of.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(
    not(feature = "metrics"),
    allow(dead_code, reason = "only metrics look at it")
)]
struct Labels<'a> {
    /// `callable` before it was borrowed: mostly a static, which a metric need not copy.
    callable: &'a Cow<'static, str>,
    /// The name and the balance of the budget, if it has a name.
    budget: Option<(&'static str, f64)>,
}

/// A retry that is about to be waited for.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RetryDetails<'a> {
    /// What is retried: the policy's name, else the path of the operation, else `file:line` of [`start`](crate::Retry::start).
    pub callable: &'a str,
    /// The retry's number; 1 is the first.
    pub retry_num: u32,
    /// The wait that comes now.
    pub wait_for: Duration,
    /// All waits before this one.
    pub waited_so_far: Duration,
    /// Time since the start of the call. Without a timeout and a budget no clock is read, but for `report`, and this is
    /// `waited_so_far`.
    pub elapsed: Duration,
    /// The error that is retried.
    pub caused_by: &'a dyn Debug,
    /// The name of the error's type.
    pub error_type: &'static str,
    /// How many retried operations this call is inside of; 0 is the outermost call.
    pub depth: u32,
    #[cfg_attr(
        not(feature = "metrics"),
        allow(dead_code, reason = "only metrics look at it")
    )]
    labels: Labels<'a>,
}

/// A call that ends with a retryable error because of a limit.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct GaveUp<'a> {
    /// What was retried, as in [`RetryDetails`].
    pub callable: &'a str,
    /// Attempts made, the first included.
    pub attempts: u32,
    /// The limit.
    pub reason: StopReason,
    /// All waits.
    pub waited_so_far: Duration,
    /// Time since the start of the call, as in [`RetryDetails`].
    pub elapsed: Duration,
    /// The error that the caller gets.
    pub caused_by: &'a dyn Debug,
    /// The name of the error's type.
    pub error_type: &'static str,
    /// How many retried operations this call is inside of; 0 is the outermost call.
    pub depth: u32,
    #[cfg_attr(
        not(feature = "metrics"),
        allow(dead_code, reason = "only metrics look at it")
    )]
    labels: Labels<'a>,
}

/// A call that succeeded after at least one retry.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Recovered<'a> {
    /// What was retried, as in [`RetryDetails`].
    pub callable: &'a str,
    /// Attempts made, the first included.
    pub attempts: u32,
    /// All waits.
    pub waited_so_far: Duration,
    /// Time since the start of the call, as in [`RetryDetails`].
    pub elapsed: Duration,
    #[cfg_attr(
        not(feature = "metrics"),
        allow(dead_code, reason = "only metrics look at it")
    )]
    labels: Labels<'a>,
}

/// Is told what happens to calls.
///
/// Each method has an empty default. A hook runs on the caller's thread, before the wait: keep it short and don't
/// block. A panic in it is contained, so assert on what it saw, not in it.
/// A hook that makes retried calls itself mutes them ([`scoped_hooks`] with an empty list), or it is told of those too.
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
    /// A retry was decided on; its wait begins now.
    fn retry_scheduled(&self, details: &RetryDetails<'_>) {
        let _ = details;
    }

    /// A retryable error is handed to the caller because of a limit.
    fn gave_up(&self, details: &GaveUp<'_>) {
        let _ = details;
    }

    /// A call succeeded after at least one retry.
    fn recovered(&self, details: &Recovered<'_>) {
        let _ = details;
    }
}

/// A list of hooks.
pub(crate) type Hooks = Arc<[Arc<dyn Hook>]>;

/// A policy's own hook.
pub(crate) type OnRetry = dyn Fn(&RetryDetails<'_>) + Send + Sync;

/// The default hooks.
static DEFAULTS: &[&dyn Hook] = &[
    #[cfg(feature = "log")]
    &LogHook,
    #[cfg(feature = "metrics")]
    &MetricsHook,
];

process_wide! {
    /// The process-wide hooks; `None` stands for the default ones.
    static HOOKS: RwLock<Option<Hooks>> = RwLock::new(None);
}

process_wide! {
    /// Whether there are process-wide hooks. Production has them too, so they are no matter of `scope`: a call looks here
    /// only when it has something to tell.
    static REPLACED: AtomicBool = AtomicBool::new(false);
}

thread_local! {
    static SCOPED: Scopes<Hooks> = const { Scopes::new() };
}

fn replace_hooks(hooks: Option<Hooks>) {
    let mut current = HOOKS.write().unwrap_or_else(PoisonError::into_inner);
    REPLACED.store(hooks.is_some(), Ordering::Relaxed);
    let replaced = std::mem::replace(&mut *current, hooks);
    drop(current);
    // Only now, without the lock: the last reference to a hook may go with it, and its drop may come here.
    drop(replaced);
}

/// Replaces the hooks of the process, the default ones included. An empty list switches telemetry off.
///
/// # Examples
///
/// ```
/// use stamina::instrument;
///
/// instrument::set_hooks([]);
/// assert!(instrument::hooks().is_empty());
/// instrument::reset_hooks();
/// assert!(!instrument::hooks().is_empty());
/// ```
pub fn set_hooks(hooks: impl IntoIterator<Item = Arc<dyn Hook>>) {
    replace_hooks(Some(hooks.into_iter().collect()));
}

/// Goes back to the default hooks of the process.
///
/// # Examples
///
/// ```
/// stamina::instrument::reset_hooks();
/// ```
pub fn reset_hooks() {
    replace_hooks(None);
}

/// The hooks that a call made on this thread now would tell.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use stamina::instrument::{self, Hook};
///
/// struct Mine;
/// impl Hook for Mine {}
///
/// // Mine, beside those that were there.
/// let mut hooks = instrument::hooks();
/// hooks.push(Arc::new(Mine));
/// let _guard = instrument::scoped_hooks(hooks);
/// ```
#[must_use]
pub fn hooks() -> Vec<Arc<dyn Hook>> {
    match in_force() {
        Some(hooks) => hooks.to_vec(),
        None => vec![
            #[cfg(feature = "log")]
            Arc::new(LogHook),
            #[cfg(feature = "metrics")]
            Arc::new(MetricsHook),
        ],
    }
}

/// The hooks of this thread's innermost scope, if there is one.
pub(crate) fn scoped_now() -> Option<Hooks> {
    SCOPED.try_with(Scopes::innermost).ok().flatten()
}

fn process_hooks() -> Option<Hooks> {
    HOOKS.read().unwrap_or_else(PoisonError::into_inner).clone()
}

fn in_force() -> Option<Hooks> {
    scoped_now().or_else(process_hooks)
}

/// Keeps hooks in force on this thread until it is dropped. Made by [`scoped_hooks`].
#[must_use = "the scope ends when this is dropped, so `let _ = ..` ends it at once: use `let _guard = ..`"]
#[derive(Debug)]
pub struct HookScope {
    number: usize,
    /// A scope belongs to its thread.
    not_send: PhantomData<*const ()>,
}

impl Drop for HookScope {
    fn drop(&mut self) {
        // While the thread ends its scopes may be gone already.
        let _ = SCOPED.try_with(|scoped| scoped.leave(self.number));
    }
}

/// Replaces the hooks for calls that are made on this thread, until the guard is dropped; an empty list mutes.
///
/// Scopes nest, the innermost wins, and a future that is made in a scope keeps its hooks. A policy's own hook
/// ([`Retry::on_retry`](crate::Retry::on_retry)) runs all the same.
///
/// # Examples
///
/// ```
/// use stamina::instrument;
///
/// let _quiet = instrument::scoped_hooks([]);
/// assert!(instrument::hooks().is_empty());
/// ```
pub fn scoped_hooks(hooks: impl IntoIterator<Item = Arc<dyn Hook>>) -> HookScope {
    let hooks: Hooks = hooks.into_iter().collect();
    HookScope {
        number: SCOPED.with(|scoped| scoped.enter(hooks)),
        not_send: PhantomData,
    }
}

/// Tells the type names of an operation and of its error; a function, because hardly anybody asks.
pub(crate) type Types = fn() -> (&'static str, &'static str);

/// What telemetry calls an operation and its error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names {
    pub(crate) types: Types,
    /// Where a code block starts, if it is one.
    pub(crate) place: Option<&'static Location<'static>>,
}

impl Names {
    #[inline]
    pub(crate) fn new(types: Types) -> Self {
        Self { types, place: None }
    }

    pub(crate) fn callable(self) -> Cow<'static, str> {
        if let Some(place) = self.place {
            return format!("{}:{}", place.file(), place.line()).into();
        }
        let (mut path, _) = (self.types)();
        // Lent, it is the same operation.
        while let Some(lent) = path.strip_prefix('&') {
            path = lent.strip_prefix("mut ").unwrap_or(lent);
        }
        while let Some(outer) = path.strip_suffix("::{{closure}}") {
            path = outer;
        }
        path.into()
    }

    pub(crate) fn error_type(self) -> &'static str {
        (self.types)().1
    }
}

/// What the three events have in common.
pub(crate) struct Event<'a> {
    pub(crate) callable: Cow<'static, str>,
    /// Attempts made so far.
    pub(crate) attempts: u32,
    pub(crate) waited_so_far: Duration,
    pub(crate) elapsed: Duration,
    /// The name and the balance of the budget, if it has a name.
    pub(crate) budget: Option<(&'static str, f64)>,
    /// The hooks of the scope that the call was made in.
    pub(crate) scoped: Option<&'a Hooks>,
}

/// The error that an event is about.
#[derive(Clone, Copy)]
pub(crate) struct Cause<'a> {
    pub(crate) error: &'a dyn Debug,
    pub(crate) error_type: &'static str,
    pub(crate) depth: u32,
}

/// Whether a default hook would do anything, so that the details need not be put together when none would.
#[cfg_attr(
    not(feature = "log"),
    allow(unused_variables, reason = "only log records have a level")
)]
#[inline]
fn defaults_listen(warn: bool) -> bool {
    #[cfg(feature = "log")]
    if log::listens(warn) {
        return true;
    }
    #[cfg(feature = "metrics")]
    if metrics::listens() {
        return true;
    }
    false
}

/// Telemetry must neither take down the call that it watches nor lose its error. `None` if it panicked.
fn contain<T>(watcher: impl FnOnce() -> T) -> Option<T> {
    // The panic's message has been printed by the process's panic hook; there is nobody else to tell.
    let panic = match catch_unwind(AssertUnwindSafe(watcher)) {
        Ok(answer) => return Some(answer),
        Err(panic) => panic,
    };
    // What was thrown may throw again when it is dropped; what is thrown then is left alone.
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        std::mem::forget(again);
    }
    None
}

/// Drops what a call has held of hooks. Where they were replaced, or their scope left, in the meantime, it is the last to
/// hold them, and their own drop is no matter of the call's.
pub(crate) fn let_go(hooks: Hooks) {
    contain(|| drop(hooks));
}

/// Whether anybody would be told; asked first, because putting the details together costs more than a retry.
#[inline]
pub(crate) fn listening(scoped: Option<&Hooks>, warn: bool) -> bool {
    scoped.is_some() || REPLACED.load(Ordering::Relaxed) || defaults_listen(warn)
}

fn tell(scoped: Option<&Hooks>, tell: impl Fn(&dyn Hook)) {
    if let Some(hooks) = scoped.cloned().or_else(process_hooks) {
        for hook in &*hooks {
            contain(|| tell(&**hook));
        }
        let_go(hooks);
    } else {
        for hook in DEFAULTS {
            contain(|| tell(*hook));
        }
    }
}

/// Tells that a retry is scheduled.
pub(crate) fn retry_scheduled(
    event: &Event<'_>,
    wait_for: Duration,
    cause: Cause<'_>,
    own: Option<&OnRetry>,
) {
    let details = RetryDetails {
        callable: &event.callable,
        retry_num: event.attempts,
        wait_for,
        waited_so_far: event.waited_so_far,
        elapsed: event.elapsed,
        caused_by: cause.error,
        error_type: cause.error_type,
        depth: cause.depth,
        labels: Labels {
            callable: &event.callable,
            budget: event.budget,
        },
    };
    if let Some(own) = own {
        contain(|| own(&details));
    }
    tell(event.scoped, |hook| hook.retry_scheduled(&details));
}

/// Tells that a call gave up.
pub(crate) fn gave_up(event: &Event<'_>, reason: StopReason, cause: Cause<'_>) {
    let details = GaveUp {
        callable: &event.callable,
        attempts: event.attempts,
        reason,
        waited_so_far: event.waited_so_far,
        elapsed: event.elapsed,
        caused_by: cause.error,
        error_type: cause.error_type,
        depth: cause.depth,
        labels: Labels {
            callable: &event.callable,
            budget: event.budget,
        },
    };
    tell(event.scoped, |hook| hook.gave_up(&details));
}

/// Tells that a call recovered.
pub(crate) fn recovered(event: &Event<'_>) {
    let details = Recovered {
        callable: &event.callable,
        attempts: event.attempts,
        waited_so_far: event.waited_so_far,
        elapsed: event.elapsed,
        labels: Labels {
            callable: &event.callable,
            budget: event.budget,
        },
    };
    tell(event.scoped, |hook| hook.recovered(&details));
}

//! Which hooks receive an event: those of the call's scope, or else those of the process, or else the default ones.

use std::any::Any;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};

use super::{GaveUp, Hook, Recovered, RetryDetails, Severity};
use crate::sync::{AtomicBool, Ordering, RwLock, process_wide, thread_local};
use crate::testing::scope::Scopes;

/// A list of hooks.
pub(crate) type Hooks = Arc<[Arc<dyn Hook>]>;

/// A hook that receives events by default. To add a telemetry sink, add a row to [`DEFAULTS`].
struct DefaultHook {
    hook: &'static dyn Hook,
    /// Whether it would do something with an event of this severity.
    listens: fn(Severity) -> bool,
    shared: fn() -> Arc<dyn Hook>,
}

/// The default hooks. With both features tracing takes the place of the log, so that nobody sees an event twice.
static DEFAULTS: &[DefaultHook] = &[
    #[cfg(feature = "tracing")]
    DefaultHook {
        hook: &super::TracingHook,
        listens: super::tracing::listens,
        shared: || Arc::new(super::TracingHook),
    },
    #[cfg(all(feature = "log", not(feature = "tracing")))]
    DefaultHook {
        hook: &super::LogHook,
        listens: super::log::listens,
        shared: || Arc::new(super::LogHook),
    },
    #[cfg(feature = "metrics")]
    DefaultHook {
        hook: &super::MetricsHook,
        listens: |_| super::metrics::listens(),
        shared: || Arc::new(super::MetricsHook),
    },
];

process_wide! {
    /// The hooks of the process; `None` stands for the default ones.
    static HOOKS: RwLock<Option<Hooks>> = RwLock::new(None);
}

process_wide! {
    /// Whether the process has hooks of its own. It is no override in the sense of `scope`, because production has them
    /// too: a call looks here only when it has something to report.
    static REPLACED: AtomicBool = AtomicBool::new(false);
}

thread_local! {
    static SCOPED: Scopes<Hooks> = const { Scopes::new() };
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

fn replace_hooks(hooks: Option<Hooks>) {
    let mut current = HOOKS.write().unwrap_or_else(PoisonError::into_inner);
    REPLACED.store(hooks.is_some(), Ordering::Relaxed);
    let replaced = std::mem::replace(&mut *current, hooks);
    // Unlock first: dropping the last reference to a hook runs its destructor, which may call this function.
    drop(current);
    drop(replaced);
}

/// The hooks that would receive the events of a call made on this thread now.
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
/// // Add one to those that are there.
/// let mut hooks = instrument::hooks();
/// hooks.push(Arc::new(Mine));
/// let _guard = instrument::scoped_hooks(hooks);
/// ```
#[must_use]
pub fn hooks() -> Vec<Arc<dyn Hook>> {
    match scoped_hooks_now().or_else(process_hooks) {
        Some(hooks) => hooks.to_vec(),
        None => DEFAULTS.iter().map(|default| (default.shared)()).collect(),
    }
}

fn process_hooks() -> Option<Hooks> {
    HOOKS.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Replaces the hooks for calls that are made on this thread, until the guard is dropped. An empty list mutes them.
///
/// Scopes nest, and the innermost wins. A future that is made in a scope keeps its hooks. A policy's own hook
/// ([`Retry::on_retry`](crate::Retry::on_retry)) runs in any case.
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
        number: SCOPED.try_with(|scoped| scoped.enter(hooks)).ok(),
        not_send: PhantomData,
    }
}

/// Keeps hooks in force on this thread until it is dropped. Made by [`scoped_hooks`].
#[must_use = "the scope ends when this is dropped, so `let _ = ..` ends it at once: use `let _guard = ..`"]
#[derive(Debug)]
pub struct HookScope {
    /// `None` on a thread that is ending, if its platform has destroyed the scopes by then.
    number: Option<usize>,
    /// A scope belongs to its thread.
    not_send: PhantomData<*const ()>,
}

impl Drop for HookScope {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            let _ = SCOPED.try_with(|scoped| scoped.leave(number));
        }
    }
}

/// The hooks of this thread's innermost scope, if there is one.
pub(crate) fn scoped_hooks_now() -> Option<Hooks> {
    SCOPED.try_with(Scopes::innermost).ok().flatten()
}

/// Whether any hook would do something with an event. Asked first, because making the details costs more than a retry.
#[inline]
pub(crate) fn anyone_listens(scoped: Option<&Hooks>, severity: Severity) -> bool {
    scoped.is_some()
        || REPLACED.load(Ordering::Relaxed)
        || DEFAULTS.iter().any(|default| (default.listens)(severity))
}

/// Reports that a retry is scheduled. `scoped`: the hooks of the scope that the call was made in.
pub(crate) fn emit_retry_scheduled(scoped: Option<&Hooks>, details: &RetryDetails<'_>) {
    emit(scoped, &|hook| hook.retry_scheduled(details));
}

/// Reports that a call gave up.
pub(crate) fn emit_gave_up(scoped: Option<&Hooks>, details: &GaveUp<'_>) {
    emit(scoped, &|hook| hook.gave_up(details));
}

/// Reports that a call recovered.
pub(crate) fn emit_recovered(scoped: Option<&Hooks>, details: &Recovered<'_>) {
    emit(scoped, &|hook| hook.recovered(details));
}

/// Compiled once for all events, so `event` is dynamic.
fn emit(scoped: Option<&Hooks>, event: &dyn Fn(&dyn Hook)) {
    let Some(hooks) = scoped.cloned().or_else(process_hooks) else {
        for default in DEFAULTS {
            contain(|| event(default.hook));
        }
        return;
    };
    for hook in &*hooks {
        contain(|| event(&**hook));
    }
    // The hooks may have been replaced in the meantime.
    drop_contained(hooks);
}

/// Drops hooks that a call has held. It may be the last to hold them, so a panic in a hook's destructor is contained.
pub(crate) fn drop_contained(hooks: Hooks) {
    contain(|| drop(hooks));
}

/// Runs code of the user's that must not take down the call it watches. `None` if it panicked.
pub(crate) fn contain<T>(run: impl FnOnce() -> T) -> Option<T> {
    // The process's panic hook has printed the message by the time the panic is caught.
    let outcome = catch_unwind(AssertUnwindSafe(run));
    outcome.map_err(drop_payload).ok()
}

/// A payload may panic when it is dropped. What that panic carries is leaked, because it may do so again.
#[cold]
fn drop_payload(payload: Box<dyn Any + Send>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
}

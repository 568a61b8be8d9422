//! What a call reports of itself, and who receives it. The public path is [`instrument`](crate::instrument).

mod dispatch;
mod hook;
#[cfg(feature = "log")]
mod log;
#[cfg(feature = "metrics")]
mod metrics;
mod one_line;
#[cfg(feature = "tracing")]
mod tracing;

pub use self::dispatch::{HookScope, hooks, reset_hooks, scoped_hooks, set_hooks};
pub use self::hook::{BudgetLevel, GaveUp, Hook, Recovered, RetryDetails};
#[cfg(feature = "log")]
pub use self::log::LogHook;
#[cfg(feature = "metrics")]
pub use self::metrics::{MetricsHook, describe_metrics};
#[cfg(feature = "tracing")]
pub use self::tracing::TracingHook;

pub(crate) use self::dispatch::{
    Hooks, anyone_listens, contain, drop_contained, emit_gave_up, emit_recovered,
    emit_retry_scheduled, scoped_hooks_now,
};
pub(crate) use self::one_line::OneLine;

/// The level of an event.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Severity {
    /// A retry is scheduled, or a call gave up.
    Warn,
    /// A call recovered.
    Info,
}

#[cfg(any(feature = "log", feature = "tracing"))]
const TARGET: &str = "stamina";

/// The path of a function or closure, from the name of its type: without references and closures.
pub(crate) fn callable_name(type_name: &'static str) -> &'static str {
    let mut name = type_name;
    while let Some(referent) = name.strip_prefix('&') {
        name = referent.strip_prefix("mut ").unwrap_or(referent);
    }
    while let Some(outer) = name.strip_suffix("::{{closure}}") {
        name = outer;
    }
    name
}

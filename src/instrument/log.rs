//! The facade `log`.

use log::Level;

use super::{GaveUp, Hook, Recovered, RetryDetails, contain};

const TARGET: &str = "stamina";

/// Writes log records with target `stamina`: the details in the text and as key-values.
///
/// | level | message begins with | keys |
/// |---|---|---|
/// | WARN | `stamina.retry_scheduled` | `callable`, `retry_num`, `wait_for`, `waited_so_far`, `caused_by`, `error_type` |
/// | WARN | `stamina.gave_up` | `callable`, `attempts`, `reason`, `waited_so_far`, `caused_by`, `error_type` |
/// | INFO | `stamina.recovered` | `callable`, `attempts`, `waited_so_far` |
///
/// Waits are in seconds. The error is written with `Debug`; the arguments of the operation are never seen.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use stamina::instrument::{self, Hook, LogHook};
///
/// // Only log, no metrics.
/// instrument::set_hooks([Arc::new(LogHook) as Arc<dyn Hook>]);
/// # instrument::reset_hooks();
/// ```
#[derive(Clone, Copy, Debug)]
pub struct LogHook;

/// Whether anybody would see a record; `warn` or else info.
#[inline]
pub(super) fn listens(warn: bool) -> bool {
    let level = if warn { Level::Warn } else { Level::Info };
    // Without a logger a number says so.
    level <= log::max_level() && logger_listens(level)
}

/// Asks the logger, which may panic.
#[inline(never)]
fn logger_listens(level: Level) -> bool {
    contain(|| log::log_enabled!(target: TARGET, level)).unwrap_or(false)
}

impl Hook for LogHook {
    fn retry_scheduled(&self, details: &RetryDetails<'_>) {
        let (wait_for, waited_so_far) = (
            details.wait_for.as_secs_f64(),
            details.waited_so_far.as_secs_f64(),
        );
        log::warn!(
            target: TARGET,
            callable = details.callable,
            retry_num = details.retry_num,
            wait_for = wait_for,
            waited_so_far = waited_so_far,
            caused_by:? = details.caused_by,
            error_type = details.error_type;
            "stamina.retry_scheduled callable={} retry_num={} wait_for={wait_for:.3} waited_so_far={waited_so_far:.3} \
             caused_by={:?}",
            details.callable,
            details.retry_num,
            details.caused_by,
        );
    }

    fn gave_up(&self, details: &GaveUp<'_>) {
        let waited_so_far = details.waited_so_far.as_secs_f64();
        log::warn!(
            target: TARGET,
            callable = details.callable,
            attempts = details.attempts,
            reason = details.reason.as_str(),
            waited_so_far = waited_so_far,
            caused_by:? = details.caused_by,
            error_type = details.error_type;
            "stamina.gave_up callable={} attempts={} reason={} waited_so_far={waited_so_far:.3} caused_by={:?}",
            details.callable,
            details.attempts,
            details.reason,
            details.caused_by,
        );
    }

    fn recovered(&self, details: &Recovered<'_>) {
        let waited_so_far = details.waited_so_far.as_secs_f64();
        log::info!(
            target: TARGET,
            callable = details.callable,
            attempts = details.attempts,
            waited_so_far = waited_so_far;
            "stamina.recovered callable={} attempts={} waited_so_far={waited_so_far:.3}",
            details.callable,
            details.attempts,
        );
    }
}

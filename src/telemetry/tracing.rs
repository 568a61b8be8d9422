//! Events as events of `tracing`.

use tracing::level_filters::LevelFilter;
use tracing::{Level as TracingLevel, event};

use super::{GaveUp, Hook, Recovered, RetryDetails, Severity, TARGET};

/// Emits `tracing` events with target `stamina`, in the caller's span.
///
/// | level | message | fields |
/// |---|---|---|
/// | WARN | `stamina.retry_scheduled` | `callable`, `retry_num`, `wait_for`, `waited_so_far`, `error_type`, `error` |
/// | WARN | `stamina.gave_up` | `callable`, `attempts`, `reason`, `waited_so_far`, `error_type`, `error` |
/// | INFO | `stamina.recovered` | `callable`, `attempts`, `waited_so_far` |
///
/// Times are in seconds, as `f64`. An event shows at most 1,024 bytes of the first line of the error. The arguments of the
/// operation are never shown.
///
/// With the feature `tracing` this hook takes the place of `LogHook` among the default hooks. As long as the process has
/// no subscriber it passes the events to `LogHook` (feature `log`), so that a crate that switches `tracing` on does not
/// silence the log of a program that has no use for it.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use stamina::instrument::{self, Hook, TracingHook};
///
/// // Only tracing, no metrics.
/// instrument::set_hooks([Arc::new(TracingHook) as Arc<dyn Hook>]);
/// # instrument::reset_hooks();
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TracingHook;

/// Whether an event of this level could be seen.
#[inline]
pub(super) fn listens(severity: Severity) -> bool {
    let level = match severity {
        Severity::Warn => TracingLevel::WARN,
        Severity::Info => TracingLevel::INFO,
    };
    #[cfg(feature = "log")]
    if no_subscriber() {
        return super::log::listens(severity);
    }
    level <= LevelFilter::current()
}

#[cfg(feature = "log")]
#[inline]
fn no_subscriber() -> bool {
    LevelFilter::current() == LevelFilter::OFF
}

impl Hook for TracingHook {
    fn retry_scheduled(&self, details: &RetryDetails<'_>) {
        #[cfg(feature = "log")]
        if no_subscriber() {
            return super::LogHook.retry_scheduled(details);
        }
        // Signed, because OpenTelemetry has no unsigned numbers: its bridge would make a text of one.
        event!(
            target: TARGET,
            TracingLevel::WARN,
            callable = details.callable,
            retry_num = i64::from(details.retry_num),
            wait_for = details.wait_for.as_secs_f64(),
            waited_so_far = details.waited_so_far.as_secs_f64(),
            error_type = details.error_type,
            error = ?details.caused_by,
            "stamina.retry_scheduled",
        );
    }

    fn gave_up(&self, details: &GaveUp<'_>) {
        #[cfg(feature = "log")]
        if no_subscriber() {
            return super::LogHook.gave_up(details);
        }
        event!(
            target: TARGET,
            TracingLevel::WARN,
            callable = details.callable,
            attempts = i64::from(details.attempts),
            reason = details.reason.as_str(),
            waited_so_far = details.waited_so_far.as_secs_f64(),
            error_type = details.error_type,
            error = ?details.caused_by,
            "stamina.gave_up",
        );
    }

    fn recovered(&self, details: &Recovered<'_>) {
        #[cfg(feature = "log")]
        if no_subscriber() {
            return super::LogHook.recovered(details);
        }
        event!(
            target: TARGET,
            TracingLevel::INFO,
            callable = details.callable,
            attempts = i64::from(details.attempts),
            waited_so_far = details.waited_so_far.as_secs_f64(),
            "stamina.recovered",
        );
    }
}

//! Events as metrics of the facade `metrics`.

use metrics::{
    Label, Recorder, SharedString, Unit, counter, describe_counter, describe_gauge,
    describe_histogram, gauge, histogram, with_recorder,
};

use super::{BudgetLevel, GaveUp, Hook, Recovered, RetryDetails};

const RETRIES: &str = "stamina_retries_total";
const GAVE_UP: &str = "stamina_gave_up_total";
const RECOVERED: &str = "stamina_recovered_total";
const WAIT: &str = "stamina_wait_seconds";
const BALANCE: &str = "stamina_budget_balance";

/// Counts through the facade `metrics`, for the recorder that the program installs.
///
/// | metric | kind | labels |
/// |---|---|---|
/// | `stamina_retries_total` | counter | `callable`, `retry_num`, `error_type` |
/// | `stamina_gave_up_total` | counter | `callable`, `reason`, `error_type` |
/// | `stamina_recovered_total` | counter | `callable` |
/// | `stamina_wait_seconds` | histogram | `callable` |
/// | `stamina_budget_balance` | gauge | `budget` |
///
/// `retry_num` is one of `1` to `20` and `>20`, so that the number of series is bounded.
///
/// The gauge is for budgets with a name ([`Budget::named`](crate::Budget::named)). It shows the permits that were left at
/// the last event (a retry, a call that gave up or recovered) of a call with that budget. A first-try success is no event,
/// so the gauge stands still between two events although the balance may rise. If that matters, set a gauge of your own
/// from [`Budget::balance`](crate::Budget::balance) at your own rate.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use stamina::instrument::{self, Hook, MetricsHook};
///
/// // Only metrics, no log.
/// instrument::set_hooks([Arc::new(MetricsHook) as Arc<dyn Hook>]);
/// # instrument::reset_hooks();
/// ```
#[derive(Clone, Copy, Debug)]
pub struct MetricsHook;

/// Registers the help text and the unit of each metric with the recorder that is installed.
///
/// Call it once, after the recorder is installed. Without a recorder it does nothing.
///
/// # Examples
///
/// ```
/// stamina::instrument::describe_metrics();
/// ```
pub fn describe_metrics() {
    describe_counter!(RETRIES, Unit::Count, "Retries scheduled.");
    describe_counter!(
        GAVE_UP,
        Unit::Count,
        "Calls that ended with a retryable error because of a limit."
    );
    describe_counter!(
        RECOVERED,
        Unit::Count,
        "Calls that succeeded after at least one retry."
    );
    describe_histogram!(WAIT, Unit::Seconds, "Time waited before a retry.");
    describe_gauge!(
        BALANCE,
        Unit::Count,
        "Retries that a budget would have allowed at its last event."
    );
}

/// Whether a recorder is installed. Without one, making the labels would cost several times what a retry does.
#[inline]
pub(super) fn listens() -> bool {
    with_recorder(|recorder| !is_noop(recorder))
}

/// Whether this is the stand-in that the facade uses if no recorder is installed.
///
/// The facade does not say, but its stand-in is a static without a size. A global recorder without a size is not mistaken
/// for it: the facade boxes it, and the address of a box without contents is its alignment. A recorder without a size
/// that is installed for one thread can't be told apart.
#[inline]
fn is_noop(recorder: &dyn Recorder) -> bool {
    let address = std::ptr::from_ref(recorder).cast::<()>().addr();
    size_of_val(recorder) == 0 && address != align_of_val(recorder)
}

/// The label for a retry's number.
fn retry_label(retry_num: u32) -> &'static str {
    const LABELS: [&str; 20] = [
        "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16",
        "17", "18", "19", "20",
    ];
    let index = usize::try_from(retry_num.saturating_sub(1)).unwrap_or(usize::MAX);
    LABELS.get(index).copied().unwrap_or(">20")
}

/// The label of the operation's name, from the details of an event.
// Not inlined, to keep binaries small: each event would have a copy.
#[inline(never)]
fn callable_label(name: &str, static_name: Option<&'static str>) -> Label {
    let name = match static_name {
        Some(name) => SharedString::const_str(name),
        None => SharedString::from_shared(name.into()),
    };
    Label::new("callable", name)
}

fn count(name: &'static str, labels: Vec<Label>) {
    counter!(name, labels).increment(1);
}

fn set_balance(budget: Option<BudgetLevel>) {
    if let Some(BudgetLevel { name, balance }) = budget {
        gauge!(BALANCE, "budget" => name).set(balance);
    }
}

impl Hook for MetricsHook {
    fn retry_scheduled(&self, details: &RetryDetails<'_>) {
        let callable = callable_label(details.callable, details.static_callable);
        let labels = vec![
            callable.clone(),
            Label::from_static_parts("retry_num", retry_label(details.retry_num)),
            Label::from_static_parts("error_type", details.error_type),
        ];
        count(RETRIES, labels);
        histogram!(WAIT, vec![callable]).record(details.wait_for.as_secs_f64());
        set_balance(details.budget);
    }

    fn gave_up(&self, details: &GaveUp<'_>) {
        let labels = vec![
            callable_label(details.callable, details.static_callable),
            Label::from_static_parts("reason", details.reason.as_str()),
            Label::from_static_parts("error_type", details.error_type),
        ];
        count(GAVE_UP, labels);
        set_balance(details.budget);
    }

    fn recovered(&self, details: &Recovered<'_>) {
        let callable = callable_label(details.callable, details.static_callable);
        count(RECOVERED, vec![callable]);
        set_balance(details.budget);
    }
}

//! Metrics, as recorders see them.
//!
//! Alone in its process: it installs a recorder.
#![cfg(feature = "metrics")]

mod support;

use metrics::{
    Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use stamina::instrument::{self, Hook, MetricsHook};
use stamina::{Budget, Retry, Timer, testing};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use support::clock;

fn policy() -> Retry<&'static str> {
    Retry::on()
        .wait_jitter(Duration::ZERO)
        .attempts(3)
        .named("fetch")
        .timer(Timer::custom(clock()))
}

fn down() -> Result<(), &'static str> {
    Err("down")
}

/// Everything that is recorded by a call on this thread: `name{label=value, ..}` and the value.
fn recorded(call: impl FnOnce()) -> BTreeMap<String, String> {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, call);
    let entry = |(key, _, _, value): (metrics_util::CompositeKey, _, _, _)| {
        let key = key.key();
        let mut labels: Vec<_> = key
            .labels()
            .map(|label| format!("{}={}", label.key(), label.value()))
            .collect();
        labels.sort();
        let value = match value {
            DebugValue::Counter(count) => count.to_string(),
            DebugValue::Gauge(value) => format!("gauge {value}"),
            DebugValue::Histogram(values) => format!(
                "{:?}",
                values.iter().map(|value| value.0).collect::<Vec<_>>()
            ),
        };
        (format!("{}{{{}}}", key.name(), labels.join(",")), value)
    };
    snapshotter
        .snapshot()
        .into_vec()
        .into_iter()
        .map(entry)
        .collect()
}

#[track_caller]
fn records(call: impl FnOnce(), expected: &[(&str, &str)]) {
    let recorded = recorded(call);
    let expected: BTreeMap<_, _> = expected
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    assert_eq!(recorded, expected);
}

#[test]
fn all_four() {
    let mut errors = ["down"].into_iter();
    records(
        || {
            assert!(policy().call(down).is_err());
            policy().call(|| errors.next().map_or(Ok(()), Err)).unwrap();
        },
        &[
            (
                "stamina_retries_total{callable=fetch,error_type=&str,retry_num=1}",
                "2",
            ),
            (
                "stamina_retries_total{callable=fetch,error_type=&str,retry_num=2}",
                "1",
            ),
            (
                "stamina_gave_up_total{callable=fetch,error_type=&str,reason=attempts_exhausted}",
                "1",
            ),
            ("stamina_recovered_total{callable=fetch}", "1"),
            ("stamina_wait_seconds{callable=fetch}", "[0.1, 0.2, 0.1]"),
        ],
    );
}

#[test]
fn each_limit_has_its_reason() {
    static EMPTY: Budget = Budget::new().floor(0);
    let gave_up = |reason: &str| {
        format!("stamina_gave_up_total{{callable=fetch,error_type=&str,reason={reason}}}")
    };
    for (policy, reason) in [
        (policy().attempts(1), "attempts_exhausted"),
        (policy().timeout(Duration::ZERO), "timed_out"),
        (policy().budget(&EMPTY), "budget_exhausted"),
    ] {
        let recorded = recorded(|| assert!(policy.call(down).is_err()));
        assert_eq!(recorded[&gave_up(reason)], "1");
    }
}

#[test]
fn nothing_where_there_is_nothing_to_count() {
    records(|| policy().call(|| Ok(())).unwrap(), &[]);
    records(
        || assert!(policy().when(|_| false).call(down).is_err()),
        &[],
    );
    records(
        || {
            let _off = testing::inactive();
            assert!(policy().call(down).is_err());
        },
        &[],
    );
    records(
        || {
            let _muted = instrument::scoped_hooks([]);
            assert!(policy().call(down).is_err());
        },
        &[],
    );
}

#[test]
fn the_numbers_of_retries_are_bounded() {
    let recorded = recorded(|| assert!(policy().attempts(51).no_timeout().call(down).is_err()));
    let retry = |num: &str| {
        format!("stamina_retries_total{{callable=fetch,error_type=&str,retry_num={num}}}")
    };
    assert_eq!(recorded[&retry("20")], "1");
    assert_eq!(recorded[&retry(">20")], "30");
    assert_eq!(
        recorded
            .keys()
            .filter(|key| key.starts_with("stamina_retries_total"))
            .count(),
        21
    );
}

#[test]
fn other_names_are_labels_too() {
    let recorded = recorded(|| {
        let policy = Retry::on::<()>().attempts(2).timer(Timer::custom(clock()));
        assert!(policy.call(|| Err::<(), _>(())).is_err());
        let mut attempts = policy.start();
        assert!(attempts.again(()).is_ok());
        attempts.succeed(());
    });
    let has = |part: &str| recorded.keys().any(|key| key.contains(part));
    assert!(
        has(concat!(
            "callable=",
            module_path!(),
            "::other_names_are_labels_too,error_type=()"
        )),
        "{recorded:?}"
    );
    assert!(
        has("stamina_recovered_total{callable=tests/metrics.rs:"),
        "{recorded:?}"
    );
}

#[test]
fn the_hook_can_be_had_alone() {
    let recorded = recorded(|| {
        let _hooks = instrument::scoped_hooks([Arc::new(MetricsHook) as Arc<dyn Hook>]);
        assert!(policy().call(down).is_err());
    });
    assert_eq!(recorded.len(), 4);
}

/// Whether the label `callable` of each counter is the text at this address.
struct SameText(&'static str);

static SAME: AtomicU64 = AtomicU64::new(0);

impl Recorder for SameText {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let mut callables = key.labels().filter(|label| label.key() == "callable");
        let callable = callables.next().unwrap();
        assert_eq!(callable.value(), self.0);
        SAME.fetch_add(
            u64::from(std::ptr::eq(callable.value(), self.0)),
            Ordering::Relaxed,
        );
        Counter::noop()
    }
    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[test]
fn a_static_name_is_not_copied() {
    const NAME: &str = "not_copied";
    let policy = policy().named(NAME);
    metrics::with_local_recorder(&SameText(NAME), || {
        assert!(policy.call(down).is_err());
        let mut attempts = policy.start();
        attempts.again("down").unwrap();
        attempts.succeed(());
    });
    // Three retries, one call that gave up, one that recovered.
    assert_eq!(SAME.load(Ordering::Relaxed), 5);
}

/// A recorder of no size, as some are: everything is in statics.
struct Sizeless;

static COUNTED: AtomicU64 = AtomicU64::new(0);

struct Count;

impl CounterFn for Count {
    fn increment(&self, value: u64) {
        COUNTED.fetch_add(value, Ordering::Relaxed);
    }
    fn absolute(&self, _: u64) {}
}

impl Recorder for Sizeless {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        if key.labels().any(|label| label.value() == "sizeless") {
            Counter::from_arc(Arc::new(Count))
        } else {
            Counter::noop()
        }
    }
    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[test]
fn a_global_recorder_of_no_size_is_heard() {
    // Before there is any recorder, nothing is counted and nothing breaks.
    let policy = policy().named("sizeless");
    assert!(policy.call(down).is_err());
    instrument::describe_metrics();
    metrics::set_global_recorder(Sizeless).unwrap();
    assert!(policy.call(down).is_err());
    assert_eq!(COUNTED.load(Ordering::Relaxed), 3);
}

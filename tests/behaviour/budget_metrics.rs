//! The gauge of a budget's balance.
#![cfg(feature = "metrics")]

use std::sync::Arc;
use std::time::Duration;

use crate::support::clock;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use stamina::instrument::{self, scoped_hooks};
use stamina::testing::{self, Testing};
use stamina::{Budget, Retry, Timer};

fn policy(budget: &Arc<Budget>) -> Retry<&'static str> {
    Retry::on::<&str>()
        .attempts(2)
        .wait_initial(Duration::ZERO)
        .wait_jitter(Duration::ZERO)
        .timer(Timer::custom(clock()))
        .shared_budget(Arc::clone(budget))
}

fn down() -> Result<(), &'static str> {
    Err("down")
}

/// The gauges of budgets: the name of each, and its value.
fn gauges(snapshotter: &Snapshotter) -> Vec<(String, f64)> {
    let mut gauges = Vec::new();
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        let key = key.key();
        if key.name() == "stamina_budget_balance" {
            let labels: Vec<_> = key.labels().collect();
            assert_eq!((labels.len(), labels[0].key()), (1, "budget"));
            let DebugValue::Gauge(value) = value else {
                panic!("not a gauge")
            };
            gauges.push((labels[0].value().to_owned(), value.0));
        }
    }
    gauges
}

#[track_caller]
fn records(call: impl FnOnce(), expected: &[(&str, f64)]) {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, call);
    let mut gauges = gauges(&snapshotter);
    gauges.sort_by(|one, other| one.0.cmp(&other.0));
    let gauges: Vec<(&str, f64)> = gauges
        .iter()
        .map(|(name, value)| (&**name, *value))
        .collect();
    assert_eq!(gauges, expected);
}

#[test]
fn every_event_tells_the_balance() {
    let budget = Arc::new(Budget::new().named("db").ratio(0.5));
    // A retry and a limit on attempts; a limit by the budget; a recovery.
    records(
        || assert!(policy(&budget).call(down).is_err()),
        &[("db", 1.0)],
    );
    let all = policy(&budget).attempts(10);
    records(|| assert!(all.call(down).is_err()), &[("db", 0.0)]);
    for _ in 0..4 {
        policy(&budget).call(|| Ok(())).unwrap();
    }
    let mut errors = ["down"].into_iter();
    let recovers = || errors.next().map_or(Ok(()), Err);
    records(|| policy(&budget).call(recovers).unwrap(), &[("db", 2.0)]);
}

#[test]
fn the_details_are_told_when_the_token_is_taken() {
    let budget = Arc::new(Budget::new().named("db"));
    let started = policy(&budget);
    let mut attempts = started.start();
    records(|| assert!(attempts.decide(&"down").is_ok()), &[("db", 1.0)]);
}

#[test]
fn nothing_is_told_without_a_name_or_without_an_event() {
    let unnamed = Arc::new(Budget::new());
    records(|| assert!(policy(&unnamed).call(down).is_err()), &[]);
    let named = Arc::new(Budget::new().named("db"));
    records(|| policy(&named).call(|| Ok(())).unwrap(), &[]);
    records(
        || assert!(policy(&named).when(|_| false).call(down).is_err()),
        &[],
    );
}

#[test]
fn nothing_is_told_in_testing_mode_when_inactive_or_muted() {
    let budget = Arc::new(Budget::new().named("db"));
    let fails = || assert!(policy(&budget).call(down).is_err());
    {
        let _guard = testing::scoped(Testing::attempts(2));
        records(fails, &[]);
    }
    {
        let _guard = testing::inactive();
        records(fails, &[]);
    }
    let _guard = scoped_hooks([]);
    records(fails, &[]);
}

#[test]
fn two_budgets_have_two_gauges() {
    let left = Arc::new(Budget::new().named("left"));
    let right = Arc::new(Budget::new().named("right").floor(9));
    let both = || {
        assert!(policy(&left).call(down).is_err());
        assert!(policy(&right).call(down).is_err());
    };
    records(both, &[("left", 1.0), ("right", 8.0)]);
}

#[test]
fn it_is_described() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        instrument::describe_metrics();
        let budget = Arc::new(Budget::new().named("db"));
        assert!(policy(&budget).call(down).is_err());
    });
    let described = snapshotter
        .snapshot()
        .into_vec()
        .into_iter()
        .any(|(key, unit, text, _)| {
            key.key().name() == "stamina_budget_balance"
                && unit == Some(metrics::Unit::Count)
                && text.is_some_and(|text| text.contains("budget"))
        });
    assert!(described);
}

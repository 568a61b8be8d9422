//! The two warnings about budgets that cannot be doing their work. Each is given once for the life of the process, so
//! this file has one test.
#![cfg(feature = "log")]

mod scene;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use log::{Level, LevelFilter, Log, Metadata, Record};
use scene::{clock, lock};
use stamina::instrument::scoped_hooks;
use stamina::{Budget, Retry, Timer};

struct Capture(Mutex<Vec<String>>);

static CAPTURE: Capture = Capture(Mutex::new(Vec::new()));

impl Log for Capture {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        assert_eq!((record.level(), record.target()), (Level::Warn, "stamina"));
        let text = record.args().to_string();
        if text.starts_with("stamina.budget") {
            lock(&self.0).push(text);
        }
    }

    fn flush(&self) {}
}

/// Warnings since the last look.
fn warnings() -> Vec<String> {
    std::mem::take(&mut lock(&CAPTURE.0))
}

fn policy(budget: &Arc<Budget>) -> Retry<&'static str> {
    Retry::on::<&str>()
        .attempts(3)
        .timer(Timer::custom(clock()))
        .shared_budget(Arc::clone(budget))
}

fn down() -> Result<(), &'static str> {
    Err("down")
}

#[test]
fn each_is_given_once_and_only_when_there_is_a_reason() {
    log::set_logger(&CAPTURE).unwrap();
    log::set_max_level(LevelFilter::Warn);

    // Budgets as they should be: shared by calls, then dropped. Also such as were never used.
    for _ in 0..50 {
        let budget = Arc::new(Budget::new());
        policy(&budget).call(down).unwrap_err();
        policy(&budget).call(|| Ok(())).unwrap();
        drop(Budget::new());
        let asked_by_two = Arc::new(Budget::new());
        policy(&asked_by_two).call(down).unwrap_err();
        policy(&asked_by_two).call(down).unwrap_err();
    }
    // A call that asks once has asked.
    for _ in 0..50 {
        let budget = Arc::new(Budget::new());
        let once = policy(&budget).attempts(2);
        once.call(down).unwrap_err();
        once.call(down).unwrap_err();
    }
    // A simulated client may make a single call.
    for _ in 0..50 {
        let budget = Arc::new(Budget::new().fresh());
        policy(&budget).call(down).unwrap_err();
    }
    assert_eq!(warnings(), [""; 0]);

    // One for each call: nine may have their reasons.
    for _ in 0..8 {
        policy(&Arc::new(Budget::new())).call(down).unwrap_err();
    }
    // One that was resumed has asked, though it began elsewhere.
    let resumed = policy(&Arc::new(Budget::new()));
    let _ = resumed.resume(1, Duration::ZERO).decide(&"down");
    drop(resumed);
    assert_eq!(warnings(), [""; 0]);
    // Not where telemetry is muted; but it is not forgotten.
    {
        let _muted = scoped_hooks([]);
        policy(&Arc::new(Budget::new())).call(down).unwrap_err();
    }
    assert_eq!(warnings(), [""; 0]);
    policy(&Arc::new(Budget::new().named("orders")))
        .call(|| Ok(()))
        .unwrap();
    assert_eq!(
        warnings(),
        [
            "stamina.budget_per_call budget=orders singles=11: so many budgets were dropped that had served a single call \
          each. A budget that is made for each call limits nothing: make one for each dependency, keep it in a `static` \
          (`budget`) or an `Arc` (`shared_budget`), and share it between all calls."
        ]
    );
    for _ in 0..20 {
        policy(&Arc::new(Budget::new())).call(down).unwrap_err();
    }
    assert_eq!(warnings(), [""; 0]);

    // Blocks that never say that they succeeded. A single success is enough to know better.
    let fed = Arc::new(Budget::new());
    policy(&fed).start().succeed(());
    let unfed = Arc::new(Budget::new().named("search"));
    let fresh = Arc::new(Budget::new().fresh());
    let ask = |budget: &Arc<Budget>, times: u32| {
        for _ in 0..times {
            let _ = policy(budget).start().decide(&"down");
        }
    };
    ask(&fed, 500);
    ask(&fresh, 500);
    ask(&unfed, 100);
    assert_eq!(warnings(), [""; 0]);
    ask(&unfed, 1);
    assert_eq!(
        warnings(),
        [
            "stamina.budget_never_fed budget=search asked=100: it was asked for so many retries, and no success has filled \
          it yet. If calls do succeed, they don't tell it: end code blocks with `succeed`, and give the budget to every \
          policy for its dependency. If the dependency has been down from the start, all is well here."
        ]
    );
    ask(&unfed, 500);
    ask(&Arc::new(Budget::new()), 500);
    assert_eq!(warnings(), [""; 0]);
}

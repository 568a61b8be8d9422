//! One step function behind every driver: random scripts have the same course through all of them.
#![allow(
    clippy::option_option,
    reason = "a driver may not say why, and a call may have no reason"
)]

use crate::script::{
    DRIVERS, Driver, Ending, Mode, Outcome, Script, Stage, decided, finished, made, reported,
};
use crate::support::{Event, Recorder};
use stamina::{Clock, Instant, Retry, StopReason, testing};
use std::time::Duration;

/// Everything there is to see of a run.
#[derive(Debug, PartialEq)]
struct Seen {
    outcome: Outcome,
    attempts: usize,
    waits: Vec<Duration>,
    events: Vec<Event>,
    balance: Option<String>,
}

fn run(script: &Script, driver: Driver) -> (Seen, Option<Option<StopReason>>) {
    let stage = Stage::new(script);
    let (recorder, _hooks) = Recorder::here();
    let _mode = match script.mode {
        Mode::Normal | Mode::Nested => testing::normal(),
        Mode::Testing(testing) => testing::scoped(testing),
        Mode::Inactive => testing::inactive(),
    };
    let mut ending = None;
    if let Mode::Nested = script.mode {
        let outer = Retry::on::<()>().attempts(1).quiet();
        let nested = outer.call(|| {
            ending = Some(driver(&stage));
            Ok(())
        });
        assert_eq!(nested, Ok(()));
    }
    let Ending(outcome, reason) = ending.unwrap_or_else(|| driver(&stage));
    let mut events = recorder.take();
    for event in &mut events {
        // Where the predicate sees the outcome, so do the hooks. Where nothing else needs the time, only a report
        // measures it.
        if let Event::Retry { caused_by, .. } | Event::GaveUp { caused_by, .. } = event {
            if let Some(fault) = caused_by.strip_prefix("Err(") {
                *caused_by = fault[..fault.len() - 1].to_owned();
            }
        }
        let clocked = script.floor.is_some() || script.reset_after.is_some();
        if script.settings.timeout.is_none() && !clocked {
            let (Event::Retry { elapsed, .. }
            | Event::GaveUp { elapsed, .. }
            | Event::Recovered { elapsed, .. }) = event;
            *elapsed = Duration::ZERO;
        }
    }
    let seen = Seen {
        outcome,
        attempts: made(&stage),
        waits: stage.clock.waits(),
        events,
        balance: balance(&stage, stage.clock.now()),
    };
    (seen, reason)
}

fn balance(stage: &Stage, now: Instant) -> Option<String> {
    let budget = stage.budget.as_ref()?;
    Some(format!("{:.6}", budget.balance(now)))
}

#[test]
fn every_driver_does_the_same() {
    let mut rng = fastrand::Rng::with_seed(26_07);
    let mut reasons = std::collections::HashMap::<_, u32>::new();
    for _ in 0..2000 {
        let script = Script::random(&mut rng);
        let (expected, _) = run(&script, DRIVERS[0].1);
        let (_, expected_reason) = run(&script, |stage| {
            reported(stage, stage.policy().report(|| stage.play()))
        });
        *reasons.entry(expected_reason.flatten()).or_default() += 1;
        for (name, driver) in DRIVERS {
            let (seen, reason) = run(&script, *driver);
            assert_eq!(seen, expected, "{name} differs from call in {script:#?}");
            if reason.is_some() {
                assert_eq!(
                    reason, expected_reason,
                    "{name} differs from report in {script:#?}"
                );
            }
        }
    }
    // The scripts are worth something: every ending is among them, often.
    use StopReason::{
        AttemptsExhausted, BudgetExhausted, Inactive, Nested, NotRetryable, TimedOut,
    };
    for ending in [
        None,
        Some(AttemptsExhausted),
        Some(BudgetExhausted),
        Some(Inactive),
        Some(Nested),
        Some(NotRetryable),
        Some(TimedOut),
    ] {
        assert!(
            reasons.get(&ending).is_some_and(|count| *count > 50),
            "{ending:?}: {reasons:?}"
        );
    }
}

#[test]
fn a_call_may_move_between_machines_at_every_step() {
    // Resumed before each attempt from two numbers, it waits as it would have done in one piece.
    let mut rng = fastrand::Rng::with_seed(7);
    for _ in 0..500 {
        let script = Script {
            floor: None,
            reset_after: None,
            mode: Mode::Normal,
            ..Script::random(&mut rng)
        };
        let (whole, reason) = run(&script, |stage| decided(stage, &mut stage.policy().start()));
        let (pieces, of_pieces) = run(&script, |stage| {
            let policy = stage.policy();
            let (mut made, mut elapsed) = (0, Duration::ZERO);
            loop {
                let mut attempts = policy.resume(made, elapsed);
                let fault = match stage.play() {
                    Ok(value) => {
                        attempts.succeed(());
                        return finished(&attempts, Ok(value));
                    }
                    Err(fault) => fault,
                };
                match attempts.decide(&fault) {
                    Ok(wait) => stage.clock.sleep_blocking(wait),
                    Err(_) => return finished(&attempts, Err(fault)),
                }
                (made, elapsed) = (attempts.number() - 1, stage.clock.elapsed());
            }
        });
        assert_eq!(
            (pieces.outcome, pieces.waits, of_pieces),
            (whole.outcome, whole.waits, reason),
            "{script:#?}"
        );
    }
}

/// `Timer::tokio()` has a way to wait of its own, where a future without a permit holds the sleep in place.
#[cfg(feature = "tokio")]
#[test]
fn futures_on_tokios_timer_do_the_same() {
    let mut rng = fastrand::Rng::with_seed(26_09);
    let (mut waited, mut with_permit) = (0, 0);
    for _ in 0..1000 {
        let random = Script::random(&mut rng);
        // In whole milliseconds, as tokio's timer has no smaller steps.
        let settings = stamina::Settings {
            wait_jitter: Some(Duration::ZERO),
            full_jitter: false,
            wait_exp_base: 2.0,
            timeout: random.settings.timeout.or(Some(Duration::from_secs(3600))),
            ..random.settings
        };
        let script = Script {
            settings,
            mode: Mode::Normal,
            ..random
        };
        let (mut expected, reason) = run(&script, |stage| {
            let call = stage.policy();
            let report = call.report_async(|| std::future::ready(stage.play()));
            let report = futures::executor::block_on(report);
            Ending(report.result, Some(report.stop_reason))
        });
        expected.waits.clear();
        let (seen, seen_reason) = run_on_tokio(&script);
        assert_eq!(
            (&seen, seen_reason),
            (&expected, reason.flatten()),
            "{script:#?}"
        );
        let retries = seen.attempts - 1;
        waited += retries;
        with_permit += retries * usize::from(script.floor.is_some());
    }
    assert!(
        with_permit > 100 && waited - with_permit > 100,
        "{waited} {with_permit}"
    );
}

#[cfg(feature = "tokio")]
fn run_on_tokio(script: &Script) -> (Seen, Option<StopReason>) {
    let stage = Stage::new(script);
    let (recorder, _hooks) = Recorder::here();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let policy = stage.policy().timer(stamina::Timer::tokio());
        let operation = || async {
            let (length, outcome) = stage.next();
            tokio::time::sleep(length).await;
            outcome
        };
        let report = policy.report_async(operation).await;
        let now = tokio::time::Instant::now().into_std();
        let seen = Seen {
            outcome: report.result,
            attempts: made(&stage),
            waits: Vec::new(),
            events: recorder.take(),
            balance: balance(&stage, now),
        };
        (seen, report.stop_reason)
    })
}

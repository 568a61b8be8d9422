//! `report`, `report_async`: how a call ended and what it took.

use crate::support;
use crate::support::{ManualClock, ms, secs};
use futures::executor::block_on;
use stamina::testing::{self, Testing};
use stamina::{Budget, Report, Retry, StopReason, Timer};
use std::time::Duration;

/// Reports in both ways, of an operation that takes a second and succeeds at that attempt.
#[track_caller]
fn reports(
    set: impl Fn(Retry<u32>) -> Retry<u32>,
    succeed_at: u32,
    result: Result<u32, u32>,
    attempts: u32,
    waited: Duration,
    stop_reason: Option<StopReason>,
) {
    let clock = support::clock();
    let policy = set(Retry::on()
        .wait_jitter(Duration::ZERO)
        .timer(Timer::custom(clock)));
    let operation = || {
        let mut calls = 0;
        move || {
            clock.advance(secs(1));
            calls += 1;
            if calls == succeed_at {
                Ok(calls)
            } else {
                Err(calls)
            }
        }
    };
    let mut inner = operation();
    for report in [
        policy.report(operation()),
        block_on(policy.report_async(|| std::future::ready(inner()))),
    ] {
        let Report {
            result: got,
            attempts: made,
            waited: slept,
            elapsed,
            stop_reason: why,
            ..
        } = report;
        assert_eq!(
            (got, made, slept, why),
            (result, attempts, waited, stop_reason)
        );
        let expected = if testing::is_testing() {
            secs(attempts.into())
        } else {
            waited + secs(attempts.into())
        };
        assert_eq!(elapsed, expected);
    }
}

#[test]
fn of_every_ending() {
    static EMPTY: Budget = Budget::new().floor(0);
    use StopReason::{AttemptsExhausted, BudgetExhausted, Inactive, NotRetryable, TimedOut};
    reports(|p| p, 1, Ok(1), 1, ms(0), None);
    reports(|p| p, 3, Ok(3), 3, ms(300), None);
    reports(Retry::no_timeout, 3, Ok(3), 3, ms(300), None);
    reports(
        |p| p.attempts(2),
        0,
        Err(2),
        2,
        ms(100),
        Some(AttemptsExhausted),
    );
    reports(
        |p| p.timeout(ms(2300)),
        0,
        Err(2),
        2,
        ms(100),
        Some(TimedOut),
    );
    reports(
        |p| p.when(|n| *n < 4),
        0,
        Err(4),
        4,
        ms(700),
        Some(NotRetryable),
    );
    reports(
        |p| p.budget(&EMPTY),
        0,
        Err(1),
        1,
        ms(0),
        Some(BudgetExhausted),
    );
    let _testing = testing::scoped(Testing::attempts(4));
    reports(
        |p| p.timeout(ms(1)),
        0,
        Err(4),
        4,
        ms(0),
        Some(AttemptsExhausted),
    );
    reports(|p| p, 4, Ok(4), 4, ms(0), None);
    let _off = testing::inactive();
    reports(|p| p, 0, Err(1), 1, ms(0), Some(Inactive));
    reports(|p| p, 1, Ok(1), 1, ms(0), None);
}

#[test]
fn is_a_value() {
    let clock = ManualClock::new();
    let report = Retry::on::<u8>().timer(clock.timer()).report(|| Ok(5));
    assert_eq!(report.clone(), report);
    let text = format!("{report:?}");
    for part in [
        "Ok(5)",
        "attempts: 1",
        "waited: 0ns",
        "elapsed: 0ns",
        "stop_reason: None",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

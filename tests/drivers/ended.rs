//! A code block whose call has ended: by a limit, by a permanent error, by a success.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::support::{ManualClock, Recorder, at_once, clock, ms, secs};
use stamina::{Attempts, Budget, Clock, Retry, StopReason, Timer};

fn policy() -> Retry<&'static str> {
    let policy = Retry::on::<&str>().wait_jitter(Duration::ZERO);
    policy.timer(Timer::custom(clock()))
}

/// Every further failure comes back, for the same reason.
#[track_caller]
fn stays_ended(attempts: &mut Attempts<'_, &'static str>, reason: StopReason) {
    let number = attempts.number();
    for _ in 0..3 {
        assert_eq!(attempts.again("more"), Err("more"));
        assert_eq!(at_once(attempts.again_async("more")), Err("more"));
        assert_eq!(attempts.decide(&"more"), Err(reason));
        assert_eq!(attempts.pause(&"more").unwrap_err(), reason);
        assert_eq!(attempts.stop_reason(), Some(reason));
        assert_eq!((attempts.number(), attempts.next_wait()), (number, None));
    }
}

#[test]
fn after_a_stop_nothing_is_reported_counted_or_asked_twice() {
    let (recorder, _hooks) = Recorder::here();
    let budget = Arc::new(Budget::new().floor(5));
    let clock = ManualClock::new();
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let policy = policy()
        .attempts(2)
        .shared_budget(Arc::clone(&budget))
        .timer(clock.timer())
        .when(move |error| {
            count.fetch_add(1, Ordering::Relaxed);
            *error != "permanent"
        });
    let balance = || budget.balance(clock.now());

    let mut attempts = policy.start();
    attempts.again("down").unwrap();
    attempts.again("down").unwrap_err();
    assert_eq!(
        recorder.short(),
        ["retry 1", "gave up 2 attempts_exhausted"]
    );
    let before = (balance().to_bits(), asked.load(Ordering::Relaxed));
    stays_ended(&mut attempts, StopReason::AttemptsExhausted);
    // A success after it belongs to a call that gave up.
    attempts.succeed(());
    assert_eq!((balance().to_bits(), asked.load(Ordering::Relaxed)), before);
    assert!(recorder.take().is_empty());

    let mut attempts = policy.start();
    attempts.again("permanent").unwrap_err();
    stays_ended(&mut attempts, StopReason::NotRetryable);
    assert!(recorder.take().is_empty());
    assert_eq!(asked.load(Ordering::Relaxed), before.1 + 1);
}

#[test]
fn every_reason_stays() {
    static EMPTY: Budget = Budget::new().floor(0);
    let ended = |policy: Retry<&'static str>, reason| {
        let mut attempts = policy.start();
        assert_eq!(attempts.decide(&"down"), Err(reason));
        stays_ended(&mut attempts, reason);
    };
    ended(policy().attempts(1), StopReason::AttemptsExhausted);
    ended(policy().timeout(Duration::ZERO), StopReason::TimedOut);
    ended(policy().budget(&EMPTY), StopReason::BudgetExhausted);
    ended(policy().when(|_| false), StopReason::NotRetryable);
    policy()
        .call(|| {
            ended(policy().outermost_only(), StopReason::Nested);
            Ok::<_, &str>(())
        })
        .unwrap();
    let _off = stamina::testing::inactive();
    ended(policy(), StopReason::Inactive);
}

#[test]
fn a_success_begins_anew_and_each_is_credited() {
    let clock = ManualClock::new();
    let (recorder, _hooks) = Recorder::here();
    let budget = Arc::new(Budget::new().floor(5).ratio(0.5));
    let policy = policy()
        .attempts(3)
        .timeout(secs(10))
        .shared_budget(Arc::clone(&budget))
        .timer(clock.timer());
    let mut attempts = policy.start();
    for hour in 1..=3 {
        // The clock of the new call starts at its first failure.
        clock.pass(secs(3600));
        if hour > 1 {
            assert_eq!(attempts.remaining(), Some(secs(10)));
            assert_eq!(attempts.next_wait(), Some((ms(100), ms(100))));
            assert_eq!(attempts.decide(&"down"), Ok(ms(100)), "hour {hour}");
            assert_eq!((attempts.number(), attempts.waited()), (2, ms(100)));
            assert_eq!(attempts.elapsed(), Duration::ZERO);
        }
        attempts.succeed(());
    }
    assert_eq!(
        recorder.short(),
        ["retry 1", "recovered 2", "retry 1", "recovered 2"]
    );
    // What the first earned has decayed; each later one paid its token back.
    let balance = || budget.balance(clock.now());
    assert!((balance() - 5.0).abs() < 1e-3, "{}", balance());
    for credited in 1..=3 {
        attempts.succeed(());
        let expected = 5.0 + 0.5 * f64::from(credited);
        assert!(
            (balance() - expected).abs() < 1e-3,
            "{}, not {expected}",
            balance()
        );
    }
    assert!(recorder.take().is_empty());
}

#[test]
fn reset_begins_anew_and_reports_nothing() {
    let clock = ManualClock::new();
    let (recorder, _hooks) = Recorder::here();
    let policy = policy().attempts(2).timeout(secs(10)).timer(clock.timer());
    let mut attempts = policy.start();
    attempts.again("down").unwrap();
    attempts.again("down").unwrap_err();
    recorder.take();
    clock.pass(secs(60));
    attempts.reset();
    assert!(recorder.take().is_empty());
    assert_eq!((attempts.number(), attempts.stop_reason()), (1, None));
    assert_eq!(
        (attempts.waited(), attempts.elapsed()),
        (Duration::ZERO, Duration::ZERO)
    );
    assert_eq!(attempts.remaining(), Some(secs(10)));
    assert_eq!(attempts.again("down"), Ok(()));
    // In the middle of a call, too, and for a call that was resumed.
    attempts.reset();
    assert_eq!(attempts.number(), 1);
    let mut resumed = policy.resume(1, secs(9));
    resumed.reset();
    assert_eq!((resumed.number(), resumed.remaining()), (1, Some(secs(10))));
}

#[test]
fn outcomes_settle_like_errors() {
    let (recorder, _hooks) = Recorder::here();
    let policy = Retry::on::<Result<u16, &str>>()
        .attempts(3)
        .when(|outcome| *outcome == Ok(503) || *outcome == Err("reset"))
        .timer(Timer::custom(clock()));
    let mut attempts = policy.start();
    assert_eq!(attempts.settle(Ok(503)), ControlFlow::Continue(()));
    assert_eq!(
        at_once(attempts.settle_async(Err("reset"))),
        ControlFlow::Continue(())
    );
    // An `Ok` that is not retried is a success, and what comes then is a new call.
    assert_eq!(attempts.settle(Ok(404)), ControlFlow::Break(Ok(404)));
    assert_eq!(recorder.short(), ["retry 1", "retry 2", "recovered 3"]);
    assert_eq!(attempts.settle(Ok(503)), ControlFlow::Continue(()));
    assert_eq!(attempts.number(), 2);
    assert_eq!(attempts.settle(Ok(503)), ControlFlow::Continue(()));
    // The last outcome comes back, a retryable `Ok` too.
    assert_eq!(attempts.settle(Ok(503)), ControlFlow::Break(Ok(503)));
    assert_eq!(attempts.stop_reason(), Some(StopReason::AttemptsExhausted));
    let permanent = policy.start().settle(Err("refused"));
    assert_eq!(permanent, ControlFlow::Break(Err("refused")));
}

#[test]
fn after_a_stop_a_fine_outcome_begins_anew_and_any_other_does_not() {
    let policy = Retry::on::<Result<u16, &'static str>>()
        .attempts(1)
        .timer(Timer::custom(clock()));
    let picky = policy.clone().when(|outcome| *outcome == Ok(503));
    let after_a_stop = |policy: &Retry<Result<u16, &'static str>>, outcome| {
        let mut attempts = policy.start();
        assert!(attempts.settle(Err("down")).is_break());
        assert!(attempts.stop_reason().is_some());
        assert_eq!(attempts.settle(outcome), ControlFlow::Break(outcome));
        attempts.stop_reason()
    };
    assert_eq!(after_a_stop(&policy, Ok(503)), None);
    let exhausted = Some(StopReason::AttemptsExhausted);
    assert_eq!(after_a_stop(&policy, Err("down")), exhausted);
    // The predicate says what is fine.
    let permanent = Some(StopReason::NotRetryable);
    assert_eq!(after_a_stop(&picky, Ok(404)), None);
    assert_eq!(after_a_stop(&picky, Ok(503)), permanent);
    assert_eq!(after_a_stop(&picky, Err("down")), permanent);
    // It is not asked if there are no retries.
    let _off = stamina::testing::inactive();
    assert_eq!(after_a_stop(&picky, Ok(503)), None);
    assert_eq!(
        after_a_stop(&picky, Err("down")),
        Some(StopReason::Inactive)
    );
}

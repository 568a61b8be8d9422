//! Predicates: what they may say, when they are asked, and what binds them.
#![allow(clippy::unchecked_time_subtraction, reason = "a test may panic")]
#![allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "a predicate is given a reference"
)]

use crate::support;
use crate::support::{Recorder, clock, ms, secs};
use stamina::testing::{self, Testing};
use stamina::{Budget, Decision, Retry, StopReason, Timer, when};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A policy without jitter on a clock of its own.
fn plain() -> (Retry<u32>, &'static testing::VirtualClock) {
    let clock = clock();
    let policy = Retry::on::<u32>().wait_jitter(Duration::ZERO);
    (policy.timer(Timer::custom(clock)), clock)
}

/// Fails with 1, 2, 3, ...
fn counting() -> impl FnMut() -> Result<(), u32> {
    let mut calls = 0;
    move || {
        calls += 1;
        Err(calls)
    }
}

#[test]
fn conversions() {
    assert_eq!(Decision::from(true), Decision::Retry);
    assert_eq!(Decision::from(false), Decision::Stop);
    // The short spelling of a wait is a hint, so that clients spread.
    assert_eq!(Decision::from(secs(1)), Decision::RetryAfter(secs(1)));
    assert_eq!(
        Decision::from(Duration::ZERO),
        Decision::RetryAfter(Duration::ZERO)
    );
    let label = |reason: StopReason| (reason.as_str(), reason.to_string());
    for (reason, text) in [
        (StopReason::NotRetryable, "not_retryable"),
        (StopReason::AttemptsExhausted, "attempts_exhausted"),
        (StopReason::TimedOut, "timed_out"),
        (StopReason::BudgetExhausted, "budget_exhausted"),
        (StopReason::Inactive, "inactive"),
        (StopReason::Nested, "nested"),
    ] {
        assert_eq!(label(reason), (text, text.to_owned()));
    }
}

#[test]
fn pythons_sequence() {
    // A hook that says 7.0, true, 0.25, true: own waits, and the exponential goes on by attempt number.
    let (policy, clock) = plain();
    let (recorder, _hooks) = Recorder::here();
    let policy = policy.when(|attempt| match *attempt {
        1 => Decision::RetryExactly(secs(7)),
        3 => Decision::RetryExactly(ms(250)),
        attempt => Decision::from(attempt < 5),
    });
    assert_eq!(policy.call(counting()), Err(5));
    assert_eq!(clock.waits(), [7000, 200, 250, 800].map(ms));
    let so_far: Vec<_> = recorder.take().iter().filter_map(waited_so_far).collect();
    assert_eq!(so_far, [0, 7000, 7200, 7450].map(ms));
}

fn waited_so_far(told: &support::Event) -> Option<Duration> {
    match told {
        support::Event::Retry { waited_so_far, .. } => Some(*waited_so_far),
        _ => None,
    }
}

#[test]
fn predicates_capture_and_return_what_they_like() {
    let limit = 3;
    let name = String::from("captured");
    let (policy, clock) = plain();
    let bools = policy
        .clone()
        .when(move |attempt| *attempt < limit && !name.is_empty());
    assert_eq!(bools.call(counting()), Err(3));
    assert_eq!(clock.waits(), [100, 200].map(ms));

    let (policy, clock) = plain();
    let durations = policy
        .attempts(3)
        .when(move |attempt| secs(limit.into()) * *attempt);
    assert_eq!(durations.call(counting()), Err(3));
    assert_eq!(clock.waits(), [3, 6].map(secs));

    let (policy, clock) = plain();
    let decisions = policy.when(move |attempt| {
        if *attempt < limit {
            Decision::RetryAfter(secs(9))
        } else {
            Decision::Stop
        }
    });
    assert_eq!(decisions.call(counting()), Err(3));
    assert_eq!(clock.waits(), [9, 9].map(secs));
}

#[test]
fn the_last_predicate_counts() {
    fn never(_: &u32) -> bool {
        false
    }
    fn always(_: &u32) -> bool {
        true
    }
    fn stops(_: &u32) -> Decision {
        Decision::Stop
    }
    #[track_caller]
    fn makes(policy: &Retry<u32>, attempts: u32) {
        let report = policy.clone().attempts(3).report(counting());
        assert_eq!(report.attempts, attempts);
    }
    let (policy, _) = plain();
    makes(&policy, 3);
    makes(&policy.clone().when_fn(never), 1);
    makes(&policy.clone().when_fn(never).when(|_| true), 3);
    makes(&policy.clone().when(|_| true).when_fn(never), 1);
    makes(&policy.clone().when(|_| false).when_fn(always), 3);
    makes(&policy.clone().when(|_| false).when(|_| true), 3);
    makes(&policy.clone().decide_fn(stops), 1);
    makes(&policy.clone().decide_fn(stops).when_fn(always), 3);
    makes(&policy.clone().when_fn(always).decide_fn(stops), 1);
    makes(
        &policy.clone().when_fn(never).when(|_| true).when_fn(never),
        1,
    );
}

#[test]
fn asked_once_for_each_failure_and_never_for_a_success() {
    #[track_caller]
    fn asked(policy: Retry<u32>, succeed_at: u32, times: u32) {
        let count = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&count);
        let policy = policy.when(move |error| {
            assert_eq!(counter.fetch_add(1, Ordering::Relaxed) + 1, *error);
            true
        });
        let mut operation = counting();
        let _ =
            policy.call(|| operation().or_else(|n| if n == succeed_at { Ok(()) } else { Err(n) }));
        assert_eq!(count.load(Ordering::Relaxed), times);
    }
    static EMPTY: Budget = Budget::new().floor(0);
    let (policy, clock) = plain();
    asked(policy.clone(), 1, 0);
    asked(policy.clone(), 3, 2);
    asked(policy.clone(), 0, 10);
    asked(policy.clone().attempts(1), 0, 1);
    asked(policy.clone().timeout(Duration::ZERO), 0, 1);
    asked(policy.clone().timeout(ms(500)), 0, 3);
    asked(policy.clone().budget(&EMPTY), 0, 1);
    let _testing = testing::scoped(Testing::attempts(4));
    asked(policy.clone(), 0, 4);
    let _off = testing::inactive();
    asked(policy, 0, 0);
    assert!(!clock.waits().is_empty());
}

#[test]
fn a_hint_is_spread_but_not_cut_by_the_cap() {
    let (policy, _) = plain();
    let policy = policy
        .no_timeout()
        .wait_max(secs(2))
        .when(|_| Decision::RetryAfter(secs(60)));
    #[track_caller]
    fn between(policy: &Retry<u32>, shortest: Duration, longest: Duration) {
        let waits: Vec<_> = (0..500)
            .map(|_| policy.start().decide(&1).unwrap())
            .collect();
        let (min, max) = (*waits.iter().min().unwrap(), *waits.iter().max().unwrap());
        assert!(shortest <= min && max <= longest, "{min:?} {max:?}");
        let slack = (longest - shortest) / 20;
        assert!(
            min <= shortest + slack && longest - slack <= max,
            "{min:?} {max:?}"
        );
    }
    between(&policy, secs(60), secs(60));
    between(&policy.clone().wait_jitter(secs(1)), secs(60), secs(61));
    between(&policy.clone().wait_jitter(secs(9)), secs(60), secs(62));
    between(
        &policy.clone().wait_jitter(secs(1)).full_jitter(),
        secs(60),
        secs(61),
    );
    between(&policy.clone().full_jitter(), secs(60), secs(60));
    between(
        &policy
            .wait_jitter(secs(1))
            .when(|_| Decision::RetryAfter(Duration::ZERO)),
        // A hint is a floor under the policy's own wait, so one that has passed makes no hot loop.
        ms(100),
        ms(1100),
    );
}

/// 584 years: waits are whole nanoseconds in 64 bits.
const LONGEST: Duration = Duration::from_nanos(u64::MAX);

#[test]
fn a_chosen_wait_is_exact() {
    for wait in [Duration::ZERO, Duration::from_nanos(1), secs(40), LONGEST] {
        let policy = Retry::on::<u32>()
            .no_timeout()
            .wait_max(ms(1))
            .full_jitter();
        let policy = policy.when(move |_| Decision::RetryExactly(wait));
        assert_eq!(policy.start().decide(&1), Ok(wait));
    }
}

#[test]
fn the_longest_hint_there_is() {
    for decision in [
        Decision::RetryAfter(Duration::MAX),
        Decision::RetryExactly(Duration::MAX),
    ] {
        let clock = clock();
        let policy = Retry::on::<u32>()
            .timer(Timer::custom(clock))
            .when(move |_| decision);
        let report = policy.report(counting());
        assert_eq!(
            (report.attempts, report.stop_reason),
            (1, Some(StopReason::TimedOut))
        );
        assert!(clock.waits().is_empty());
        let latest = policy.clone().timeout(Duration::MAX);
        assert_eq!(
            latest.report(counting()).stop_reason,
            Some(StopReason::TimedOut)
        );

        let for_ever = policy.no_timeout().attempts(4);
        let (recorder, _hooks) = Recorder::here();
        assert_eq!(for_ever.call(counting()), Err(4));
        assert_eq!(clock.waits(), [LONGEST; 3]);
        assert_eq!(
            recorder.short(),
            [
                "retry 1",
                "retry 2",
                "retry 3",
                "gave up 4 attempts_exhausted"
            ]
        );
        let report = for_ever.report(counting());
        assert!(report.waited > secs(1 << 33), "{:?}", report.waited);
    }
}

#[test]
fn the_order_of_the_rules() {
    // Each policy breaks its own rule and all that come after it.
    static EMPTY: Budget = Budget::new().floor(0);
    #[track_caller]
    fn stops(policy: &Retry<u32>, reason: StopReason) {
        assert_eq!(policy.report(|| Err::<(), _>(1)).stop_reason, Some(reason));
        assert_eq!(policy.start().decide(&1), Err(reason));
    }
    let (policy, _) = plain();
    let budget = policy.budget(&EMPTY);
    let late = budget.clone().timeout(ms(100));
    let last = late.clone().attempts(1);
    let refused = last.clone().when(|_| false);
    stops(&budget, StopReason::BudgetExhausted);
    stops(&late, StopReason::TimedOut);
    stops(&last, StopReason::AttemptsExhausted);
    stops(&refused, StopReason::NotRetryable);
    let _testing = testing::scoped(Testing::attempts(1));
    stops(&budget, StopReason::AttemptsExhausted);
    stops(&refused, StopReason::NotRetryable);
    let _off = testing::inactive();
    stops(&budget, StopReason::Inactive);
    stops(&refused, StopReason::Inactive);
}

#[test]
fn a_budget_is_only_asked_when_all_else_allows() {
    let budget = Arc::new(Budget::new());
    let (policy, clock) = plain();
    let policy = policy.shared_budget(Arc::clone(&budget));
    let balance = || budget.balance(stamina::Clock::now(clock));
    let _ = policy.clone().attempts(1).call(counting());
    let _ = policy.clone().timeout(Duration::ZERO).call(counting());
    let _ = policy.clone().when(|_| false).call(counting());
    assert!((balance() - 2.0).abs() < 1e-9);
    let _ = policy.attempts(2).call(counting());
    assert!((balance() - 1.0).abs() < 1e-9);
}

#[test]
fn decisions_of_a_panicking_predicate_pass_through() {
    let (policy, _) = plain();
    let tripped = Arc::new(AtomicU32::new(0));
    let trips = Arc::clone(&tripped);
    let policy = policy.when(move |error| {
        assert!(
            *error != 2 || trips.fetch_add(1, Ordering::Relaxed) > 0,
            "I trip over 2"
        );
        true
    });
    assert_eq!(
        support::panic_message(|| assert!(policy.call(counting()).is_err())),
        "I trip over 2"
    );
    assert_eq!(policy.call(counting()), Err(10));
}

#[test]
fn ready_predicates_and_their_combinations() {
    use std::error::Error;
    use std::io;
    #[track_caller]
    fn says(predicate: impl Fn(&u32) -> Decision, answers: [Decision; 3]) {
        assert_eq!([1, 2, 3].map(|error| predicate(&error)), answers);
    }
    const HINT: Decision = Decision::RetryAfter(secs(1));
    let hint = |error: &u32| if *error == 1 { HINT } else { Decision::Stop };
    let second = |error: &u32| *error <= 2;
    says(
        when::any_of(hint, second),
        [HINT, Decision::Retry, Decision::Stop],
    );
    says(
        when::any_of(second, hint),
        [Decision::Retry, Decision::Retry, Decision::Stop],
    );
    says(
        when::not(hint),
        [Decision::Stop, Decision::Retry, Decision::Retry],
    );
    says(
        when::not(|error: &u32| secs((*error).into())),
        [Decision::Stop; 3],
    );
    says(
        when::not(when::any_of(hint, second)),
        [Decision::Stop, Decision::Stop, Decision::Retry],
    );

    // The second predicate is only asked where the first says stop.
    let asked = Cell::new(0);
    let both = when::any_of(second, |_: &u32| {
        asked.set(asked.get() + 1);
        false
    });
    let _ = [1, 2, 3].map(|error| both(&error));
    assert_eq!(asked.get(), 1);

    let inner = || io::Error::other("7x".parse::<u8>().unwrap_err());
    let boxed: Box<dyn Error> = inner().into();
    assert!(when::caused_by::<io::Error>(&*boxed));
    assert!(when::caused_by::<std::num::ParseIntError>(&*boxed));
    assert!(!when::caused_by::<std::fmt::Error>(&*boxed));
    let anyhow = anyhow::Error::from(inner()).context("while fetching");
    assert!(when::caused_by::<std::num::ParseIntError>(anyhow.as_ref()));
}

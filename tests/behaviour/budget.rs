//! The budget's rules, through every driver that asks or feeds one. Its arithmetic is held against the formula in
//! `tests/heavy/tests/budget_properties.rs`, its threads in `tests/shuttle`.

#![allow(
    clippy::float_cmp,
    reason = "what is counted in whole fractions of a token is exact"
)]

use std::future::ready;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::support;
use crate::support::{ManualClock, Recorder, panic_message, poll, secs};
use stamina::instrument::{Hook, RetryDetails, scoped_hooks};
use stamina::testing::{self, Testing};
use stamina::{Budget, Budgets, Clock, Decision, Retry, Sleep, StopReason, Timer};

/// A policy with a budget on a clock that stands still, and waits of 1 s.
struct Stage {
    clock: &'static ManualClock,
    budget: Arc<Budget>,
    policy: Retry<&'static str>,
}

impl Stage {
    fn new(budget: Budget) -> Self {
        let (clock, budget) = (ManualClock::new(), Arc::new(budget));
        let policy = Retry::on::<&str>()
            .timer(clock.timer())
            .no_timeout()
            .wait_initial(secs(1))
            .wait_exp_base(1.0)
            .wait_jitter(Duration::ZERO)
            .shared_budget(Arc::clone(&budget));
        Self {
            clock,
            budget,
            policy,
        }
    }

    fn balance(&self) -> f64 {
        self.budget.balance(self.clock.now())
    }

    #[track_caller]
    fn holds(&self, expected: f64) {
        let balance = self.balance();
        assert!(
            (balance - expected).abs() < 1e-3,
            "{balance}, not {expected}"
        );
    }
}

fn down() -> Result<(), &'static str> {
    Err("down")
}

#[test]
fn looking_changes_nothing() {
    // Nor when the budget begins to count its ticks of 5 ms.
    for (first, then) in (1..10).flat_map(|first| (1..10).map(move |then| (first, then))) {
        let clock = ManualClock::new();
        let [looked_at, alone] = [(); 2].map(|()| Arc::new(Budget::new().ratio(1.0)));
        assert_eq!(looked_at.balance(clock.now()), 2.0);
        clock.pass(Duration::from_millis(first));
        for budget in [&looked_at, &alone] {
            let policy = Retry::on::<&str>().timer(clock.timer());
            let policy = policy.shared_budget(Arc::clone(budget));
            policy.call(|| Ok(())).unwrap();
        }
        for _ in 0..10 {
            clock.pass(Duration::from_millis(then));
            let _ = looked_at.balance(clock.now() + secs(1000));
        }
        let now = clock.now();
        assert_eq!(looked_at.balance(now), alone.balance(now));
        assert!(alone.balance(now) > 2.99);
    }
}

#[test]
fn a_success_at_the_first_try_adds_the_ratio_whoever_drives() {
    let stage = Stage::new(Budget::new().floor(3).ratio(0.125));
    let policy = &stage.policy;
    policy.call(|| Ok(())).unwrap();
    stage.holds(3.125);
    assert_eq!(policy.report(|| Ok(())).stop_reason, None);
    stage.holds(3.25);
    policy.wrap(|()| Ok(()))(()).unwrap();
    stage.holds(3.375);
    futures::executor::block_on(async {
        policy.call_async(|| ready(Ok(()))).await.unwrap();
        stage.holds(3.5);
        policy.report_async(|| ready(Ok(()))).await.result.unwrap();
        stage.holds(3.625);
        policy
            .call_async_with(&mut (), async |()| Ok(()))
            .await
            .unwrap();
        stage.holds(3.75);
        policy.wrap_async(|()| ready(Ok(())))(()).await.unwrap();
        stage.holds(3.875);
        let call = policy.call_async(|| ready(Ok(())));
        call.attempt_timeout(secs(1), || "slow").await.unwrap();
        stage.holds(4.0);
    });
    policy.start().succeed(());
    stage.holds(4.125);
    // A block that never says so has not succeeded.
    drop(policy.start());
    stage.holds(4.125);

    let outcomes = Retry::on::<Result<u8, &str>>()
        .when(|outcome| matches!(outcome, Ok(5)))
        .timer(stage.clock.timer())
        .shared_budget(Arc::clone(&stage.budget));
    outcomes.call_outcome(|| Ok(1)).unwrap();
    stage.holds(4.25);
    futures::executor::block_on(outcomes.call_outcome_async(|| ready(Ok(1)))).unwrap();
    stage.holds(4.375);
}

#[test]
fn each_success_is_credited_and_a_recovery_is_reported_once() {
    let stage = Stage::new(Budget::new().floor(3).ratio(0.5));
    let (recorder, _guard) = Recorder::here();
    let mut attempts = stage.policy.start();
    attempts.again("down").unwrap();
    assert_eq!((attempts.succeed(1), attempts.succeed(2)), (1, 2));
    // The first refunds its token, the second is the success of a new call.
    stage.holds(3.5);
    assert_eq!(recorder.short(), ["retry 1", "recovered 2"]);
}

#[test]
fn a_call_that_gave_up_has_not_succeeded() {
    let stage = Stage::new(Budget::new().floor(3).ratio(0.5));
    let (recorder, _guard) = Recorder::here();
    let policy = (stage.policy.clone().attempts(2)).when(|error| *error != "gone");
    let mut attempts = policy.start();
    attempts.again("down").unwrap();
    assert_eq!(attempts.again("down"), Err("down"));
    assert_eq!(attempts.succeed("a fallback"), "a fallback");
    stage.holds(2.0);
    assert_eq!(
        recorder.short(),
        ["retry 1", "gave up 2 attempts_exhausted"]
    );

    // A permanent error is an answer, which the caller may well take for a success.
    let mut attempts = policy.start();
    assert_eq!(attempts.again("gone"), Err("gone"));
    attempts.succeed(());
    stage.holds(2.5);
}

#[test]
fn a_success_after_retries_adds_the_ratio_and_gives_back_one_token_of_those_taken() {
    let stage = Stage::new(Budget::new().floor(3).ratio(0.5));
    let mut failures = 2;
    let result = stage.policy.call(|| {
        failures -= 1;
        if failures < 0 { Ok(()) } else { down() }
    });
    assert_eq!(result, Ok(()));
    stage.holds(3.0 - 2.0 + 0.5 + 1.0);
}

#[test]
fn permanent_errors_neither_add_nor_take() {
    let stage = Stage::new(Budget::new().floor(3));
    let policy = stage.policy.clone().when(|_| Decision::Stop);
    for _ in 0..100 {
        policy.call(down).unwrap_err();
        futures::executor::block_on(policy.call_async(|| ready(down()))).unwrap_err();
        policy.start().again("down").unwrap_err();
    }
    assert_eq!(stage.balance(), 3.0);
}

#[test]
fn a_budget_is_only_asked_when_all_else_allows() {
    let stage = Stage::new(Budget::new().floor(3));
    let (recorder, _guard) = Recorder::here();
    assert_eq!(stage.policy.clone().attempts(1).call(down), Err("down"));
    let late = stage.policy.clone().timeout(secs(1));
    assert_eq!(late.call(down), Err("down"));
    let told = ["gave up 1 attempts_exhausted", "gave up 1 timed_out"];
    assert_eq!(recorder.short(), told);
    assert_eq!(stage.balance(), 3.0);
}

#[test]
fn a_denied_retry_ends_the_call_at_once_with_its_error() {
    let stage = Stage::new(Budget::new().floor(2));
    let (recorder, _guard) = Recorder::here();

    let mut errors = ["first", "second", "third"].into_iter();
    let report = stage.policy.report(|| Err::<(), _>(errors.next().unwrap()));

    assert_eq!(report.result, Err("third"));
    assert_eq!((report.attempts, report.waited), (3, secs(2)));
    assert_eq!(report.stop_reason, Some(StopReason::BudgetExhausted));
    assert_eq!(stage.clock.slept(), [secs(1), secs(1)]);
    assert_eq!(
        recorder.short(),
        ["retry 1", "retry 2", "gave up 3 budget_exhausted"]
    );

    // Now there is none from the start: no sleep, no retry, and the balance is left alone.
    assert_eq!(stage.policy.call(down), Err("down"));
    let result = futures::executor::block_on(stage.policy.call_async(|| ready(down())));
    assert_eq!(result, Err("down"));
    let mut attempts = stage.policy.start();
    assert_eq!(attempts.again("down"), Err("down"));
    assert_eq!(attempts.stop_reason(), Some(StopReason::BudgetExhausted));
    assert_eq!(
        stage.policy.start().decide(&"down"),
        Err(StopReason::BudgetExhausted)
    );
    assert_eq!(stage.clock.slept().len(), 2);
    assert_eq!(recorder.short(), ["gave up 1 budget_exhausted"; 4]);
    assert_eq!(stage.balance(), 0.0);
}

#[test]
fn five_successes_pay_for_one_retry() {
    let stage = Stage::new(Budget::new().floor(0));
    for _ in 0..4 {
        stage.policy.call(|| Ok(())).unwrap();
    }
    assert_eq!(
        stage.policy.start().decide(&"down"),
        Err(StopReason::BudgetExhausted)
    );
    stage.policy.call(|| Ok(())).unwrap();
    assert_eq!(stage.balance(), 1.0);
    assert!(stage.policy.start().decide(&"down").is_ok());
    assert_eq!(stage.balance(), 0.0);
    assert_eq!(
        stage.policy.start().decide(&"down"),
        Err(StopReason::BudgetExhausted)
    );
}

#[test]
fn a_surplus_decays_to_the_floor_and_a_deficit_stays() {
    let stage = Stage::new(Budget::new().floor(3).ratio(1.0));
    for _ in 0..10 {
        stage.policy.call(|| Ok(())).unwrap();
    }
    stage.holds(13.0);
    stage.clock.pass(secs(10));
    stage.holds(3.0 + 10.0 / std::f64::consts::E);
    stage.clock.pass(secs(1000));
    assert_eq!(stage.balance(), 3.0);

    for _ in 0..2 {
        stage.policy.start().decide(&"down").unwrap();
    }
    stage.clock.pass(secs(1_000_000));
    assert_eq!(stage.balance(), 1.0);
}

#[test]
fn an_earlier_time_is_no_time_passed() {
    let stage = Stage::new(Budget::new().floor(3).ratio(1.0));
    for _ in 0..5 {
        stage.policy.call(|| Ok(())).unwrap();
    }
    stage.clock.back(secs(500));
    stage.holds(8.0);
    stage.policy.call(|| Ok(())).unwrap();
    stage.holds(9.0);
    stage.policy.start().decide(&"down").unwrap();
    stage.holds(8.0);
    stage.clock.pass(secs(500));
    stage.holds(8.0);
    stage.clock.pass(secs(10));
    stage.holds(3.0 + 5.0 / std::f64::consts::E);
}

/// Each success was older than the budget thought, and what it had lost since then stayed uncounted.
#[test]
fn short_times_between_successes_and_retries_add_up() {
    for parts in [500, 2_000, 2_048, 4_096, 16_384] {
        for tenth in 1..10 {
            let period = secs(10) / parts;
            let before_retry = period * tenth / 10;
            let stage = Stage::new(Budget::new().floor(3).ratio(1.0));
            let mut surplus: f64 = 0.0;
            for _ in 0..10 {
                stage.policy.call(|| Ok(())).unwrap();
                surplus += 1.0;
                stage.clock.pass(before_retry);
                surplus *= (-before_retry.as_secs_f64() / 10.0).exp();
                stage.policy.start().decide(&"down").unwrap();
                surplus -= 1.0;
                stage.clock.pass(period.saturating_sub(before_retry));
            }
            stage.holds(3.0 + surplus);
        }
    }
}

#[test]
fn budgets_under_different_clocks_do_not_disturb_each_other() {
    let (fast, slow) = (
        Stage::new(Budget::new().floor(3).ratio(1.0)),
        Stage::new(Budget::new().floor(3).ratio(1.0)),
    );
    for stage in [&fast, &slow] {
        stage.policy.call(|| Ok(())).unwrap();
    }
    fast.clock.pass(secs(1_000_000));
    slow.clock.back(secs(500));
    assert_eq!(fast.balance(), 3.0);
    slow.holds(4.0);
}

#[test]
fn a_success_at_the_first_try_counts_from_its_start_a_later_one_from_its_end() {
    let stage = Stage::new(Budget::new().floor(3).ratio(1.0));
    let decayed = |seconds: f64| (-seconds / 10.0_f64).exp();
    stage
        .policy
        .call(|| {
            stage.clock.pass(secs(5));
            Ok(())
        })
        .unwrap();
    stage.holds(3.0 + decayed(5.0));
    stage.clock.pass(secs(10_000));

    let mut failed = false;
    stage
        .policy
        .call(|| {
            stage.clock.pass(secs(5));
            if std::mem::replace(&mut failed, true) {
                Ok(())
            } else {
                down()
            }
        })
        .unwrap();
    // One taken, one added: without a surplus nothing decays.
    stage.holds(3.0);
}

#[test]
fn a_success_reads_the_clock_no_more_than_without_a_budget() {
    let stage = Stage::new(Budget::new().floor(3));
    let deadline = Retry::on::<&str>().timer(stage.clock.timer());
    let reads = |call: &dyn Fn()| {
        let before = stage.clock.reads();
        call();
        stage.clock.reads() - before
    };
    let plain = reads(&|| deadline.call(|| Ok(())).unwrap());
    assert_eq!(plain, 1);
    let with_both = deadline.clone().shared_budget(Arc::clone(&stage.budget));
    assert_eq!(reads(&|| with_both.call(|| Ok(())).unwrap()), plain);
    assert_eq!(reads(&|| stage.policy.call(|| Ok(())).unwrap()), 1);
    let polled = |policy: &Retry<&'static str>| {
        futures::executor::block_on(policy.call_async(|| ready(Ok(())))).unwrap();
    };
    assert_eq!(reads(&|| polled(&with_both)), reads(&|| polled(&deadline)));
    assert_eq!(reads(&|| polled(&stage.policy)), 1);
    stage.holds(3.0 + 4.0 * 0.2);
}

#[test]
fn a_future_dropped_in_its_wait_gives_its_token_back() {
    let stage = Stage::new(Budget::new().floor(3));
    {
        let mut call = pin!(stage.policy.call_async(|| ready(down())));
        assert!(poll(call.as_mut()).is_pending());
        stage.holds(2.0);
        stage.clock.pass(secs(1));
        // The second attempt was made, so its token is gone; the third's is on hold.
        assert!(poll(call.as_mut()).is_pending());
        stage.holds(1.0);
    }
    stage.holds(2.0);

    let mut attempts = stage.policy.start();
    {
        let mut again = pin!(attempts.again_async("down"));
        assert!(poll(again.as_mut()).is_pending());
        stage.holds(1.0);
    }
    stage.holds(2.0);
    assert_eq!(attempts.number(), 1);
    // Two futures that wait at once, and one of them is dropped.
    let mut first = Box::pin(stage.policy.call_async(|| ready(down())));
    let mut second = Box::pin(stage.policy.call_async(|| ready(down())));
    assert!(poll(first.as_mut()).is_pending());
    assert!(poll(second.as_mut()).is_pending());
    stage.holds(0.0);
    drop(first);
    stage.holds(1.0);
}

#[test]
fn an_attempt_that_began_has_spent_its_token() {
    let stage = Stage::new(Budget::new().floor(3));
    let began = AtomicBool::new(false);
    {
        let mut call = pin!(stage.policy.call_async(|| {
            let second = began.swap(true, Ordering::Relaxed);
            async move {
                if second {
                    std::future::pending().await
                } else {
                    down()
                }
            }
        }));
        assert!(poll(call.as_mut()).is_pending());
        stage.clock.pass(secs(1));
        assert!(poll(call.as_mut()).is_pending());
    }
    stage.holds(2.0);
    // So has one that panics, in its closure or in its future.
    for panics_at_once in [true, false] {
        let began = AtomicBool::new(false);
        let mut call = Box::pin(stage.policy.call_async(|| {
            let second = began.swap(true, Ordering::Relaxed);
            assert!(!(second && panics_at_once), "in the closure");
            async move {
                assert!(!second, "in the future");
                down()
            }
        }));
        assert!(poll(call.as_mut()).is_pending());
        stage.clock.pass(secs(1));
        panic_message(|| assert!(poll(call.as_mut()).is_pending()));
    }
    stage.holds(0.0);
}

#[test]
fn a_hook_that_panics_costs_no_token_beyond_its_retry() {
    struct Panics;
    impl Hook for Panics {
        fn retry_scheduled(&self, _: &RetryDetails<'_>) {
            panic!("a faulty hook");
        }
    }
    let stage = Stage::new(Budget::new().floor(3));
    let _guard = scoped_hooks([Arc::new(Panics) as Arc<dyn Hook>]);
    let report = stage.policy.clone().attempts(2).report(down);
    assert_eq!((report.attempts, report.result), (2, Err("down")));
    stage.holds(2.0);
}

#[test]
fn a_clock_that_panics_in_the_wait_gives_the_token_back() {
    struct Breaks(Instant);
    impl Clock for Breaks {
        fn now(&self) -> Instant {
            self.0
        }
        fn sleep(&self, _: Duration) -> Sleep {
            panic!("no timer")
        }
        fn sleep_blocking(&self, _: Duration) {
            panic!("no sleep")
        }
    }
    #[allow(clippy::disallowed_methods, reason = "an `Instant` to stand still at")]
    let clock = support::keep(Breaks(Instant::now()));
    let budget = Arc::new(Budget::new().floor(3));
    let policy = Retry::on::<&str>()
        .timer(Timer::custom(clock))
        .shared_budget(Arc::clone(&budget));
    assert_eq!(panic_message(|| policy.call(down).unwrap()), "no sleep");
    assert_eq!(budget.balance(clock.0), 3.0);
    let call = || assert!(poll(pin!(policy.call_async(|| ready(down())))).is_ready());
    assert_eq!(panic_message(call), "no timer");
    assert_eq!(budget.balance(clock.0), 3.0);
    assert_eq!(
        panic_message(|| policy.start().again("down").unwrap()),
        "no sleep"
    );
    assert_eq!(budget.balance(clock.0), 3.0);
}

#[test]
fn testing_mode_and_inactive_calls_neither_ask_nor_feed() {
    let stage = Stage::new(Budget::new().floor(1));
    {
        let _guard = testing::scoped(Testing::attempts(5));
        assert_eq!(stage.policy.report(down).attempts, 5);
        stage.policy.call(|| Ok(())).unwrap();
        stage.policy.start().succeed(());
        assert!(stage.policy.start().decide(&"down").is_ok());
    }
    assert_eq!(stage.balance(), 1.0);
    {
        let _guard = testing::inactive();
        assert_eq!(
            stage.policy.report(down).stop_reason,
            Some(StopReason::Inactive)
        );
        stage.policy.call(|| Ok(())).unwrap();
        stage.policy.start().succeed(());
    }
    assert_eq!(stage.balance(), 1.0);
}

#[test]
fn a_resumed_call_asks_and_feeds_like_any_other() {
    let stage = Stage::new(Budget::new().floor(1));
    let mut resumed = stage.policy.resume(3, secs(30));
    assert_eq!(resumed.decide(&"down"), Ok(secs(1)));
    assert_eq!(stage.balance(), 0.0);
    assert_eq!(resumed.decide(&"down"), Err(StopReason::BudgetExhausted));
    // A resumed call that succeeds has succeeded with a retry.
    for balance in [1.0, 1.2, 1.4] {
        stage.policy.resume(7, secs(1)).succeed(());
        assert_eq!(stage.balance(), balance);
    }
    assert_eq!(stage.policy.resume(7, secs(1)).decide(&"down"), Ok(secs(1)));
}

#[test]
fn one_budget_serves_policies_of_any_kind() {
    static SHARED: Budget = Budget::new().floor(2);
    static READ: Retry<&str> = Retry::on::<&str>()
        .budget(&SHARED)
        .wait_initial(Duration::ZERO)
        .wait_jitter(Duration::ZERO);
    static WRITE: Retry<String> = Retry::on::<String>()
        .budget(&SHARED)
        .wait_initial(Duration::ZERO)
        .wait_jitter(Duration::ZERO);
    assert_eq!(READ.clone().attempts(2).report(down).attempts, 2);
    let report = WRITE.report(|| Err::<(), _>(String::from("down")));
    assert_eq!(
        (report.attempts, report.stop_reason),
        (2, Some(StopReason::BudgetExhausted))
    );
    assert!(std::ptr::eq(
        READ.get_budget().unwrap(),
        WRITE.get_budget().unwrap()
    ));
}

#[test]
fn the_last_budget_that_was_set_counts() {
    static FIRST: Budget = Budget::new();
    let second = Arc::new(Budget::new());
    let policy = Retry::on::<()>()
        .budget(&FIRST)
        .shared_budget(Arc::clone(&second));
    assert!(std::ptr::eq(
        policy.get_budget().unwrap(),
        &raw const *second
    ));
    assert!(std::ptr::eq(
        policy.budget(&FIRST).get_budget().unwrap(),
        &raw const FIRST
    ));
}

#[test]
fn fresh_is_full_and_apart() {
    let stage = Stage::new(Budget::new().floor(5).ratio(1.0).named("five"));
    stage.policy.start().decide(&"down").unwrap();
    let other = Stage::new(stage.budget.fresh());
    assert_eq!((stage.balance(), other.balance()), (4.0, 5.0));
    other.policy.call(|| Ok(())).unwrap();
    other.holds(6.0);
    assert_eq!(format!("{:?}", other.budget), format!("{:?}", stage.budget));
}

#[test]
fn debug_prints_the_settings() {
    let budget = Budget::new().named("db");
    assert_eq!(
        format!("{budget:?}"),
        "Budget { name: Some(\"db\"), ratio: 0.2, decay: 10s, floor: 2, earned_after: None, .. }"
    );
}

#[test]
fn settings_out_of_range_are_refused() {
    #[track_caller]
    fn refused<T>(setting: impl FnOnce() -> T, message: &str) {
        assert_eq!(panic_message(|| drop(setting())), message);
    }
    for (ratio, shown) in [
        (0.0, "0"),
        (-0.0, "-0"),
        (-0.2, "-0.2"),
        (0.000_999, "0.000999"),
        (1.001, "1.001"),
        (20.0, "20"),
        (f64::NAN, "NaN"),
        (f64::INFINITY, "inf"),
    ] {
        let range = "but must be from 0.001 to 1 (0.2 allows one retry for five successes)";
        refused(
            || Budget::new().ratio(ratio),
            &format!("stamina: the `ratio` of a `Budget` is {shown}, {range}"),
        );
    }
    for (decay, shown) in [
        (Duration::ZERO, "0"),
        (Duration::from_nanos(999_999), "0.000999999"),
        (secs(86_400) + Duration::from_nanos(1), "86400.000000001"),
        (Duration::MAX, "1e18 or beyond"),
    ] {
        let range = "but must be from 0.001 s to 86400 s, a day (10 s is the default)";
        refused(
            || Budget::new().decay(decay),
            &format!("stamina: the `decay` of a `Budget` is {shown} s, {range}"),
        );
    }
    for floor in [1_000_001, u32::MAX] {
        let range = "but must be at most 1000000 (2 is the default)";
        refused(
            || Budget::new().floor(floor),
            &format!("stamina: the `floor` of a `Budget` is {floor}, {range}"),
        );
    }
    refused(
        || Budget::new().earned_after(Duration::ZERO),
        "stamina: `earned_after` of a `Budget` is 0, but must be longer (for no retries from the floor use `floor(0)`)",
    );
}

#[test]
fn settings_at_the_ends_of_their_ranges_work() {
    static MOST: Budget = Budget::new()
        .ratio(1.0)
        .decay(secs(86_400))
        .floor(1_000_000)
        .earned_after(Duration::MAX);
    static LEAST: Budget = Budget::new()
        .ratio(0.001)
        .decay(Duration::from_millis(1))
        .floor(0)
        .earned_after(Duration::from_nanos(1));
    let clock = ManualClock::new();
    for (budget, floor, ratio) in [(&MOST, 1e6, 1.0), (&LEAST, 0.0, 0.001)] {
        let policy = Retry::on::<()>()
            .budget(budget)
            .timer(clock.timer())
            .attempts(2);
        assert_eq!(budget.balance(clock.now()), floor);
        policy.call(|| Ok(())).unwrap();
        assert_eq!(budget.balance(clock.now()), floor + ratio);
        let decided = policy.start().decide(&());
        assert_eq!(decided.is_ok(), floor > 0.0);
        assert_eq!(
            budget.balance(clock.now()),
            if floor > 0.0 { 1e6 } else { 0.001 }
        );
    }
}

/// Calls once: so many failures, then a success.
fn succeed_after(policy: &Retry<&'static str>, failures: u32) {
    let mut left = failures;
    let result = policy.call(|| {
        if left == 0 {
            return Ok(());
        }
        left -= 1;
        down()
    });
    assert_eq!(result, Ok(()), "after {failures} failures");
}

#[test]
fn a_retry_that_succeeds_gives_its_token_back_below_the_floor() {
    // Balance before, failures before the success, balance after; floor 3 and ratio 0.5.
    for (before, failures, after) in [
        (3.0, 0, 3.5),
        // 2 + 0.5, refunded up to the floor.
        (3.0, 1, 3.0),
        (3.0, 2, 2.5),
        (3.0, 3, 1.5),
        (1.0, 0, 1.5),
        (1.0, 1, 1.5),
        (2.5, 1, 3.0),
        // 2.75 + 0.5 is above the floor: no refund.
        (3.5, 1, 3.0),
        (4.0, 1, 3.5),
        (4.0, 2, 3.0),
    ] {
        let stage = Stage::new(Budget::new().floor(3).ratio(0.5));
        while stage.balance() > before {
            stage.policy.start().decide(&"down").unwrap();
        }
        while stage.balance() < before {
            stage.policy.call(|| Ok(())).unwrap();
        }
        succeed_after(&stage.policy, failures);
        assert_eq!(stage.balance(), after, "{before} and {failures} failures");
    }
}

#[test]
fn a_slow_failure_is_only_retried_from_the_surplus() {
    let limit = Duration::from_millis(500);
    // Surplus in tokens, how long the failed attempt took, whether it is retried.
    for (surplus, took, retried) in [
        (0, 499, true),
        (0, 500, false),
        (0, 60_000, false),
        (1, 499, true),
        (1, 500, true),
    ] {
        let stage = Stage::new(Budget::new().ratio(0.5).earned_after(limit));
        let took = Duration::from_millis(took);
        let earn = || {
            for _ in 0..2 * surplus {
                stage.policy.call(|| Ok(())).unwrap();
            }
        };
        let fail = |times: u32| {
            let mut left = times;
            move |clock: &ManualClock| {
                clock.pass(took);
                left -= 1;
                if left > 0 { down() } else { Ok(()) }
            }
        };
        // The surplus is earned at the moment of the failure, so that none of it decays.
        let mut attempt = fail(2);
        let report = stage.policy.report(|| {
            let outcome = attempt(stage.clock);
            if outcome.is_err() {
                earn();
            }
            outcome
        });
        let reason = (!retried).then_some(StopReason::BudgetExhausted);
        assert_eq!(report.stop_reason, reason, "{surplus} {took:?}");

        let stage = Stage::new(Budget::new().ratio(0.5).earned_after(limit));
        let mut attempts = stage.policy.start();
        stage.clock.pass(took);
        for _ in 0..2 * surplus {
            stage.policy.call(|| Ok(())).unwrap();
        }
        assert_eq!(attempts.decide(&"down").is_ok(), retried);
    }
}

#[test]
fn every_attempt_is_measured_by_itself_and_without_its_waits() {
    let stage = Stage::new(Budget::new().floor(5).earned_after(secs(2)));
    let mut left = 3;
    let report = stage.policy.report(|| {
        // Together with a wait of 1 s it would be slow.
        stage.clock.pass(Duration::from_millis(1_500));
        left -= 1;
        if left > 0 { down() } else { Ok(()) }
    });
    assert_eq!((report.attempts, report.result), (3, Ok(())));

    let mut attempts = stage.policy.start();
    attempts.again("fast").unwrap();
    stage.clock.pass(secs(2));
    assert_eq!(attempts.again("slow"), Err("slow"));
    assert_eq!(attempts.stop_reason(), Some(StopReason::BudgetExhausted));

    // What a resumed call took elsewhere is not the attempt's.
    let mut attempts = stage.policy.resume(3, secs(500));
    assert_eq!(attempts.again("fast"), Ok(()));
}

#[test]
fn the_clock_is_read_for_each_attempt_only_with_earned_after() {
    let reads = |budget: Budget| {
        let stage = Stage::new(budget);
        let report = stage.policy.clone().attempts(3).report(down);
        assert_eq!(report.attempts, 3);
        stage.clock.reads()
    };
    let (without, with) = (
        reads(Budget::new()),
        reads(Budget::new().earned_after(secs(1))),
    );
    // At the end of each of the three attempts, and at the start of each of the two retries.
    assert_eq!(with, without + 5);
}

/// Starts `count` calls that wait for their first retry.
macro_rules! waiting {
    ($stage:expr, $count:expr) => {
        (0..$count)
            .map(|_| {
                let mut call = Box::pin($stage.policy.call_async(|| ready(down())));
                assert!(poll(call.as_mut()).is_pending());
                call
            })
            .collect::<Vec<_>>()
    };
}

#[test]
fn a_token_given_back_late_is_worth_what_it_would_be_by_then() {
    let stage = Stage::new(Budget::new().floor(3).ratio(1.0));
    for _ in 0..1000 {
        stage.policy.call(|| Ok(())).unwrap();
    }
    let calls = waiting!(stage, 500);
    stage.holds(503.0);
    stage.clock.pass(secs(100));
    stage.policy.call(|| Ok(())).unwrap();
    let decayed = (-10.0_f64).exp();
    stage.holds(4.0 + 500.0 * decayed);
    drop(calls);
    stage.holds(4.0 + 1000.0 * decayed);
}

#[test]
fn a_token_given_back_at_once_is_whole() {
    // Successes of 0.25 before the token is taken, and after.
    for (before, after) in [(0, 0), (1, 0), (3, 3), (40, 7)] {
        let stage = Stage::new(Budget::new().ratio(0.25));
        let succeed = |times| {
            for _ in 0..times {
                stage.policy.call(|| Ok(())).unwrap();
            }
        };
        succeed(before);
        let calls = waiting!(stage, 2);
        succeed(after);
        drop(calls);
        assert_eq!(stage.balance(), 2.0 + 0.25 * f64::from(before + after));
    }
}

#[test]
fn a_token_of_the_floor_is_given_back_whole_however_late() {
    let stage = Stage::new(Budget::new());
    let calls = waiting!(stage, 2);
    assert_eq!(stage.balance(), 0.0);
    stage.clock.pass(secs(1_000_000));
    drop(calls);
    assert_eq!(stage.balance(), 2.0);

    // What others have earned meanwhile fills the floor; then there is less for it to fill.
    let calls = waiting!(stage, 1);
    stage.clock.pass(secs(10));
    for _ in 0..3 {
        stage.policy.call(|| Ok(())).unwrap();
    }
    assert_eq!(stage.balance(), 1.6);
    drop(calls);
    stage.holds(2.0 + 0.6 * (-1.0_f64).exp());
}

#[test]
fn a_late_token_decays_on_from_the_latest_time_that_the_budget_saw() {
    let stage = Stage::new(Budget::new().ratio(1.0));
    for _ in 0..10 {
        stage.policy.call(|| Ok(())).unwrap();
    }
    let calls = waiting!(stage, 4);
    stage.holds(8.0);
    // Nobody reads the clock when they are dropped, and it makes no difference.
    stage.clock.pass(secs(10));
    drop(calls);
    stage.holds(2.0 + 10.0 / std::f64::consts::E);
}

#[test]
fn a_key_has_one_budget_and_other_keys_have_others() {
    static HOSTS: Budgets = Budgets::new();
    let clock = ManualClock::new();
    let fetch = |host: &str| {
        let policy = Retry::on::<&str>().timer(clock.timer());
        policy.budget(HOSTS.of(host)).start().decide(&"down")
    };
    assert!(fetch("a.example").is_ok() && fetch("a.example").is_ok());
    assert_eq!(fetch("a.example"), Err(StopReason::BudgetExhausted));
    assert!(fetch("b.example").is_ok());
    // By value or borrowed, as in a map.
    let owned = String::from("a.example");
    assert!(std::ptr::eq(HOSTS.of(&owned), HOSTS.of("a.example")));
    assert_eq!(HOSTS.of(&owned).balance(clock.now()), 0.0);
}

#[test]
fn keys_spread_evenly_over_all_slots() {
    fn counts<const N: usize>(
        budgets: &Budgets<N>,
        keys: impl Iterator<Item = String>,
    ) -> Vec<u32> {
        let mut counts = std::collections::HashMap::new();
        for key in keys {
            *counts
                .entry(std::ptr::from_ref(budgets.of(&key)))
                .or_insert(0) += 1;
        }
        counts.into_values().collect()
    }
    let budgets = Budgets::<64>::new();
    let hosts = (0..64_000).map(|number| format!("host-{number}.example"));
    let counts_of_64 = counts(&budgets, hosts);
    assert_eq!(counts_of_64.len(), 64);
    // 1,000 keys in each on average, with a standard deviation of 31.
    for count in counts_of_64 {
        assert!((850..1_150).contains(&count), "{count}");
    }
    let one = Budgets::<1>::new();
    assert_eq!(counts(&one, (0..9).map(|key| key.to_string())), [9]);
}

#[test]
fn the_odds_of_sharing_a_budget_are_as_documented() {
    let budgets = Budgets::<64>::new();
    let slot = |set: u32, key: u32| std::ptr::from_ref(budgets.of(&(set, key)));
    for (others, percent) in [(1, 1.6), (10, 14.6), (100, 79.3)] {
        let sets = 20_000;
        let shares = |set: &u32| (1..=others).any(|key| slot(*set, key) == slot(*set, 0));
        let count = (0..sets).filter(shares).count();
        let found = 100.0 * f64::from(u32::try_from(count).unwrap()) / f64::from(sets);
        assert!((found - percent).abs() < 1.0, "{found} %, not {percent} %");
    }
}

#[test]
fn budgets_of_a_kind_have_its_settings() {
    static SHARDS: Budgets<3> = Budgets::of_kind(
        Budget::new()
            .ratio(0.5)
            .decay(secs(7))
            .floor(9)
            .earned_after(secs(1))
            .named("shards"),
    );
    let settings = "Budget { name: Some(\"shards\"), ratio: 0.5, decay: 7s, floor: 9, earned_after: Some(1s), .. }";
    for key in 0..20 {
        assert_eq!(format!("{:?}", SHARDS.of(&key)), settings);
    }
    let all = format!("Budgets {{ slots: 3, kind: {settings} }}");
    assert_eq!(format!("{SHARDS:?}"), all);
    let default = format!("{:?}", Budget::new());
    assert_eq!(format!("{:?}", Budgets::<64>::default().of(&1)), default);
}

#[test]
fn threads_account_for_every_token() {
    const THREADS: u32 = 8;
    const ROUNDS: u32 = 2_000;
    let stage = Stage::new(Budget::new().floor(50).ratio(0.25));
    let retries = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (stage, retries) = (&stage, &retries);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    match (round + thread) % 4 {
                        0 => stage.policy.call(|| Ok(())).unwrap(),
                        1 => {
                            // Taken and given back, or denied.
                            let call = stage.policy.call_async(|| ready(down()));
                            let _: Poll<_> = poll(pin!(call));
                        }
                        _ => {
                            let granted = stage.policy.start().decide(&"down").is_ok();
                            retries.fetch_add(u32::from(granted), Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    let (successes, retries) = (THREADS * ROUNDS / 4, retries.into_inner());
    let earned = 50.0 + 0.25 * f64::from(successes);
    assert_eq!(stage.balance(), earned - f64::from(retries));
    // There was demand for far more, so all of it but a rest went.
    assert!((0.0..=earned).contains(&stage.balance()));
    assert!(f64::from(retries) > earned / 2.0, "{retries} of {earned}");
}

#[test]
fn threads_that_race_for_the_floor_get_no_more() {
    let stage = Stage::new(Budget::new().floor(100));
    let granted = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..100 {
                    let token = stage.policy.start().decide(&"down");
                    granted.fetch_add(u32::from(token.is_ok()), Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(granted.into_inner(), 100);
    assert_eq!(stage.balance(), 0.0);
}

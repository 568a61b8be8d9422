//! The budget's rules, through every driver that asks or feeds one. Its arithmetic is held against the formula in
//! `tests/heavy/tests/budget_properties.rs`, its threads in `tests/shuttle`.

#![allow(
    clippy::float_cmp,
    reason = "what is counted in whole fractions of a token is exact"
)]

mod scene;

use std::future::ready;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use scene::{Steered, Witness, panic_of, poll, secs};
use stamina::instrument::{Hook, RetryDetails, scoped_hooks};
use stamina::testing::{self, Testing};
use stamina::{Budget, Clock, Decision, Retry, Sleep, StopReason, Timer};

/// A policy with a budget on a clock that stands still, and waits of 1 s.
struct Stage {
    clock: &'static Steered,
    budget: Arc<Budget>,
    policy: Retry<&'static str>,
}

impl Stage {
    fn new(budget: Budget) -> Self {
        let (clock, budget) = (Steered::new(), Arc::new(budget));
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
    // Nor from when on time is counted, which shows in its steps of 10 ms.
    for (first, then) in (1..10).flat_map(|first| (1..10).map(move |then| (first, then))) {
        let clock = Steered::new();
        let [looked_at, even, alone] = [(); 3].map(|()| Arc::new(Budget::new().ratio(1.0)));
        assert_eq!(looked_at.balance(clock.now()), 3.0);
        // Takes a token and pays it back: there is no surplus yet, and so no time.
        let mut failed = false;
        let paid_back = Retry::on::<&str>()
            .timer(clock.timer())
            .waits(|_| Duration::ZERO)
            .wait_jitter(Duration::ZERO)
            .shared_budget(Arc::clone(&even));
        let once = || {
            if std::mem::replace(&mut failed, true) {
                Ok(())
            } else {
                down()
            }
        };
        paid_back.call(once).unwrap();
        clock.pass(Duration::from_millis(first));
        for budget in [&looked_at, &even, &alone] {
            let policy = Retry::on::<&str>().timer(clock.timer());
            let policy = policy.shared_budget(Arc::clone(budget));
            policy.call(|| Ok(())).unwrap();
        }
        for _ in 0..10 {
            clock.pass(Duration::from_millis(then));
            let now = clock.now();
            assert_eq!(looked_at.balance(now), alone.balance(now));
            assert_eq!(even.balance(now), alone.balance(now));
        }
    }
}

#[test]
fn a_success_at_the_first_try_adds_the_ratio_whoever_drives() {
    let stage = Stage::new(Budget::new().ratio(0.125));
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
fn a_call_succeeds_once() {
    let stage = Stage::new(Budget::new().ratio(0.5));
    let (witness, _guard) = Witness::here();
    let mut attempts = stage.policy.start();
    attempts.again("down").unwrap();
    assert_eq!((attempts.succeed(1), attempts.succeed(2)), (1, 2));
    stage.holds(2.5);
    assert_eq!(witness.short(), ["retry 1", "recovered 2"]);
}

#[test]
fn a_call_that_gave_up_has_not_succeeded() {
    let stage = Stage::new(Budget::new().ratio(0.5));
    let (witness, _guard) = Witness::here();
    let policy = (stage.policy.clone().attempts(2)).when(|error| *error != "gone");
    let mut attempts = policy.start();
    attempts.again("down").unwrap();
    assert_eq!(attempts.again("down"), Err("down"));
    assert_eq!(attempts.succeed("a fallback"), "a fallback");
    stage.holds(2.0);
    assert_eq!(witness.short(), ["retry 1", "gave up 2 attempts_exhausted"]);

    // A permanent error is an answer, which the caller may well take for a success.
    let mut attempts = policy.start();
    assert_eq!(attempts.again("gone"), Err("gone"));
    attempts.succeed(());
    stage.holds(2.5);
}

#[test]
fn a_success_after_retries_adds_the_ratio_once_and_each_retry_takes_one() {
    let stage = Stage::new(Budget::new().ratio(0.5));
    let mut failures = 2;
    let result = stage.policy.call(|| {
        failures -= 1;
        if failures < 0 { Ok(()) } else { down() }
    });
    assert_eq!(result, Ok(()));
    stage.holds(3.0 - 2.0 + 0.5);
}

#[test]
fn permanent_errors_neither_add_nor_take() {
    let stage = Stage::new(Budget::new());
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
    let stage = Stage::new(Budget::new());
    let (witness, _guard) = Witness::here();
    assert_eq!(stage.policy.clone().attempts(1).call(down), Err("down"));
    let late = stage.policy.clone().timeout(secs(1));
    assert_eq!(late.call(down), Err("down"));
    let told = ["gave up 1 attempts_exhausted", "gave up 1 timed_out"];
    assert_eq!(witness.short(), told);
    assert_eq!(stage.balance(), 3.0);
}

#[test]
fn a_denied_retry_ends_the_call_at_once_with_its_error() {
    let stage = Stage::new(Budget::new().floor(2));
    let (witness, _guard) = Witness::here();

    let mut errors = ["first", "second", "third"].into_iter();
    let report = stage.policy.report(|| Err::<(), _>(errors.next().unwrap()));

    assert_eq!(report.result, Err("third"));
    assert_eq!((report.attempts, report.waited), (3, secs(2)));
    assert_eq!(report.stop_reason, Some(StopReason::BudgetExhausted));
    assert_eq!(stage.clock.slept(), [secs(1), secs(1)]);
    assert_eq!(
        witness.short(),
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
    assert_eq!(witness.short(), ["gave up 1 budget_exhausted"; 4]);
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
    let stage = Stage::new(Budget::new().ratio(1.0));
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
    let stage = Stage::new(Budget::new().ratio(1.0));
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

#[test]
fn budgets_under_different_clocks_do_not_disturb_each_other() {
    let (fast, slow) = (
        Stage::new(Budget::new().ratio(1.0)),
        Stage::new(Budget::new().ratio(1.0)),
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
    let stage = Stage::new(Budget::new().ratio(1.0));
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
    let stage = Stage::new(Budget::new());
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
    let stage = Stage::new(Budget::new());
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
    let stage = Stage::new(Budget::new());
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
        panic_of(|| assert!(poll(call.as_mut()).is_pending()));
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
    let stage = Stage::new(Budget::new());
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
    let clock = scene::keep(Breaks(Instant::now()));
    let budget = Arc::new(Budget::new());
    let policy = Retry::on::<&str>()
        .timer(Timer::custom(clock))
        .shared_budget(Arc::clone(&budget));
    assert_eq!(panic_of(|| policy.call(down).unwrap()), "no sleep");
    assert_eq!(budget.balance(clock.0), 3.0);
    let call = || assert!(poll(pin!(policy.call_async(|| ready(down())))).is_ready());
    assert_eq!(panic_of(call), "no timer");
    assert_eq!(budget.balance(clock.0), 3.0);
    assert_eq!(
        panic_of(|| policy.start().again("down").unwrap()),
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
    for _ in 0..5 {
        stage.policy.resume(7, secs(1)).succeed(());
    }
    assert_eq!(stage.balance(), 1.0);
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
        "Budget { name: Some(\"db\"), ratio: 0.2, decay: 10s, floor: 3, .. }"
    );
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let range =
        "but must be greater than 0 and at most 1 (0.2 allows one retry for five successes)";
    for (ratio, told) in [
        (0.0, "0"),
        (-0.0, "-0"),
        (-0.2, "-0.2"),
        (1.5, "1.5"),
        (20.0, "20"),
        (f64::NAN, "NaN"),
        (f64::INFINITY, "inf"),
    ] {
        let message = panic_of(|| drop(Budget::new().ratio(ratio)));
        assert_eq!(
            message,
            format!("stamina: the `ratio` of a `Budget` is {told}, {range}")
        );
    }
    assert_eq!(
        panic_of(|| drop(Budget::new().decay(Duration::ZERO))),
        "stamina: the `decay` of a `Budget` is 0, but must be longer (10 s is the default)"
    );
}

#[test]
fn extreme_settings_are_legal() {
    static MOST: Budget = Budget::new()
        .ratio(1.0)
        .decay(Duration::MAX)
        .floor(u32::MAX);
    static LEAST: Budget = Budget::new()
        .ratio(f64::MIN_POSITIVE)
        .decay(Duration::from_nanos(1))
        .floor(0);
    let clock = Steered::new();
    for (budget, floor) in [(&MOST, f64::from(u32::MAX)), (&LEAST, 0.0)] {
        let policy = Retry::on::<()>()
            .budget(budget)
            .timer(clock.timer())
            .attempts(2);
        assert_eq!(budget.balance(clock.now()), floor);
        let asked = policy.start().decide(&());
        assert_eq!(asked.is_ok(), floor > 0.0);
        policy.call(|| Ok(())).unwrap();
        assert!((budget.balance(clock.now()) - floor).abs() <= 1.0);
    }
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

//! The switches for tests: process-wide and scoped.
//!
//! Alone in its process: it changes the switches of the process.
#![allow(
    clippy::cast_possible_truncation,
    reason = "counts of a test are small"
)]

mod support;

use futures::executor::block_on;
use stamina::testing::{self, Scope, Testing, is_testing, set_testing};
use stamina::{Budget, Retry, StopReason, Timer, is_active, set_active};
use std::future::ready;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use support::{Recorder, clock, panic_message};

/// Every test of this file switches the process, or would notice.
struct Alone(#[allow(dead_code, reason = "held")] MutexGuard<'static, ()>);

fn alone() -> Alone {
    static ALONE: Mutex<()> = Mutex::new(());
    Alone(support::lock(&ALONE))
}

impl Drop for Alone {
    fn drop(&mut self) {
        set_active(true);
        set_testing(None);
    }
}

/// Attempts and waits of a call that is made now; 5 attempts is what the policy says.
fn attempts() -> u32 {
    let clock = clock();
    let policy = Retry::on::<()>().attempts(5).timer(Timer::custom(clock));
    let report = policy.report(|| Err::<(), _>(()));
    let inactive = report.stop_reason == Some(StopReason::Inactive);
    assert_eq!(inactive, !is_active());
    assert_eq!(clock.waits().len() as u32, report.attempts - 1);
    if is_testing() {
        assert_eq!(report.waited, Duration::ZERO);
    } else if report.attempts > 1 {
        assert!(report.waited > Duration::ZERO);
    }
    report.attempts
}

#[test]
fn the_process_can_be_switched_off_and_on() {
    let _alone = alone();
    assert_eq!((is_active(), attempts()), (true, 5));
    for active in [false, false, true, true, false, true] {
        set_active(active);
        assert_eq!(
            (is_active(), attempts()),
            (active, if active { 5 } else { 1 })
        );
    }
    set_active(false);
    std::thread::spawn(|| assert_eq!((is_active(), attempts()), (false, 1)))
        .join()
        .unwrap();
}

#[test]
fn the_process_can_be_put_to_testing_and_back() {
    let _alone = alone();
    assert!(!is_testing());
    set_testing(Some(Testing::attempts(3)));
    set_testing(Some(Testing::attempts(2)));
    assert_eq!((is_testing(), attempts()), (true, 2));
    std::thread::spawn(|| assert_eq!((is_testing(), attempts()), (true, 2)))
        .join()
        .unwrap();
    // Inactive beats testing, whichever came first.
    set_active(false);
    assert_eq!((is_testing(), is_active(), attempts()), (false, false, 1));
    set_testing(Some(Testing::attempts(7)));
    assert_eq!(attempts(), 1);
    set_active(true);
    assert_eq!((is_testing(), attempts()), (true, 7));
    set_testing(None);
    assert_eq!((is_testing(), attempts()), (false, 5));
}

#[test]
fn testing_replaces_or_caps_the_attempts() {
    let _alone = alone();
    #[track_caller]
    fn makes(testing: Testing, own: Option<u32>, attempts: u32) {
        let _guard = testing::scoped(testing);
        let settings = stamina::Settings {
            attempts: own,
            ..stamina::Settings::DEFAULT
        };
        let report = Retry::on::<()>()
            .with_settings(settings)
            .report(|| Err::<(), _>(()));
        assert_eq!((report.attempts, report.waited), (attempts, Duration::ZERO));
    }
    makes(Testing::attempts(3), Some(10), 3);
    makes(Testing::attempts(30), Some(10), 30);
    makes(Testing::attempts(1), None, 1);
    makes(Testing::attempts(3).capped(), Some(10), 3);
    makes(Testing::attempts(30).capped(), Some(10), 10);
    makes(Testing::attempts(10).capped(), Some(10), 10);
    makes(Testing::attempts(4).capped(), None, 4);
}

#[test]
fn testing_ignores_time_and_budget_but_not_predicate_and_hooks() {
    let _alone = alone();
    let budget = Arc::new(Budget::new());
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let clock = clock();
    let policy = Retry::on::<u32>()
        .timeout(Duration::ZERO)
        .shared_budget(Arc::clone(&budget))
        .timer(Timer::custom(clock))
        .when(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            Duration::from_secs(1000)
        });
    let _guard = testing::scoped(Testing::attempts(7));
    let (recorder, _hooks) = Recorder::here();
    assert_eq!(policy.call(|| Err::<(), _>(1)), Err(1));
    assert_eq!(asked.load(Ordering::Relaxed), 7);
    assert_eq!(recorder.take().len(), 7);
    assert_eq!(policy.call(|| Ok(())), Ok(()));
    assert_eq!(
        (clock.elapsed(), clock.waits()),
        (Duration::ZERO, vec![Duration::ZERO; 6])
    );
    let balance = budget.balance(stamina::Clock::now(clock));
    assert!((balance - 2.0).abs() < 1e-9, "{balance}");
}

#[test]
fn inactive_is_a_plain_call() {
    let _alone = alone();
    let budget = Arc::new(Budget::new());
    let clock = clock();
    let policy = Retry::on::<u32>()
        .shared_budget(Arc::clone(&budget))
        .timer(Timer::custom(clock))
        .on_retry(|_, _| panic!("told"))
        .when(|_| -> bool { panic!("asked") });
    let (recorder, _hooks) = Recorder::here();
    let _off = testing::inactive();
    assert_eq!(policy.call(|| Err::<(), _>(1)), Err(1));
    assert_eq!(policy.call(|| Ok(2)), Ok(2));
    assert_eq!(
        block_on(policy.call_async(|| ready(Err::<(), _>(1)))),
        Err(1)
    );
    assert_eq!(policy.wrap(|()| Err::<(), _>(1))(()), Err(1));
    let mut attempts = policy.start();
    assert_eq!(attempts.next_wait(), None);
    assert_eq!(attempts.again(1), Err(1));
    assert_eq!(attempts.stop_reason(), Some(StopReason::Inactive));
    attempts.succeed(());
    assert!(recorder.take().is_empty() && clock.waits().is_empty());
    assert!((budget.balance(stamina::Clock::now(clock)) - 2.0).abs() < 1e-9);
}

#[test]
fn scopes_are_of_one_thread() {
    let _alone = alone();
    let _guard = testing::scoped(Testing::attempts(2));
    assert_eq!(attempts(), 2);
    std::thread::spawn(|| {
        assert_eq!((is_testing(), attempts()), (false, 5));
        let _off = testing::inactive();
        assert_eq!(attempts(), 1);
    })
    .join()
    .unwrap();
    assert_eq!(attempts(), 2);
}

#[test]
fn the_innermost_scope_is_the_whole_mode() {
    let _alone = alone();
    let says = |active, testing, made| {
        assert_eq!(
            (is_active(), is_testing(), attempts()),
            (active, testing, made)
        );
    };
    says(true, false, 5);
    {
        let _testing = testing::scoped(Testing::attempts(2));
        says(true, true, 2);
        {
            let _off = testing::inactive();
            says(false, false, 1);
            {
                let _testing = testing::scoped(Testing::attempts(3));
                says(true, true, 3);
                let _normal = testing::normal();
                says(true, false, 5);
            }
            says(false, false, 1);
        }
        says(true, true, 2);
    }
    says(true, false, 5);
}

#[test]
fn scopes_win_over_the_process() {
    let _alone = alone();
    set_active(false);
    {
        let _testing = testing::scoped(Testing::attempts(3));
        assert_eq!((is_active(), attempts()), (true, 3));
        let _normal = testing::normal();
        assert_eq!((is_active(), attempts()), (true, 5));
    }
    assert_eq!(attempts(), 1);
    set_active(true);
    set_testing(Some(Testing::attempts(2)));
    {
        let _off = testing::inactive();
        assert_eq!(attempts(), 1);
        let _normal = testing::normal();
        assert_eq!(attempts(), 5);
        // Switching the process inside a scope shows after it.
        set_testing(Some(Testing::attempts(4)));
        assert_eq!(attempts(), 5);
    }
    assert_eq!(attempts(), 4);
}

#[test]
fn scopes_may_be_left_in_any_order() {
    let _alone = alone();
    let enter = |n| testing::scoped(Testing::attempts(n));
    let orders: [[usize; 4]; 5] = [
        [0, 1, 2, 3],
        [3, 2, 1, 0],
        [1, 3, 0, 2],
        [2, 0, 3, 1],
        [0, 3, 1, 2],
    ];
    for order in orders {
        let mut scopes: Vec<Option<Scope>> = (0..4).map(|n| Some(enter(n + 10))).collect();
        for left in order {
            scopes[left] = None;
            let innermost = scopes.iter().rposition(Option::is_some);
            assert_eq!(
                attempts(),
                innermost.map_or(5, |n| u32::try_from(n).unwrap() + 10),
                "{order:?}"
            );
        }
    }
    // One that is entered after another was left early.
    let (first, second) = (enter(10), enter(11));
    drop(first);
    let third = enter(12);
    drop(second);
    assert_eq!(attempts(), 12);
    drop(third);
    assert_eq!(attempts(), 5);
}

#[test]
fn a_panic_restores() {
    let _alone = alone();
    let message = panic_message(|| {
        let _testing = testing::scoped(Testing::attempts(2));
        let _off = testing::inactive();
        let _: Result<(), ()> = Retry::on().call(|| panic!("in the operation"));
    });
    assert_eq!(message, "in the operation");
    assert_eq!((is_active(), is_testing(), attempts()), (true, false, 5));
    let thread = std::thread::spawn(|| {
        std::mem::forget(testing::inactive());
        panic!("a thread that ends in a scope");
    });
    assert!(thread.join().is_err());
    assert_eq!(attempts(), 5);
}

#[test]
fn a_future_keeps_the_mode_it_was_made_in() {
    let _alone = alone();
    let policy = Retry::on::<u32>().attempts(5).timer(Timer::custom(clock()));
    let wrapped = policy.wrap_async(|()| ready(Err::<(), _>(1)));
    let calls = AtomicU32::new(0);
    let operation = || {
        calls.fetch_add(1, Ordering::Relaxed);
        ready(Err::<(), _>(1))
    };
    let mut lent = 0;
    let guard = testing::scoped(Testing::attempts(3));
    let future = policy.call_async(operation);
    let report = policy.report_async(operation);
    let of_wrapped = wrapped(());
    let cut = policy
        .call_async(operation)
        .attempt_timeout(Duration::from_secs(1), || 2);
    let with = policy.call_async_with(&mut lent, async |lent: &mut u32| {
        *lent += 1;
        Err::<(), _>(1)
    });
    let mut block = policy.start();
    drop(guard);
    std::thread::scope(|threads| {
        threads.spawn(move || {
            let _off = testing::inactive();
            assert_eq!(block_on(report).attempts, 3);
            assert_eq!(block_on(future), Err(1));
            assert_eq!(block_on(cut), Err(1));
            assert_eq!(block_on(with), Err(1));
            assert_eq!(block_on(of_wrapped), Err(1));
        });
    });
    assert_eq!((calls.load(Ordering::Relaxed), lent), (3 * 3, 3));
    assert_eq!(std::iter::from_fn(|| block.again(1).ok()).count(), 2);
    // And one that is made outside of a scope keeps out of it.
    let future = policy.report_async(operation);
    let _off = testing::inactive();
    assert_eq!(block_on(future).attempts, 5);
    // Read once, when the call is made.
    set_active(false);
    let _normal = testing::normal();
    let report = policy.report(|| {
        set_active(true);
        Err::<(), _>(1)
    });
    assert_eq!(report.attempts, 5);
}

#[test]
fn the_switch_is_read_once() {
    let _alone = alone();
    let policy = Retry::on::<u32>().attempts(5).timer(Timer::custom(clock()));
    let report = policy.report(|| {
        set_active(false);
        Err::<(), _>(1)
    });
    assert_eq!(report.attempts, 5);
    let report = policy.report(|| {
        set_active(true);
        Err::<(), _>(1)
    });
    assert_eq!(report.attempts, 1);
}

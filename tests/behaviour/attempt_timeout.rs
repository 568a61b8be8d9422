//! `attempt_timeout` as a setting of the policy, in every driver for async attempts.

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::support::drivers::{Attempt, Cutting, cutting_drivers};
use crate::support::{ManualClock, Recorder, at_once, keep, lock, ms, poll, secs};
use stamina::testing::{self, Testing};
use stamina::{Clock, Retry, Settings, Sleep, StopReason, Timer};

fn hangs() -> Attempt {
    Box::pin(pending())
}

/// A call under way, polled by hand.
type Call<'a> = Pin<Box<dyn Future<Output = Result<u8, &'static str>> + 'a>>;

fn is_pending(call: &mut Call<'_>) -> bool {
    poll(call.as_mut()).is_pending()
}

fn policy(clock: &'static ManualClock) -> Retry<&'static str> {
    Retry::on::<&str>().fixed(secs(1)).timer(clock.timer())
}

#[test]
fn each_attempt_that_hangs_is_cut_and_retried() {
    for (name, driver) in cutting_drivers() {
        let clock = ManualClock::new();
        let policy = Cutting::after(secs(3), policy(clock).attempts(3));
        let made = Cell::new(0);
        let operation = || {
            made.set(made.get() + 1);
            hangs()
        };
        let mut call = driver(&policy, &operation);
        for attempt in 1..=3 {
            assert!(is_pending(&mut call), "{name}");
            clock.pass(secs(3) - Duration::from_nanos(1));
            assert!(
                is_pending(&mut call),
                "{name}: attempt {attempt} is cut too early"
            );
            clock.pass(Duration::from_nanos(1));
            if attempt < 3 {
                assert!(is_pending(&mut call), "{name}: the wait");
                assert_eq!(made.get(), attempt, "{name}");
                clock.pass(secs(1));
            }
        }
        assert_eq!(poll(call.as_mut()), Poll::Ready(Err("slow")), "{name}");
        assert_eq!(made.get(), 3, "{name}");
        assert_eq!(clock.slept(), [3, 1, 3, 1, 3].map(secs), "{name}");
    }
}

#[test]
fn an_attempt_that_ends_in_time_is_not_cut() {
    for (name, driver) in cutting_drivers() {
        let clock = ManualClock::new();
        let policy = Cutting::after(secs(3), policy(clock));
        let start = clock.now();
        let operation = || -> Attempt {
            Box::pin(async move {
                let passed = || clock.now().duration_since(start) >= secs(2);
                std::future::poll_fn(|_| {
                    if passed() {
                        Poll::Ready(())
                    } else {
                        Poll::Pending
                    }
                })
                .await;
                Ok(7)
            })
        };
        let mut call = driver(&policy, &operation);
        assert!(is_pending(&mut call), "{name}");
        clock.pass(secs(2));
        assert_eq!(poll(call.as_mut()), Poll::Ready(Ok(7)), "{name}");
        drop(call);
        // Ready at once, none arms a timer.
        let before = clock.slept().len();
        assert_eq!(
            at_once(driver(&policy, &|| Box::pin(async { Ok(8) }))),
            Ok(8),
            "{name}"
        );
        assert_eq!(clock.slept().len(), before, "{name}");
    }
}

#[test]
fn the_deadline_cuts_if_it_comes_first() {
    for (name, driver) in cutting_drivers() {
        let clock = ManualClock::new();
        let policy = Cutting::after(secs(10), policy(clock).timeout(secs(15)));
        let mut call = driver(&policy, &hangs);
        assert!(is_pending(&mut call), "{name}");
        clock.pass(secs(10));
        assert!(is_pending(&mut call), "{name}: the wait");
        clock.pass(secs(1));
        assert!(is_pending(&mut call), "{name}: the second attempt");
        clock.pass(secs(4));
        assert_eq!(poll(call.as_mut()), Poll::Ready(Err("slow")), "{name}");
        assert_eq!(clock.slept(), [10, 1, 4].map(secs), "{name}");
    }
}

#[test]
fn in_testing_mode_and_switched_off_the_limit_holds_and_the_deadline_does_not() {
    for (name, driver) in cutting_drivers() {
        for off in [true, false] {
            let _mode = if off {
                testing::inactive()
            } else {
                testing::scoped(Testing::attempts(1))
            };
            let clock = ManualClock::new();
            let policy = Cutting::after(secs(10), policy(clock).timeout(secs(2)));
            let mut call = driver(&policy, &hangs);
            assert!(is_pending(&mut call), "{name}");
            clock.pass(secs(9));
            assert!(is_pending(&mut call), "{name}: cut by the deadline");
            clock.pass(secs(1));
            assert_eq!(poll(call.as_mut()), Poll::Ready(Err("slow")), "{name}");
        }
    }
}

/// Notes when it is dropped.
struct Noted<'a>(&'static str, &'a RefCell<Vec<&'static str>>);

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        self.1.borrow_mut().push(self.0);
    }
}

#[test]
fn a_cut_attempt_is_dropped_before_the_predicate_is_asked_and_before_the_wait() {
    let clock = ManualClock::new();
    let dropped = Arc::new(AtomicU32::new(0));
    struct Counts(Arc<AtomicU32>);
    impl Drop for Counts {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    for (name, driver) in cutting_drivers() {
        dropped.store(0, Ordering::Relaxed);
        let policy = Cutting::after(secs(3), policy(clock).attempts(2));
        let operation = || -> Attempt {
            let held = Counts(Arc::clone(&dropped));
            Box::pin(async move {
                let _held = held;
                pending().await
            })
        };
        let mut call = driver(&policy, &operation);
        assert!(is_pending(&mut call), "{name}");
        clock.pass(secs(3));
        assert!(is_pending(&mut call), "{name}");
        assert_eq!(dropped.load(Ordering::Relaxed), 1, "{name}: in the wait");
        clock.pass(secs(1));
        assert!(is_pending(&mut call), "{name}");
        assert_eq!(
            dropped.load(Ordering::Relaxed),
            1,
            "{name}: in the second attempt"
        );
        drop(call);
        assert_eq!(
            dropped.load(Ordering::Relaxed),
            2,
            "{name}: dropped with its call"
        );
    }
    let order = RefCell::new(Vec::new());
    let policy = Retry::on::<&str>().attempts(1).timer(clock.timer());
    let call = policy.call_async(|| {
        let held = Noted("attempt", &order);
        async move {
            let _held = held;
            pending::<Result<(), &str>>().await
        }
    });
    let noted = || {
        order.borrow_mut().push("error");
        "slow"
    };
    let mut call = Box::pin(call.attempt_timeout(secs(1), noted));
    assert!(poll(call.as_mut()).is_pending());
    clock.pass(secs(1));
    assert!(poll(call.as_mut()).is_ready());
    assert!(order.borrow().contains(&"attempt") && order.borrow().contains(&"error"));
}

/// Counts the sleeps that are alive.
#[derive(Debug)]
struct Counting(&'static ManualClock, Arc<AtomicU32>);

impl Clock for Counting {
    fn now(&self) -> Instant {
        self.0.now()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        struct Alive(Arc<AtomicU32>);
        impl Drop for Alive {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        self.1.fetch_add(1, Ordering::Relaxed);
        let alive = Alive(Arc::clone(&self.1));
        let sleep = self.0.sleep(duration);
        Sleep::boxed(async move {
            let _alive = alive;
            sleep.await;
        })
    }

    fn sleep_blocking(&self, duration: Duration) {
        self.0.sleep_blocking(duration);
    }
}

/// A policy whose attempts are cut after 3 s, and how many of its sleeps are alive.
fn counting_sleeps(clock: &'static ManualClock) -> (Cutting, impl Fn() -> u32) {
    let alive = Arc::new(AtomicU32::new(0));
    let counting = keep(Counting(clock, Arc::clone(&alive)));
    let policy = policy(clock).attempts(2).timer(Timer::custom(counting));
    (Cutting::after(secs(3), policy), move || {
        alive.load(Ordering::Relaxed)
    })
}

#[test]
fn the_timer_of_an_attempt_is_gone_when_the_attempt_has_ended() {
    for (name, driver) in cutting_drivers() {
        let clock = ManualClock::new();
        let (policy, alive) = counting_sleeps(clock);
        let mut call = driver(&policy, &hangs);
        assert!(is_pending(&mut call));
        assert_eq!(alive(), 1, "{name}: the attempt's");
        clock.pass(secs(3));
        assert!(is_pending(&mut call));
        assert_eq!(alive(), 1, "{name}: the wait's alone");
        clock.pass(secs(1));
        assert!(is_pending(&mut call));
        assert_eq!(alive(), 1, "{name}: the second attempt's alone");
        clock.pass(secs(3));
        assert!(poll(call.as_mut()).is_ready());
        drop(call);
        assert_eq!(alive(), 0, "{name}");
    }
}

#[test]
fn the_timer_of_an_attempt_that_fails_in_time_is_gone_in_the_wait() {
    for (name, driver) in cutting_drivers() {
        let (policy, alive) = counting_sleeps(ManualClock::new());
        let operation = || -> Attempt {
            let mut polled = false;
            Box::pin(std::future::poll_fn(move |_| {
                if std::mem::replace(&mut polled, true) {
                    Poll::Ready(Err("down"))
                } else {
                    Poll::Pending
                }
            }))
        };
        let mut call = driver(&policy, &operation);
        assert!(is_pending(&mut call), "{name}");
        assert_eq!(alive(), 1, "{name}: the attempt's");
        assert!(is_pending(&mut call), "{name}");
        assert_eq!(alive(), 1, "{name}: the wait's alone");
    }
}

#[test]
fn a_cut_attempt_is_a_failure_like_any_other() {
    let clock = ManualClock::new();
    let (recorder, _hooks) = Recorder::here();
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    let policy = policy(clock)
        .attempt_timeout(secs(3), || "slow")
        .when(move |error| {
            lock(&kept).push(*error);
            *error != "slow"
        });
    let mut call = Box::pin(policy.report_async(hangs));
    assert!(poll(call.as_mut()).is_pending());
    clock.pass(secs(3));
    let Poll::Ready(report) = poll(call.as_mut()) else {
        panic!("it goes on");
    };
    assert_eq!(report.stop_reason, Some(StopReason::NotRetryable));
    assert_eq!((report.attempts, report.elapsed), (1, secs(3)));
    assert_eq!(*lock(&seen), ["slow"]);
    assert!(recorder.take().is_empty());
}

#[test]
fn an_attempt_that_was_cut_was_not_healthy() {
    for (name, driver) in cutting_drivers() {
        let clock = ManualClock::new();
        let policy = policy(clock).attempts(2).reset_after(secs(2));
        let policy = Cutting::after(secs(3), policy);
        let mut call = driver(&policy, &hangs);
        assert!(is_pending(&mut call), "{name}");
        clock.pass(secs(3));
        assert!(is_pending(&mut call), "{name}: the wait");
        clock.pass(secs(1));
        assert!(is_pending(&mut call), "{name}: the second attempt");
        clock.pass(secs(3));
        assert_eq!(poll(call.as_mut()), Poll::Ready(Err("slow")), "{name}");
    }
}

/// A code block and tower's layer took an attempt that the deadline had cut for a healthy one: such a call never ended.
#[test]
fn an_attempt_that_the_deadline_cut_was_not_healthy() {
    for (name, driver) in cutting_drivers() {
        let clock = ManualClock::new();
        let policy = policy(clock).timeout(secs(5)).reset_after(secs(2));
        let policy = Cutting::after(secs(60), policy);
        let mut call = driver(&policy, &hangs);
        assert!(is_pending(&mut call), "{name}");
        clock.pass(secs(5));
        assert_eq!(poll(call.as_mut()), Poll::Ready(Err("slow")), "{name}");
    }
}

#[test]
fn settings_carry_it_to_a_policy_that_has_an_error_for_it() {
    let settings = Settings {
        attempt_timeout: Some(ms(1500)),
        ..Settings::DEFAULT
    };
    let clock = ManualClock::new();
    let policy = Retry::on::<&str>()
        .attempt_timeout(secs(60), || "slow")
        .with_settings(settings)
        .attempts(1)
        .timer(clock.timer());
    assert_eq!(policy.settings().attempt_timeout, Some(ms(1500)));
    let mut call = Box::pin(policy.call_async(hangs));
    assert!(poll(call.as_mut()).is_pending());
    clock.pass(ms(1500));
    assert_eq!(poll(call.as_mut()), Poll::Ready(Err("slow")));
    // None in the settings switches it off.
    let policy = policy.with_settings(Settings::DEFAULT);
    assert_eq!(policy.settings().attempt_timeout, None);
    let mut call = Box::pin(policy.call_async(hangs));
    assert!(poll(call.as_mut()).is_pending());
    clock.pass(secs(3600));
    assert!(poll(call.as_mut()).is_pending());
}

#[test]
fn blocking_attempts_are_not_cut() {
    let clock = ManualClock::new();
    let policy = policy(clock).attempt_timeout(secs(1), || "slow");
    let long = || {
        clock.pass(secs(30));
        Ok::<_, &str>(7)
    };
    assert_eq!(policy.call(long), Ok(7));
    assert_eq!(policy.wrap(|()| long())(()), Ok(7));
}

/// Sessions that outlast what would have cut an async one counted as hung, so the first lost connection ended the call.
#[test]
fn blocking_sessions_are_healthy_however_long() {
    for session in [secs(30), secs(300)] {
        let clock = ManualClock::new();
        let set = policy(clock)
            .attempts(2)
            .timeout(secs(100))
            .attempt_timeout(secs(20), || "slow")
            .reset_after(secs(10));
        let sessions = Cell::new(0);
        let run = || {
            sessions.set(sessions.get() + 1);
            if sessions.get() <= 5 {
                clock.pass(session);
            }
            Err::<(), _>("lost")
        };
        // The last healthy session and the attempt after it are the two of one call.
        assert_eq!(set.call(run), Err("lost"));
        assert_eq!(sessions.replace(0), 6);
        let report = set.report(run);
        assert_eq!(
            (report.stop_reason, sessions.replace(0)),
            (Some(StopReason::AttemptsExhausted), 6)
        );
        assert_eq!(set.wrap(|()| run())(()), Err("lost"));
        assert_eq!(sessions.get(), 6);
    }
}

//! Faults from outside: what breaks round a call must neither hang it nor lose the caller's error.
//!
//! Alone in its process: it installs a logger that is broken, and limits the memory and the threads of its process.

#![cfg_attr(
    not(feature = "log"),
    allow(unused_imports, reason = "the logger's tests need them")
)]

mod support;

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

use stamina::instrument::{Hook, RetryDetails, scoped_hooks};
use stamina::testing::{self, Testing, VirtualClock};
use stamina::{Budget, Clock, Retry, Sleep, StopReason, Timer};

/// A policy that is not used up by its waits, on a clock of its own.
fn policy() -> (Retry<&'static str>, &'static VirtualClock) {
    let clock = support::clock();
    (
        Retry::on::<&str>().attempts(3).timer(Timer::custom(clock)),
        clock,
    )
}

/// The call is made to its end, with its error.
#[track_caller]
fn unharmed() {
    let (policy, clock) = policy();
    assert_eq!(policy.call(|| Err::<(), _>("down")), Err("down"));
    assert_eq!(clock.waits().len(), 2);
    let mut failures = 2;
    let recovered = policy.call(|| {
        failures -= 1;
        if failures >= 0 { Err("down") } else { Ok(5) }
    });
    assert_eq!(recovered, Ok(5));
    let report =
        futures::executor::block_on(policy.report_async(|| async { Err::<(), _>("down") }));
    assert_eq!((report.result, report.attempts), (Err("down"), 3));
}

#[cfg(feature = "log")]
mod the_logger {
    use super::*;

    thread_local! {
        /// In which of its methods this thread's logger panics.
        static PANICS_IN: Cell<&'static str> = const { Cell::new("") };
        static LOGGED: Cell<u32> = const { Cell::new(0) };
    }

    struct Logger;

    impl log::Log for Logger {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            assert_ne!(PANICS_IN.get(), "enabled", "the logger is broken");
            true
        }

        fn log(&self, record: &log::Record<'_>) {
            LOGGED.set(LOGGED.get() + 1);
            assert_ne!(PANICS_IN.get(), "log", "the logger is broken");
            // Formats, so that a broken `Debug` of the error has its turn.
            let _ = record.args().to_string();
        }

        fn flush(&self) {}
    }

    fn install() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            log::set_logger(&Logger).unwrap();
            log::set_max_level(log::LevelFilter::Trace);
        });
    }

    #[test]
    fn panics_when_it_is_asked_whether_it_listens() {
        install();
        PANICS_IN.set("enabled");
        unharmed();
    }

    #[test]
    fn panics_when_it_logs() {
        install();
        PANICS_IN.set("log");
        unharmed();
        assert!(LOGGED.get() >= 8, "it was told nevertheless, each time");
    }

    #[test]
    fn meets_an_error_whose_debug_panics() {
        struct Opaque(u32);

        impl fmt::Debug for Opaque {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                panic!("no Debug today")
            }
        }

        install();
        let mut made = 0;
        let _no_waits = testing::scoped(Testing::attempts(3));
        let result = Retry::on::<Opaque>().call(|| {
            made += 1;
            Err::<(), _>(Opaque(made))
        });
        assert!(matches!(result, Err(Opaque(3))));
        assert!(LOGGED.get() >= 3);
    }
}

#[cfg(feature = "metrics")]
mod the_recorder {
    use super::*;
    use metrics::{
        Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    };

    struct Broken {
        registers: bool,
    }

    struct BrokenCounter;

    impl CounterFn for BrokenCounter {
        fn increment(&self, _: u64) {
            panic!("the counter is broken")
        }
        fn absolute(&self, _: u64) {}
    }

    impl Recorder for Broken {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
            assert!(self.registers, "the recorder is broken");
            Counter::from_arc(Arc::new(BrokenCounter))
        }
        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::noop()
        }
        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            panic!("the recorder is broken")
        }
    }

    #[test]
    fn panics_when_it_registers() {
        metrics::with_local_recorder(&Broken { registers: false }, unharmed);
    }

    #[test]
    fn panics_when_it_counts() {
        metrics::with_local_recorder(&Broken { registers: true }, unharmed);
    }
}

mod a_hook {
    use super::*;

    #[derive(Default)]
    struct Event(AtomicU32);

    impl Hook for Event {
        fn retry_scheduled(&self, _: &RetryDetails<'_>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    struct Panics;

    /// What is thrown may itself be a bomb.
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            assert!(std::thread::panicking(), "the panic's own drop panics");
        }
    }

    impl Hook for Panics {
        fn retry_scheduled(&self, details: &RetryDetails<'_>) {
            assert_ne!(details.retry_num, 1, "the hook is broken");
            std::panic::panic_any(Bomb)
        }
    }

    #[test]
    fn panics_and_the_others_are_told() {
        let told = Arc::new(Event::default());
        let _hooks = scoped_hooks([
            Arc::new(Panics) as Arc<dyn Hook>,
            Arc::clone(&told) as Arc<dyn Hook>,
        ]);
        unharmed();
        assert_eq!(told.0.load(Ordering::Relaxed), 6);
    }

    /// A call that cleans up after a panic: one that is thrown meanwhile is contained like any other.
    #[test]
    fn panics_while_its_thread_unwinds() {
        struct CleansUp(Arc<Event>);

        impl Drop for CleansUp {
            fn drop(&mut self) {
                assert!(std::thread::panicking());
                let told = Arc::clone(&self.0) as Arc<dyn Hook>;
                let _hooks = scoped_hooks([Arc::new(Panics) as Arc<dyn Hook>, told]);
                unharmed();
            }
        }

        let told = Arc::new(Event::default());
        let panic = catch_unwind(|| {
            let _cleans_up = CleansUp(Arc::clone(&told));
            panic!("the first")
        });
        let panic = panic.unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"the first"));
        assert_eq!(told.0.load(Ordering::Relaxed), 6);
    }

    #[test]
    fn of_the_policy_panics() {
        let (policy, clock) = policy();
        let policy = policy.on_retry(|_, _| panic!("the hook is broken"));
        assert_eq!(policy.call(|| Err::<(), _>("down")), Err("down"));
        assert_eq!(clock.waits().len(), 2);
    }
}

mod the_users_own_code {
    use super::*;

    /// Whatever panics, the token of the retry that did not come about goes back.
    #[test]
    fn panics_and_the_budget_is_whole() {
        struct Broken;

        impl Clock for Broken {
            fn now(&self) -> Instant {
                Instant::now()
            }
            fn sleep(&self, _: Duration) -> Sleep {
                panic!("the clock is broken")
            }
            fn sleep_blocking(&self, _: Duration) {
                panic!("the clock is broken")
            }
        }

        static BUDGET: Budget = Budget::new();
        let full = || (BUDGET.balance(Instant::now()) - 2.0).abs() < 1e-9;
        let policy = Retry::on::<&str>()
            .timer(Timer::custom(&Broken))
            .budget(&BUDGET);
        let fails = || Err::<(), _>("down");
        let calls: [&dyn Fn() -> Result<(), &'static str>; 4] = [
            &|| policy.call(fails),
            &|| policy.start().again("down"),
            &|| futures::executor::block_on(policy.call_async(|| async { fails() })),
            &|| futures::executor::block_on(policy.start().again_async("down")),
        ];
        for call in calls {
            let panic = catch_unwind(AssertUnwindSafe(call)).unwrap_err();
            assert_eq!(panic.downcast_ref::<&str>(), Some(&"the clock is broken"));
            assert!(full());
        }

        // A predicate that panics: nothing was taken yet.
        let policy = Retry::on::<&str>()
            .budget(&BUDGET)
            .when(|_| -> bool { panic!("the predicate is broken") });
        let panic = catch_unwind(AssertUnwindSafe(|| policy.call(fails))).unwrap_err();
        assert_eq!(
            panic.downcast_ref::<&str>(),
            Some(&"the predicate is broken")
        );
        assert!(full());
    }
}

mod the_clock {
    use super::*;

    /// A clock that is set, not read.
    struct Set(Mutex<(Option<Instant>, i64)>);

    impl Set {
        const fn new() -> Self {
            Self(Mutex::new((None, 0)))
        }

        fn jump(&self, seconds: i64) {
            self.0.lock().unwrap().1 += seconds;
        }
    }

    impl Clock for Set {
        fn now(&self) -> Instant {
            let mut state = self.0.lock().unwrap();
            let base = *state
                .0
                .get_or_insert_with(|| Instant::now() + Duration::from_secs(1_000_000));
            let by = Duration::from_secs(state.1.unsigned_abs());
            if state.1 < 0 {
                base.checked_sub(by).unwrap()
            } else {
                base + by
            }
        }
        fn sleep(&self, _: Duration) -> Sleep {
            Sleep::ready()
        }
        fn sleep_blocking(&self, _: Duration) {}
    }

    #[test]
    fn jumps_ahead_and_the_call_ends_with_its_error() {
        static CLOCK: Set = Set::new();
        let policy = Retry::on::<&str>().timer(Timer::custom(&CLOCK));
        let report = policy.report(|| {
            CLOCK.jump(3600);
            Err::<(), _>("down")
        });
        assert_eq!((report.result, report.attempts), (Err("down"), 1));
        assert_eq!(report.stop_reason, Some(StopReason::TimedOut));
        assert_eq!(report.elapsed, Duration::from_secs(3600));
    }

    #[test]
    fn jumps_back_and_the_other_limits_hold() {
        static CLOCK: Set = Set::new();
        static BUDGET: Budget = Budget::new();
        let policy = Retry::on::<&str>().timer(Timer::custom(&CLOCK));
        let jumps_back = || {
            CLOCK.jump(-3600);
            Err::<(), _>("down")
        };
        let report = policy.report(jumps_back);
        assert_eq!(
            (report.attempts, report.elapsed),
            (10, Duration::ZERO),
            "before its start no time has passed"
        );
        let report = policy.budget(&BUDGET).report(jumps_back);
        assert_eq!(
            (report.attempts, report.stop_reason),
            (3, Some(StopReason::BudgetExhausted))
        );
    }

    /// Futures do the same, also where their attempts are cut.
    #[test]
    fn jumps_under_a_future() {
        static CLOCK: Set = Set::new();
        let policy = Retry::on::<&str>().timer(Timer::custom(&CLOCK));
        for (seconds, attempts, reason) in [
            (3600, 1, StopReason::TimedOut),
            (-3600, 10, StopReason::AttemptsExhausted),
        ] {
            let jumps = || {
                CLOCK.jump(seconds);
                std::future::ready(Err::<(), _>("down"))
            };
            let report = futures::executor::block_on(policy.report_async(jumps));
            assert_eq!((report.result, report.attempts), (Err("down"), attempts));
            assert_eq!(report.stop_reason, Some(reason));
            let made = Cell::new(0);
            let hangs = || {
                made.set(made.get() + 1);
                CLOCK.jump(seconds);
                std::future::pending::<Result<(), _>>()
            };
            let cut = policy
                .call_async(hangs)
                .attempt_timeout(Duration::from_secs(1), || "slow");
            assert_eq!(futures::executor::block_on(cut), Err("slow"));
            assert_eq!(made.get(), attempts);
        }
    }
}

/// Runs one of the tests below in a process of its own, on its main thread, under circumstances of its own.
#[track_caller]
fn in_a_child(test: &str, circumstances: impl FnOnce(&mut Command)) {
    let program = std::env::current_exe().unwrap();
    // Where all test files are one program, each is a module of it.
    let test = match module_path!().split_once("::") {
        Some((_, module)) => format!("{module}::{test}"),
        None => test.to_owned(),
    };
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$0\" \"$@\""]);
    circumstances(&mut command);
    command.arg(program).args([
        "--exact",
        &test,
        "--ignored",
        "--test-threads=1",
        "--nocapture",
    ]);
    let output = command.output().unwrap();
    let printed = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        output.status.success() && printed.contains("1 passed"),
        "{}: {printed}",
        output.status
    );
}

/// No thread can be had: the stack that each would get does not fit into any memory.
#[test]
#[cfg(all(unix, target_pointer_width = "64"))]
fn without_threads_a_future_waits_nevertheless() {
    in_a_child("child_without_threads", |child| {
        child.env("RUST_MIN_STACK", (1_u64 << 46).to_string());
    });
}

/// Real time: a second.
#[test]
#[ignore = "run by `without_threads_a_future_waits_nevertheless` in a process of its own"]
fn child_without_threads() {
    std::thread::Builder::new()
        .spawn(|| ())
        .expect_err("a process without threads");
    waits_and_lets_others_run(Timer::futures_timer());
    waits_and_lets_others_run(Timer::coarse());
}

fn waits_and_lets_others_run(timer: Timer) {
    let policy = Retry::on::<&str>()
        .attempts(3)
        .wait_initial(Duration::from_millis(100))
        .wait_jitter(Duration::ZERO)
        .timer(timer);
    let ticks = Cell::new(0_u32);
    let call = policy.report_async(|| async { Err::<(), _>("down") });
    // Something else on the same executor goes on meanwhile.
    let ticking = async {
        loop {
            ticks.set(ticks.get() + 1);
            let mut yielded = false;
            std::future::poll_fn(|cx| {
                if std::mem::replace(&mut yielded, true) {
                    return std::task::Poll::Ready(());
                }
                cx.waker().wake_by_ref();
                std::task::Poll::Pending
            })
            .await;
        }
    };
    let started = Instant::now();
    let report = futures::executor::block_on(async {
        let (mut call, mut ticking) = (std::pin::pin!(call), std::pin::pin!(ticking));
        std::future::poll_fn(|cx| {
            let _: std::task::Poll<()> = ticking.as_mut().poll(cx);
            call.as_mut().poll(cx)
        })
        .await
    });
    assert_eq!((report.result, report.attempts), (Err("down"), 3));
    assert!(
        started.elapsed() >= Duration::from_millis(300),
        "{:?}",
        started.elapsed()
    );
    assert!(ticks.get() > 50, "{} turns", ticks.get());
}

/// The helper thread goes on. Real time: some 20 ms.
#[test]
fn a_waker_that_panics_takes_no_other_wait_with_it() {
    struct Panics(AtomicU32);
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
            panic!("a waker");
        }
    }

    let policy = Retry::on::<&str>()
        .attempts(2)
        .wait_initial(Duration::from_millis(10))
        .wait_jitter(Duration::ZERO)
        .timer(Timer::coarse());
    let fails = || async { Err::<(), _>("down") };
    let panics = Arc::new(Panics(AtomicU32::new(0)));
    let waker = Waker::from(Arc::clone(&panics));
    let mut broken = pin!(policy.call_async(fails));
    let polled = broken.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    for _ in 0..2 {
        assert_eq!(
            futures::executor::block_on(policy.call_async(fails)),
            Err("down")
        );
    }
    assert_eq!(panics.0.load(Ordering::Relaxed), 1);
    assert_eq!(futures::executor::block_on(broken), Err("down"));
}

/// What a call takes it gives back: 20,000 of them fit where a leak of their errors would not.
#[test]
#[cfg(target_os = "linux")]
fn in_little_memory_any_number_of_calls_fits() {
    in_a_child("child_in_little_memory", |child| {
        *child = Command::new("sh");
        child.args(["-c", "ulimit -v 120000 && exec \"$0\" \"$@\""]);
    });
}

#[test]
#[ignore = "run by `in_little_memory_any_number_of_calls_fits` in a process of its own"]
fn child_in_little_memory() {
    static BUDGET: Budget = Budget::new().floor(1_000_000);
    struct Still;
    impl Clock for Still {
        fn now(&self) -> Instant {
            Instant::now()
        }
        fn sleep(&self, _: Duration) -> Sleep {
            Sleep::boxed(std::future::ready(()))
        }
        fn sleep_blocking(&self, _: Duration) {}
    }
    let policy = Retry::on::<String>()
        .attempts(3)
        .timer(Timer::custom(&Still))
        .budget(&BUDGET)
        .on_retry(|_, _| ());
    let error = "x".repeat(4000);
    for _ in 0..10_000 {
        assert_eq!(
            policy.call(|| Err::<(), _>(error.clone())),
            Err(error.clone())
        );
        let future = policy.call_async(|| async { Err::<(), _>(error.clone()) });
        assert_eq!(futures::executor::block_on(future), Err(error.clone()));
    }
    let too_much = Vec::<u8>::new().try_reserve_exact(200_000_000);
    assert!(too_much.is_err(), "the limit is not in force");
}

//! `call`: the blocking driver.

use crate::support;
use crate::support::{Recorder, after, clock, ms, panic_message};
use stamina::testing::VirtualClock;
use stamina::{Retry, Timer};
use std::error::Error;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

static CLOCK: VirtualClock = VirtualClock::new();
/// Without a timeout: the tests of this file share its clock.
static POLICY: Retry<&str> = Retry::on::<&str>()
    .no_timeout()
    .timer(Timer::custom(&CLOCK));

#[test]
fn it_stops_at_the_first_success_and_at_the_last_attempt() {
    for failures in 0..10 {
        assert_eq!(POLICY.call(after(failures)), Ok(failures + 1));
    }
    assert_eq!(POLICY.call(after(10)), Err("down"));
    assert_eq!(POLICY.clone().attempts(1).call(after(1)), Err("down"));
    let endless = POLICY.clone().unlimited_attempts().no_timeout();
    assert_eq!(endless.call(after(5000)), Ok(5001));
}

#[test]
fn the_last_error_comes_back_not_the_first() {
    let mut errors = ["first", "second", "third"].into_iter();
    let policy = POLICY.clone().attempts(3);
    assert_eq!(
        policy.call(|| Err::<(), _>(errors.next().unwrap())),
        Err("third")
    );
}

#[test]
fn operations_may_borrow_and_change_what_is_around_them() {
    let name = String::from("borrowed");
    let mut log = Vec::new();
    let policy = Retry::on().timer(Timer::custom(clock()));
    let found: Result<&str, &str> = policy.call(|| {
        log.push(name.as_str());
        if log.len() < 3 {
            Err(name.as_str())
        } else {
            Ok(&name[..3])
        }
    });
    assert_eq!((found, log.len()), (Ok("bor"), 3));
}

#[test]
fn errors_of_every_kind() {
    #[derive(Debug, PartialEq)]
    enum Failure {
        Busy,
        Broken(io::ErrorKind),
    }
    let timer = Timer::custom(clock());

    let boxed = Retry::on::<Box<dyn Error>>().timer(timer);
    let error = boxed.call(|| Err::<(), _>("boxed".into())).unwrap_err();
    assert_eq!(error.to_string(), "boxed");

    let sendable = Retry::on::<Box<dyn Error + Send + Sync>>().timer(timer);
    let error = sendable.call(|| Err::<(), _>("boxed".into())).unwrap_err();
    assert_eq!(error.to_string(), "boxed");

    let anyhow = Retry::on::<anyhow::Error>().timer(timer);
    let error = anyhow
        .call(|| anyhow::bail!("bailed") as anyhow::Result<()>)
        .unwrap_err();
    assert_eq!(error.to_string(), "bailed");

    let mut errors = [Failure::Busy, Failure::Broken(io::ErrorKind::Other)].into_iter();
    let policy = Retry::on::<Failure>()
        .timer(timer)
        .when(|error| *error == Failure::Busy);
    let error = policy.call(|| Err::<(), _>(errors.next().unwrap()));
    assert_eq!(error, Err(Failure::Broken(io::ErrorKind::Other)));

    assert_eq!(
        Retry::on::<()>().timer(timer).call(|| Err::<(), _>(())),
        Err(())
    );
    assert_eq!(Retry::on().call(|| "7".parse::<u8>()), Ok(7));

    // Neither `Clone` nor `Send` nor `'static` is asked of an error or a value.
    #[derive(Debug)]
    struct Local<'a>(
        #[allow(dead_code, reason = "for its lifetime")] &'a str,
        std::rc::Rc<()>,
    );
    let text = String::from("text");
    let policy = Retry::on().timer(timer);
    let error = policy
        .call(|| Err::<(), _>(Local(&text, std::rc::Rc::default())))
        .unwrap_err();
    assert_eq!(std::rc::Rc::strong_count(&error.1), 1);
}

#[test]
fn the_error_is_dropped_before_the_wait() {
    use std::sync::Arc;
    #[derive(Debug)]
    struct Watched(#[allow(dead_code, reason = "held")] Arc<()>);
    #[derive(Debug)]
    struct Checking(Arc<()>);
    impl stamina::Clock for Checking {
        #[allow(clippy::disallowed_methods, reason = "a clock")]
        fn now(&self) -> std::time::Instant {
            std::time::Instant::now()
        }
        fn sleep(&self, _: Duration) -> stamina::Sleep {
            // The future's sleep may be made before; it must not be polled before.
            let held = Arc::clone(&self.0);
            stamina::Sleep::boxed(async move { assert_eq!(Arc::strong_count(&held), 3) })
        }
        fn sleep_blocking(&self, _: Duration) {
            assert_eq!(Arc::strong_count(&self.0), 2, "an error was held");
        }
    }
    let held = Arc::new(());
    let clock = support::keep(Checking(Arc::clone(&held)));
    let policy = Retry::on::<Watched>()
        .attempts(3)
        .timer(Timer::custom(clock));
    let operation = || Err::<(), _>(Watched(Arc::clone(&held)));
    assert!(policy.call(operation).is_err());
    let mut attempts = policy.start();
    while attempts.again(operation().unwrap_err()).is_ok() {}
    assert!(futures::executor::block_on(policy.call_async(|| async { operation() })).is_err());
    let mut attempts = policy.start();
    while futures::executor::block_on(attempts.again_async(operation().unwrap_err())).is_ok() {}
    let mut context = ();
    let with = policy.call_async_with(&mut context, async |()| operation());
    assert!(futures::executor::block_on(with).is_err());
}

#[test]
fn a_panic_passes_through_and_leaves_everything_usable() {
    let (recorder, _hooks) = Recorder::here();
    let mut calls = 0;
    let message = panic_message(|| {
        let _: Result<(), &str> = POLICY.call(|| {
            calls += 1;
            assert!(calls < 3, "the operation panicked");
            Err("down")
        });
    });
    assert_eq!((message.as_str(), calls), ("the operation panicked", 3));
    assert_eq!(recorder.short(), ["retry 1", "retry 2"]);
    assert_eq!(POLICY.call(after(2)), Ok(3));
    assert_eq!(recorder.short(), ["retry 1", "retry 2", "recovered 3"]);
    // Nothing is left of the depth either.
    let _ = POLICY.call(after(1));
    assert!(matches!(
        &recorder.take()[0],
        support::Event::Retry { depth: 0, .. }
    ));
}

#[test]
fn nested_calls_know_their_depth() {
    let (recorder, _hooks) = Recorder::here();
    let policy = POLICY.clone().attempts(2);
    let result: Result<(), &str> = policy.call(|| {
        let result = policy.call(|| Err("down"));
        std::thread::scope(|threads| {
            threads.spawn(|| {
                let (recorder, _hooks) = Recorder::here();
                let _: Result<(), _> = policy.call(|| Err("down"));
                assert!(matches!(
                    recorder.take()[0],
                    support::Event::Retry { depth: 0, .. }
                ));
            });
        });
        result
    });
    assert_eq!(result, Err("down"));
    let depths: Vec<_> = recorder.take().iter().map(depth).collect();
    assert_eq!(depths, [1, 1, 0, 1, 1, 0]);
}

fn depth(told: &support::Event) -> u32 {
    match told {
        support::Event::Retry { depth, .. } | support::Event::GaveUp { depth, .. } => *depth,
        support::Event::Recovered { .. } => u32::MAX,
    }
}

#[test]
fn many_calls_at_once_on_one_policy() {
    let made = AtomicU32::new(0);
    std::thread::scope(|threads| {
        for _ in 0..8 {
            threads.spawn(|| {
                for failures in (0..9).cycle().take(900) {
                    let mut operation = after(failures);
                    let result = POLICY.call(|| {
                        made.fetch_add(1, Ordering::Relaxed);
                        operation()
                    });
                    assert_eq!(result, Ok(failures + 1));
                }
            });
        }
    });
    // 100 rounds of 1 + 2 + .. + 9 attempts, on 8 threads.
    assert_eq!(made.into_inner(), 8 * 100 * 45);
}

#[test]
fn a_policy_without_any_limit_goes_on_until_it_succeeds() {
    let clock = clock();
    let policy = Retry::on::<&str>()
        .unlimited_attempts()
        .no_timeout()
        .wait_jitter(Duration::ZERO)
        .timer(Timer::custom(clock));
    assert_eq!(policy.call(after(20_000)), Ok(20_001));
    assert_eq!(clock.waits().len(), 20_000);
    assert_eq!(clock.waits().last(), Some(&ms(5000)));
}

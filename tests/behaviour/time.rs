//! `Timer`, `Clock`, `Sleep`, `VirtualClock`: where time comes from, and who looks at it.

use crate::support::{ManualClock, clock, ms, poll, secs};
use futures::executor::block_on;
use stamina::testing::{self, Testing, VirtualClock};
use stamina::{Budget, Clock, Decision, Retry, Settings, Sleep, Timer};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

fn down() -> Result<(), &'static str> {
    Err("down")
}

#[test]
fn a_virtual_clock_moves_only_when_told() {
    let clock = VirtualClock::new();
    let start = clock.now();
    assert_eq!((clock.elapsed(), clock.now()), (Duration::ZERO, start));
    clock.advance(ms(5));
    clock.sleep_blocking(ms(20));
    // Asking for a sleep is sleeping: its future is ready.
    block_on(clock.sleep(ms(300)));
    drop(clock.sleep(Duration::ZERO));
    assert_eq!(clock.elapsed(), ms(325));
    assert_eq!(clock.now() - start, ms(325));
    assert_eq!(clock.waits(), [20, 300, 0].map(ms));
}

#[test]
fn a_virtual_clock_survives_the_end_of_time() {
    let clock = VirtualClock::new();
    let start = clock.now();
    clock.advance(Duration::MAX);
    clock.advance(Duration::MAX);
    clock.sleep_blocking(Duration::MAX);
    assert_eq!(clock.elapsed(), Duration::MAX);
    assert!(clock.now() > start + secs(100 * 365 * 24 * 3600));
}

#[test]
fn each_clock_has_its_own_time() {
    let (one, other) = (clock(), clock());
    let policy = Retry::on().wait_jitter(Duration::ZERO).attempts(2);
    let on = |clock| policy.clone().timer(Timer::custom(clock)).call(down);
    assert_eq!(
        (on(one), on(one), on(other)),
        (Err("down"), Err("down"), Err("down"))
    );
    assert_eq!((one.elapsed(), other.elapsed()), (ms(200), ms(100)));
}

#[test]
fn without_timeout_and_budget_no_clock_is_read() {
    let clock = ManualClock::new();
    let policy = Retry::on()
        .no_timeout()
        .wait_jitter(Duration::ZERO)
        .timer(clock.timer());
    let mut context = ();
    let of = policy
        .clone()
        .when(|_: &&str| Decision::RetryExactly(Duration::ZERO));
    let _ = policy.call(down);
    let _ = policy.call(|| Ok::<_, &str>(()));
    let _ = block_on(of.call_async(|| async { down() }));
    let _ = block_on(of.call_async_with(&mut context, async |()| down()));
    let _ = policy.wrap(|()| down())(());
    let _ = block_on(of.wrap_async(|()| async { down() })(()));
    let outcome = Retry::on::<Result<(), &str>>()
        .no_timeout()
        .timer(clock.timer());
    let _ = outcome.call_outcome(down);
    let mut attempts = policy.start();
    while attempts.again("down").is_ok() {}
    let _ = (
        attempts.elapsed(),
        attempts.next_wait(),
        attempts.succeed(()),
    );
    // Nor does a call in a scope, which notes more of itself.
    {
        let _hooks = stamina::instrument::scoped_hooks([]);
        let _ = policy.call(down);
        let _ = block_on(of.call_async(|| async { down() }));
    }
    assert_eq!(clock.reads(), 0);
    // What the details then call elapsed is the time waited.
    assert_eq!(attempts.elapsed(), attempts.waited());
    assert!(attempts.waited() > secs(20));

    // A cut is a limit on time: it reads the clock once for each attempt that need not wait.
    let _ = block_on(
        of.attempts(2)
            .call_async(|| async { down() })
            .attempt_timeout(secs(1), || "slow"),
    );
    assert_eq!(clock.reads(), 2);

    // A report always measures.
    let report = policy.report(|| {
        clock.pass(secs(3));
        Ok::<_, &str>(())
    });
    assert_eq!((report.elapsed, clock.reads()), (secs(3), 4));
    let report = block_on(policy.report_async(|| async {
        clock.pass(secs(4));
        Ok::<_, &str>(())
    }));
    assert_eq!((report.elapsed, clock.reads()), (secs(4), 6));
}

#[test]
fn with_them_a_success_reads_the_clock_once() {
    static BUDGET: Budget = Budget::new();
    let clock = ManualClock::new();
    let timeout = Retry::on::<&str>().timer(clock.timer());
    let _ = timeout.call(|| Ok(()));
    assert_eq!(clock.reads(), 1);
    let _ = block_on(timeout.call_async(|| async { Ok(()) }));
    assert_eq!(clock.reads(), 2);
    let _ = timeout.no_timeout().budget(&BUDGET).call(|| Ok(()));
    assert_eq!(clock.reads(), 3);
}

#[test]
fn whichever_setter_comes_last_a_success_reads_the_clock_if_it_is_needed() {
    static BUDGET: Budget = Budget::new();
    let clock = ManualClock::new();
    let reads = |policy: &Retry<&str>| {
        let before = clock.reads();
        policy.clone().timer(clock.timer()).call(|| Ok(())).unwrap();
        clock.reads() - before
    };
    let none = Retry::on::<&str>().no_timeout();
    let untimed = Settings {
        timeout: None,
        ..Settings::DEFAULT
    };
    let timed = [
        Retry::on().attempts(3),
        none.clone().timeout(secs(1)),
        none.clone().with_settings(Settings::DEFAULT),
        none.clone().budget(&BUDGET),
        none.clone().shared_budget(Arc::new(Budget::new())),
        none.clone().reset_after(secs(1)),
        none.clone().budget(&BUDGET).no_timeout(),
        none.clone()
            .shared_budget(Arc::new(Budget::new()))
            .attempts(3),
        none.clone().reset_after(secs(1)).with_settings(untimed),
        none.clone().reset_after(secs(1)).fixed(secs(1)),
        Retry::on::<()>().for_error(),
    ];
    assert_eq!(timed.each_ref().map(reads), [1; 11]);
    let untimed = [
        none.clone(),
        Retry::on().with_settings(untimed),
        Retry::on().no_timeout().attempts(3),
        none.clone().timeout(secs(1)).no_timeout(),
        none.for_error(),
    ];
    assert_eq!(untimed.each_ref().map(reads), [0; 5]);
}

#[test]
fn a_permanent_error_reads_it_once_too() {
    let clock = ManualClock::new();
    let policy = Retry::on().timer(clock.timer()).when(|_: &&str| false);
    let _ = policy.call(down);
    assert_eq!(clock.reads(), 1);
    // And so does an outcome that the predicate is content with.
    let policy = Retry::on()
        .timer(clock.timer())
        .when(|_: &Result<(), &str>| false);
    let _ = policy.call_outcome(|| Ok(()));
    assert_eq!(clock.reads(), 2);
}

#[test]
fn in_testing_mode_a_clock_is_told_of_waits_of_zero() {
    let clock = clock();
    let _testing = testing::scoped(Testing::attempts(3));
    let policy = Retry::on().timer(Timer::custom(clock));
    assert_eq!(policy.call(down), Err("down"));
    assert_eq!(
        block_on(policy.call_async(|| async { down() })),
        Err("down")
    );
    assert_eq!(clock.waits(), [Duration::ZERO; 4]);
}

#[test]
fn sleeps() {
    assert_eq!(poll(pin!(Sleep::ready())), Poll::Ready(()));
    assert_eq!(poll(pin!(Sleep::boxed(async {}))), Poll::Ready(()));
    assert_eq!(
        poll(pin!(Sleep::boxed(std::future::pending()))),
        Poll::Pending
    );
    assert_eq!(format!("{:?}", Sleep::ready()), "Sleep { .. }");
}

#[test]
fn timers_say_what_they_are() {
    let name = |timer: Timer| format!("{timer:?}");
    assert_eq!(name(Timer::default()), "Timer::futures_timer()");
    assert_eq!(name(Timer::futures_timer()), "Timer::futures_timer()");
    assert_eq!(name(Timer::coarse()), "Timer::coarse()");
    assert_eq!(name(Timer::custom(clock())), "Timer::custom(..)");
    #[cfg(feature = "tokio")]
    assert_eq!(name(Timer::tokio()), "Timer::tokio()");
}

#[cfg(feature = "tokio")]
mod on_tokio {
    use super::{Duration, Retry, Timer, down, ms, secs};
    use stamina::StopReason;
    use tokio::time::Instant;

    static POLICY: Retry<&str> = Retry::on::<&str>()
        .wait_jitter(Duration::ZERO)
        .timer(Timer::tokio());

    #[tokio::test(start_paused = true)]
    async fn waits_pass_in_paused_time() {
        let start = Instant::now();
        assert_eq!(POLICY.call_async(|| async { down() }).await, Err("down"));
        assert_eq!(start.elapsed(), ms(21_300));
    }

    #[tokio::test(start_paused = true)]
    async fn deadlines_are_in_paused_time() {
        let start = Instant::now();
        let slow = || async {
            tokio::time::sleep(secs(20)).await;
            down()
        };
        let report = POLICY.report_async(slow).await;
        assert_eq!(
            (report.attempts, report.stop_reason),
            (3, Some(StopReason::TimedOut))
        );
        assert_eq!((report.elapsed, start.elapsed()), (ms(60_300), ms(60_300)));
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_are_cut_in_paused_time() {
        let start = Instant::now();
        let hangs = || std::future::pending::<Result<(), _>>();
        let call = POLICY
            .call_async(hangs)
            .attempt_timeout(secs(10), || "slow");
        assert_eq!(call.await, Err("slow"));
        // 10 + 0.1 + 10 + 0.2 + 10 + 0.4 + 10 + 0.8, and the fifth is cut at the deadline.
        assert_eq!(start.elapsed(), secs(45));
    }

    #[tokio::test(start_paused = true)]
    async fn every_driver_of_futures_uses_it() {
        let policy = POLICY.clone().attempts(3);
        let start = Instant::now();
        let mut context = 0;
        let with = async |calls: &mut i32| {
            *calls += 1;
            down()
        };
        assert_eq!(
            policy.call_async_with(&mut context, with).await,
            Err("down")
        );
        assert_eq!((context, start.elapsed()), (3, ms(300)));
        assert_eq!(
            policy.wrap_async(|()| async { down() })(()).await,
            Err("down")
        );
        assert_eq!(start.elapsed(), ms(600));
        let mut attempts = policy.start();
        while attempts.again_async("down").await.is_ok() {}
        assert_eq!((attempts.elapsed(), start.elapsed()), (ms(300), ms(900)));
        let outcome = Retry::on()
            .attempts(3)
            .wait_jitter(Duration::ZERO)
            .timer(Timer::tokio());
        assert_eq!(
            outcome.call_outcome_async(|| async { down() }).await,
            Err("down")
        );
        assert_eq!(start.elapsed(), ms(1200));
    }

    /// A driver may poll a sleep once on its stack, and keep it only if it is not ready.
    #[tokio::test(start_paused = true)]
    async fn a_sleep_that_has_been_polled_can_be_moved() {
        let start = Instant::now();
        let mut attempts = POLICY.start();
        let mut wait = Box::pin(attempts.again_async("down"));
        assert_eq!(super::poll(wait.as_mut()), super::Poll::Pending);
        assert_eq!(wait.await, Ok(()));
        assert_eq!(start.elapsed(), ms(100));
        let mut sleep = stamina::Sleep::boxed(tokio::time::sleep(ms(50)));
        assert_eq!(super::poll(super::pin!(&mut sleep)), super::Poll::Pending);
        let moved = Box::new(sleep);
        moved.await;
        assert_eq!(start.elapsed(), ms(150));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_for_ever_can_be_cancelled() {
        let policy = POLICY.clone().no_timeout().when(|_| Duration::MAX);
        let call = policy.call_async(|| async { down() });
        assert!(tokio::time::timeout(secs(1_000_000), call).await.is_err());
    }
}

//! The only tests that wait in real time: each system's own sleep and clock, by a few milliseconds.
//!
//! Alone in its process: it waits in real time, which other tests would disturb.

mod support;

use futures::executor::block_on;
use stamina::{Decision, Retry, StopReason, Timer};
use std::future::{Future, pending};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};
use support::{ms, poll, secs};

/// Waits 20 ms twice.
fn policy() -> Retry<&'static str> {
    Retry::on()
        .attempts(3)
        .waits(|_| ms(20))
        .wait_jitter(Duration::ZERO)
}

fn down() -> Result<(), &'static str> {
    Err("down")
}

/// It took at least so long, and not for ever.
#[track_caller]
fn takes(at_least: Duration, run: impl FnOnce()) {
    let start = Instant::now();
    run();
    let took = start.elapsed();
    assert!(
        at_least <= took && took < at_least + secs(10),
        "took {took:?}"
    );
}

#[test]
fn blocking() {
    takes(ms(40), || assert_eq!(policy().call(down), Err("down")));
    let report = policy().report(down);
    assert_eq!((report.attempts, report.waited), (3, ms(40)));
    assert!(report.elapsed >= ms(40), "{report:?}");
}

/// The timers that need no runtime.
const TIMERS: [Timer; 2] = [Timer::futures_timer(), Timer::coarse()];

#[test]
fn on_any_executor() {
    for timer in TIMERS {
        let policy = policy().timer(timer);
        takes(ms(40), || {
            assert_eq!(
                block_on(policy.call_async(|| async { down() })),
                Err("down")
            );
        });
        takes(ms(40), || assert_eq!(policy.call(down), Err("down")));
        takes(ms(20), || {
            let hangs = || pending::<Result<(), _>>();
            let policy = policy.attempts(1);
            let call = policy.call_async(hangs).attempt_timeout(ms(20), || "slow");
            assert_eq!(block_on(call), Err("slow"));
        });
    }
}

/// Waits of every length below and around its milliseconds, all at once: none is early, and each ends.
#[test]
fn many_coarse_waits_at_once() {
    let waits = (1..300).map(|n| async move {
        let wait = Duration::from_micros(97 * n);
        let policy = policy().attempts(2).when(move |_| wait);
        let policy = policy.timer(Timer::coarse());
        let start = Instant::now();
        let result = policy.call_async(|| async { down() }).await;
        (result, start.elapsed(), wait)
    });
    for (result, took, wait) in block_on(futures::future::join_all(waits)) {
        assert_eq!(result, Err("down"));
        assert!(wait <= took && took < wait + secs(10), "{wait:?}: {took:?}");
    }
}

/// Does nothing, and tells by its references who still holds it.
struct Wakes;

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {}
}

/// An executor may drop what waits, and poll it with another waker than the last time.
#[test]
fn coarse_waits_are_dropped_and_moved() {
    let policy = policy().timer(Timer::coarse());
    let held = Arc::new(Wakes);
    let begin = || {
        let mut call = Box::pin(policy.call_async(|| async { down() }));
        let waker = Waker::from(Arc::clone(&held));
        let polled = call.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        call
    };
    let (moved, dropped) = (begin(), begin());
    assert_eq!(Arc::strong_count(&held), 3);
    drop(dropped);
    assert_eq!(Arc::strong_count(&held), 2);
    takes(ms(20), || assert_eq!(block_on(moved), Err("down")));
    assert_eq!(Arc::strong_count(&held), 1);
}

#[test]
fn the_deadline() {
    let start = Instant::now();
    let report = policy().timeout(ms(30)).report(down);
    assert_eq!(
        (report.attempts, report.stop_reason),
        (2, Some(StopReason::TimedOut))
    );
    let report = policy().timeout(ms(5)).report(down);
    assert_eq!(
        (report.attempts, report.stop_reason),
        (1, Some(StopReason::TimedOut))
    );
    assert!(start.elapsed() < secs(10));
    // Cut at the deadline, which is before the attempt's own time.
    takes(ms(30), || {
        let policy = policy().timeout(ms(30));
        let call = policy.call_async(pending::<Result<(), _>>);
        assert_eq!(
            block_on(call.attempt_timeout(secs(100), || "slow")),
            Err("slow")
        );
    });
}

#[test]
fn the_longest_wait_can_be_begun_and_dropped() {
    for timer in TIMERS {
        let policy = policy().timer(timer).no_timeout().when(|_| Duration::MAX);
        let mut call = pin!(policy.call_async(|| async { down() }));
        assert!(poll(call.as_mut()).is_pending());
        assert!(poll(call.as_mut()).is_pending());
    }
}

#[test]
fn waits_of_zero_need_no_timer_and_no_runtime() {
    #[cfg(feature = "tokio")]
    {
        let policy = policy()
            .timer(Timer::tokio())
            .when(|_| Decision::RetryExactly(Duration::ZERO))
            .no_timeout();
        assert_eq!(
            block_on(policy.call_async(|| async { down() })),
            Err("down")
        );
    }
    for timer in TIMERS {
        let policy = policy()
            .timer(timer)
            .when(|_| Decision::RetryExactly(Duration::ZERO));
        let call = policy.call_async(|| async { down() });
        assert_eq!(support::at_once(call), Err("down"));
    }
}

#[cfg(feature = "tokio")]
#[tokio::test]
async fn tokio_in_real_time() {
    let policy = policy().timer(Timer::tokio());
    let start = Instant::now();
    assert_eq!(policy.call_async(|| async { down() }).await, Err("down"));
    assert!(start.elapsed() >= ms(40));
    let report = policy
        .timeout(ms(30))
        .report_async(|| async { down() })
        .await;
    assert_eq!(
        (report.attempts, report.stop_reason),
        (2, Some(StopReason::TimedOut))
    );
}

#[tokio::test]
async fn the_default_works_on_tokio_too() {
    let policy = policy();
    let start = Instant::now();
    assert_eq!(policy.call_async(|| async { down() }).await, Err("down"));
    assert!(start.elapsed() >= ms(40));
}

/// tokio's timers are never ready for a task that has used up its turn, which such an attempt does each time.
#[cfg(feature = "tokio")]
#[tokio::test]
async fn an_attempt_that_never_lets_go_is_cut_on_tokio_too() {
    let policy = Retry::on::<&str>().attempts(1).timer(Timer::tokio());
    let busy = || async {
        loop {
            tokio::task::consume_budget().await;
        }
    };
    let cut = policy
        .call_async::<(), _, _>(busy)
        .attempt_timeout(ms(20), || "too slow");
    let ended = tokio::time::timeout(secs(20), cut).await;
    assert_eq!(ended, Ok(Err("too slow")));
}

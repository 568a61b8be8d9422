//! Real waits on a JavaScript host: the same tests run in node and in a browser.

#![cfg(all(target_arch = "wasm32", target_os = "unknown"))]

use std::cell::Cell;
use std::collections::HashSet;
use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::future::{Either, select};
use stamina::{Clock, Decision, Instant, Retry, Sleep, StopReason, Timer};
use wasm_bindgen_test::wasm_bindgen_test;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The defaults, deadline included, with waits of 30 and 60 ms.
static DEFAULTS: Retry<&str> = Retry::on::<&str>()
    .wait_initial(ms(30))
    .wait_jitter(Duration::ZERO);

/// Fails so many times, then gives the number of the attempt.
fn after(
    failures: u32,
) -> impl FnMut() -> Pin<Box<dyn Future<Output = Result<u32, &'static str>>>> {
    // Neither this nor the future is `Send`.
    let attempts = Rc::new(Cell::new(0));
    move || {
        let attempts = Rc::clone(&attempts);
        Box::pin(async move {
            attempts.set(attempts.get() + 1);
            if attempts.get() > failures {
                Ok(attempts.get())
            } else {
                Err("down")
            }
        })
    }
}

/// Not early, and not late by seconds.
#[track_caller]
fn took(start: Instant, at_least: Duration) {
    let took = start.elapsed();
    assert!(
        at_least <= took && took < at_least + ms(5_000),
        "took {took:?}, not {at_least:?}"
    );
}

/// Whether a future is still not ready after 50 ms.
async fn hangs(future: impl Future + Unpin) -> bool {
    matches!(select(future, sleep(ms(50))).await, Either::Right(_))
}

fn sleep(duration: Duration) -> futures_timer::Delay {
    futures_timer::Delay::new(duration)
}

#[wasm_bindgen_test]
async fn the_defaults_retry_with_real_waits() {
    for timer in [Timer::default(), Timer::futures_timer(), Timer::coarse()] {
        let policy = DEFAULTS.clone().timer(timer);
        let start = Instant::now();
        assert_eq!(policy.call_async(after(2)).await, Ok(3));
        took(start, ms(90));
    }
}

#[wasm_bindgen_test]
async fn a_report_measures_the_time() {
    let start = Instant::now();
    let report = DEFAULTS.report_async(after(2)).await;
    assert_eq!(
        (report.result, report.attempts, report.waited),
        (Ok(3), 3, ms(90))
    );
    assert!(
        report.elapsed >= ms(90) && report.elapsed <= start.elapsed(),
        "{:?}",
        report.elapsed
    );
}

#[wasm_bindgen_test]
async fn the_deadline_ends_a_call() {
    // The waits are 30, 60 and 120 ms.
    let policy = DEFAULTS.clone().timeout(ms(150));
    let report = policy.report_async(after(9)).await;
    assert_eq!((report.result, report.attempts), (Err("down"), 3));
    assert_eq!(report.stop_reason, Some(StopReason::TimedOut));
    assert!(
        report.elapsed >= ms(90) && report.elapsed < ms(150),
        "{:?}",
        report.elapsed
    );
}

#[wasm_bindgen_test]
async fn an_attempt_that_hangs_is_cut() {
    let policy = DEFAULTS.clone().attempts(2);
    let start = Instant::now();
    let call = policy
        .call_async(pending::<Result<(), _>>)
        .attempt_timeout(ms(40), || "too slow");
    assert_eq!(call.await, Err("too slow"));
    took(start, ms(40 + 30 + 40));
}

/// `setTimeout` counts milliseconds in 31 bits, and fires at once for more; futures-timer hands it the lowest 32 bits of
/// what it is given.
#[wasm_bindgen_test]
async fn the_longest_waits_do_not_end_at_once() {
    for days in [24, 25, 49, 50, u64::MAX / 86_400] {
        for timer in [Timer::default(), Timer::coarse()] {
            let wait = Duration::from_secs(days * 86_400);
            let policy = DEFAULTS.clone().no_timeout().timer(timer);
            let policy = policy.when(move |_| Decision::RetryAfter(wait));
            let attempts = Cell::new(0);
            let call = policy.call_async(|| {
                attempts.set(attempts.get() + 1);
                async { Err::<(), _>("down") }
            });
            assert!(hangs(pin!(call)).await, "after {wait:?} by {timer:?}");
            assert_eq!(attempts.get(), 1);
        }
    }
}

/// futures-timer alone would cut 1.9 ms to 1 ms.
#[wasm_bindgen_test]
async fn no_wait_ends_early() {
    for micros in [1, 999, 1_001, 1_900, 7_999] {
        let wait = Duration::from_micros(micros);
        let policy = DEFAULTS.clone().attempts(2).when(move |_| wait);
        for _ in 0..5 {
            let report = policy.report_async(after(9)).await;
            assert!(
                report.attempts == 2 && report.elapsed >= wait,
                "{wait:?}: {report:?}"
            );
        }
    }
}

/// Waits differ from each other, and those of one program from those of another: `.ci/run` compares what two print.
#[wasm_bindgen_test]
fn a_fresh_program_draws_its_own_jitter() {
    let policy = Retry::on::<()>().wait_jitter(Duration::from_secs(1));
    let waits: HashSet<Duration> = (0..20)
        .filter_map(|_| policy.start().decide(&()).ok())
        .collect();
    assert_eq!(waits.len(), 20);
    let first = policy.start().decide(&());
    wasm_bindgen_test::console_log!("first wait: {first:?}");
}

/// Sleeps by a promise of JavaScript, which is not `Send`.
struct Promises;

impl Clock for Promises {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        let not_send = Rc::new(());
        Sleep::boxed(async move {
            sleep(duration + ms(1)).await;
            drop(not_send);
        })
    }

    fn sleep_blocking(&self, duration: Duration) {
        let until = Instant::now() + duration;
        while Instant::now() < until {}
    }
}

#[wasm_bindgen_test]
async fn a_clock_of_ones_own_sleeps_by_futures_that_are_not_send() {
    let policy = DEFAULTS.clone().timer(Timer::custom(&Promises));
    let start = Instant::now();
    assert_eq!(policy.call_async(after(2)).await, Ok(3));
    took(start, ms(90));
}

#[wasm_bindgen_test]
async fn a_blocking_call_needs_a_clock_that_can_block() {
    let mut attempts = 0;
    let start = Instant::now();
    let result = DEFAULTS.clone().timer(Timer::custom(&Promises)).call(|| {
        attempts += 1;
        if attempts > 1 {
            Ok(attempts)
        } else {
            Err("down")
        }
    });
    assert_eq!(result, Ok(2));
    took(start, ms(30));
    // Without a wait nothing has to block.
    let policy = DEFAULTS.clone().attempts(2).fixed(Duration::ZERO);
    assert_eq!(policy.call(|| Err::<(), _>("down")), Err("down"));
}

#[wasm_bindgen_test]
#[should_panic(expected = "a thread can't sleep on wasm32-unknown-unknown")]
fn a_blocking_wait_panics() {
    let _ = DEFAULTS.call(|| Err::<(), _>("down"));
}

#[wasm_bindgen_test]
fn the_virtual_clock_works() {
    static CLOCK: stamina::testing::VirtualClock = stamina::testing::VirtualClock::new();
    let policy = DEFAULTS.clone().attempts(4).timer(Timer::custom(&CLOCK));
    let mut call = pin!(policy.call_async(after(9)));
    let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(polled, Poll::Ready(Err("down")));
    assert_eq!(CLOCK.waits(), [30, 60, 120].map(ms));
}

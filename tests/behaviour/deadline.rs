//! `timeout`: a call never sleeps past its deadline, nor for nothing.
#![allow(
    clippy::cast_possible_truncation,
    reason = "counts of a test are small"
)]

use crate::support;
use crate::support::{ManualClock, Recorder, at_once, ms, secs};
use stamina::{Decision, Retry, StopReason};
use std::time::Duration;

/// Waits 100 ms, 200 ms, 400 ms, ...
fn policy(clock: &'static ManualClock) -> Retry<&'static str> {
    Retry::on().wait_jitter(Duration::ZERO).timer(clock.timer())
}

/// An operation that takes that long and fails.
fn slow(clock: &'static ManualClock, each: Duration) -> impl Fn() -> Result<(), &'static str> {
    move || {
        clock.pass(each);
        Err("down")
    }
}

#[track_caller]
fn ends(
    timeout: Duration,
    each_attempt: Duration,
    attempts: u32,
    elapsed: Duration,
    reason: StopReason,
) {
    let clock = ManualClock::new();
    let policy = policy(clock).timeout(timeout);
    let report = policy.report(slow(clock, each_attempt));
    assert_eq!(
        (report.attempts, report.elapsed, report.stop_reason),
        (attempts, elapsed, Some(reason))
    );
    assert_eq!(
        clock.slept().len() as u32,
        attempts - 1,
        "a sleep for nothing"
    );
}

#[test]
fn it_counts_attempts_and_waits() {
    use StopReason::{AttemptsExhausted, TimedOut};
    // Instant failures: only the waits count.
    ends(secs(45), ms(0), 10, ms(21_300), AttemptsExhausted);
    ends(ms(800), ms(0), 4, ms(700), TimedOut);
    // Slow attempts count as well.
    ends(ms(800), ms(100), 3, ms(600), TimedOut);
    ends(secs(45), secs(10), 5, ms(51_500), TimedOut);
    // One attempt longer than the deadline is not cut, and there is no other.
    ends(secs(1), secs(60), 1, secs(60), TimedOut);
    ends(Duration::ZERO, ms(0), 1, ms(0), TimedOut);
    ends(Duration::MAX, ms(0), 10, ms(21_300), AttemptsExhausted);
}

#[test]
fn a_wait_that_ends_exactly_at_the_deadline_is_too_long() {
    use StopReason::TimedOut;
    let nano = Duration::from_nanos(1);
    ends(ms(100), ms(0), 1, ms(0), TimedOut);
    ends(ms(100) + nano, ms(0), 2, ms(100), TimedOut);
    ends(ms(700), ms(0), 3, ms(300), TimedOut);
    ends(ms(700) + nano, ms(0), 4, ms(700), TimedOut);
    ends(ms(350), ms(50), 2, ms(200), TimedOut);
    ends(ms(400), ms(50), 2, ms(200), TimedOut);
    ends(ms(400) + nano, ms(50), 3, ms(450), TimedOut);
}

#[test]
fn hints_beyond_it_end_the_call_at_once() {
    for decision in [
        Decision::RetryAfter(secs(100)),
        Decision::RetryAfter(secs(45)),
        Decision::RetryAfter(Duration::MAX),
        Decision::RetryExactly(secs(45)),
        Decision::RetryExactly(Duration::MAX),
    ] {
        let clock = ManualClock::new();
        let (recorder, _hooks) = Recorder::here();
        let policy = policy(clock).when(move |_| decision);
        assert_eq!(policy.call(|| Err::<(), _>("down")), Err("down"));
        assert_eq!(
            at_once(policy.call_async(|| async { Err::<(), _>("down") })),
            Err("down")
        );
        assert_eq!(policy.start().decide(&"down"), Err(StopReason::TimedOut));
        assert!(clock.slept().is_empty(), "{decision:?}");
        assert_eq!(recorder.short(), ["gave up 1 timed_out"; 3]);
    }
}

#[test]
fn hints_within_it_are_waited_for() {
    let clock = ManualClock::new();
    let policy = policy(clock).when(|_| Decision::RetryAfter(secs(20)));
    let report = policy.report(|| Err::<(), _>("down"));
    assert_eq!((report.attempts, report.waited), (3, secs(40)));
    assert_eq!(report.stop_reason, Some(StopReason::TimedOut));
}

#[test]
fn a_late_success_is_a_success() {
    let clock = ManualClock::new();
    let late = || {
        clock.pass(secs(100));
        Ok::<_, &str>("late")
    };
    assert_eq!(policy(clock).call(late), Ok("late"));
    assert_eq!(
        at_once(policy(clock).call_async(|| async { late() })),
        Ok("late")
    );
    let report = policy(clock).report(late);
    assert_eq!((report.elapsed, report.stop_reason), (secs(100), None));
}

#[test]
fn a_permanent_error_and_the_last_attempt_are_no_timeouts() {
    let clock = ManualClock::new();
    let late = || {
        clock.pass(secs(100));
        Err::<(), _>("down")
    };
    let reason = |policy: Retry<&'static str>| policy.report(late).stop_reason.unwrap();
    assert_eq!(reason(policy(clock)), StopReason::TimedOut);
    assert_eq!(
        reason(policy(clock).when(|_| false)),
        StopReason::NotRetryable
    );
    assert_eq!(
        reason(policy(clock).attempts(1)),
        StopReason::AttemptsExhausted
    );
}

#[test]
fn a_clock_that_goes_back_counts_as_no_time() {
    let clock = ManualClock::new();
    let mut operation = || {
        clock.back(secs(50));
        Err::<(), _>("down")
    };
    let policy = policy(clock).timeout(secs(6));
    let report = policy.report(&mut operation);
    assert_eq!(report.stop_reason, Some(StopReason::AttemptsExhausted));
    assert_eq!((report.attempts, report.elapsed), (10, Duration::ZERO));
    let attempts = policy.start();
    clock.back(secs(1));
    assert_eq!(attempts.elapsed(), Duration::ZERO);
    assert_eq!(attempts.next_wait(), Some((ms(100), ms(100))));
}

#[test]
fn a_clock_that_jumps_ahead_ends_the_call() {
    let clock = ManualClock::new();
    let mut jumps = [ms(0), secs(1 << 40)].into_iter();
    let report = policy(clock).report(|| {
        clock.pass(jumps.next().unwrap());
        Err::<(), _>("down")
    });
    assert_eq!(
        (report.attempts, report.stop_reason),
        (2, Some(StopReason::TimedOut))
    );
}

#[test]
fn a_sleep_that_takes_too_long_does_not_lose_the_attempt() {
    // The machine slept, say. The retry was allowed, so it is made; after it the call ends.
    let clock = ManualClock::new();
    let policy = policy(clock).timeout(secs(1));
    let mut attempts = policy.start();
    assert_eq!(attempts.decide(&"down"), Ok(ms(100)));
    clock.pass(secs(60));
    assert_eq!(attempts.number(), 2);
    assert_eq!(attempts.next_wait(), None);
    assert_eq!(attempts.decide(&"down"), Err(StopReason::TimedOut));
}

#[test]
fn a_resumed_call_keeps_its_deadline() {
    let clock = ManualClock::new();
    let policy = policy(clock).timeout(secs(10));
    let mut attempts = policy.resume(3, ms(9_199));
    assert_eq!(attempts.next_wait(), Some((ms(800), ms(800))));
    assert_eq!(attempts.decide(&"down"), Ok(ms(800)));
    let mut attempts = policy.resume(3, ms(9_200));
    assert_eq!(attempts.next_wait(), None);
    assert_eq!(attempts.decide(&"down"), Err(StopReason::TimedOut));
    let mut attempts = policy.resume(1, Duration::MAX);
    clock.pass(secs(1));
    assert_eq!(attempts.elapsed(), Duration::MAX);
    assert_eq!(attempts.decide(&"down"), Err(StopReason::TimedOut));
}

#[test]
fn a_future_starts_counting_at_its_first_poll() {
    let clock = ManualClock::new();
    let policy = policy(clock).attempts(1);
    let operation = || async {
        clock.pass(ms(3));
        Err::<(), _>("down")
    };
    let (recorder, _hooks) = Recorder::here();
    let wrapped = policy.wrap_async(move |()| operation());
    let futures = (
        policy.call_async(operation),
        policy.report_async(operation),
        wrapped(()),
        policy
            .call_async(operation)
            .attempt_timeout(secs(9), || "slow"),
    );
    let mut context = ();
    let with = policy.call_async_with(&mut context, async |()| operation().await);
    assert_eq!(clock.reads(), 0);
    clock.pass(secs(1000));
    let _ = at_once(futures.0);
    assert_eq!(at_once(futures.1).elapsed, ms(3));
    let _ = (at_once(futures.2), at_once(futures.3), at_once(with));
    let told = recorder.take();
    assert_eq!(told.len(), 5);
    for told in told {
        assert!(
            matches!(told, support::Event::GaveUp { elapsed, .. } if elapsed == ms(3)),
            "{told:?}"
        );
    }
}

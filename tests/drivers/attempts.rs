//! `start`, `resume`, `Attempts`: loops that callers write themselves.

use crate::support::{ManualClock, Recorder, at_once, clock, ms, poll, secs};
use stamina::testing::{self, Testing};
use stamina::{Decision, Retry, StopReason, Timer};
use std::pin::pin;
use std::time::Duration;

/// Waits 100 ms, 200 ms, 400 ms, ... at once.
fn policy() -> Retry<&'static str> {
    Retry::on()
        .wait_jitter(Duration::ZERO)
        .timer(Timer::custom(clock()))
}

#[test]
fn a_block_can_break_return_and_borrow() {
    fn read(buffer: &mut Vec<u8>, enough: usize) -> Result<usize, &'static str> {
        let policy = policy();
        let mut attempts = policy.start();
        let length = loop {
            buffer.push(0);
            match if buffer.len() < enough {
                Err("short")
            } else {
                Ok(buffer.len())
            } {
                Ok(length) => break attempts.succeed(length),
                Err(error) => attempts.again(error)?,
            }
        };
        Ok(length)
    }
    let mut buffer = Vec::new();
    assert_eq!(read(&mut buffer, 4), Ok(4));
    assert_eq!(read(&mut buffer, 100), Err("short"));
    assert_eq!(buffer.len(), 14);
}

#[test]
fn what_it_says_of_itself_at_each_step() {
    let clock = ManualClock::new();
    let policy = policy().attempts(3).timer(clock.timer());
    let mut attempts = policy.start();
    let wait = |length| Some((ms(length), ms(length)));
    for (number, waited, elapsed, next) in [
        (1, 0, 0, wait(100)),
        (2, 100, 1100, wait(200)),
        (3, 300, 2300, None),
    ] {
        assert_eq!((attempts.number(), attempts.next_wait()), (number, next));
        assert_eq!(
            (attempts.waited(), attempts.elapsed()),
            (ms(waited), ms(elapsed))
        );
        assert_eq!(attempts.stop_reason(), None);
        clock.pass(secs(1));
        assert_eq!(attempts.again("down").is_ok(), number < 3);
    }
    assert_eq!(attempts.stop_reason(), Some(StopReason::AttemptsExhausted));
    assert_eq!((attempts.number(), attempts.next_wait()), (3, None));
    let text = format!("{attempts:?}");
    assert!(
        text.contains("number: 3") && text.contains("AttemptsExhausted"),
        "{text}"
    );
}

#[test]
fn the_error_comes_back_and_the_reason_is_kept() {
    let policy = policy().when(|error| *error != "gone");
    let mut attempts = policy.start();
    assert_eq!(attempts.again("down"), Ok(()));
    assert_eq!(attempts.again("gone"), Err("gone"));
    assert_eq!(attempts.stop_reason(), Some(StopReason::NotRetryable));
    assert_eq!(attempts.number(), 2);
    // It has ended: the next failure comes back too, whatever it is.
    assert_eq!(attempts.decide(&"down"), Err(StopReason::NotRetryable));
    assert_eq!(attempts.again("down"), Err("down"));
    assert_eq!((attempts.next_wait(), attempts.number()), (None, 2));
}

#[test]
fn decide_decides_without_sleeping() {
    let clock = clock();
    let policy = policy().timer(Timer::custom(clock));
    let mut attempts = policy.start();
    let waits: Vec<_> = std::iter::from_fn(|| attempts.decide(&"down").ok()).collect();
    assert_eq!(
        waits,
        [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000].map(ms)
    );
    assert_eq!((attempts.number(), attempts.waited()), (10, ms(21_300)));
    assert_eq!(attempts.decide(&"down"), Err(StopReason::AttemptsExhausted));
    assert!(clock.waits().is_empty());
}

#[test]
fn resumed_it_goes_on_where_it_was() {
    let policy = policy();
    let mut whole = policy.start();
    let mut waits = Vec::new();
    for made in 0..9 {
        let mut part = policy.resume(made, ms(7));
        assert_eq!((part.number(), part.waited()), (made + 1, Duration::ZERO));
        assert_eq!(part.next_wait(), whole.next_wait());
        waits.push(part.decide(&"down"));
        assert_eq!(waits.last(), Some(&whole.decide(&"down")));
    }
    assert_eq!(
        policy.resume(9, Duration::ZERO).decide(&"down"),
        Err(StopReason::AttemptsExhausted)
    );
    for made in [10, 11, u32::MAX - 1, u32::MAX] {
        let mut late = policy.resume(made, Duration::ZERO);
        assert_eq!(
            (late.number(), late.next_wait()),
            (made.saturating_add(1), None)
        );
        assert_eq!(late.decide(&"down"), Err(StopReason::AttemptsExhausted));
    }
    let endless = policy.clone().unlimited_attempts().no_timeout();
    let mut late = endless.resume(u32::MAX, Duration::MAX);
    for _ in 0..3 {
        assert_eq!(late.decide(&"down"), Ok(secs(5)));
        assert_eq!((late.number(), late.elapsed()), (u32::MAX, Duration::MAX));
    }
}

#[test]
fn next_wait_knows_every_limit_but_predicate_and_budget() {
    let next = |policy: &Retry<&'static str>, made| policy.resume(made, Duration::ZERO).next_wait();
    let jitter = policy().wait_jitter(secs(1));
    assert_eq!(next(&jitter, 0), Some((ms(100), ms(1100))));
    assert_eq!(next(&jitter, 8), Some((ms(4000), ms(5000))));
    assert_eq!(next(&jitter, 9), None);
    assert_eq!(next(&jitter.clone().timeout(ms(100)), 0), None);
    assert_eq!(
        next(&jitter.clone().timeout(ms(101)), 0),
        Some((ms(100), ms(101) - Duration::from_nanos(1)))
    );
    assert_eq!(
        next(&jitter.clone().when(|_| false), 0),
        Some((ms(100), ms(1100)))
    );
    let _testing = testing::scoped(Testing::attempts(2));
    assert_eq!(
        next(&jitter.clone().timeout(ms(1)), 0),
        Some((Duration::ZERO, Duration::ZERO))
    );
    assert_eq!(next(&jitter, 1), None);
    let _off = testing::inactive();
    assert_eq!(next(&jitter, 0), None);
}

#[test]
fn again_async_waits_and_can_be_dropped() {
    let clock = ManualClock::new();
    let policy = policy().timer(clock.timer());
    let mut attempts = policy.start();
    {
        let mut again = pin!(attempts.again_async("down"));
        assert!(poll(again.as_mut()).is_pending());
    }
    // Dropped during the wait, it left everything as it was before.
    assert_eq!((attempts.number(), attempts.waited()), (1, Duration::ZERO));
    {
        let mut again = pin!(attempts.again_async("down"));
        assert!(poll(again.as_mut()).is_pending());
        clock.pass(ms(100));
        assert!(poll(again.as_mut()).is_ready());
    }
    assert_eq!(clock.slept(), [ms(100); 2]);
    assert_eq!((attempts.number(), attempts.waited()), (2, ms(100)));
    let policy = policy.clone().attempts(1);
    let mut last = policy.start();
    assert_eq!(at_once(last.again_async("down")), Err("down"));
}

#[test]
fn success_is_told_and_a_drop_is_not() {
    let (recorder, _hooks) = Recorder::here();
    let policy = policy();
    assert_eq!(policy.start().succeed("value"), "value");
    drop(policy.start());
    assert!(recorder.take().is_empty());
    let mut attempts = policy.start();
    attempts.again("down").unwrap();
    attempts.again("down").unwrap();
    assert_eq!(attempts.succeed(5), 5);
    assert_eq!(recorder.short(), ["retry 1", "retry 2", "recovered 3"]);
    let mut attempts = policy.start();
    attempts.again("down").unwrap();
    drop(attempts);
    assert_eq!(recorder.short(), ["retry 1"]);
    // A resumed call that succeeds has recovered too.
    policy.resume(2, Duration::ZERO).succeed(());
    assert_eq!(recorder.short(), ["recovered 3"]);
}

#[test]
fn hints_reach_event_loops_too() {
    let policy = policy().when(|error| match *error {
        "busy" => Decision::RetryAfter(secs(20)),
        _ => Decision::Retry,
    });
    let mut attempts = policy.start();
    assert_eq!(attempts.decide(&"busy"), Ok(secs(20)));
    assert_eq!(attempts.decide(&"down"), Ok(ms(200)));
    assert_eq!(attempts.waited(), ms(20_200));
}

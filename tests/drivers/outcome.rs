//! `call_outcome`, `call_outcome_async`: the predicate sees the whole outcome.

use crate::support::{Event, Recorder, clock, ms};
use futures::executor::block_on;
use stamina::testing::{self};
use stamina::{Decision, Retry, Timer};
use std::time::Duration;

type Outcome = Result<u16, &'static str>;

/// Both ways of driving it; how many attempts, and what came back.
#[track_caller]
fn comes_to(policy: &Retry<Outcome>, script: &[Outcome], attempts: usize, told: &[&str]) {
    let (recorder, _hooks) = Recorder::here();
    for asynchronous in [false, true] {
        let mut rest = script.iter().copied();
        let mut made = 0;
        let mut operation = || {
            made += 1;
            rest.next().unwrap()
        };
        let outcome = if asynchronous {
            block_on(policy.call_outcome_async(|| std::future::ready(operation())))
        } else {
            policy.call_outcome(operation)
        };
        assert_eq!((outcome, made), (script[attempts - 1], attempts));
        assert_eq!(recorder.short(), told);
    }
}

#[test]
fn every_ending() {
    const DOWN: Outcome = Err("down");
    const BUSY: Outcome = Ok(503);
    const FINE: Outcome = Ok(200);
    let policy = Retry::on::<Outcome>()
        .attempts(3)
        .timer(Timer::custom(clock()));
    // Without a predicate, an error is retried and a success is not.
    comes_to(&policy, &[FINE], 1, &[]);
    comes_to(&policy, &[BUSY], 1, &[]);
    comes_to(&policy, &[DOWN, BUSY], 2, &["retry 1", "recovered 2"]);
    comes_to(
        &policy,
        &[DOWN; 3],
        3,
        &["retry 1", "retry 2", "gave up 3 attempts_exhausted"],
    );

    let busy = policy
        .clone()
        .when(|outcome| matches!(outcome, Ok(503) | Err("down")));
    comes_to(&busy, &[FINE], 1, &[]);
    comes_to(&busy, &[BUSY, FINE], 2, &["retry 1", "recovered 2"]);
    comes_to(
        &busy,
        &[DOWN, BUSY, FINE],
        3,
        &["retry 1", "retry 2", "recovered 3"],
    );
    comes_to(&busy, &[DOWN, Err("gone")], 2, &["retry 1"]);
    // The last outcome comes back, be it a success.
    comes_to(
        &busy,
        &[DOWN, DOWN, BUSY],
        3,
        &["retry 1", "retry 2", "gave up 3 attempts_exhausted"],
    );
    comes_to(
        &busy.clone().timeout(Duration::ZERO),
        &[BUSY],
        1,
        &["gave up 1 timed_out"],
    );

    let _off = testing::inactive();
    comes_to(&busy, &[BUSY], 1, &[]);
    comes_to(&busy, &[DOWN], 1, &[]);
}

#[test]
fn a_predicate_with_hints_on_successes() {
    let clock = clock();
    let policy = Retry::on::<Outcome>()
        .timer(Timer::custom(clock))
        .when(|outcome| match outcome {
            Ok(429) => Decision::RetryExactly(ms(7)),
            Ok(_) => Decision::Stop,
            Err(_) => Decision::Retry,
        });
    let mut script = [Ok(429), Ok(429), Ok(201)].into_iter();
    assert_eq!(policy.call_outcome(|| script.next().unwrap()), Ok(201));
    assert_eq!(clock.waits(), [ms(7); 2]);
}

#[test]
fn telemetry_names_the_error_type_and_shows_the_outcome() {
    let (recorder, _hooks) = Recorder::here();
    let policy = Retry::on::<Outcome>()
        .attempts(2)
        .timer(Timer::custom(clock()))
        .when(|_| true);
    let _ = policy.call_outcome(|| Ok(503));
    for told in recorder.take() {
        let (Event::Retry {
            caused_by,
            error_type,
            ..
        }
        | Event::GaveUp {
            caused_by,
            error_type,
            ..
        }) = told
        else {
            panic!("{told:?}");
        };
        assert_eq!((caused_by.as_str(), error_type), ("Ok(503)", "u16"));
    }
}

#[test]
fn a_first_success_is_asked_about_once() {
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let count = std::sync::Arc::clone(&asked);
    let policy = Retry::on::<Outcome>().when(move |_| {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        false
    });
    assert_eq!(policy.call_outcome(|| Ok(1)), Ok(1));
    assert_eq!(
        block_on(policy.call_outcome_async(|| async { Ok(1) })),
        Ok(1)
    );
    assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), 2);
}

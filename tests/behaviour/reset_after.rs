//! `reset_after`: an attempt that ran for long enough was healthy, so its failure starts the call anew.
#![allow(clippy::float_cmp, reason = "these balances are exact")]

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use crate::support::drivers::through_all;
use crate::support::{Recorder, clock, ms, secs};
use stamina::{Attempts, Budget, Clock, Retry, StopReason, Timer};

/// Runs a connection by every driver. Its sessions last so long and then break; after the last it succeeds. Says how many
/// there were and how long the waits between them were.
#[track_caller]
fn connect(
    policy: impl Fn(Retry<&'static str>) -> Retry<&'static str>,
    sessions: &[Duration],
    check: impl Fn(&str, usize, &[Duration]),
) {
    let policy = |timer| policy(Retry::on::<&str>().timer(timer));
    through_all(policy, |name, clock, run| {
        // Whoever asks `decide` waits by other means, see below.
        if name == "decide" {
            return;
        }
        let made = Cell::new(0);
        let result = run(&|| {
            let Some(length) = sessions.get(made.get()) else {
                return Ok(7);
            };
            made.set(made.get() + 1);
            clock.advance(*length);
            Err("lost")
        });
        let waits = clock.waits();
        let retries = made.get() - usize::from(result.is_err());
        assert_eq!(waits.len(), retries, "{name}");
        check(name, made.get(), &waits);
    });
}

#[test]
fn a_session_of_ten_minutes_reconnects_under_the_defaults() {
    let sessions = [secs(600); 3];
    connect(
        |policy| policy.reset_after(secs(60)),
        &sessions,
        |name, made, waits| {
            assert_eq!(made, 3, "{name}");
            let first = ms(100)..=ms(1100);
            assert!(
                waits.iter().all(|wait| first.contains(wait)),
                "{name}: {waits:?}"
            );
        },
    );
    // Without it the deadline has passed long before.
    connect(
        |policy| policy,
        &sessions,
        |name, made, _| {
            assert_eq!(made, 1, "{name}");
        },
    );
}

#[test]
fn a_loop_that_fails_once_an_hour_for_a_week_waits_as_at_first() {
    let sessions = [secs(3600); 24 * 7];
    connect(
        |policy| policy.reset_after(secs(60)),
        &sessions,
        |name, made, waits| {
            assert_eq!(made, 24 * 7, "{name}");
            assert!(
                waits.iter().all(|wait| *wait <= ms(1100)),
                "{name}: {waits:?}"
            );
        },
    );
}

#[test]
fn an_outage_between_healthy_sessions_is_limited_and_backs_off_as_ever() {
    // A healthy session, then three quick failures: with four attempts it is given up on.
    let sessions = [secs(60), ms(1), ms(1), ms(1), ms(1)];
    let set = |policy: Retry<&'static str>| {
        let policy = policy.attempts(4).wait_jitter(Duration::ZERO);
        policy.reset_after(secs(60))
    };
    connect(set, &sessions, |name, made, waits| {
        assert_eq!(made, 4, "{name}: the healthy one is the first of four");
        assert_eq!(waits, [100, 200, 400].map(ms), "{name}");
    });
    // The deadline counts from the failure.
    let sessions = [secs(600), secs(3), secs(3), secs(3)];
    let set = |policy: Retry<&'static str>| {
        let policy = policy.timeout(secs(7)).fixed(secs(1));
        policy.reset_after(secs(60))
    };
    connect(set, &sessions, |name, made, _| {
        assert_eq!(made, 3, "{name}");
    });
}

#[test]
fn exactly_as_long_is_healthy_and_less_is_not() {
    let nearly = secs(60) - Duration::from_nanos(1);
    for (length, expected) in [(secs(60), 5), (nearly, 2)] {
        let set = |policy: Retry<&'static str>| {
            let policy = policy.attempts(2).no_timeout();
            policy.reset_after(secs(60))
        };
        connect(set, &[length; 5], |name, made, _| {
            assert_eq!(made, expected, "{name}");
        });
    }
}

#[test]
fn a_healthy_attempt_credits_the_budget() {
    // Each retry needs a whole token, and only the healthy sessions bring any.
    let budget = || Arc::new(Budget::new().floor(0).ratio(1.0));
    let set = |healthy| {
        move |policy: Retry<&'static str>| {
            let policy = policy.no_timeout().shared_budget(budget());
            policy.reset_after(healthy)
        }
    };
    connect(set(secs(60)), &[secs(60); 4], |name, made, _| {
        assert_eq!(made, 4, "{name}");
    });
    connect(set(secs(61)), &[secs(60); 4], |name, made, _| {
        assert_eq!(made, 1, "{name}");
    });
}

#[test]
fn a_healthy_attempt_gives_a_token_back_only_if_it_took_one() {
    let clock = clock();
    let budget = Arc::new(Budget::new().floor(5).ratio(0.25));
    let policy = Retry::on::<&str>()
        .fixed(secs(1))
        .reset_after(secs(60))
        .shared_budget(Arc::clone(&budget))
        .timer(Timer::custom(clock));
    let balance = || budget.balance(clock.now());
    policy.start().again("down").unwrap();
    assert_eq!(balance(), 4.0);
    // The first attempt of a call is no retry: only the ratio comes in, and the retry takes its token.
    let mut attempts = policy.start();
    clock.advance(secs(60));
    attempts.again("lost").unwrap();
    assert_eq!(balance(), 3.25);
    // The second one is.
    clock.advance(secs(60));
    attempts.again("lost").unwrap();
    assert_eq!(balance(), 3.5);
}

#[test]
fn telemetry_and_code_blocks_count_from_one_again() {
    let clock = clock();
    let (recorder, _hooks) = Recorder::here();
    let policy = Retry::on::<&str>()
        .attempts(3)
        .reset_after(secs(60))
        .timer(Timer::custom(clock));
    let mut attempts = policy.start();
    attempts.again("lost").unwrap();
    attempts.again("lost").unwrap();
    assert_eq!(attempts.number(), 3);
    clock.advance(secs(60));
    // It is healthy by now, so this failure would not be the last.
    assert!(attempts.next_wait().is_some());
    attempts.again("lost").unwrap();
    assert_eq!(attempts.number(), 2);
    assert!(attempts.waited() <= ms(1100), "{:?}", attempts.waited());
    assert_eq!(attempts.elapsed(), attempts.waited());
    attempts.again("lost").unwrap();
    assert_eq!(attempts.again("lost"), Err("lost"));
    assert_eq!(attempts.stop_reason(), Some(StopReason::AttemptsExhausted));
    assert_eq!(
        recorder.short(),
        [
            "retry 1",
            "retry 2",
            "retry 1",
            "retry 2",
            "gave up 3 attempts_exhausted"
        ]
    );
}

#[test]
fn a_resumed_call_forgets_what_came_before_a_healthy_session() {
    let clock = clock();
    let policy = Retry::on::<&str>()
        .reset_after(secs(60))
        .timer(Timer::custom(clock));
    let mut attempts = policy.resume(9, secs(44));
    clock.advance(secs(60));
    attempts.again("lost").unwrap();
    assert_eq!(attempts.number(), 2);
    assert!(attempts.elapsed() <= ms(1100), "{:?}", attempts.elapsed());
}

#[test]
fn an_attempt_that_was_decided_on_begins_after_its_wait() {
    let clock = clock();
    let policy = Retry::on::<&str>()
        .attempts(2)
        .fixed(secs(1))
        .reset_after(secs(60))
        .timer(Timer::custom(clock));
    let mut attempts = policy.start();
    clock.advance(secs(60));
    assert_eq!(attempts.decide(&"lost"), Ok(secs(1)));
    clock.advance(secs(1) + secs(60));
    assert_eq!(attempts.decide(&"lost"), Ok(secs(1)));
    // The wait does not count as healthy time.
    clock.advance(secs(1) + secs(59));
    assert_eq!(attempts.decide(&"lost"), Err(StopReason::AttemptsExhausted));
}

#[test]
fn the_time_of_the_predicate_is_not_the_attempts() {
    let clock = clock();
    let policy = Retry::on::<&str>()
        .no_timeout()
        .attempts(2)
        .fixed(Duration::ZERO)
        .reset_after(secs(5))
        .timer(Timer::custom(clock))
        .when(|_: &&str| {
            clock.advance(secs(3));
            true
        });
    let mut made = 0;
    let result = policy.call(|| {
        made += 1;
        clock.advance(secs(3));
        if made < 9 { Err("lost") } else { Ok(()) }
    });
    assert_eq!((result, made), (Err("lost"), 2));

    // Nor is an attempt taken for one that ran into its limit because the predicate took long.
    let cut = policy.attempt_timeout(secs(10), || "slow");
    let mut attempts = cut.start();
    assert!(attempts.decide(&"lost").is_ok());
    clock.advance(secs(9));
    assert!(attempts.decide(&"lost").is_ok());
    assert_eq!(attempts.decide(&"lost"), Err(StopReason::AttemptsExhausted));
}

#[test]
fn after_a_reset_or_a_success_the_attempt_is_measured_from_there() {
    let clock = clock();
    // What is left of a budget of 5 after a failure, which takes 1. A healthy attempt earns a half.
    let balance = |before: &dyn Fn(&mut Attempts<'_, &'static str>)| {
        let budget = Arc::new(Budget::new().floor(5).ratio(0.5));
        let policy = Retry::on::<&str>()
            .reset_after(secs(60))
            .shared_budget(budget.clone())
            .timer(Timer::custom(clock));
        let mut attempts = policy.start();
        before(&mut attempts);
        attempts.decide(&"lost").unwrap();
        (budget.balance(clock.now()) * 10.0).round() / 10.0
    };
    assert_eq!(balance(&|_| ()), 4.0);
    assert_eq!(balance(&|_| clock.advance(secs(60))), 4.5);
    let reset = |attempts: &mut Attempts<'_, _>| {
        clock.advance(secs(60));
        attempts.reset();
    };
    assert_eq!(balance(&reset), 4.0);
    // The success earns a half itself, which counts from the start of its call and has decayed after a minute.
    let succeed = |attempts: &mut Attempts<'_, _>| {
        clock.advance(secs(60));
        attempts.succeed(());
    };
    assert_eq!(balance(&succeed), 4.0);
    let long_after = |attempts: &mut Attempts<'_, _>| {
        attempts.succeed(());
        clock.advance(secs(60));
    };
    assert_eq!(balance(&long_after), 4.5);
}

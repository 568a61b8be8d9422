//! Random policies and scripts through every driver, held against an independent model (`model/rules.rs`).
//!
//! The fuzzer in `tests/fuzz` plays the same with inputs of its own; this is the ordinary run, with fixed seeds.
//! `STAMINA_MODEL_ROUNDS` sets how many scripts are played; `STAMINA_MODEL_INPUT` names a file with a script that the
//! fuzzer has found, to play it alone.
//!
//! Alone in its process: the fuzzer shares its files, and one script can be played alone.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    clippy::disallowed_methods,
    clippy::enum_glob_use,
    clippy::struct_excessive_bools,
    clippy::needless_pass_by_value,
    clippy::too_many_lines,
    clippy::trivially_copy_pass_by_ref,
    reason = "a model in plain numbers, whose rounding the checks allow for"
)]

use std::sync::Arc;
use std::time::Duration;

use stamina::testing::VirtualClock;
use stamina::{Budget, Clock, Retry, Timer};

#[path = "model/mod.rs"]
mod model;

use model::{STAGES, Spread, play};

fn rounds() -> u64 {
    std::env::var("STAMINA_MODEL_ROUNDS").map_or(20_000, |rounds| rounds.parse().expect("a number"))
}

/// To see one script that has failed: its number in `STAMINA_MODEL_SEED`, with `STAMINA_MODEL_SHOW` set.
#[test]
fn one_seed() {
    if let Ok(seed) = std::env::var("STAMINA_MODEL_SEED") {
        play(&script(seed.parse().expect("a number")), &STAGES[3]);
    }
}

fn script(seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..random.usize(..400)).map(|_| random.u8(..)).collect()
}

#[test]
fn every_driver_does_what_the_model_says() {
    let _ = Spread::take();
    for seed in 0..rounds() {
        let bytes = script(seed);
        let played = std::panic::catch_unwind(|| play(&bytes, &STAGES[0]));
        assert!(played.is_ok(), "seed {seed}: {bytes:?}");
    }
    // Waits that are drawn at random lie everywhere in their range.
    let Spread { drawn, tenths } = Spread::take();
    assert!(u64::from(drawn) > rounds() / 2, "{drawn}");
    for tenth in tenths {
        assert!(tenth > drawn / 12 && tenth < drawn / 8, "{tenths:?}");
    }
}

#[test]
fn a_script_that_the_fuzzer_has_found() {
    if let Ok(path) = std::env::var("STAMINA_MODEL_INPUT") {
        play(&std::fs::read(path).expect("a script"), &STAGES[1]);
    }
}

/// Of all that the fuzzer has tried, the fewest scripts that reach every place it has reached, in hexadecimal. They are
/// what `-set_cover_merge=1 -use_counters=0` leaves of its corpus.
#[test]
fn scripts_that_reach_all_that_the_fuzzer_has_reached() {
    for script in include_str!("model/scripts.txt").lines() {
        let byte = |at: usize| u8::from_str_radix(&script[at..at + 2], 16).expect("a byte");
        let bytes: Vec<u8> = (0..script.len()).step_by(2).map(byte).collect();
        let played = std::panic::catch_unwind(|| play(&bytes, &STAGES[2]));
        assert!(played.is_ok(), "{script}");
    }
}

// What the fuzzer and the model have found, each in a plain test.

fn clock() -> &'static VirtualClock {
    Box::leak(Box::new(VirtualClock::new()))
}

/// The last part of a surplus, too small to decay in whole units, kept its age and made what was added later decay too.
#[test]
fn a_success_after_a_pause_counts_in_full_whatever_was_left_over() {
    for millis in 6_900..6_950 {
        let clock = clock();
        let budget: Arc<Budget> = Arc::new(Budget::new().floor(1).ratio(1.0));
        let policy = Retry::on::<&str>()
            .attempts(2)
            .fixed(Duration::ZERO)
            .timer(Timer::custom(clock))
            .shared_budget(Arc::clone(&budget));
        let succeed = || policy.call(|| Ok::<_, &str>(())).unwrap();

        succeed();
        succeed();
        // Decayed from 2 to almost exactly 1 above the floor, which a retry takes.
        clock.advance(Duration::from_millis(millis));
        assert_eq!(policy.call(|| Err::<(), _>("down")), Err("down"));
        clock.advance(Duration::from_secs(3600));
        succeed();

        let balance = budget.balance(clock.now());
        assert!(
            (1.99..2.01).contains(&balance),
            "after {millis} ms: {balance}"
        );
    }
}

/// The time of a cut began when an attempt first waited, so that what it did before made it late.
#[test]
fn a_cut_counts_what_an_attempt_does_before_it_first_waits() {
    static CLOCK: VirtualClock = VirtualClock::new();
    let policy = Retry::on::<&str>().attempts(1).timer(Timer::custom(&CLOCK));
    let call = policy.call_async(|| async {
        CLOCK.advance(Duration::from_secs(2));
        std::future::pending::<Result<(), &str>>().await
    });
    let cut = call.attempt_timeout(Duration::from_secs(3), || "too slow");
    assert_eq!(futures::executor::block_on(cut), Err("too slow"));
    assert_eq!(CLOCK.elapsed(), Duration::from_secs(3));
}

/// The wait that `decide` returns counted as a part of the attempt after it, so each attempt looked healthy and the loop
/// never ended.
#[test]
fn the_wait_after_decide_is_no_part_of_an_attempt() {
    let clock = clock();
    let policy = Retry::on::<&str>()
        .attempts(3)
        .fixed(Duration::from_secs(60))
        .no_timeout()
        .reset_after(Duration::from_secs(60))
        .timer(Timer::custom(clock));
    let mut attempts = policy.start();
    let mut waits = 0;
    while let Ok(wait) = attempts.decide(&"down") {
        waits += 1;
        assert!(waits < 10, "it never ends");
        clock.advance(wait);
    }
    assert_eq!((waits, attempts.number()), (2, 3));

    // One that ran for a minute after its wait was healthy.
    attempts.reset();
    assert!(attempts.decide(&"down").is_ok());
    clock.advance(Duration::from_secs(60 + 60));
    assert!(attempts.decide(&"down").is_ok());
    assert_eq!(attempts.number(), 2);
}

/// A long attempt whose `Ok` the predicate had looked at was taken for a healthy one that had failed: its success counted
/// twice for the budget, and nobody heard that the call had recovered.
#[test]
fn a_long_success_resets_nothing() {
    let clock = clock();
    let budget = Arc::new(Budget::new().ratio(0.5));
    let policy = Retry::on::<Result<u32, &str>>()
        .when(Result::is_err)
        .fixed(Duration::ZERO)
        .reset_after(Duration::from_secs(60))
        .timer(Timer::custom(clock))
        .shared_budget(Arc::clone(&budget));
    let mut attempts = policy.start();
    assert!(attempts.settle(Err("down")).is_continue());
    clock.advance(Duration::from_secs(60));
    assert!(attempts.settle(Ok(7)).is_break());
    assert_eq!(attempts.number(), 2);
    // 2 - 1, plus the ratio and the retry's token up to the floor.
    assert_eq!(budget.balance(clock.now()), 2.0);
}

/// `settle` did not note when the attempt after a success began, so a long success made the next failure look healthy.
#[test]
fn a_failure_after_a_long_success_is_not_healthy_itself() {
    let clock = clock();
    let budget = Arc::new(Budget::new().floor(0).ratio(0.5));
    let policy = Retry::on::<Result<u32, &str>>()
        .reset_after(Duration::from_secs(60))
        .timer(Timer::custom(clock))
        .shared_budget(Arc::clone(&budget));
    let mut attempts = policy.start();
    clock.advance(Duration::from_secs(60));
    assert!(attempts.settle(Ok(1)).is_break());
    let credited = budget.balance(clock.now());
    assert!(attempts.settle(Err("down")).is_break());
    assert_eq!(budget.balance(clock.now()), credited);
}

/// An attempt that hung until the limit of `RetryFuture::attempt_timeout` counted as healthy, so such a call never ended.
#[test]
fn an_attempt_that_was_cut_by_a_limit_of_its_own_is_not_healthy() {
    let clock = clock();
    let policy = Retry::on::<&str>()
        .attempts(3)
        .no_timeout()
        .reset_after(Duration::from_secs(60))
        .timer(Timer::custom(clock));
    let mut attempts = 0;
    let call = policy.call_async(|| {
        attempts += 1;
        assert!(attempts < 10, "it never ends");
        std::future::pending::<Result<(), &str>>()
    });
    let cut = call.attempt_timeout(Duration::from_secs(60), || "too slow");
    assert_eq!(futures::executor::block_on(cut), Err("too slow"));
    assert_eq!(attempts, 3);
}

/// `next_wait` promised a wait in cases that have none, and one of a call that the failure would start anew.
#[test]
fn next_wait_knows_nesting_and_resets() {
    let clock = clock();
    let policy = Retry::on::<&str>()
        .attempts(2)
        .wait_jitter(Duration::ZERO)
        .reset_after(Duration::from_secs(600))
        .timer(Timer::custom(clock));
    let first = Some((Duration::from_millis(100), Duration::from_millis(100)));
    let mut attempts = policy.start();
    assert_eq!(attempts.next_wait(), first);
    assert!(attempts.decide(&"down").is_ok());
    clock.advance(Duration::from_millis(100));
    assert_eq!(attempts.next_wait(), None, "the last attempt");
    clock.advance(Duration::from_secs(600));
    assert_eq!(attempts.next_wait(), first, "healthy");
    assert!(attempts.decide(&"down").is_ok());

    let nested = policy.outermost_only();
    let outer = Retry::on::<()>().attempts(1);
    let ahead = outer.call(|| Ok::<_, ()>(nested.start().next_wait()));
    assert_eq!(ahead, Ok(None));
}

/// After a stop the predicate was asked about further failures.
#[test]
fn a_stopped_call_asks_about_no_further_failure() {
    let asked = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let counted = Arc::clone(&asked);
    let policy = Retry::on::<Result<u32, &str>>()
        .attempts(1)
        .when(move |outcome| {
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            outcome.is_err()
        });
    let mut attempts = policy.start();
    for _ in 0..3 {
        assert!(attempts.settle(Err("down")).is_break());
    }
    assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), 1);
}

/// A retry that tower's layer sent took its depth from whoever polled it.
#[cfg(feature = "tower")]
#[test]
fn an_attempt_under_towers_layer_has_the_depth_of_its_request() {
    use std::future::Future;
    use std::sync::Mutex;
    use std::task::{Context, Poll, Waker};
    use tower::{Layer, Service, service_fn};

    let depths = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&depths);
    let inner = Retry::on::<&str>()
        .attempts(2)
        .fixed(Duration::ZERO)
        .on_retry(move |_, details| seen.lock().unwrap().push(details.depth));
    let policy = Retry::on::<&str>().attempts(2).fixed(Duration::ZERO);
    let service = service_fn(move |(): ()| std::future::ready(inner.call(|| Err::<(), _>("down"))));
    let mut request = Box::pin(policy.tower().layer(service).call(()));
    let outer = Retry::on::<()>().attempts(1);
    let polled = outer.call(|| {
        Ok::<_, ()>(
            request
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop())),
        )
    });
    assert_eq!(polled, Ok(Poll::Ready(Err("down"))));
    assert_eq!(*depths.lock().unwrap(), [1, 1]);
}

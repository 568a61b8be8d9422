//! Random policies and scripts through every driver, held against an independent model (`model/rules.rs`).
//!
//! The fuzzer in `tests/fuzz` plays the same with inputs of its own; this is the ordinary run, with fixed seeds.
//! `STAMINA_MODEL_ROUNDS` sets how many scripts are played; `STAMINA_MODEL_INPUT` names a file with a script that the
//! fuzzer has found, to play it alone.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    clippy::disallowed_methods,
    clippy::enum_glob_use,
    clippy::struct_excessive_bools,
    clippy::too_many_lines,
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

/// To see one script that has failed: STAMINA_MODEL_SEED, with STAMINA_MODEL_SHOW set.
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
/// what `-merge=1 -set_cover_merge=1` leaves of its corpus.
#[test]
fn scripts_that_reach_all_that_the_fuzzer_has_reached() {
    for script in include_str!("model/scripts.txt").lines() {
        let byte = |at: usize| u8::from_str_radix(&script[at..at + 2], 16).expect("a byte");
        let bytes: Vec<u8> = (0..script.len()).step_by(2).map(byte).collect();
        let played = std::panic::catch_unwind(|| play(&bytes, &STAGES[2]));
        assert!(played.is_ok(), "{script}");
    }
}

// What the fuzzer has found, told plainly.

/// A rest of a surplus, too small to be reckoned down, kept its age and handed it to what was added later.
#[test]
fn a_success_after_a_pause_counts_in_full_whatever_was_left_over() {
    for millis in 6_900..6_950 {
        let clock: &VirtualClock = Box::leak(Box::new(VirtualClock::new()));
        let budget: Arc<Budget> = Arc::new(Budget::new().floor(1).ratio(1.0));
        let policy = Retry::on::<&str>()
            .attempts(2)
            .waits(|_| Duration::ZERO)
            .wait_jitter(Duration::ZERO);
        let policy = policy
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

/// The time of a cut began only where an attempt first waited, so that what it did before made it late.
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

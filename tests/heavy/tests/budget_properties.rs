//! The budget against its formula in plain `f64`, over settings, times and rates that nobody would think of.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use stamina::{Budget, Clock, Retry, Sleep, StopReason, Timer};

thread_local! {
    /// Nanoseconds since a base that leaves room on both sides.
    static NOW: Cell<i64> = const { Cell::new(0) };
}

/// Each test thread has its own time. Waits never end.
struct Hands;

impl Clock for Hands {
    fn now(&self) -> Instant {
        at(NOW.get())
    }

    fn sleep(&self, _: Duration) -> Sleep {
        Sleep::boxed(std::future::pending())
    }

    fn sleep_blocking(&self, _: Duration) {}
}

#[allow(clippy::disallowed_methods, reason = "some time must be the first")]
fn at(nanos: i64) -> Instant {
    static BASE: OnceLock<Instant> = OnceLock::new();
    let base = *BASE.get_or_init(Instant::now);
    let distance = Duration::from_nanos(nanos.unsigned_abs());
    if nanos < 0 {
        base.checked_sub(distance).unwrap()
    } else {
        base + distance
    }
}

const SECOND: i64 = 1_000_000_000;
const YEAR: i64 = 365 * 24 * 3600 * SECOND;

/// A budget and a policy that only it limits.
struct Bucket {
    budget: Arc<Budget>,
    policy: Retry<()>,
}

impl Bucket {
    fn new(budget: Budget) -> Self {
        let budget = Arc::new(budget);
        let policy = Retry::on::<()>()
            .unlimited_attempts()
            .no_timeout()
            .timer(Timer::custom(&Hands))
            .shared_budget(Arc::clone(&budget));
        NOW.set(0);
        Self { budget, policy }
    }

    fn succeed(&self) {
        self.policy.call(|| Ok(())).unwrap();
    }

    fn ask(&self) -> bool {
        match self.policy.start().decide(&()) {
            Ok(_) => true,
            Err(reason) => {
                assert_eq!(reason, StopReason::BudgetExhausted);
                false
            }
        }
    }

    /// Starts to wait for a retry and thinks better of it.
    fn cancel(&self) {
        let mut attempts = self.policy.start();
        let waiting = pin!(attempts.again_async(()));
        let _: Poll<_> = waiting.poll(&mut Context::from_waker(Waker::noop()));
    }

    fn balance(&self) -> f64 {
        self.budget.balance(at(NOW.get()))
    }
}

/// The formula, told of what the budget decided, and how far off a budget may be that counts time in steps.
#[derive(Clone)]
struct Formula {
    floor: f64,
    tau: f64,
    step: f64,
    surplus: f64,
    last: i64,
    /// All credits and retries that still weigh on the surplus.
    gross: f64,
    /// What a success is at least reckoned in, and how much of it rounding may have taken.
    unit: f64,
    rounded: f64,
}

impl Formula {
    fn new(ratio: f64, decay: Duration, floor: u32) -> Self {
        let tau = decay.as_nanos().min(u128::from(u64::MAX)) as f64;
        Self {
            floor: f64::from(floor),
            tau,
            step: (tau / 1000.0).max(1e6),
            surplus: 0.0,
            last: 0,
            gross: 0.0,
            unit: ratio / f64::from(1 << 20),
            rounded: 0.0,
        }
    }

    fn pass(&mut self, now: i64) {
        if self.surplus > 0.0 {
            if now > self.last {
                let passed = (now - self.last) as f64;
                self.surplus *= (-passed / self.tau).exp();
                // Of the last two steps it is not known whether they have passed.
                self.gross *= (-(passed - 2.0 * self.step).max(0.0) / self.tau).exp();
                self.last = now;
                self.rounded += self.unit;
            }
        } else {
            self.last = now;
        }
    }

    fn add(&mut self, tokens: f64, now: i64) {
        self.pass(now);
        self.surplus += tokens;
        self.gross += tokens.abs();
    }

    /// What a look sees, which changes nothing: the balance, and how far off it may be.
    fn at(&self, now: i64) -> (f64, f64) {
        let mut then = self.clone();
        then.pass(now);
        (then.floor + then.surplus, then.tolerance())
    }

    /// Two steps of time, and the rounding of a 2,000th; of a large floor, the digits of an `f64`.
    fn tolerance(&self) -> f64 {
        let steps = 1.0 - (-2.0 * self.step / self.tau).exp();
        (steps + 1e-3).min(1.0) * self.gross
            + self.rounded
            + (self.floor + self.surplus) * 1e-12
            + 1e-9
    }
}

#[derive(Clone, Debug)]
enum Act {
    Succeed(u8),
    Ask(u8),
    Cancel,
    Pass(i64),
}

/// From nanoseconds to days, forwards and sometimes backwards; sixty of them stay within the 1.6 years, and half a year
/// back, that the shortest steps of time allow.
fn passing() -> impl Strategy<Value = i64> {
    prop_oneof![
        6 => 0..20 * SECOND,
        3 => 0..SECOND / 100,
        1 => 0..1000_i64,
        1 => 0..YEAR / 40,
        2 => -30 * SECOND..0,
        1 => -YEAR / 130..0,
    ]
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => (1..60_u8).prop_map(Act::Succeed),
        3 => (1..20_u8).prop_map(Act::Ask),
        1 => Just(Act::Cancel),
        4 => passing().prop_map(Act::Pass),
    ];
    prop::collection::vec(act, 1..60)
}

/// A budget keeps no time while it has no surplus; so a clock that jumps back and a balance that falls to the floor
/// within the tolerance don't go together here: each history has one or the other.
fn decidable_acts() -> impl Strategy<Value = Vec<Act>> {
    (acts(), any::<bool>()).prop_map(|(acts, forwards)| {
        let decidable = |act| match act {
            Act::Pass(nanos) if forwards => Some(Act::Pass(nanos.abs())),
            Act::Ask(_) | Act::Cancel if !forwards => None,
            act => Some(act),
        };
        acts.into_iter().filter_map(decidable).collect()
    })
}

fn ratios() -> impl Strategy<Value = f64> {
    prop_oneof![
        3 => (1..=20_u32, 20..=200_u32).prop_map(|(above, below)| f64::from(above) / f64::from(below)),
        3 => 1e-3..=1.0_f64,
        1 => (-6.0..0.0_f64).prop_map(|power| 10_f64.powf(power)),
        1 => Just(1.0),
    ]
}

fn decays() -> impl Strategy<Value = Duration> {
    prop_oneof![
        4 => (1..100_u64).prop_map(Duration::from_secs),
        2 => (0..20_u32).prop_map(|power| Duration::from_nanos(10_u64.saturating_pow(power))),
        1 => Just(Duration::MAX),
        1 => Just(Duration::from_nanos(1)),
    ]
}

fn floors() -> impl Strategy<Value = u32> {
    prop_oneof![5 => 0..10_u32, 1 => 0..1_000_000_u32]
}

fn budget(ratio: f64, decay: Duration, floor: u32) -> Budget {
    Budget::new().ratio(ratio).decay(decay).floor(floor)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn decisions_and_balance_follow_the_formula(
        ratio in ratios(), decay in decays(), floor in floors(), acts in decidable_acts(),
    ) {
        let bucket = Bucket::new(budget(ratio, decay, floor));
        let mut formula = Formula::new(ratio, decay, floor);
        for act in acts {
            let now = NOW.get();
            match act {
                Act::Succeed(times) => for _ in 0..times {
                    bucket.succeed();
                    formula.add(ratio, now);
                },
                Act::Ask(times) => for _ in 0..times {
                    let (balance, tolerance) = formula.at(now);
                    if bucket.ask() {
                        prop_assert!(balance >= 1.0 - tolerance, "granted at {balance} +- {tolerance}");
                        formula.add(-1.0, now);
                    } else {
                        prop_assert!(balance < 1.0 + tolerance, "denied at {balance} +- {tolerance}");
                    }
                },
                Act::Cancel => {
                    let before = bucket.balance();
                    bucket.cancel();
                    prop_assert!((bucket.balance() - before).abs() <= before.abs() * 1e-6);
                    if before >= 1.0 {
                        formula.add(-1.0, now);
                        formula.add(1.0, now);
                    }
                }
                Act::Pass(nanos) => NOW.set(now.saturating_add(nanos)),
            }
            let (balance, (expected, tolerance)) = (bucket.balance(), formula.at(NOW.get()));
            prop_assert!(
                (balance - expected).abs() <= tolerance,
                "{balance}, not {expected} +- {tolerance}"
            );
        }
    }

    #[test]
    fn never_more_retries_than_the_floor_and_the_successes_allow(
        ratio in ratios(), decay in decays(), floor in floors(), acts in acts(),
    ) {
        let bucket = Bucket::new(budget(ratio, decay, floor));
        let (mut retries, mut successes) = (0.0, 0.0);
        for act in acts {
            match act {
                Act::Succeed(times) => for _ in 0..times {
                    bucket.succeed();
                    successes += 1.0;
                },
                Act::Ask(times) => for _ in 0..times {
                    retries += f64::from(u8::from(bucket.ask()));
                },
                Act::Cancel => bucket.cancel(),
                Act::Pass(nanos) => NOW.set(NOW.get().saturating_add(nanos)),
            }
            let most = f64::from(floor) + ratio * successes;
            prop_assert!(retries <= most * (1.0 + 1e-12), "{retries} of {most}");
            prop_assert!(bucket.balance() + retries <= most * (1.0 + 1e-12));
            prop_assert!(bucket.balance() >= 0.0);
        }
    }

    #[test]
    fn looking_changes_nothing(
        ratio in ratios(), decay in decays(), floor in floors(), acts in acts(),
        looks in prop::collection::vec(-YEAR..YEAR, 1..8),
    ) {
        let run = |looks: &[i64]| {
            let bucket = Bucket::new(budget(ratio, decay, floor));
            let mut seen = Vec::new();
            for act in &acts {
                match act {
                    Act::Succeed(times) => for _ in 0..*times {
                        bucket.succeed();
                    },
                    Act::Ask(times) => for _ in 0..*times {
                        seen.push(bucket.ask());
                    },
                    Act::Cancel => bucket.cancel(),
                    Act::Pass(nanos) => NOW.set(NOW.get().saturating_add(*nanos)),
                }
                for look in looks {
                    let _ = bucket.budget.balance(at(NOW.get().saturating_add(*look)));
                }
            }
            (seen, bucket.balance())
        };
        prop_assert_eq!(run(&[]), run(&looks));
    }

    #[test]
    fn decay_in_tiny_steps_is_decay_in_one(
        ratio in ratios(), seconds in 1..100_u64, successes in 1..200_u32,
        parts in prop::collection::vec(0.0..1.0_f64, 1..300), constants in 0.01..3.0_f64,
    ) {
        let decay = Duration::from_secs(seconds);
        let touched = Bucket::new(budget(ratio, decay, 1));
        let untouched = Bucket::new(budget(ratio, decay, 1));
        for _ in 0..successes {
            touched.succeed();
            untouched.succeed();
        }
        let whole: f64 = parts.iter().sum();
        let mut passed = 0.0;
        for part in parts {
            passed += part / whole.max(1e-9);
            NOW.set((passed * constants * decay.as_nanos() as f64) as i64);
            // Takes a token and gives it back.
            touched.cancel();
        }
        let (touched, untouched) = (touched.balance() - 1.0, untouched.balance() - 1.0);
        prop_assert!(touched <= untouched * (1.0 + 1e-9) + 1e-12, "{touched} grew beyond {untouched}");
        // 300 touches, each rounded down by less than 2^-21.
        prop_assert!(touched >= untouched * (1.0 - 2e-4) - 2e-4 * ratio, "{touched} is less than {untouched}");
    }

    #[test]
    fn years_forget_a_surplus_and_a_clock_that_jumps_back_keeps_it(
        successes in 1..200_u32, idle in YEAR / 100..11 * YEAR, back in 1..5 * YEAR, up in 0..80_i64,
    ) {
        // Nothing is special about the first years.
        let start = up * YEAR;
        let bucket = Bucket::new(Budget::new());
        for year in 0..up {
            NOW.set(year * YEAR);
            bucket.succeed();
        }
        NOW.set(start);
        for _ in 0..successes {
            bucket.succeed();
        }
        let full = bucket.balance();
        prop_assert!((full - 3.0 - 0.2 * f64::from(successes)).abs() < 0.21);
        NOW.set(start - back);
        prop_assert_eq!(bucket.balance(), full);
        bucket.cancel();
        prop_assert!((bucket.balance() - full).abs() <= full * 1e-6);
        NOW.set(start + idle);
        prop_assert_eq!(bucket.balance(), 3.0);
    }
}

#[test]
fn a_burst_counts_exactly() {
    for below in 1..=60_u32 {
        for above in 1..=below {
            let bucket = Bucket::new(
                Budget::new()
                    .ratio(f64::from(above) / f64::from(below))
                    .floor(0),
            );
            for _ in 0..below {
                bucket.succeed();
            }
            assert_eq!(bucket.balance(), f64::from(above), "{above}/{below}");
            let granted = (0..=above).filter(|_| bucket.ask()).count();
            assert_eq!(granted, above as usize, "{above}/{below}");
            assert_eq!(bucket.balance(), 0.0);
        }
    }
}

#[test]
fn any_floor_is_spent_to_the_last_token_and_refilled() {
    for floor in [1, 2, 1000, u32::MAX] {
        let bucket = Bucket::new(Budget::new().floor(floor));
        assert_eq!(bucket.balance(), f64::from(floor));
        let taken = floor.min(1000);
        for _ in 0..taken {
            assert!(bucket.ask());
        }
        assert_eq!(bucket.balance(), f64::from(floor - taken));
        assert_eq!(bucket.ask(), floor > taken);
        NOW.set(YEAR);
        assert_eq!(
            bucket.balance(),
            f64::from(floor - taken) - f64::from(u8::from(floor > taken))
        );
    }
    // Five successes for each token, however deep the hole.
    let bucket = Bucket::new(Budget::new().floor(1000));
    while bucket.ask() {}
    for tokens in 1..=1000_u32 {
        for _ in 0..5 {
            bucket.succeed();
        }
        assert_eq!(bucket.balance(), f64::from(tokens));
    }
}

#[test]
fn a_steady_load_settles_where_the_formula_says() {
    // 5,000 successes a second for six time constants: ratio * rate * tau = 10,000 tokens above the floor.
    let bucket = Bucket::new(Budget::new());
    let mut formula = Formula::new(0.2, Duration::from_secs(10), 3);
    for success in 0..300_000 {
        NOW.set(success * SECOND / 5000);
        bucket.succeed();
        formula.add(0.2, NOW.get());
    }
    let (balance, (expected, _)) = (bucket.balance(), formula.at(NOW.get()));
    assert!((9900.0..10_100.0).contains(&expected), "{expected}");
    assert!(
        (balance / expected - 1.0).abs() < 1e-3,
        "{balance}, not {expected}"
    );
}

#[test]
fn usual_settings_agree_to_a_thousandth() {
    for (ratio, decay) in [(0.2, 10), (0.1, 10), (0.5, 60), (0.05, 1), (1.0, 30)] {
        let bucket = Bucket::new(Budget::new().ratio(ratio).decay(Duration::from_secs(decay)));
        for _ in 0..100 {
            bucket.succeed();
        }
        for tenth in 0..40 {
            let passed = f64::from(tenth) / 10.0;
            NOW.set((passed * decay as f64 * 1e9) as i64);
            let expected = 3.0 + 100.0 * ratio * (-passed).exp();
            let balance = bucket.balance();
            assert!(
                (balance / expected - 1.0).abs() < 1e-3,
                "{balance}, not {expected}"
            );
        }
    }
}

#[test]
fn millions_of_successes_in_an_instant_count_exactly_and_then_no_more() {
    let bucket = Bucket::new(Budget::new().floor(0));
    for _ in 0..4_000_000 {
        bucket.succeed();
    }
    assert_eq!(bucket.balance(), 800_000.0);
    for _ in 0..400_000 {
        bucket.succeed();
    }
    // 2^22 successes are the most that a surplus holds.
    assert_eq!(bucket.balance(), f64::from(1_u32 << 22) / 5.0);
}

#[test]
fn a_ratio_that_is_no_simple_fraction_counts_a_little_less_and_never_more() {
    for ratio in [
        std::f64::consts::FRAC_1_PI,
        0.123_456_789,
        0.999_999,
        0.001_234_567_8,
    ] {
        let bucket = Bucket::new(Budget::new().ratio(ratio).floor(0));
        for successes in 1..=60_000_u32 {
            bucket.succeed();
            if successes % 20_000 == 0 {
                let share = bucket.balance() / (ratio * f64::from(successes));
                let least = 1.0 - 0.01 * f64::from(successes / 20_000);
                assert!(
                    (least..=1.0).contains(&share),
                    "{share} of {successes} at {ratio}"
                );
            }
        }
    }
}

//! The budget against its formula in plain `f64`, over all legal settings and all kinds of histories.

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
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Waker};
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

/// Settings of a budget.
#[derive(Clone, Copy, Debug)]
struct Kind {
    ratio: f64,
    decay: Duration,
    floor: u32,
    earned_after: Option<Duration>,
}

impl Kind {
    const DEFAULT: Self = Self {
        ratio: 0.2,
        decay: Duration::from_secs(10),
        floor: 2,
        earned_after: None,
    };

    fn budget(self) -> Budget {
        let budget = Budget::new()
            .ratio(self.ratio)
            .decay(self.decay)
            .floor(self.floor);
        match self.earned_after {
            Some(limit) => budget.earned_after(limit),
            None => budget,
        }
    }
}

/// The rules in `f64`. Whether a retry is granted is decided by the budget, as rounding may tip the balance.
#[derive(Clone, Debug)]
struct Formula {
    kind: Kind,
    surplus: f64,
    last: i64,
    /// All credits and retries that still weigh on the surplus: each of them may be off by 0.1 %.
    gross: f64,
}

impl Formula {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            surplus: 0.0,
            last: i64::MIN,
            gross: 0.0,
        }
    }

    fn remains(&self, from: i64, to: i64) -> f64 {
        let passed = to.saturating_sub(from).max(0) as f64;
        (-passed / self.kind.decay.as_nanos() as f64).exp()
    }

    fn pass(&mut self, now: i64) {
        let remains = self.remains(self.last, now);
        // At or below the floor nothing decays, so a difference stays too.
        if self.surplus > self.tolerance() {
            self.gross *= remains;
        }
        if self.surplus > 0.0 {
            self.surplus *= remains;
        }
        self.last = self.last.max(now);
    }

    /// A denied retry changes nothing, but the first use of all is where time begins.
    fn deny(&mut self, now: i64) {
        if self.last == i64::MIN {
            self.last = now;
        }
    }

    fn add(&mut self, tokens: f64) {
        self.surplus += tokens;
        self.gross += tokens.abs();
    }

    fn credit(&mut self, now: i64, retried: bool) {
        self.pass(now);
        self.add(self.kind.ratio);
        if retried && self.surplus < 0.0 {
            self.surplus = (self.surplus + 1.0).min(0.0);
        }
    }

    fn take(&mut self, now: i64) -> i64 {
        self.pass(now);
        self.add(-1.0);
        self.last
    }

    fn give_back(&mut self, taken: i64) {
        let deficit = (-self.surplus).clamp(0.0, 1.0);
        let rest = (1.0 - deficit) * self.remains(taken, self.last);
        self.add(deficit + rest);
    }

    /// The balance, and how far off it may be. Changes nothing.
    fn at(&self, now: i64) -> (f64, f64) {
        let mut then = self.clone();
        then.pass(now);
        (f64::from(self.kind.floor) + then.surplus, then.tolerance())
    }

    fn tolerance(&self) -> f64 {
        1e-3 * (self.gross + 1.0)
    }
}

type Held<'a> = (Pin<Box<dyn Future<Output = Result<(), ()>> + 'a>>, i64);

/// A budget under a policy that nothing else limits, and what it should do.
struct Pair<'a> {
    policy: &'a Retry<()>,
    budget: &'a Budget,
    formula: Formula,
    held: Vec<Held<'a>>,
    retries: u32,
    successes: u32,
    refunds: u32,
}

impl Pair<'_> {
    fn run(kind: Kind, check: impl FnOnce(&mut Pair<'_>)) {
        NOW.set(0);
        let budget = Arc::new(kind.budget());
        let policy = Retry::on::<()>()
            .unlimited_attempts()
            .no_timeout()
            .timer(Timer::custom(&Hands))
            .shared_budget(Arc::clone(&budget));
        check(&mut Pair {
            policy: &policy,
            budget: &budget,
            formula: Formula::new(kind),
            held: Vec::new(),
            retries: 0,
            successes: 0,
            refunds: 0,
        });
    }

    fn succeed(&mut self) {
        self.policy.call(|| Ok(())).unwrap();
        self.formula.credit(NOW.get(), false);
        self.successes += 1;
    }

    /// An attempt that fails after `took`; if it may be retried, the retry succeeds or is left alone.
    fn fail(&mut self, took: i64, then_succeeds: bool) -> bool {
        let mut attempts = self.policy.start();
        NOW.set(NOW.get().saturating_add(took));
        let now = NOW.get();
        let limit = self.formula.kind.earned_after;
        let slow = limit.is_some_and(|limit| took.unsigned_abs() >= limit.as_nanos() as u64);
        let (balance, tolerance) = self.formula.at(now);
        let spare = if slow {
            balance - f64::from(self.formula.kind.floor)
        } else {
            balance
        };
        match attempts.decide(&()) {
            Ok(_) => {
                assert!(
                    spare >= 1.0 - tolerance,
                    "granted at {spare} +- {tolerance}"
                );
                self.formula.take(now);
                self.retries += 1;
                if then_succeeds {
                    attempts.succeed(());
                    self.formula.credit(now, true);
                    self.successes += 1;
                    self.refunds += 1;
                }
                true
            }
            Err(reason) => {
                assert_eq!(reason, StopReason::BudgetExhausted);
                assert!(spare < 1.0 + tolerance, "denied at {spare} +- {tolerance}");
                self.formula.deny(now);
                false
            }
        }
    }

    /// Begins to wait for a retry.
    fn hold(&mut self) {
        let before = self.balance();
        let mut call = Box::pin(
            self.policy
                .call_async(|| std::future::ready(Err::<(), ()>(()))),
        );
        let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        if polled.is_pending() {
            assert!(before >= 1.0);
            let taken = self.formula.take(NOW.get());
            self.held.push((call, taken));
        } else {
            assert!(before < 1.0);
            self.formula.deny(NOW.get());
        }
    }

    /// A retry that waits is cancelled.
    fn cancel(&mut self, which: usize) {
        if !self.held.is_empty() {
            let (call, taken) = self.held.remove(which % self.held.len());
            drop(call);
            self.formula.give_back(taken);
        }
    }

    fn balance(&self) -> f64 {
        self.budget.balance(at(NOW.get()))
    }

    #[track_caller]
    fn check(&self) {
        let (balance, (expected, tolerance)) = (self.balance(), self.formula.at(NOW.get()));
        assert!(
            (balance - expected).abs() <= tolerance,
            "{balance}, not {expected} +- {tolerance}"
        );
    }

    fn act(&mut self, act: &Act) {
        match *act {
            Act::Succeed(times) => (0..times).for_each(|_| self.succeed()),
            Act::Fail(times, took) => {
                for _ in 0..times {
                    self.fail(took, false);
                }
            }
            Act::Recover(times) => {
                for _ in 0..times {
                    self.fail(0, true);
                }
            }
            Act::Hold => self.hold(),
            Act::Cancel(which) => self.cancel(which.into()),
            Act::Pass(nanos) => NOW.set(NOW.get().saturating_add(nanos)),
        }
    }
}

#[derive(Clone, Debug)]
enum Act {
    Succeed(u8),
    Fail(u8, i64),
    Recover(u8),
    Hold,
    Cancel(u8),
    Pass(i64),
}

/// From nanoseconds to a year, forwards and sometimes backwards.
fn passing() -> impl Strategy<Value = i64> {
    prop_oneof![
        6 => 0..20 * SECOND,
        4 => 0..SECOND / 100,
        1 => 0..1000_i64,
        1 => 0..YEAR,
        2 => -30 * SECOND..0,
        1 => -YEAR..0,
    ]
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => (1..60_u8).prop_map(Act::Succeed),
        3 => (1..20_u8, prop_oneof![Just(0), 0..2 * SECOND]).prop_map(|(times, took)| Act::Fail(times, took)),
        2 => (1..20_u8).prop_map(Act::Recover),
        2 => Just(Act::Hold),
        2 => any::<u8>().prop_map(Act::Cancel),
        4 => passing().prop_map(Act::Pass),
    ];
    prop::collection::vec(act, 1..60)
}

fn kinds() -> impl Strategy<Value = Kind> {
    let ratio = prop_oneof![
        3 => (1..=20_u32, 20..=200_u32).prop_map(|(above, below)| f64::from(above) / f64::from(below)),
        3 => 1e-3..=1.0_f64,
        1 => Just(1e-3),
        1 => Just(1.0),
    ];
    let decay = prop_oneof![
        4 => (1..100_u64).prop_map(Duration::from_secs),
        2 => (1_000_000..86_400_000_000_000_u64).prop_map(Duration::from_nanos),
        1 => Just(Duration::from_millis(1)),
        1 => Just(Duration::from_hours(24)),
    ];
    let floor = prop_oneof![5 => 0..10_u32, 1 => 0..=1_000_000_u32];
    let earned_after = prop_oneof![
        Just(None),
        (1..3_u64).prop_map(|seconds| Some(Duration::from_secs(seconds)))
    ];
    (ratio, decay, floor, earned_after).prop_map(|(ratio, decay, floor, earned_after)| Kind {
        ratio,
        decay,
        floor,
        earned_after,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn decisions_and_balance_follow_the_formula(kind in kinds(), acts in acts()) {
        Pair::run(kind, |pair| {
            for act in &acts {
                pair.act(act);
                pair.check();
            }
        });
    }

    #[test]
    fn never_more_retries_than_the_floor_and_the_successes_allow(kind in kinds(), acts in acts()) {
        Pair::run(kind, |pair| {
            for act in &acts {
                pair.act(act);
                let earned = kind.ratio * f64::from(pair.successes) + f64::from(pair.refunds);
                let most = (f64::from(kind.floor) + earned) * (1.0 + 1e-12);
                let held = f64::from(u32::try_from(pair.held.len()).unwrap());
                assert!(pair.balance() + f64::from(pair.retries) + held <= most);
                assert!(pair.balance() >= 0.0);
            }
        });
    }

    #[test]
    fn looking_changes_nothing(
        kind in kinds(), acts in acts(), looks in prop::collection::vec(-YEAR..YEAR, 1..8),
    ) {
        let run = |looks: &[i64]| {
            let mut seen = Vec::new();
            Pair::run(kind, |pair| {
                for act in &acts {
                    pair.act(act);
                    for look in looks {
                        let _ = pair.budget.balance(at(NOW.get().saturating_add(*look)));
                    }
                    seen.push((pair.retries, pair.held.len(), pair.balance()));
                }
            });
            seen
        };
        prop_assert_eq!(run(&[]), run(&looks));
    }

    #[test]
    fn decay_in_tiny_steps_is_decay_in_one(
        kind in kinds(), successes in 1..200_u32,
        parts in prop::collection::vec(0.0..1.0_f64, 1..300), constants in 0.01..3.0_f64,
    ) {
        let kind = Kind { floor: 1, ..kind };
        let whole: f64 = parts.iter().sum();
        let surplus = |touched: bool| {
            let mut surplus = 0.0;
            Pair::run(kind, |pair| {
                (0..successes).for_each(|_| pair.succeed());
                let mut passed = 0.0;
                for part in &parts {
                    passed += part / whole.max(1e-9);
                    NOW.set((passed * constants * kind.decay.as_nanos() as f64) as i64);
                    if touched {
                        pair.hold();
                        pair.cancel(0);
                    }
                }
                surplus = pair.balance() - 1.0;
            });
            surplus
        };
        let (touched, untouched) = (surplus(true), surplus(false));
        prop_assert!(touched <= untouched + 1e-9, "{touched} grew beyond {untouched}");
        // 300 times rounded down by less than a unit.
        prop_assert!(touched >= untouched - 1e-4, "{touched} is less than {untouched}");
    }

    #[test]
    fn years_forget_a_surplus_and_a_clock_that_jumps_back_keeps_it(
        kind in kinds(), successes in 1..200_u32, idle in YEAR..11 * YEAR, back in 1..5 * YEAR, up in 0..80_i64,
    ) {
        // Nothing is special about the first years.
        let start = up * YEAR;
        Pair::run(kind, |pair| {
            for year in 0..up {
                NOW.set(year * YEAR);
                pair.succeed();
            }
            NOW.set(start);
            (0..successes).for_each(|_| pair.succeed());
            let full = pair.balance();
            let expected = f64::from(kind.floor) + kind.ratio * f64::from(successes);
            // Once more if the first year is this one.
            assert!((full - expected).abs() < kind.ratio + 1e-3, "{full}, not {expected}");
            NOW.set(start - back);
            assert_eq!(pair.balance(), full);
            pair.hold();
            pair.cancel(0);
            assert_eq!(pair.balance(), full);
            NOW.set(start + idle);
            assert_eq!(pair.balance(), f64::from(kind.floor));
        });
    }
}

#[test]
fn no_idle_time_is_taken_for_a_short_one() {
    // The word has a part of the time only, and every power of two must be told from none.
    for decay in [1, 10_000, 86_400_000].map(Duration::from_millis) {
        let tick = decay.as_nanos() as i64 / 16_384;
        for power in 0..60 {
            let Some(idle) = tick
                .checked_shl(power)
                .filter(|idle| (0..100 * YEAR).contains(idle))
            else {
                continue;
            };
            for idle in [idle - tick, idle, idle + tick] {
                Pair::run(
                    Kind {
                        decay,
                        ..Kind::DEFAULT
                    },
                    |pair| {
                        (0..100).for_each(|_| pair.succeed());
                        NOW.set(idle);
                        pair.check();
                        pair.succeed();
                        pair.check();
                    },
                );
            }
        }
    }
}

#[test]
fn simple_ratios_count_exactly() {
    let exact = |above: u32, below: u32| {
        let ratio = f64::from(above) / f64::from(below);
        Pair::run(
            Kind {
                ratio,
                floor: 0,
                ..Kind::DEFAULT
            },
            |pair| {
                (0..below).for_each(|_| pair.succeed());
                assert_eq!(pair.balance(), f64::from(above), "{above}/{below}");
                let granted = (0..=above).filter(|_| pair.fail(0, false)).count();
                assert_eq!(granted, above as usize, "{above}/{below}");
                assert_eq!(pair.balance(), 0.0);
            },
        );
    };
    for below in (1..=10).chain([20, 50, 100, 1000]) {
        (1..=below).for_each(|above| exact(above, below));
    }
}

#[test]
fn any_ratio_counts_to_a_thousandth_and_never_more() {
    for thousandths in 0..2000_u32 {
        let ratio = 0.001 + f64::from(thousandths) * 0.000_498_765_432_1;
        Pair::run(
            Kind {
                ratio,
                floor: 0,
                ..Kind::DEFAULT
            },
            |pair| {
                (0..200).for_each(|_| pair.succeed());
                let share = pair.balance() / (200.0 * ratio);
                assert!((0.999..=1.0 + 1e-12).contains(&share), "{share} at {ratio}");
            },
        );
    }
}

#[test]
fn any_floor_is_spent_to_the_last_token_and_refilled() {
    for floor in [1, 2, 1000, 1_000_000] {
        Pair::run(
            Kind {
                floor,
                ..Kind::DEFAULT
            },
            |pair| {
                for _ in 0..floor {
                    assert!(pair.fail(0, false));
                }
                assert_eq!(pair.balance(), 0.0);
                assert!(!pair.fail(0, false));
                NOW.set(YEAR);
                assert_eq!(pair.balance(), 0.0);
                // Five successes for each token, however deep the hole.
                for tokens in 1..=floor.min(1000) {
                    (0..5).for_each(|_| pair.succeed());
                    assert_eq!(pair.balance(), f64::from(tokens));
                }
            },
        );
    }
}

#[test]
fn a_steady_load_settles_where_the_formula_says() {
    // Successes a second and settings: from a fraction of a token to a million of them above the floor.
    let (ms, seconds) = (Duration::from_millis, Duration::from_secs);
    for (rate, ratio, decay, floor) in [
        (5_000, 0.2, seconds(10), 2),
        (20, 0.2, seconds(10), 2),
        (1, 0.2, seconds(10), 0),
        (100_000, 1.0, seconds(10), 1_000_000),
        (1_000, 0.001, seconds(60), 1),
        (50_000, 1.0, ms(1), 0),
        (7, 0.3, seconds(3600), 0),
    ] {
        let kind = Kind {
            ratio,
            decay,
            floor,
            earned_after: None,
        };
        Pair::run(kind, |pair| {
            let count = (6.0 * decay.as_secs_f64() * f64::from(rate)).min(600_000.0) as i64;
            for success in 0..count {
                NOW.set(success * SECOND / i64::from(rate));
                pair.succeed();
            }
            let (balance, (expected, _)) = (pair.balance(), pair.formula.at(NOW.get()));
            assert!(expected - f64::from(floor) > 0.5, "{expected}");
            assert!(
                (balance / expected - 1.0).abs() < 1e-3,
                "{balance}, not {expected} at {rate}/s, {kind:?}"
            );
        });
    }
}

#[test]
fn usual_settings_agree_to_a_thousandth() {
    for (ratio, decay) in [(0.2, 10), (0.1, 10), (0.5, 60), (0.05, 1), (1.0, 30)] {
        let decay = Duration::from_secs(decay);
        Pair::run(
            Kind {
                ratio,
                decay,
                ..Kind::DEFAULT
            },
            |pair| {
                (0..100).for_each(|_| pair.succeed());
                for hundredth in 0..400 {
                    let passed = f64::from(hundredth) / 100.0;
                    NOW.set((passed * decay.as_nanos() as f64) as i64);
                    let expected = 2.0 + 100.0 * ratio * (-passed).exp();
                    let balance = pair.balance();
                    assert!(
                        (balance / expected - 1.0).abs() < 1e-3,
                        "{balance}, not {expected}"
                    );
                }
            },
        );
    }
}

#[test]
fn a_surplus_holds_a_million_and_never_overflows() {
    Pair::run(
        Kind {
            ratio: 1.0,
            floor: 1_000_000,
            ..Kind::DEFAULT
        },
        |pair| {
            for _ in 0..2_000_000 {
                pair.policy.call(|| Ok(())).unwrap();
            }
            let surplus = pair.balance() - 1e6;
            assert!((1.7e6..1.8e6).contains(&surplus), "{surplus}");
        },
    );
}

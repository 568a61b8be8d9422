//! The retry budget: a decaying success bucket in one atomic word.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::backoff::nanos;
use crate::message::{Message, refuse};
use crate::sync::{AtomicU64, Ordering};

/// A limit on retries that many calls share, so that retries can't turn a failure of a dependency into an outage.
///
/// Make one for each dependency (a service, a database) and share it between all policies that talk to it. Successes
/// fill it, retries drain it: while the dependency is well there is always a token, and while it is down the fleet
/// sends little more than its ordinary load.
///
/// # The rules
///
/// The balance *b* starts at the floor *F*. Above the floor it decays towards it with the time constant *tau*,
/// `b = F + (b - F) * exp(-dt / tau)`; below the floor time adds nothing. A success of any attempt adds `ratio`. A
/// retry needs `b >= 1` and takes 1; where there is less, the call ends at once with its error and
/// [`StopReason::BudgetExhausted`](crate::StopReason::BudgetExhausted). Permanent errors neither add nor take, and a
/// retry that is cancelled before its attempt starts gives its token back.
///
/// Time comes from the policy's [`Timer`](crate::Timer); a time before an earlier one counts as no time passed.
///
/// # Limits
///
/// A success at the first try counts from the start of its call: so it costs no reading of the clock. While there is
/// no surplus no time is kept. Time above the floor passes in steps of `decay / 1000`, at least 1 ms, so that a surplus
/// decays to within 0.2 % of the formula (more roughly where `decay` is less than a second).
///
/// Rounding only ever takes. The ratio counts exactly where it is a fraction with a numerator of at most five digits
/// (0.2, 0.125, 1.0 / 3.0), else to six digits; below one in a million, or with a floor beyond a billion, to fewer. A
/// surplus remembers about four million successes at most, and where the ratio is no simple fraction, each success adds
/// up to 1 % less for every 20,000 that the surplus holds.
///
/// A surplus that lies idle for more than 16 years (1.6 with a `decay` of a second or less) may be kept instead of
/// forgotten; one that the clock has left by 5 years (half a year) into the past may be forgotten. The floor lets each
/// process make its first few retries however many processes there are.
///
/// # Examples
///
/// ```
/// use stamina::{Budget, Retry, StopReason};
///
/// static PAYMENTS: Budget = Budget::new();
/// static PAY: Retry<&str> = Retry::on::<&str>().wait_initial(std::time::Duration::ZERO)
///     .wait_jitter(std::time::Duration::ZERO)
///     .budget(&PAYMENTS);
///
/// // The floor allows three retries; nothing succeeds, so nothing refills it.
/// let report = PAY.report(|| Err::<(), _>("down"));
/// assert_eq!((report.attempts, report.stop_reason), (4, Some(StopReason::BudgetExhausted)));
///
/// // Five successes pay for one more.
/// for _ in 0..5 {
///     PAY.call(|| Ok(())).unwrap();
/// }
/// assert_eq!(PAY.report(|| Err::<(), _>("down")).attempts, 2);
/// ```
pub struct Budget {
    level: AtomicU64,
    /// What times are counted from: the first one that mattered.
    epoch: OnceLock<Instant>,
    ratio: f64,
    decay: Duration,
    floor: u32,
    name: Option<&'static str>,
    /// Units of a token.
    token: i64,
    /// Units that a success adds.
    credit: i64,
    /// Nanoseconds of a step of time.
    step: u64,
}

/// The unpacked word: units above the floor, or below it where negative, and when a surplus was last reckoned.
///
/// Packed, so that one compare-and-swap changes both: a balance at or below the floor does not depend on time and has
/// all 63 bits for its deficit (0, the initial word, is a full floor); a surplus has 22 bits of mantissa and 5 of
/// exponent, rounded down, beside 36 bits for the step of time.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Level {
    units: i64,
    step: u64,
}

const SURPLUS: u64 = 1 << 63;
const STEP_BITS: u32 = 36;
const STEPS: u64 = (1 << STEP_BITS) - 1;
const EXPONENT_BITS: u32 = 5;
const EXPONENT_MAX: u32 = (1 << EXPONENT_BITS) - 1;
const MANTISSA_BITS: u32 = 22;
const MANTISSA_MAX: u64 = (1 << MANTISSA_BITS) - 1;
/// How many of the steps on the circle of [`STEPS`] lie behind a time, the others ahead of it.
const PAST: u64 = 1 << (STEP_BITS - 2);
/// A single success is reckoned in at least this many units, where the floor leaves room: then the rounding of each
/// step takes less than a 2,000th part of a surplus in the time constant.
const FINE: u64 = 1 << (MANTISSA_BITS - 1);

impl Level {
    fn unpack(word: u64) -> Self {
        if word & SURPLUS == 0 {
            return Self {
                units: 0_i64.saturating_sub_unsigned(word),
                step: 0,
            };
        }
        let (mantissa, exponent) = (word & MANTISSA_MAX, word >> MANTISSA_BITS);
        Self {
            units: 0_i64.saturating_add_unsigned(mantissa << (exponent & u64::from(EXPONENT_MAX))),
            step: (word >> (MANTISSA_BITS + EXPONENT_BITS)) & STEPS,
        }
    }

    fn pack(self) -> u64 {
        let units = self.units.unsigned_abs();
        if self.units <= 0 {
            return units & !SURPLUS;
        }
        let bits = u64::BITS.saturating_sub(units.leading_zeros());
        let exponent = bits.saturating_sub(MANTISSA_BITS).min(EXPONENT_MAX);
        let mantissa = (units >> exponent).min(MANTISSA_MAX);
        SURPLUS
            | (self.step << (MANTISSA_BITS + EXPONENT_BITS))
            | (u64::from(exponent) << MANTISSA_BITS)
            | mantissa
    }
}

/// A ratio as a fraction in its lowest terms, if it has one with a small numerator: by its continued fraction.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "the numbers are checked to be small, and casts saturate"
)]
const fn fraction(ratio: f64) -> Option<(u64, u64)> {
    let ((mut above, mut below), mut before) = ((0_u64, 1_u64), (1_u64, 0_u64));
    let mut rest = 1.0 / ratio;
    loop {
        let whole = rest as u64;
        let next = (
            whole.saturating_mul(above).saturating_add(before.0),
            whole.saturating_mul(below).saturating_add(before.1),
        );
        before = (above, below);
        (above, below) = next;
        if above >= 100_000 || below >= 1 << 52 {
            return None;
        }
        let error = ratio * below as f64 - above as f64;
        if error.abs() <= 4.0 * f64::EPSILON * above as f64 {
            return Some((above, below));
        }
        rest = 1.0 / (rest - whole as f64);
    }
}

impl Budget {
    /// A budget of 20 % (`ratio` 0.2), a time constant of 10 s (`decay`) and a `floor` of 3 tokens, and full.
    ///
    /// # Examples
    ///
    /// ```
    /// static DATABASE: stamina::Budget = stamina::Budget::new();
    ///
    /// assert_eq!(DATABASE.balance(std::time::Instant::now()), 3.0);
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        Self {
            level: AtomicU64::new(0),
            epoch: OnceLock::new(),
            ratio: 0.2,
            decay: Duration::ZERO,
            floor: 3,
            name: None,
            token: 0,
            credit: 0,
            step: 0,
        }
        .decay(Duration::from_secs(10))
        .scaled()
    }

    /// Sets what a success adds: in the long run at most this many retries for each success. Default 0.2.
    ///
    /// # Panics
    ///
    /// Unless `0 < ratio <= 1`.
    ///
    /// # Examples
    ///
    /// ```
    /// static CAUTIOUS: stamina::Budget = stamina::Budget::new().ratio(0.1);
    /// # let _ = &CAUTIOUS;
    /// ```
    #[must_use]
    #[track_caller]
    pub const fn ratio(mut self, ratio: f64) -> Self {
        if !(ratio > 0.0 && ratio <= 1.0) {
            refuse(Some(
                &Message::new("stamina: the `ratio` of a `Budget` is ")
                    .number(ratio)
                    .text(", but must be greater than 0 and at most 1 (0.2 allows one retry for five successes)"),
            ));
        }
        self.ratio = ratio;
        self.scaled()
    }

    /// Sets the time constant in which a surplus above the floor is forgotten. Default 10 s.
    ///
    /// # Panics
    ///
    /// If `decay` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// static BATCH: stamina::Budget = stamina::Budget::new().decay(Duration::from_secs(60));
    /// # let _ = &BATCH;
    /// ```
    #[must_use]
    #[track_caller]
    pub const fn decay(mut self, decay: Duration) -> Self {
        if decay.is_zero() {
            refuse(Some(&Message::new(
                "stamina: the `decay` of a `Budget` is 0, but must be longer (10 s is the default)",
            )));
        }
        self.decay = decay;
        // At least a millisecond, so that the circle of steps takes years.
        let step = nanos(decay) / 1000;
        self.step = if step > 1_000_000 { step } else { 1_000_000 };
        self
    }

    /// Sets the tokens that it starts with and that an idle client keeps. Default 3.
    ///
    /// With 0 a retry is allowed only on the credit of earlier successes.
    ///
    /// # Examples
    ///
    /// ```
    /// static STRICT: stamina::Budget = stamina::Budget::new().floor(0);
    ///
    /// assert_eq!(STRICT.balance(std::time::Instant::now()), 0.0);
    /// ```
    #[must_use]
    pub const fn floor(mut self, floor: u32) -> Self {
        self.floor = floor;
        self.scaled()
    }

    /// Names the budget in telemetry.
    ///
    /// # Examples
    ///
    /// ```
    /// static PAYMENTS: stamina::Budget = stamina::Budget::new().named("payments");
    /// # let _ = &PAYMENTS;
    /// ```
    #[must_use]
    pub const fn named(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    /// Chooses the unit, so that a token and the credit of a success have a whole number of them.
    ///
    /// The fraction in its lowest terms and then a power of two keep sums of credits exact however large they are, as
    /// the mantissa of a surplus drops zeros only.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a token has at most 2^52 units, and a credit no more than a token"
    )]
    #[allow(clippy::arithmetic_side_effects, reason = "the divisor is at least 1")]
    const fn scaled(mut self) -> Self {
        // The deficit of a whole floor has 62 bits, and a surplus must be able to reach a token.
        let room = (1 << 62) / (self.floor as u64).saturating_add(1);
        let room = if room < 1 << 52 { room } else { 1 << 52 };
        let (mut credit, mut token) = match fraction(self.ratio) {
            Some((credit, token)) if token <= room => (credit, token),
            _ => {
                let mut token = 1_u64;
                while self.ratio * (token as f64) < FINE as f64 && token.saturating_mul(2) <= room {
                    token = token.saturating_mul(2);
                }
                ((self.ratio * token as f64) as u64, token)
            }
        };
        while credit < FINE && token.saturating_mul(2) <= room {
            (credit, token) = (credit.saturating_mul(2), token.saturating_mul(2));
        }
        (self.credit, self.token) = (credit as i64, token as i64);
        self
    }

    /// The tokens there are at a time. Looking changes nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Instant;
    /// use stamina::{Budget, Retry};
    ///
    /// static BUDGET: Budget = Budget::new().ratio(0.5);
    ///
    /// Retry::on::<()>().budget(&BUDGET).call(|| Ok(())).unwrap();
    /// assert!((BUDGET.balance(Instant::now()) - 3.5).abs() < 0.01);
    /// ```
    #[must_use]
    #[allow(
        clippy::cast_precision_loss,
        reason = "beyond 2^53 units a rounded balance will do"
    )]
    pub fn balance(&self, now: Instant) -> f64 {
        let level = Level::unpack(self.level.load(Ordering::Relaxed));
        let surplus = if level.units > 0 {
            self.decayed(level, self.step_of(now))
        } else {
            level.units as f64
        };
        f64::from(self.floor) + surplus / self.token as f64
    }

    /// A budget with the same settings and a full floor. A simulated fleet needs one for each client.
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::Budget;
    ///
    /// static BUDGET: Budget = Budget::new().floor(7);
    /// assert_eq!(BUDGET.fresh().balance(std::time::Instant::now()), 7.0);
    /// ```
    #[must_use]
    pub fn fresh(&self) -> Self {
        Self {
            level: AtomicU64::new(0),
            epoch: OnceLock::new(),
            ..*self
        }
    }

    /// The step of time that `now` falls in, on a circle of [`STEPS`].
    #[allow(clippy::arithmetic_side_effects, reason = "a step is at least 1 ms")]
    fn step_of(&self, now: Instant) -> u64 {
        let epoch = *self.epoch.get_or_init(|| now);
        let step = match now.checked_duration_since(epoch) {
            Some(after) => nanos(after) / self.step,
            None => !(nanos(epoch.saturating_duration_since(now)) / self.step),
        };
        step & STEPS
    }

    /// Units of a surplus that are left at a step. An earlier one than the surplus's is no time later.
    #[allow(
        clippy::cast_precision_loss,
        reason = "a surplus has 22 bits, and a step's nanoseconds may be rounded"
    )]
    fn decayed(&self, surplus: Level, step: u64) -> f64 {
        let units = surplus.units as f64;
        let passed = step.wrapping_sub(surplus.step) & STEPS;
        if passed == 0 || passed > STEPS - PAST {
            return units;
        }
        let constants = passed as f64 * (self.step as f64 / nanos(self.decay) as f64);
        units * (-constants).exp()
    }

    /// `level` as it is at a time, and `units` more.
    ///
    /// Rounded down in each step in which it is reckoned, so that decay can't freeze; `FINE` says by how little.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "a decayed surplus is smaller than it was"
    )]
    fn changed(&self, mut level: Level, now: Instant, units: i64) -> Level {
        if level.units > 0 {
            let step = self.step_of(now);
            let passed = step.wrapping_sub(level.step) & STEPS;
            if passed > 0 && passed <= STEPS - PAST {
                let left = self.decayed(level, step) as i64;
                level = Level { units: left, step };
            }
            level.units = level.units.saturating_add(units);
            return level;
        }
        // Time is only of interest to a surplus.
        let units = level.units.saturating_add(units);
        let step = if units > 0 { self.step_of(now) } else { 0 };
        Level { units, step }
    }

    /// Replaces the level by what `change` makes of it; false when that is nothing.
    fn update(&self, change: impl Fn(Level) -> Option<Level>) -> bool {
        let mut word = self.level.load(Ordering::Relaxed);
        while let Some(level) = change(Level::unpack(word)) {
            match self.level.compare_exchange_weak(
                word,
                level.pack(),
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(changed) => word = changed,
            }
        }
        false
    }

    /// Notes a success; `at_once`: at the first try.
    pub(crate) fn credit(&self, now: Instant, _at_once: bool) {
        self.update(|level| Some(self.changed(level, now, self.credit)));
    }

    /// Takes a token for a retry, if there is one.
    fn take(&self, now: Instant) -> bool {
        let empty = self.token.saturating_mul(i64::from(self.floor));
        self.update(|level| {
            let level = self.changed(level, now, self.token.saturating_neg());
            (level.units >= empty.saturating_neg()).then_some(level)
        })
    }

    /// Gives back a token that was taken at `now`.
    pub(crate) fn give_back(&self, now: Instant) {
        self.update(|level| Some(self.changed(level, now, self.token)));
    }

    /// What telemetry tells: the name, if there is one, and the balance.
    pub(crate) fn gauge(&self, now: Instant) -> Option<(&'static str, f64)> {
        self.name.map(|name| (name, self.balance(now)))
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("name", &self.name)
            .field("ratio", &self.ratio)
            .field("decay", &self.decay)
            .field("floor", &self.floor)
            .finish_non_exhaustive()
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::new()
    }
}

/// A policy's share in a budget.
#[derive(Clone, Debug)]
pub(crate) enum Handle {
    Static(&'static Budget),
    Shared(Arc<Budget>),
}

impl std::ops::Deref for Handle {
    type Target = Budget;

    fn deref(&self) -> &Budget {
        match self {
            Self::Static(budget) => budget,
            Self::Shared(budget) => budget,
        }
    }
}

/// A token taken for one retry; dropped before the retry's attempt starts, it goes back.
#[derive(Debug)]
#[must_use = "dropping a token gives it back"]
pub(crate) struct Token {
    /// What it was taken from, and when, until it is spent.
    taken: Option<(Handle, Instant)>,
}

impl Token {
    /// `first`: whether the call has not asked before.
    pub(crate) fn take(budget: Handle, now: Instant, _first: bool) -> Option<Self> {
        budget.take(now).then(|| Self {
            taken: Some((budget, now)),
        })
    }

    /// The attempt that the token was taken for starts.
    #[inline]
    pub(crate) fn spend(token: &mut Option<Self>) {
        if token.is_some() {
            Self::spend_this(token);
        }
    }

    #[cold]
    fn spend_this(token: &mut Option<Self>) {
        if let Some(mut token) = token.take() {
            token.taken = None;
        }
    }

    /// When it was taken, for a driver that gives it back by itself.
    #[cfg(feature = "tower")]
    pub(crate) fn into_taken(mut self) -> Option<Instant> {
        self.taken.take().map(|(_, now)| now)
    }
}

impl Drop for Token {
    #[inline]
    fn drop(&mut self) {
        if let Some((budget, now)) = &self.taken {
            budget.give_back(*now);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "tests compare roughly where numbers are large"
    )]

    use super::*;

    #[track_caller]
    fn packed(units: i64, step: u64) -> Level {
        Level::unpack(Level { units, step }.pack())
    }

    #[test]
    fn a_deficit_is_packed_exactly_and_without_time() {
        for units in [0, -1, -3, -(1 << 40), -(1 << 62), -i64::MAX] {
            assert_eq!(packed(units, 77), Level { units, step: 0 });
        }
        assert_eq!(Level::unpack(0), Level { units: 0, step: 0 });
    }

    #[test]
    fn a_surplus_is_packed_to_22_bits_and_rounded_down() {
        for units in (0..53).flat_map(|bits| [1_i64 << bits, (1 << bits) + 1, (2 << bits) - 1]) {
            let level = packed(units, STEPS);
            assert_eq!(level.step, STEPS);
            assert!(level.units <= units, "{units} became {}", level.units);
            assert!(
                units - level.units <= units >> 21,
                "{units} became {}",
                level.units
            );
        }
        for exact in [1, 4_194_303, 4_194_304, 3 << 40, 1 << 52] {
            assert_eq!(
                packed(exact, 1),
                Level {
                    units: exact,
                    step: 1
                }
            );
        }
    }

    #[test]
    fn what_a_word_cannot_hold_is_less_not_more() {
        let most = packed(i64::MAX, 0).units;
        assert!((1 << 52..1 << 53).contains(&most), "{most}");
        assert_eq!(
            packed(most, 5),
            Level {
                units: most,
                step: 5
            }
        );
    }

    #[test]
    fn usual_ratios_are_fractions() {
        for (ratio, expected) in [
            (1.0, (1, 1)),
            (0.2, (1, 5)),
            (0.1, (1, 10)),
            (0.3, (3, 10)),
            (0.7, (7, 10)),
            (0.15, (3, 20)),
            (0.125, (1, 8)),
            (1.0 / 3.0, (1, 3)),
            (2.0 / 7.0, (2, 7)),
            (0.123_45, (2469, 20_000)),
            (1e-12, (1, 1_000_000_000_000)),
        ] {
            assert_eq!(fraction(ratio), Some(expected), "{ratio}");
        }
        for other in [
            std::f64::consts::FRAC_1_PI,
            0.123_456_789,
            1e-300,
            f64::from_bits(1),
        ] {
            assert_eq!(fraction(other), None, "{other}");
        }
    }

    #[test]
    fn every_fraction_with_a_numerator_of_five_digits_is_found() {
        // Primes, so that the fractions are in their lowest terms.
        for below in [99_991, 1_000_003, 15_485_863, 1_000_000_007] {
            for above in (1..100_000).step_by(97) {
                let ratio = above as f64 / below as f64;
                if ratio < 1.0 {
                    assert_eq!(fraction(ratio), Some((above, below)), "{above}/{below}");
                }
            }
        }
        assert_eq!(fraction(100_003.0 / 1_000_003.0), None);
    }

    #[test]
    fn a_success_never_counts_more_than_its_ratio_and_little_less() {
        let ratios = [
            1.0,
            0.999_999_9,
            0.7,
            0.2,
            std::f64::consts::FRAC_1_PI,
            std::f64::consts::LN_2,
            1e-3,
            3.3e-5,
            std::f64::consts::PI * 1e-6,
            1e-6,
        ];
        for floor in [0, 3, 1000, 1_000_000_000] {
            for ratio in ratios {
                let budget = Budget::new().floor(floor).ratio(ratio);
                let (credit, token) = (budget.credit as f64, budget.token as f64);
                assert!(credit <= ratio * token * (1.0 + 1e-15), "{ratio} {floor}");
                let least = if floor < 1_000_000 { 5e-7 } else { 1e-3 };
                // Fine enough for steps of time to take little by their rounding, and no finer than a surplus.
                let bits = u64::BITS - budget.credit.leading_zeros();
                assert!(bits == 22 || floor > 1000, "{ratio} {floor}");
                assert!(credit >= ratio * token * (1.0 - least), "{ratio} {floor}");
                // All of the floor has to fit a deficit, and a token a surplus.
                assert!(token * f64::from(floor) <= (1_u64 << 62) as f64);
                assert!(token <= (1_u64 << 52) as f64);
                // What a first success adds is kept whole, though a surplus has 22 bits.
                assert_eq!(packed(budget.credit, 0).units, budget.credit);
            }
        }
    }

    #[test]
    fn all_of_the_floor_fits_whatever_a_success_adds() {
        for floor in [0, 3, 1_000_000_000, u32::MAX] {
            for ratio in [1.0, 0.3, 1e-6, 1e-10, 1e-12, f64::MIN_POSITIVE] {
                let token = i128::from(Budget::new().floor(floor).ratio(ratio).token);
                let whole = token * (i128::from(floor) + 1);
                assert!((1..=1 << 62).contains(&whole), "{ratio} {floor}: {token}");
            }
        }
    }

    #[test]
    fn a_quarter_of_the_circle_lies_behind_a_surplus() {
        let budget = Budget::new();
        let start = crate::timer::system_now();
        assert_eq!(budget.step_of(start), 0);
        let surplus = Level {
            units: 1000,
            step: 0,
        };
        let longest = STEPS - PAST;
        for (step, left) in [(0, 1000), (longest, 0), (longest + 1, 1000), (STEPS, 1000)] {
            let now = start + Duration::from_nanos(budget.step * step);
            assert_eq!(budget.decayed(surplus, step) as i64, left, "{step}");
            // Where no time has passed, it goes on from where it was.
            let expected = Level {
                units: left + 1,
                step: if left == 0 { step } else { 0 },
            };
            assert_eq!(budget.changed(surplus, now, 1), expected, "{step}");
        }
    }

    #[test]
    fn steps_lie_on_a_circle_around_the_first_time() {
        let budget = Budget::new();
        let start = crate::timer::system_now();
        let step = |seconds: u64| budget.step_of(start + Duration::from_secs(seconds));
        assert_eq!((step(0), step(1), step(10)), (0, 100, 1000));
        assert_eq!(budget.step_of(start + Duration::from_millis(19)), 1);
        let earlier = |ms| start.checked_sub(Duration::from_millis(ms)).unwrap();
        assert_eq!(budget.step_of(earlier(1)), STEPS);
        assert_eq!(budget.step_of(earlier(11)), STEPS - 1);
        // Once round: 2^36 steps of 10 ms are 21.8 years.
        let round = Duration::from_millis(10) * u32::try_from(STEPS >> 4).unwrap() * 16;
        assert_eq!(budget.step_of(start + round), STEPS - 15);
        assert_eq!(
            budget.step_of(start + round + Duration::from_millis(160)),
            0
        );
    }
}

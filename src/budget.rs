//! The retry budget: a decaying success bucket in one atomic word.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::backoff::nanos;
use crate::message::{Message, refuse};

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
/// The ratio counts to at least four significant digits, rounded down. Time above the floor is kept in steps of
/// `decay / 1000`, at least 1 ms. A single surplus that lies idle for 2^36 steps (21 years by default) may be kept
/// instead of forgotten. The floor lets each process make its first few retries however many processes there are.
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
#[derive(Debug)]
pub struct Budget {
    level: AtomicU64,
    /// What times are counted from: the first one seen.
    epoch: OnceLock<Instant>,
    ratio: f64,
    decay: Duration,
    floor: u32,
    name: Option<&'static str>,
    /// Units of a token; a power of ten, so that decimal ratios are exact.
    token: u64,
    /// Units that a success adds.
    credit: u64,
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
const MANTISSA_BITS: u32 = 22;
const EXPONENT_MAX: u32 = 31;
/// Steps (of the circle of [`STEPS`]) that count as the past.
const PAST: u64 = 1 << 31;
/// A surplus is only reckoned down once it has lost this many of its smallest steps; so frequent rounding can neither
/// hold its decay up nor hurry it.
const LEAST_LOSS: f64 = 8.0;

impl Level {
    fn unpack(word: u64) -> Self {
        if word & SURPLUS == 0 {
            return Self {
                units: 0_i64.saturating_sub_unsigned(word),
                step: 0,
            };
        }
        let exponent = (word >> MANTISSA_BITS) & u64::from(EXPONENT_MAX);
        let mantissa = word & ((1 << MANTISSA_BITS) - 1);
        Self {
            units: 0_i64.saturating_add_unsigned(mantissa << exponent),
            step: (word >> (MANTISSA_BITS + 5)) & STEPS,
        }
    }

    fn pack(self) -> u64 {
        if self.units <= 0 {
            return self.units.unsigned_abs() & !SURPLUS;
        }
        let units = self.units.unsigned_abs();
        let exponent =
            (u64::BITS.saturating_sub(units.leading_zeros())).saturating_sub(MANTISSA_BITS);
        let (exponent, mantissa) = if exponent > EXPONENT_MAX {
            (EXPONENT_MAX, (1 << MANTISSA_BITS) - 1)
        } else {
            (exponent, units >> exponent)
        };
        SURPLUS
            | (self.step << (MANTISSA_BITS + 5))
            | (u64::from(exponent) << MANTISSA_BITS)
            | mantissa
    }

    /// The smallest amount by which a stored surplus of this size can differ.
    fn resolution(self) -> f64 {
        let bits = u64::BITS.saturating_sub(self.units.unsigned_abs().leading_zeros());
        #[allow(clippy::cast_precision_loss, reason = "a power of two is exact")]
        {
            (1_u64 << bits.saturating_sub(MANTISSA_BITS)) as f64
        }
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
            decay: Duration::from_secs(10),
            floor: 3,
            name: None,
            token: 0,
            credit: 0,
        }
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

    /// Chooses the unit: the power of ten by which the ratio has five digits, as far as the floor leaves room.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "ratio * token is below 100,000"
    )]
    #[allow(
        clippy::cast_precision_loss,
        reason = "a power of ten up to 1e14 is exact"
    )]
    #[allow(clippy::arithmetic_side_effects, reason = "the divisor is at least 1")]
    const fn scaled(mut self) -> Self {
        let room = (1 << 62) / (self.floor as u64).saturating_add(1);
        let mut token = 1_u64;
        while self.ratio * (token as f64) < 9999.5
            && token < 100_000_000_000_000
            && token.saturating_mul(10) <= room
        {
            token = token.saturating_mul(10);
        }
        self.token = token;
        // Rounded down, but 0.7 * 10^5 shall be 70,000 although its nearest double lies below.
        self.credit = (self.ratio * token as f64 + 1e-6) as u64;
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
        f64::from(self.floor) + self.surplus_at(level, now) / self.token as f64
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

    /// How many nanoseconds a step of time has.
    fn step_nanos(&self) -> u64 {
        (nanos(self.decay) / 1000).max(1_000_000)
    }

    /// The step of time that `now` falls in, on a circle of [`STEPS`].
    #[allow(
        clippy::arithmetic_side_effects,
        reason = "a step has at least 1,000,000 ns"
    )]
    fn step(&self, now: Instant) -> u64 {
        let epoch = *self.epoch.get_or_init(|| now);
        let step = match now.checked_duration_since(epoch) {
            Some(after) => nanos(after) / self.step_nanos(),
            None => !(nanos(epoch.saturating_duration_since(now)) / self.step_nanos()),
        };
        step & STEPS
    }

    /// Units above the floor (negative: below) once those above it have decayed until `now`.
    #[allow(
        clippy::cast_precision_loss,
        reason = "a surplus has 22 bits, and the rest may be rounded"
    )]
    fn surplus_at(&self, level: Level, now: Instant) -> f64 {
        let units = level.units as f64;
        if level.units <= 0 {
            return units;
        }
        let passed = self.step(now).wrapping_sub(level.step) & STEPS;
        if passed == 0 || passed > STEPS - PAST {
            return units;
        }
        units * (-(passed as f64) * self.step_nanos() as f64 / nanos(self.decay) as f64).exp()
    }

    /// `level` as it is at `now`, and `units` more.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "a decayed surplus is smaller than it was"
    )]
    #[allow(clippy::cast_precision_loss, reason = "a surplus has 22 bits")]
    fn changed(&self, level: Level, now: Instant, units: i64) -> Level {
        let mut level = level;
        if level.units > 0 {
            let left = self.surplus_at(level, now);
            // A small rest must not keep its age: what is added now would inherit it.
            if level.units as f64 - left >= LEAST_LOSS * level.resolution()
                || left < level.units as f64 * 0.99
            {
                level = Level {
                    units: left as i64,
                    step: self.step(now),
                };
            }
        } else {
            level.step = self.step(now);
        }
        level.units = level.units.saturating_add(units);
        level
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

    fn token_units(&self) -> i64 {
        0_i64.saturating_add_unsigned(self.token)
    }

    /// Notes a success.
    pub(crate) fn credit(&self, now: Instant) {
        let credit = 0_i64.saturating_add_unsigned(self.credit);
        self.update(|level| Some(self.changed(level, now, credit)));
    }

    /// Takes a token for a retry, if there is one.
    fn take(&self, now: Instant) -> bool {
        let empty = 0_i64.saturating_sub_unsigned(self.token.saturating_mul(u64::from(self.floor)));
        self.update(|level| {
            let level = self.changed(level, now, 0_i64.saturating_sub(self.token_units()));
            (level.units >= empty).then_some(level)
        })
    }

    /// Gives back a token that was taken at `now`.
    fn give_back(&self, now: Instant) {
        self.update(|level| Some(self.changed(level, now, self.token_units())));
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
    pub(crate) fn take(budget: Handle, now: Instant) -> Option<Self> {
        budget.take(now).then(|| Self {
            taken: Some((budget, now)),
        })
    }

    /// The attempt that the token was taken for starts.
    #[inline]
    pub(crate) fn spend(token: &mut Option<Self>) {
        if let Some(mut token) = token.take() {
            token.taken = None;
        }
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

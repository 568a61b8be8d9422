//! The retry budget: a bucket of tokens that successes fill and retries drain.

mod bucket;
mod keyed;
mod permit;

use std::fmt;
use std::time::Duration;

use crate::time::Instant;

use crate::message::{Message, refuse};
use bucket::{Bucket, TOKEN};

pub use keyed::Budgets;
pub(crate) use permit::{BudgetRef, Permit};

/// A limit on retries that many calls share, so that retries can't turn a failure of a dependency into an outage.
///
/// Make one for each dependency (a service, a database) and share it between all policies that talk to it. Successes
/// fill it and retries drain it: while the dependency works there is always a token, and while it is down the clients
/// send little more than their ordinary load.
///
/// # How to share it
///
/// Keep it in a `static` ([`Retry::budget`](crate::Retry::budget)) or in an `Arc`
/// ([`Retry::shared_budget`](crate::Retry::shared_budget)). A budget that is made for each call limits nothing, as a new budget
/// allows a few retries; one for each policy allows that many more. Code blocks must say
/// [`succeed`](crate::Attempts::succeed), or nothing fills it. For one budget per host, see [`Budgets`].
///
/// # The rules
///
/// * The balance *b* starts at the floor *F*.
/// * Above the floor it decays towards it, `b = F + (b - F) * exp(-dt / decay)`. Below the floor, time adds nothing.
/// * A retry needs `b >= 1` and takes 1. If there is less, the call ends at once with its error and
///   [`StopReason::BudgetExhausted`](crate::StopReason::BudgetExhausted).
/// * A success adds `ratio`. If it took a retry, the last retry's token comes back too, but only below the floor:
///   `b = min(F, b + 1)`.
/// * Permanent errors neither add nor take.
/// * A retry that is cancelled before its attempt begins gives its token back: as much of it as would be left by then.
/// * With [`earned_after`](Self::earned_after), a failure that took long needs `b - F >= 1`.
///
/// Time comes from the policy's [`Timer`](crate::Timer); a time before an earlier one counts as no time passed.
///
/// # Limits
///
/// Balances are within 0.1 % of the formula, or a thousandth of a token. Time is counted in ticks of 1/16384 of `decay`, so
/// each credit and each retry may add an error of 0.006 % of a token to that. A surplus holds at most 1.7 million tokens. A success at the first try counts from the start of its call, so it costs no reading of
/// the clock.
///
/// The floor allows each process its first few retries, however many processes there are.
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
/// // The floor allows two retries; nothing succeeds, so nothing refills it.
/// let report = PAY.report(|| Err::<(), _>("down"));
/// assert_eq!((report.attempts, report.stop_reason), (3, Some(StopReason::BudgetExhausted)));
///
/// // Five successes pay for one more.
/// for _ in 0..5 {
///     PAY.call(|| Ok(())).unwrap();
/// }
/// assert_eq!(PAY.report(|| Err::<(), _>("down")).attempts, 2);
/// ```
pub struct Budget {
    bucket: Bucket,
    ratio: f64,
    floor: u32,
    earned_after: Option<Duration>,
    name: Option<&'static str>,
}

impl Budget {
    /// A budget with a `ratio` of 0.2 (20 %), a `decay` of 10 s and a `floor` of 2 tokens, and full.
    ///
    /// # Examples
    ///
    /// ```
    /// static DATABASE: stamina::Budget = stamina::Budget::new();
    ///
    /// assert_eq!(DATABASE.balance(std::time::Instant::now()), 2.0);
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bucket: Bucket::new(Duration::from_secs(10)),
            ratio: 0.2,
            floor: 2,
            earned_after: None,
            name: None,
        }
    }

    /// Sets what a success adds: in the long run at most this many retries for each success. Default 0.2.
    ///
    /// # Panics
    ///
    /// Unless `0.001 <= ratio <= 1`.
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
        if !(ratio >= 0.001 && ratio <= 1.0) {
            refuse(Some(
                &Message::new("stamina: the `ratio` of a `Budget` is ")
                    .number(ratio)
                    .text(
                        ", but must be from 0.001 to 1 (0.2 allows one retry for five successes)",
                    ),
            ));
        }
        self.ratio = ratio;
        self
    }

    /// Sets the time constant in which a surplus above the floor is forgotten. Default 10 s.
    ///
    /// # Panics
    ///
    /// Unless it is from 1 ms to 1 day.
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
        let nanos = decay.as_nanos();
        if nanos < 1_000_000 || nanos > 86_400 * 1_000_000_000 {
            refuse(Some(
                &Message::new("stamina: the `decay` of a `Budget` is ")
                    .number(decay.as_secs_f64())
                    .text(" s, but must be from 0.001 s to 86400 s, a day (10 s is the default)"),
            ));
        }
        self.bucket.set_decay(decay);
        self
    }

    /// Sets the tokens that it starts with and that an idle client keeps. Default 2.
    ///
    /// With 0 a retry is allowed only on the credit of earlier successes.
    ///
    /// # Panics
    ///
    /// If it is more than 1,000,000.
    ///
    /// # Examples
    ///
    /// ```
    /// static STRICT: stamina::Budget = stamina::Budget::new().floor(0);
    ///
    /// assert_eq!(STRICT.balance(std::time::Instant::now()), 0.0);
    /// ```
    #[must_use]
    #[track_caller]
    pub const fn floor(mut self, floor: u32) -> Self {
        if floor > 1_000_000 {
            refuse(Some(
                &Message::new("stamina: the `floor` of a `Budget` is ")
                    .integer(floor as u64)
                    .text(", but must be at most 1000000 (2 is the default)"),
            ));
        }
        self.floor = floor;
        self
    }

    /// Allows a retry after a slow failure only from the surplus, never from the floor. Off by default.
    ///
    /// A failure is slow if its attempt took this long or longer. Slow failures, such as timeouts, waste the server's work;
    /// fast ones cost it little. With this option a fleet of thousands of clients that rarely call recovers from an
    /// overload as fast as without retries. Its price: a client without a surplus does not retry a call that hung.
    /// Choose a time below the client's own timeout.
    ///
    /// # Panics
    ///
    /// If it is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// static FLEET: stamina::Budget = stamina::Budget::new().earned_after(Duration::from_millis(500));
    /// # let _ = &FLEET;
    /// ```
    #[must_use]
    #[track_caller]
    pub const fn earned_after(mut self, limit: Duration) -> Self {
        if limit.is_zero() {
            refuse(Some(&Message::new(
                "stamina: `earned_after` of a `Budget` is 0, but must be longer (for no retries from the floor use `floor(0)`)",
            )));
        }
        self.earned_after = Some(limit);
        self
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

    /// The tokens that are there at a time. Looking changes nothing.
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
    /// assert!((BUDGET.balance(Instant::now()) - 2.5).abs() < 0.01);
    /// ```
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "units have 43 bits")]
    pub fn balance(&self, now: Instant) -> f64 {
        f64::from(self.floor) + self.bucket.units(now) as f64 / TOKEN as f64
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
        let mut fresh = Self::new();
        fresh.set_like(self);
        fresh
    }

    /// Takes over the settings of another budget.
    const fn set_like(&mut self, other: &Self) {
        self.bucket.set_decay(other.bucket.decay());
        (self.ratio, self.floor) = (other.ratio, other.floor);
        (self.earned_after, self.name) = (other.earned_after, other.name);
    }

    /// How long a failed attempt may take and still be retried from the floor.
    pub(crate) fn earned_after_limit(&self) -> Option<Duration> {
        self.earned_after
    }

    /// The name, if there is one, and the balance, for telemetry.
    pub(crate) fn gauge(&self, now: Instant) -> Option<(&'static str, f64)> {
        self.name.map(|name| (name, self.balance(now)))
    }

    /// Counts a success. `retried`: not at the first attempt.
    pub(crate) fn credit(&self, now: Instant, retried: bool) {
        let credit = units_of(self.ratio);
        self.bucket.update(now, |units| {
            let units = units.saturating_add(credit);
            // The refund fills the floor and never the surplus.
            let refunded = units.saturating_add(TOKEN).min(0);
            Some(if retried { units.max(refunded) } else { units })
        });
    }

    /// Takes a token for a retry, if there is one. Returns the tick, for [`give_back`](Self::give_back).
    fn take(&self, now: Instant, slow: bool) -> Option<u64> {
        let least = if slow {
            TOKEN
        } else {
            TOKEN.saturating_sub(TOKEN.saturating_mul(self.floor.into()))
        };
        self.bucket.update(now, |units| {
            (units >= least).then(|| units.saturating_sub(TOKEN))
        })
    }

    /// Gives back a token that was taken at a tick.
    fn give_back(&self, taken: u64) {
        self.bucket.give_back(taken);
    }
}

/// The units of a part of a token, rounded down but for the error of the product.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a part of a token is less than a token"
)]
fn units_of(part: f64) -> i64 {
    (part * TOKEN as f64 + 1e-6) as i64
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("name", &self.name)
            .field("ratio", &self.ratio)
            .field("decay", &self.bucket.decay())
            .field("floor", &self.floor)
            .field("earned_after", &self.earned_after)
            .finish_non_exhaustive()
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::new()
    }
}

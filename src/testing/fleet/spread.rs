//! Many durations in little room.

use std::fmt;
use std::time::Duration;

use crate::time::nanos;

/// Steps for each power of two; a quantile is right to one part in this many.
const STEPS: u64 = 32;
const STEP_BITS: u32 = STEPS.trailing_zeros();

/// How a number of durations is spread: count, mean, longest and quantiles.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use stamina::Retry;
/// use stamina::testing::Fleet;
///
/// let policy = Retry::on::<&str>().attempts(3).full_jitter();
/// let outcome = Fleet::of(&policy, "down").rate(50.0).phase(Duration::from_secs(10), 1.0).run();
///
/// // Half of the waits come from [0, 100 ms], the other half from [0, 200 ms].
/// let waits = &outcome.phases[0].waits;
/// assert_eq!(waits.count(), 2 * outcome.phases[0].calls);
/// assert!(waits.longest() <= Duration::from_millis(200));
/// assert!((60..90).contains(&waits.mean().as_millis()));
/// assert!(waits.quantile(0.5) < waits.quantile(0.99));
/// ```
#[derive(Clone, PartialEq)]
pub struct Spread {
    count: u64,
    sum: u128,
    longest: u64,
    /// How many fell into each step; as long as the longest needs.
    steps: Vec<u64>,
}

impl Spread {
    pub(super) const fn new() -> Self {
        Self {
            count: 0,
            sum: 0,
            longest: 0,
            steps: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, duration: Duration) {
        let nanos = nanos(duration);
        self.count = self.count.saturating_add(1);
        self.sum = self.sum.saturating_add(u128::from(nanos));
        self.longest = self.longest.max(nanos);
        let step = step(nanos);
        if self.steps.len() <= step {
            self.steps.resize(step.saturating_add(1), 0);
        }
        self.steps[step] = self.steps[step].saturating_add(1);
    }

    /// How many there were.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::{Retry, testing::Fleet};
    ///
    /// let outcome = Fleet::of(&Retry::on::<()>(), ()).rate(10.0).phase(Duration::from_secs(9), 0.0).run();
    /// assert_eq!(outcome.phases[0].waits.count(), 0); // nothing failed
    /// ```
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The mean; zero if there were none.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::{Retry, testing::Fleet};
    ///
    /// let outcome = Fleet::of(&Retry::on::<()>(), ()).rate(10.0).phase(Duration::from_secs(9), 0.0).run();
    /// assert_eq!(outcome.phases[0].waits.mean(), Duration::ZERO);
    /// ```
    #[must_use]
    pub fn mean(&self) -> Duration {
        let mean = self.sum.checked_div(u128::from(self.count)).unwrap_or(0);
        Duration::from_nanos(u64::try_from(mean).unwrap_or(u64::MAX))
    }

    /// The longest; zero if there were none.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::{Retry, testing::Fleet};
    ///
    /// let outcome = Fleet::of(&Retry::on::<()>(), ()).rate(10.0).phase(Duration::from_secs(9), 1.0).run();
    /// assert!(outcome.phases[0].waits.longest() <= Duration::from_secs(5));
    /// ```
    #[must_use]
    pub fn longest(&self) -> Duration {
        Duration::from_nanos(self.longest)
    }

    /// The duration that this share of them does not exceed, to within 1/32 upwards; zero if there were none.
    ///
    /// A share below 0 counts as 0, one above 1 as 1.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::{Retry, testing::Fleet};
    ///
    /// let outcome = Fleet::of(&Retry::on::<()>(), ()).rate(10.0).phase(Duration::from_secs(9), 0.0).run();
    /// // A call takes two legs of 10 ms on average.
    /// let took = &outcome.phases[0].took;
    /// assert!((10..30).contains(&took.quantile(0.5).as_millis()));
    /// assert_eq!(took.quantile(1.0), took.longest());
    /// ```
    #[must_use]
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a float to int cast saturates, and counts beyond 2^53 may be rounded"
    )]
    pub fn quantile(&self, share: f64) -> Duration {
        let wanted = ((share * self.count as f64).ceil() as u64).clamp(1, self.count.max(1));
        let mut seen = 0_u64;
        for (step, count) in self.steps.iter().enumerate() {
            seen = seen.saturating_add(*count);
            if seen >= wanted {
                return Duration::from_nanos(longest_in(step).min(self.longest));
            }
        }
        self.longest()
    }
}

impl fmt::Debug for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spread")
            .field("count", &self.count)
            .field("mean", &self.mean())
            .field("longest", &self.longest())
            .finish_non_exhaustive()
    }
}

/// The step that a number falls into: the first ones exactly, then 32 for each power of two.
fn step(nanos: u64) -> usize {
    let power = nanos
        .checked_ilog2()
        .map_or(0, |power| power.saturating_sub(STEP_BITS));
    let within = nanos >> power;
    let step = u64::from(power)
        .saturating_mul(STEPS)
        .saturating_add(within);
    usize::try_from(step).unwrap_or(usize::MAX)
}

/// The largest number that falls into a step.
fn longest_in(step: usize) -> u64 {
    let step = u64::try_from(step).unwrap_or(u64::MAX);
    let power = (step >> STEP_BITS).saturating_sub(1);
    let within = step.saturating_sub(power.saturating_mul(STEPS));
    let next = u128::from(within).saturating_add(1) << power;
    u64::try_from(next.saturating_sub(1)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Spread, longest_in, step};
    use std::time::Duration;

    #[test]
    fn each_number_falls_into_the_step_that_ends_at_it_or_little_later() {
        let numbers = (0..2000).chain((11..64).flat_map(|power| {
            [0, 1, 12_345].map(|more| (1_u64 << power).saturating_add(more << (power - 11)))
        }));
        for number in numbers.chain([u64::MAX]) {
            let longest = longest_in(step(number));
            assert!(longest >= number, "{number}: {longest}");
            assert!(longest - number <= number / 32, "{number}: {longest}");
            assert_eq!(step(longest), step(number));
            assert!(longest == u64::MAX || step(longest + 1) == step(number) + 1);
        }
    }

    #[test]
    fn quantiles_of_a_hundred() {
        let mut spread = Spread::new();
        for ms in 1..=100 {
            spread.add(Duration::from_millis(ms));
        }
        let ms = |share| spread.quantile(share).as_secs_f64() * 1000.0;
        assert!((1.0..=1.04).contains(&ms(-1.0)), "{}", ms(-1.0));
        assert!((50.0..51.6).contains(&ms(0.5)), "{}", ms(0.5));
        assert!((99.0..=100.0).contains(&ms(0.99)), "{}", ms(0.99));
        assert_eq!(spread.quantile(7.0), Duration::from_millis(100));
        assert_eq!(spread.mean(), Duration::from_micros(50_500));
        assert_eq!(Spread::new().quantile(0.5), Duration::ZERO);
    }
}

//! How long to wait: pure arithmetic in whole nanoseconds, which saturate at 584 years.
//!
//! The formula stands in the docs of [`Retry`](crate::Retry#waits). To add a wait strategy, add a setter that sets
//! `Config::schedule`, or change [`Backoff::before_jitter`].

use std::time::Duration;

use crate::policy::Settings;
use crate::time::nanos;

const SECOND: u64 = 1_000_000_000;
/// The longest jitter, and the longest wait, unless they are set or the first wait needs more.
const DEFAULT_JITTER: u64 = SECOND;
const DEFAULT_MAX: u64 = 5 * SECOND;

/// A wait before its jitter is drawn: at least `shortest`, plus up to `jitter`; in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WaitRange {
    pub(crate) shortest: u64,
    pub(crate) jitter: u64,
}

impl WaitRange {
    pub(crate) const ZERO: Self = Self::exactly(Duration::ZERO);

    pub(crate) const fn exactly(wait: Duration) -> Self {
        Self {
            shortest: nanos(wait),
            jitter: 0,
        }
    }

    /// The waits that end before `left` has passed; `None` if even the shortest does not.
    #[inline]
    pub(crate) fn within(self, left: Duration) -> Option<Self> {
        let room = nanos(left).checked_sub(self.shortest)?.checked_sub(1)?;
        Some(Self {
            jitter: self.jitter.min(room),
            ..self
        })
    }

    /// Draws the wait, for a `random` number that is uniform over all of `u64`.
    #[inline]
    pub(crate) fn draw(self, random: u64) -> u64 {
        self.shortest.saturating_add(scale(random, self.jitter))
    }

    /// The shortest and the longest wait.
    pub(crate) fn bounds(self) -> (Duration, Duration) {
        let longest = self.shortest.saturating_add(self.jitter);
        (
            Duration::from_nanos(self.shortest),
            Duration::from_nanos(longest),
        )
    }
}

/// The waits of one policy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff<'a> {
    settings: &'a Settings,
    schedule: Option<fn(u32) -> Duration>,
}

impl<'a> Backoff<'a> {
    pub(crate) const fn new(settings: &'a Settings, schedule: Option<fn(u32) -> Duration>) -> Self {
        Self { settings, schedule }
    }

    /// The wait after failed attempt `number`. If the other side asks for a `hint`, it is not shorter than either the hint
    /// or the policy's own wait without jitter; the hint is not cut by the maximum.
    #[inline]
    pub(crate) fn after(&self, number: u32, hint: Option<Duration>) -> WaitRange {
        let wait = self.before_jitter(number);
        let max = self.max();
        if self.settings.full_jitter && hint.is_none() {
            return WaitRange {
                shortest: 0,
                jitter: wait.min(max),
            };
        }
        let jitter = self.jitter(wait, max);
        let own = wait.min(max.saturating_sub(jitter));
        WaitRange {
            shortest: hint.map_or(own, |hint| own.max(nanos(hint))),
            jitter,
        }
    }

    /// The wait before maximum and jitter: by the schedule, or exponential.
    #[inline]
    fn before_jitter(&self, number: u32) -> u64 {
        if let Some(schedule) = self.schedule {
            return nanos(schedule(number));
        }
        let initial = nanos(self.settings.wait_initial);
        let times = i32::try_from(number.saturating_sub(1)).unwrap_or(i32::MAX);
        // The first wait, and one that does not grow, are exact.
        if times == 0 || self.settings.wait_exp_base <= 1.0 {
            return initial;
        }
        // Infinity becomes `u64::MAX`; 0 * infinity is NaN and becomes 0, which is right for an initial wait of zero.
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "float to int casts saturate, and beyond 2^53 ns (104 days) a rounded wait will do"
        )]
        {
            (initial as f64 * self.settings.wait_exp_base.powi(times)) as u64
        }
    }

    #[inline]
    fn max(&self) -> u64 {
        match self.settings.wait_max {
            Some(max) => nanos(max),
            None if self.schedule.is_some() => u64::MAX,
            None => {
                let initial = nanos(self.settings.wait_initial);
                let needed = initial.saturating_add(self.jitter(initial, u64::MAX));
                needed.max(DEFAULT_MAX)
            }
        }
    }

    #[inline]
    fn jitter(&self, wait: u64, max: u64) -> u64 {
        match self.settings.wait_jitter {
            Some(jitter) => nanos(jitter).min(max),
            None => DEFAULT_JITTER.min(wait.saturating_mul(10)).min(max / 2),
        }
    }
}

/// A random number, uniform over all of `u64`: from the thread's generator, or by seed and attempt, so that a resumed call
/// continues its sequence.
#[inline]
pub(crate) fn random(seed: Option<u64>, number: u32) -> u64 {
    let Some(seed) = seed else {
        return fastrand::u64(..);
    };
    // The golden ratio spreads the numbers; the first draw spreads the seeds, which are often 1, 2, 3.
    let spread = u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    fastrand::Rng::with_seed(fastrand::Rng::with_seed(seed).u64(..) ^ spread).u64(..)
}

/// Maps a uniform `random` to a uniform number in `[0, width]` by one widening multiplication.
#[inline]
fn scale(random: u64, width: u64) -> u64 {
    let values = u128::from(width).wrapping_add(1);
    #[allow(
        clippy::cast_possible_truncation,
        reason = "random < 2^64, so the quotient is below `values`"
    )]
    {
        (u128::from(random).wrapping_mul(values) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::{WaitRange, scale};
    use std::time::Duration;

    #[test]
    fn scale_reaches_both_ends_and_nothing_beyond() {
        for width in [0, 1, 2, 999_999_999, u64::MAX - 1, u64::MAX] {
            assert_eq!(scale(0, width), 0);
            assert_eq!(scale(u64::MAX, width), width);
        }
        assert_eq!(scale(1 << 63, 9), 5);
    }

    #[test]
    fn a_wait_ends_before_what_is_left() {
        let range = WaitRange {
            shortest: 100,
            jitter: 50,
        };
        let within = |left| range.within(Duration::from_nanos(left));
        assert_eq!(within(100), None);
        assert_eq!(within(101).map(|range| range.jitter), Some(0));
        assert_eq!(within(150).map(|range| range.jitter), Some(49));
        assert_eq!(within(151), Some(range));
        assert_eq!(within(u64::MAX), Some(range));
        assert_eq!(WaitRange::ZERO.within(Duration::ZERO), None);
    }
}

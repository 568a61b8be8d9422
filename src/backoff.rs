//! How long to wait: pure arithmetic that is given its random number.
//!
//! Everything is in whole nanoseconds in `u64`, which saturates at 584 years.

use std::fmt;
use std::time::Duration;

use crate::settings::Settings;

/// Whole nanoseconds; what is longer than 584 years becomes that.
#[inline]
pub(crate) const fn nanos(duration: Duration) -> u64 {
    duration
        .as_secs()
        .saturating_mul(1_000_000_000)
        .saturating_add(duration.subsec_nanos() as u64)
}

/// A wait, in both its forms, so that neither has to be made of the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait {
    pub(crate) duration: Duration,
    pub(crate) nanos: u64,
}

impl Wait {
    pub(crate) const ZERO: Self = Self {
        duration: Duration::ZERO,
        nanos: 0,
    };
}

impl From<Duration> for Wait {
    fn from(duration: Duration) -> Self {
        Self {
            duration,
            nanos: nanos(duration),
        }
    }
}

/// The waits of one policy, in nanoseconds and ready to use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    initial: u64,
    base: f64,
    /// Whether shifting `initial` is all there is to growing: the base is a power of two (1, which keeps the wait the
    /// same, is one), no schedule of the user's own, no full jitter. Known beforehand, this is one look for each wait
    /// instead of five.
    shifts: bool,
    /// How far each failure shifts.
    shift: u32,
    /// From how many shifts on the wait is `cap`.
    shifts_to_cap: u32,
    own: Option<fn(u32) -> Duration>,
    /// Where growing ends. The room for the jitter is kept free above it, so that it never vanishes at the maximum.
    cap: u64,
    /// Width of the random part that is put on top of a wait.
    jitter: u64,
    /// The whole of a wait is random.
    full_jitter: bool,
}

impl Backoff {
    pub(crate) const fn new(settings: &Settings, own: Option<fn(u32) -> Duration>) -> Self {
        let max = match settings.wait_max {
            Some(max) => nanos(max),
            None => 5_000_000_000,
        };
        let jitter = match settings.wait_jitter {
            Some(jitter) => nanos(jitter),
            None => 1_000_000_000,
        };
        let jitter = if jitter < max { jitter } else { max };
        let initial = nanos(settings.wait_initial);
        let cap = if settings.full_jitter {
            max
        } else {
            max.saturating_sub(jitter)
        };
        let by_shifts = initial > 0 && own.is_none() && !settings.full_jitter;
        let (shifts, shift, shifts_to_cap) = match log2(settings.wait_exp_base) {
            Some(shift) if by_shifts => (true, shift, shifts_to_cap(initial, shift, cap)),
            _ => (false, 0, 0),
        };
        Self {
            initial,
            base: settings.wait_exp_base,
            shifts,
            shift,
            shifts_to_cap,
            own,
            cap,
            jitter,
            full_jitter: settings.full_jitter,
        }
    }

    #[inline]
    pub(crate) const fn shifts(&self) -> bool {
        self.shifts
    }

    /// The shortest wait after failed attempt `number`, and the width of the random part on top of it.
    #[inline]
    fn spread(&self, number: u32) -> (u64, u64) {
        if self.shifts {
            (self.shifted(number), self.jitter)
        } else {
            self.spread_otherwise(number)
        }
    }

    #[inline]
    fn shifted(&self, number: u32) -> u64 {
        let times = number.wrapping_sub(1);
        if times < self.shifts_to_cap {
            self.initial.wrapping_shl(times.wrapping_mul(self.shift))
        } else {
            self.cap
        }
    }

    #[cold]
    fn spread_otherwise(&self, number: u32) -> (u64, u64) {
        let grown = self.grown(number).min(self.cap);
        if self.full_jitter {
            (0, grown)
        } else {
            (grown, self.jitter)
        }
    }

    /// The wait after failed attempt `number` before jitter and cap.
    fn grown(&self, number: u32) -> u64 {
        if let Some(own) = self.own {
            return nanos(own(number));
        }
        let times = number.saturating_sub(1);
        // Infinity becomes `u64::MAX`; 0 * infinity is NaN and becomes 0, which is right for an initial wait of zero.
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "float to int casts saturate"
        )]
        #[allow(
            clippy::cast_precision_loss,
            reason = "2^53 ns are 104 days; beyond them a rounded wait will do"
        )]
        {
            (self.initial as f64 * self.base.powf(f64::from(times))) as u64
        }
    }

    /// The shortest and the longest wait after failed attempt `number`.
    pub(crate) fn bounds(&self, number: u32) -> (u64, u64) {
        let (shortest, width) = self.spread(number);
        (shortest, shortest.saturating_add(width))
    }

    /// The wait after failed attempt `number`, for a `random` number uniform over all of `u64`. `SHIFTS`: known to be
    /// a policy that [`shifts`](Self::shifts).
    #[inline]
    pub(crate) fn wait<const SHIFTS: bool>(&self, number: u32, random: u64) -> Wait {
        let (shortest, width) = if SHIFTS {
            (self.shifted(number), self.jitter)
        } else {
            self.spread(number)
        };
        let nanos = shortest.saturating_add(scale(random, width));
        Wait {
            duration: Duration::from_nanos(nanos),
            nanos,
        }
    }

    /// The wait for a hint of the other side: never shorter, spread by the jitter, not cut by the cap.
    #[cold]
    pub(crate) fn hinted(&self, hint: Duration, random: u64) -> Wait {
        hint.saturating_add(Duration::from_nanos(scale(random, self.jitter)))
            .into()
    }
}

/// The base-2 logarithm of a power of two that is at least 1; else `None`.
const fn log2(base: f64) -> Option<u32> {
    const FRACTION: u32 = f64::MANTISSA_DIGITS - 1;
    const BIAS: u32 = f64::MAX_EXP.unsigned_abs() - 1;

    let bits = base.to_bits();
    if base >= 1.0 && bits.trailing_zeros() >= FRACTION {
        #[allow(clippy::cast_possible_truncation, reason = "an exponent has 11 bits")]
        let exponent = (bits >> FRACTION) as u32;
        Some(exponent.wrapping_sub(BIAS))
    } else {
        None
    }
}

/// How often `initial`, which is not 0, can be shifted by `shift` until it is `cap` or more.
const fn shifts_to_cap(initial: u64, shift: u32, cap: u64) -> u32 {
    if initial >= cap {
        return 0;
    }
    if shift == 0 {
        return u32::MAX;
    }
    // So far that its first bit is where the cap's is, and one further if that is not enough.
    let aligned = initial.leading_zeros().wrapping_sub(cap.leading_zeros());
    let bits = if initial.wrapping_shl(aligned) >= cap {
        aligned
    } else {
        aligned.wrapping_add(1)
    };
    bits.div_ceil(shift)
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

/// The waits that a policy will make: for each possible retry the shortest and the longest.
///
/// Made by [`Retry::schedule`](crate::Retry::schedule). It has one item for each retry that the limit on attempts
/// allows; the deadline and what a predicate says are not in it. Its `Display` is a table.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use stamina::Retry;
///
/// let policy = Retry::on::<()>().attempts(4).wait_jitter(Duration::from_millis(50));
/// let waits: Vec<_> = policy.schedule().collect();
///
/// let ms = Duration::from_millis;
/// assert_eq!(waits, [(ms(100), ms(150)), (ms(200), ms(250)), (ms(400), ms(450))]);
/// assert!(policy.schedule().to_string().contains("0.400 s"));
/// ```
#[derive(Clone, Debug)]
#[must_use = "a schedule does nothing unless it is iterated over or printed"]
pub struct Schedule {
    settings: Settings,
    backoff: Backoff,
    /// The failed attempt that the next item follows.
    number: u32,
    /// Retries still to come; `None` for no end.
    left: Option<u32>,
}

impl Schedule {
    pub(crate) fn new(settings: Settings, backoff: Backoff) -> Self {
        let attempts = settings.attempts;
        Self {
            settings,
            backoff,
            number: 1,
            left: attempts.map(|attempts| attempts.saturating_sub(1)),
        }
    }
}

impl Iterator for Schedule {
    type Item = (Duration, Duration);

    fn next(&mut self) -> Option<Self::Item> {
        self.nth(0)
    }

    fn nth(&mut self, skip: usize) -> Option<Self::Item> {
        let skip = u32::try_from(skip).unwrap_or(u32::MAX);
        if let Some(left) = &mut self.left {
            let Some(rest) = left.checked_sub(skip).and_then(|left| left.checked_sub(1)) else {
                *left = 0;
                return None;
            };
            *left = rest;
        }
        let number = self.number.saturating_add(skip);
        self.number = number.saturating_add(1);
        let (shortest, longest) = self.backoff.bounds(number);
        Some((
            Duration::from_nanos(shortest),
            Duration::from_nanos(longest),
        ))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self.left.map(usize::try_from) {
            Some(Ok(left)) => (left, Some(left)),
            Some(Err(_)) | None => (usize::MAX, None),
        }
    }
}

/// Rows that the table shows before it says only how many more there are.
const ROWS: usize = 20;

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = self.settings;
        writeln!(f, "retry   wait at least   at most   begins after")?;
        let (mut soonest, mut latest) = (Duration::ZERO, Duration::ZERO);
        for (row, (shortest, longest)) in self.clone().take(ROWS).enumerate() {
            soonest = soonest.saturating_add(shortest);
            latest = latest.saturating_add(longest);
            let retry =
                u64::from(self.number).saturating_add(u64::try_from(row).unwrap_or(u64::MAX));
            let late = settings.timeout.is_some_and(|timeout| soonest >= timeout);
            writeln!(
                f,
                "{retry:>5} {:>13.3} s {:>7.3} s   {:.3} to {:.3} s{}",
                shortest.as_secs_f64(),
                longest.as_secs_f64(),
                soonest.as_secs_f64(),
                latest.as_secs_f64(),
                if late { "   (past the timeout)" } else { "" },
            )?;
        }
        match (settings.attempts, self.left) {
            (Some(attempts), Some(left)) => {
                let more = usize::try_from(left)
                    .unwrap_or(usize::MAX)
                    .saturating_sub(ROWS);
                if more > 0 {
                    write!(f, "and {more} more: ")?;
                }
                let plural = if attempts == 1 { "" } else { "s" };
                write!(f, "at most {attempts} attempt{plural}")?;
            }
            _ => write!(f, "and so on without limit on attempts")?,
        }
        match settings.timeout {
            Some(timeout) => write!(
                f,
                ", no retry begins {} s or more after the start",
                timeout.as_secs_f64()
            ),
            None => write!(f, ", no timeout"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Backoff, nanos, scale};
    use crate::settings::Settings;
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
    fn growing_by_shift_is_growing_by_power() {
        const MAX: u64 = u64::MAX;
        for initial in [0, 1, 3, 100_000_000, MAX / 3, MAX] {
            for shift in [0, 1, 2, 3, 63, 64, 1023] {
                for cap in [0, 1, 2, 4, 5, 6, 100_000_001, 1 << 63, MAX - 1, MAX] {
                    let settings = Settings {
                        wait_initial: Duration::from_nanos(initial),
                        wait_exp_base: 2_f64.powi(shift),
                        wait_max: Some(Duration::from_nanos(cap)),
                        wait_jitter: Some(Duration::ZERO),
                        ..Settings::DEFAULT
                    };
                    let backoff = Backoff::new(&settings, None);
                    assert_eq!(backoff.shifts(), initial > 0);
                    for number in (1..=70).chain([u32::MAX]) {
                        let shifts =
                            (u64::from(number - 1) * u64::from(shift.unsigned_abs())).min(64);
                        let expected = (u128::from(initial) << shifts).min(cap.into());
                        let expected = u64::try_from(expected).unwrap();
                        assert_eq!(
                            backoff.bounds(number),
                            (expected, expected),
                            "{initial} ns, shifted by {shift}, up to {cap} ns, attempt {number}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn only_powers_of_two_shift() {
        for base in [
            1.5,
            1.0 + f64::EPSILON,
            3.0,
            4.0 - 4.0 * f64::EPSILON,
            1e300,
        ] {
            let settings = Settings {
                wait_exp_base: base,
                ..Settings::DEFAULT
            };
            assert!(!Backoff::new(&settings, None).shifts(), "{base}");
        }
    }

    #[test]
    fn nanos_saturate() {
        assert_eq!(nanos(Duration::MAX), u64::MAX);
        assert_eq!(nanos(Duration::new(1, 5)), 1_000_000_005);
    }
}

//! The balance of a budget and its time, in one atomic word.

use std::sync::OnceLock;
use std::time::Duration;

use crate::time::Instant;

use crate::sync::{AtomicU64, Ordering};
use crate::time::nanos;

/// Units of a token. Divisible by 1 to 10 and by 1,000, so that simple fractions and ratios with three decimals are
/// exact.
pub(super) const TOKEN: i64 = 5_040_000;

/// The lower bits of the word hold the tick, the upper ones the balance.
///
/// Two halves of 32 bits would be too coarse for either a floor of a million or a ratio of a thousandth.
const TICK_BITS: u32 = 20;
const TICK_MASK: u64 = (1 << TICK_BITS) - 1;
/// Half of the range of ticks in a word, and the longest time that it can express: 32 time constants. By then any
/// surplus has decayed to nothing.
const FORGOTTEN: u64 = 1 << (TICK_BITS - 1);
/// Ticks in a time constant. A tick changes a surplus by 0.006 %. The errors of many short times add up, so it is short.
const TICKS_PER_DECAY: u64 = 16_384;

/// The most that a surplus holds: about 1.7 million tokens.
const MOST_UNITS: i64 = (1 << (63 - TICK_BITS)) - 1;

/// A balance relative to the floor, which decays to 0 while it is positive.
#[derive(Debug)]
pub(super) struct Bucket {
    /// Units above the floor (signed) and the lower bits of the tick that they were counted at. Initially a full floor.
    word: AtomicU64,
    /// The latest tick so far. The word has only its lower bits; this tells how often they have wrapped around.
    latest: AtomicU64,
    /// The time of tick 0: the first at which it was used.
    epoch: OnceLock<Instant>,
    decay: Duration,
}

/// Units at a tick, of which a word has the lower bits.
#[derive(Clone, Copy)]
struct Balance {
    units: i64,
    tick: u64,
}

impl Bucket {
    /// A bucket at its floor. `decay`: at least 1 ms.
    pub(super) const fn new(decay: Duration) -> Self {
        Self {
            word: AtomicU64::new(0),
            latest: AtomicU64::new(0),
            epoch: OnceLock::new(),
            decay,
        }
    }

    pub(super) const fn set_decay(&mut self, decay: Duration) {
        self.decay = decay;
    }

    pub(super) const fn decay(&self) -> Duration {
        self.decay
    }

    /// Units above the floor at a time. Changes nothing.
    pub(super) fn units(&self, now: Instant) -> i64 {
        let tick = self.epoch.get().map_or(0, |epoch| self.tick(*epoch, now));
        let latest = self.latest.load(Ordering::Acquire);
        let word = self.word.load(Ordering::Relaxed);
        self.balance(word, tick.max(latest), latest).units
    }

    /// Replaces the units at a time by what `change` returns, unless it returns `None`. Returns the tick of the change.
    pub(super) fn update(&self, now: Instant, change: impl Fn(i64) -> Option<i64>) -> Option<u64> {
        let epoch = *self.epoch.get_or_init(|| now);
        self.update_at(self.tick(epoch, now), |units, _| change(units))
    }

    /// Takes one token back that was taken at the tick `taken`. A deficit takes all that it lacks; the rest is surplus
    /// and has decayed like any other since then.
    ///
    /// The time is the latest that any update brought. This is exact without reading a clock: from then on, the rest
    /// decays together with the surplus that it is added to.
    pub(super) fn give_back(&self, taken: u64) {
        self.update_at(taken, |units, tick| {
            let deficit = units.min(0).saturating_neg().min(TOKEN);
            let rest = self.decayed(TOKEN.saturating_sub(deficit), tick.saturating_sub(taken));
            Some(units.saturating_add(deficit).saturating_add(rest))
        });
    }

    /// `change` gets the units and the tick, which is `tick` or a later one that the bucket has seen.
    fn update_at(&self, tick: u64, change: impl Fn(i64, u64) -> Option<i64>) -> Option<u64> {
        let latest = self.latest.load(Ordering::Acquire);
        let tick = tick.max(latest);
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let balance = self.balance(word, tick, latest);
            let changed = Balance {
                units: change(balance.units, balance.tick)?.min(MOST_UNITS),
                tick: balance.tick,
            };
            let (order, failed) = (Ordering::Relaxed, Ordering::Relaxed);
            match self
                .word
                .compare_exchange_weak(word, changed.pack(), order, failed)
            {
                Ok(_) => {
                    // Only now: had it come before the word, another thread would take an old surplus for a recent one.
                    if changed.tick > latest {
                        self.latest.fetch_max(changed.tick, Ordering::Release);
                    }
                    return Some(changed.tick);
                }
                Err(other) => word = other,
            }
        }
    }

    /// What a word that was written at `latest` or before holds at `tick`.
    fn balance(&self, word: u64, tick: u64, latest: u64) -> Balance {
        let old = Balance::unpack(word);
        let passed = tick.wrapping_sub(old.tick) & TICK_MASK;
        let ahead = old.tick.wrapping_sub(tick) & TICK_MASK;
        let (units, tick) = if old.units <= 0 {
            (old.units, tick)
        } else if tick.saturating_sub(latest) > FORGOTTEN {
            (0, tick)
        } else if passed > FORGOTTEN {
            // Another thread has written a later tick meanwhile.
            (old.units, tick.saturating_add(ahead))
        } else {
            (self.decayed(old.units, passed), tick)
        };
        Balance { units, tick }
    }

    /// What is left of units after so many ticks.
    fn decayed(&self, units: i64, ticks: u64) -> i64 {
        if ticks == 0 {
            units
        } else {
            self.decayed_exponentially(units, ticks)
        }
    }

    /// Rounded down, so that rounding only ever takes.
    // Not inlined for the gates of a success with a budget: most changes of a busy budget come within one tick.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "units have 43 bits, and decay makes them fewer"
    )]
    #[inline(never)]
    fn decayed_exponentially(&self, units: i64, ticks: u64) -> i64 {
        let time_constants = ticks as f64 * (self.tick_nanos() as f64 / nanos(self.decay) as f64);
        (units as f64 * (-time_constants).exp()) as i64
    }

    /// A time before the epoch is the epoch, as a time before the last counts as no time passed.
    fn tick(&self, epoch: Instant, now: Instant) -> u64 {
        let passed = nanos(now.saturating_duration_since(epoch));
        // A tick is never zero.
        passed.checked_div(self.tick_nanos()).unwrap_or(0)
    }

    fn tick_nanos(&self) -> u64 {
        nanos(self.decay) / TICKS_PER_DECAY
    }
}

impl Balance {
    #[allow(clippy::cast_possible_wrap, reason = "the sign is in the word")]
    const fn unpack(word: u64) -> Self {
        Self {
            units: word as i64 >> TICK_BITS,
            tick: word & TICK_MASK,
        }
    }

    #[allow(clippy::cast_sign_loss, reason = "the sign is in the word")]
    const fn pack(self) -> u64 {
        ((self.units << TICK_BITS) as u64) | (self.tick & TICK_MASK)
    }
}

#[cfg(test)]
mod tests {
    use super::{Balance, Bucket, FORGOTTEN, Instant, MOST_UNITS, TICK_BITS, TOKEN};
    use std::time::Duration;

    /// Units and tick at `tick` of a surplus of one token of tick `written`; the latest tick that the bucket knows is `latest`.
    fn level(written: u64, tick: u64, latest: u64) -> (i64, u64) {
        let word = Balance {
            units: TOKEN,
            tick: written,
        };
        let balance = Bucket::new(Duration::from_secs(1)).balance(word.pack(), tick, latest);
        (balance.units, balance.tick)
    }

    #[test]
    fn a_surplus_is_forgotten_however_long_ago_it_was() {
        let around = 1 << TICK_BITS;
        for tick in [FORGOTTEN, FORGOTTEN + 1, around - 1, around, 5 * around] {
            assert_eq!(level(0, tick, 0), (0, tick));
        }
    }

    #[test]
    fn a_surplus_that_another_thread_wrote_later_is_taken_at_its_time() {
        assert_eq!(level(100, 90, 90), (TOKEN, 100));
        assert_eq!(level(90, 90, 90), (TOKEN, 90));
        assert_eq!(level(90, 100, 90).1, 100);
    }

    #[test]
    fn a_surplus_ends_at_the_most_that_the_word_holds() {
        let bucket = Bucket::new(Duration::from_secs(1));
        let now = Instant::now();
        bucket.update(now, |_| Some(i64::MAX));
        assert_eq!(bucket.units(now), MOST_UNITS);
    }
}

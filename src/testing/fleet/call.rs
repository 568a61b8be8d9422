//! A simulated call and its randomness.

use std::time::Duration;

use fastrand::Rng;

use crate::message::{Message, refuse};

/// No call makes more attempts, so that a simulation ends even if its time stands still.
const MOST_ATTEMPTS: u32 = 1_000_000;

/// Spreads the seeds of the attempts of one call (the golden ratio).
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// A call under way.
pub(super) struct Call {
    /// Its own randomness: the same call of the same fleet draws the same numbers under every policy.
    pub(super) seed: u64,
    pub(super) start: u64,
    /// When the attempt under way was sent.
    pub(super) sent: u64,
    pub(super) client: u32,
    /// Attempts made before the one under way.
    pub(super) made: u32,
    pub(super) phase: usize,
}

/// What randomness is for: the way to the server, the way back, or whether the attempt hangs.
pub(super) const THERE: u64 = 0;
pub(super) const BACK: u64 = 1;
pub(super) const HUNG: u64 = 2;

impl Call {
    /// Randomness of the attempt under way.
    pub(super) fn random(&self, purpose: u64) -> Rng {
        Rng::with_seed(self.seed ^ u64::from(self.made).wrapping_mul(SPREAD) ^ purpose)
    }

    /// Panics if the call never ends, as far as can be seen.
    pub(super) fn refuse_endless(&self, at: u64) {
        if self.made >= MOST_ATTEMPTS {
            let seconds = Duration::from_nanos(at.saturating_sub(self.start)).as_secs_f64();
            refuse(Some(
                &Message::new("stamina: a call of a `Fleet` has made ")
                    .integer(self.made.into())
                    .text(" attempts in ")
                    .number(seconds)
                    .text(" s of simulated time; give the policy waits or fewer `attempts`, or the fleet a `latency`"),
            ));
        }
    }
}

/// An exponentially distributed time of this mean, in nanoseconds.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float to int cast saturates"
)]
pub(super) fn exponential(random: &mut Rng, mean: f64) -> u64 {
    // 1 - [0, 1) is never 0; an infinite mean (a load of 0) times 0 is NaN, which must not become "at once".
    let time = -(1.0 - random.f64()).ln() * mean;
    if time.is_nan() { u64::MAX } else { time as u64 }
}

#[cfg(test)]
mod tests {
    use super::{BACK, Call, HUNG, THERE};
    use std::collections::HashSet;

    #[test]
    fn each_attempt_of_a_call_draws_numbers_of_its_own_for_each_purpose() {
        for seed in 0..8 {
            let draw = |made, purpose| {
                let call = Call {
                    seed,
                    start: 0,
                    sent: 0,
                    client: 0,
                    made,
                    phase: 0,
                };
                call.random(purpose).u64(..)
            };
            let drawn: HashSet<_> = (0..10)
                .flat_map(|made| [THERE, BACK, HUNG].map(|purpose| draw(made, purpose)))
                .collect();
            assert_eq!(drawn.len(), 30, "seed {seed}");
        }
    }
}

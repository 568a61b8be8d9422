//! The rules of `Budget`, in floats.

use super::rules::Nanos;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    pub(crate) floor: f64,
    pub(crate) ratio: f64,
    pub(crate) tau: Nanos,
    pub(crate) earned_after: Option<Nanos>,
    balance: f64,
    /// The latest time so far; an earlier one counts as no time passed.
    since: Nanos,
    changes: f64,
}

impl Bucket {
    pub(crate) fn new(floor: u32, ratio: f64, tau: Nanos, earned_after: Option<Nanos>) -> Self {
        Self {
            floor: floor.into(),
            ratio,
            tau,
            earned_after,
            balance: floor.into(),
            since: 0,
            changes: 0.0,
        }
    }

    fn decay(&self, nanos: Nanos) -> f64 {
        (-(nanos as f64) / self.tau as f64).exp()
    }

    fn pass(&mut self, now: Nanos) {
        if now <= self.since {
            return;
        }
        let surplus = self.balance - self.floor;
        if surplus > 0.0 {
            self.balance = self.floor + surplus * self.decay(now - self.since);
        }
        self.since = now;
    }

    /// How far rounding may have taken the balance: a thousandth of a token or of the surplus, and what a tick, 1/16384 of
    /// the decay, takes of each token that came or went.
    fn slack(&self) -> f64 {
        0.001 + 0.001 * (self.balance - self.floor).max(0.0) + self.changes / 16_384.0
    }

    /// A success. If it took a retry, that one's token fills the floor.
    pub(crate) fn credit(&mut self, now: Nanos, retried: bool) {
        self.pass(now);
        self.balance += self.ratio;
        if retried && self.balance < self.floor {
            self.balance = self.floor.min(self.balance + 1.0);
        }
        self.changes += 1.0;
    }

    /// A token for a retry was `taken`, or not: was that right? Returns the time for `give_back`.
    pub(crate) fn take(&mut self, now: Nanos, took: Nanos, taken: bool) -> Nanos {
        let mut then = *self;
        then.pass(now);
        let slow = then.earned_after.is_some_and(|limit| took >= limit);
        let need = if slow { then.floor + 1.0 } else { 1.0 };
        let slack = then.slack();
        if taken {
            assert!(
                then.balance + slack >= need,
                "a retry without a token, slow: {slow}, {then:?}"
            );
            then.balance -= 1.0;
            then.changes += 1.0;
            *self = then;
        } else {
            // A refusal changes nothing, but time begins with the first use.
            assert!(
                then.balance - slack < need,
                "no retry in spite of a token, slow: {slow}, {then:?}"
            );
            if self.since == 0 {
                self.since = now;
            }
        }
        self.since
    }

    /// A retry did not begin: its token comes back as what it would be worth now, had it stayed. A token of the floor does
    /// not age.
    pub(crate) fn give_back(&mut self, taken: Nanos) {
        let lacks = (self.floor - self.balance).clamp(0.0, 1.0);
        self.balance += lacks + (1.0 - lacks) * self.decay(self.since.saturating_sub(taken));
        self.changes += 1.0;
    }

    pub(crate) fn holds(&self, now: Nanos, balance: f64) {
        let mut then = *self;
        then.pass(now);
        assert!(
            (balance - then.balance).abs() <= then.slack() && balance >= 0.0,
            "balance {balance}, but {then:?} at {now}"
        );
    }
}

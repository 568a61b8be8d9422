//! The result of a simulation.

use std::fmt;
use std::time::Duration;

use super::spread::Spread;
use crate::policy::StopReason;

/// Success over this long decides whether a fleet has recovered.
const WINDOW: usize = 10;
/// The share of calls that must succeed in each window.
const FINE: f64 = 0.95;

/// The result of a simulation: an account of each phase, and of each second. Its `Display` is a table.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use stamina::Retry;
/// use stamina::testing::Fleet;
///
/// let policy = Retry::on::<&str>().attempts(3);
/// let outcome = Fleet::of(&policy, "down")
///     .rate(20.0)
///     .phase(Duration::from_secs(20), 0.0)
///     .phase(Duration::from_secs(20), 1.0)
///     .run();
///
/// assert_eq!(outcome.phases.len(), 2);
/// assert!(outcome.phases[0].success() > 0.99); // the last calls are still under way when the outage begins
/// assert_eq!(outcome.phases[1].amplification(), 3.0);
/// println!("{outcome}");
/// # let table = outcome.to_string();
/// # assert!(table.contains("x3.00") && table.contains("attempts_exhausted"), "{table}");
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Outcome {
    /// The phases, in their order.
    pub phases: Vec<Phase>,
    /// Each second from the start until the last call has ended.
    pub seconds: Vec<Second>,
}

/// The result of the calls that began in one phase.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use stamina::Retry;
/// use stamina::testing::Fleet;
///
/// let policy = Retry::on::<&str>().attempts(2);
/// let outcome = Fleet::of(&policy, "down").rate(20.0).phase(Duration::from_secs(20), 0.5).run();
///
/// let phase = &outcome.phases[0];
/// assert!((0.6..0.9).contains(&phase.success())); // 1 - 0.5 * 0.5
/// assert!((1.4..1.6).contains(&phase.amplification()));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Phase {
    /// When it began, from the start of the simulation.
    pub start: Duration,
    /// How long it lasted.
    pub length: Duration,
    /// The probability with which each attempt failed.
    pub failure: f64,
    /// How many times the fleet's rate there were.
    pub load: f64,
    /// Whether the network held all messages back.
    pub cut_off: bool,
    /// Calls that began in it.
    pub calls: u64,
    /// Attempts of these calls, whenever they were made.
    pub attempts: u64,
    /// How many of these calls succeeded.
    pub succeeded: u64,
    /// How many of these calls had not ended when the simulation did.
    pub unfinished: u64,
    /// The waits of these calls, one for each retry.
    pub waits: Spread,
    /// How long these calls took, the failed ones too.
    pub took: Spread,
    /// Time from the start of this phase until the fleet was well for the rest of it: from then on at least 95 % of
    /// the calls that began in any 10 s of this phase succeeded. `None` if that never happened, and in a phase without
    /// calls.
    pub recovery: Option<Duration>,
    stopped: [u64; REASONS.len()],
}

/// What happened in one second.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use stamina::Retry;
/// use stamina::testing::Fleet;
///
/// let fleet = Fleet::of(&Retry::on::<()>(), ()).rate(20.0);
/// let outcome = fleet.phase(Duration::from_secs(9), 0.0).run();
///
/// // Nothing failed, so each call was a single attempt.
/// assert!(outcome.seconds.iter().all(|second| second.attempts == second.calls));
/// assert!(outcome.seconds.iter().all(|second| second.calls == second.succeeded));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Second {
    /// Calls that began in it.
    pub calls: u64,
    /// Attempts that were sent in it: the load.
    pub attempts: u64,
    /// How many of the calls that began in it succeeded, whenever that was.
    pub succeeded: u64,
    /// Calls that succeeded in it, whenever they began: the goodput.
    pub goodput: u64,
}

const REASONS: [StopReason; 4] = [
    StopReason::NotRetryable,
    StopReason::AttemptsExhausted,
    StopReason::TimedOut,
    StopReason::BudgetExhausted,
];

impl Phase {
    pub(super) fn new(start: u64, end: u64, failure: f64, load: f64, cut_off: bool) -> Self {
        Self {
            start: Duration::from_nanos(start),
            length: Duration::from_nanos(end.saturating_sub(start)),
            failure,
            load,
            cut_off,
            calls: 0,
            attempts: 0,
            succeeded: 0,
            unfinished: 0,
            waits: Spread::new(),
            took: Spread::new(),
            recovery: None,
            stopped: [0; REASONS.len()],
        }
    }

    pub(super) fn stop(&mut self, reason: StopReason) {
        for (stopped, known) in self.stopped.iter_mut().zip(REASONS) {
            if known == reason {
                *stopped = stopped.saturating_add(1);
            }
        }
    }

    /// Attempts for each call: what retries make of the load. 1 if there were no calls.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::{Budget, Retry, testing::Fleet};
    ///
    /// static BUDGET: Budget = Budget::new();
    ///
    /// let fleet = |policy: Retry<()>| Fleet::of(&policy, ()).rate(100.0).phase(Duration::from_secs(20), 1.0);
    /// let policy = Retry::on::<()>().attempts(3);
    ///
    /// assert_eq!(fleet(policy.clone()).run().phases[0].amplification(), 3.0);
    /// assert!(fleet(policy.budget(&BUDGET)).run().phases[0].amplification() < 1.2);
    /// ```
    #[must_use]
    pub fn amplification(&self) -> f64 {
        share(self.attempts, self.calls)
    }

    /// The share of calls that succeeded, from 0 to 1. 1 if there were no calls.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::{Retry, testing::Fleet};
    ///
    /// let outcome = Fleet::of(&Retry::on::<()>(), ()).rate(20.0).phase(Duration::from_secs(9), 0.1).run();
    /// assert_eq!(outcome.phases[0].success(), 1.0); // ten attempts hide ten per cent
    /// ```
    #[must_use]
    pub fn success(&self) -> f64 {
        share(self.succeeded, self.calls)
    }

    /// How many calls ended for this reason.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::{Retry, StopReason, testing::Fleet};
    ///
    /// let policy = Retry::on::<()>().attempts(2);
    /// let outcome = Fleet::of(&policy, ()).rate(20.0).phase(Duration::from_secs(9), 1.0).run();
    ///
    /// let phase = &outcome.phases[0];
    /// assert_eq!(phase.stopped(StopReason::AttemptsExhausted), phase.calls);
    /// assert_eq!(phase.stopped(StopReason::TimedOut), 0);
    /// ```
    #[must_use]
    pub fn stopped(&self, reason: StopReason) -> u64 {
        let known = REASONS.iter().position(|known| *known == reason);
        known.map_or(0, |known| self.stopped[known])
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "beyond 2^53 a rounded count will do"
)]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 1.0;
    }
    part as f64 / whole as f64
}

impl Outcome {
    /// Whether the fleet was well again within this time from the start of the last phase, and stayed so: see
    /// [`recovery`](Phase::recovery).
    ///
    /// # Examples
    ///
    /// "Our 300 clients recover within a minute from ten seconds without a network":
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::{Budget, Retry, testing::Fleet, testing::fleet::Server};
    ///
    /// static BUDGET: Budget = Budget::new();
    ///
    /// let secs = Duration::from_secs;
    /// let policy = Retry::on::<&str>().attempts(3).budget(&BUDGET);
    /// let outcome = Fleet::of(&policy, "timed out")
    ///     .clients(300)
    ///     .rate(200.0)
    ///     .server(Server::new()) // 300 requests a second
    ///     .phase(secs(20), 0.0)
    ///     .cut_off(secs(10))
    ///     .phase(secs(120), 0.0)
    ///     .run();
    /// assert!(outcome.recovers_within(secs(60)), "{outcome}");
    /// ```
    #[must_use]
    pub fn recovers_within(&self, limit: Duration) -> bool {
        let recovery = self.phases.last().and_then(|phase| phase.recovery);
        recovery.is_some_and(|recovery| recovery <= limit)
    }

    /// Fills in when each phase recovered.
    pub(super) fn with_recoveries(mut self) -> Self {
        for phase in &mut self.phases {
            let begin = usize::try_from(phase.start.as_secs()).unwrap_or(usize::MAX);
            let end = phase.start.saturating_add(phase.length);
            let end = end
                .as_secs()
                .saturating_add(u64::from(end.subsec_nanos() > 0));
            let end = usize::try_from(end)
                .unwrap_or(usize::MAX)
                .min(self.seconds.len());
            phase.recovery = recovery(self.seconds.get(begin..end).unwrap_or_default());
        }
        self
    }
}

/// The first second after which every window is fine.
fn recovery(seconds: &[Second]) -> Option<Duration> {
    let total = |seconds: &[Second]| {
        seconds
            .iter()
            .fold((0_u64, 0_u64), |(calls, fine), second| {
                (
                    calls.saturating_add(second.calls),
                    fine.saturating_add(second.succeeded),
                )
            })
    };
    if total(seconds).0 == 0 {
        return None;
    }
    let size = WINDOW.min(seconds.len());
    let is_fine = |window| {
        let (calls, fine) = total(window);
        share(fine, calls) >= FINE
    };
    let windows = seconds.windows(size);
    let count = windows.len();
    let fine = windows.rev().take_while(|window| is_fine(window)).count();
    let first = count.saturating_sub(fine);
    (fine > 0).then(|| Duration::from_secs(u64::try_from(first).unwrap_or(u64::MAX)))
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "phase  from s  for s  failing       calls    attempts   x calls  success  wait mean  longest  well after  stopped by"
        )?;
        for (number, phase) in (1_u64..).zip(&self.phases) {
            let failing = if phase.cut_off {
                "cut off".to_owned()
            } else {
                format!("{:.1} %", phase.failure * 100.0)
            };
            let recovery = match phase.recovery {
                Some(recovery) => format!("{} s", recovery.as_secs()),
                None => "never".to_owned(),
            };
            write!(
                f,
                "{number:>5}{:>8}{:>7}{failing:>9}{:>12}{:>12}{:>10}{:>9}{:>9.3} s{:>7.2} s{recovery:>12}  ",
                phase.start.as_secs_f64(),
                phase.length.as_secs_f64(),
                phase.calls,
                phase.attempts,
                format!("x{:.2}", phase.amplification()),
                percent(phase.success()),
                phase.waits.mean().as_secs_f64(),
                phase.waits.longest().as_secs_f64(),
            )?;
            let reasons = REASONS.iter().zip(phase.stopped);
            let unfinished = std::iter::once(("unfinished", phase.unfinished));
            let ends: Vec<String> = reasons
                .map(|(reason, count)| (reason.as_str(), count))
                .chain(unfinished)
                .filter(|(_, count)| *count > 0)
                .map(|(reason, count)| format!("{reason} {count}"))
                .collect();
            let ends = if ends.is_empty() {
                "-".to_owned()
            } else {
                ends.join(", ")
            };
            writeln!(f, "{ends}")?;
        }
        Ok(())
    }
}

/// A share in per cent, rounded so that only what is all is called 100 %.
fn percent(share: f64) -> String {
    let rounded = (share * 1e4).floor() / 1e2;
    format!("{rounded:.2} %")
}

#[cfg(test)]
mod tests {
    use super::{Second, percent, recovery};
    use std::time::Duration;

    fn seconds(fine: impl IntoIterator<Item = u64>) -> Vec<Second> {
        let second = |succeeded| Second {
            calls: 100,
            succeeded,
            ..Second::default()
        };
        fine.into_iter().map(second).collect()
    }

    #[track_caller]
    fn recovers(fine: impl IntoIterator<Item = u64>, expected: Option<u64>) {
        assert_eq!(recovery(&seconds(fine)), expected.map(Duration::from_secs));
    }

    #[test]
    fn a_fleet_is_well_once_every_ten_seconds_are() {
        recovers([100; 30], Some(0));
        recovers([0; 30], None);
        recovers([], None);
        // Bad until 20: a window may hold half a bad second of ten.
        recovers((0..60).map(|s| if s < 20 { 0 } else { 100 }), Some(20));
        recovers((0..60).map(|s| if s < 20 { 50 } else { 100 }), Some(19));
        // A relapse counts from its end.
        recovers((0..60).map(|s| if s == 40 { 0 } else { 100 }), Some(41));
        // Not well at the end is not well.
        recovers((0..60).map(|s| if s == 59 { 0 } else { 100 }), None);
        // A short phase is one window.
        recovers([100, 100, 100], Some(0));
        recovers([100, 0, 100], None);
    }

    #[test]
    fn only_what_is_all_is_called_100_per_cent() {
        let written = [0.0, 0.123_456, 0.5, 0.999_999, 1.0].map(percent);
        assert_eq!(
            written,
            ["0.00 %", "12.34 %", "50.00 %", "99.99 %", "100.00 %"]
        );
    }

    #[test]
    fn nothing_can_be_said_without_calls() {
        assert_eq!(recovery(&[Second::default(); 30]), None);
    }
}

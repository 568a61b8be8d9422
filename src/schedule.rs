//! The waits of a policy to look at: [`Schedule`] has their bounds, [`Delays`] draws them.

use std::fmt;
use std::time::Duration;

use crate::backoff::{Backoff, random};
use crate::policy::{Retry, Settings};

/// The waits that a policy will make: for each possible retry the shortest and the longest.
///
/// Made by [`Retry::schedule`](crate::Retry::schedule). It has one item for each retry that the limit on attempts
/// allows; the deadline and the decisions of a predicate are not in it. Its `Display` is a table of all waits, which
/// marks the retries that the deadline does not allow.
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
    own: Option<fn(u32) -> Duration>,
    retries: Retries,
}

/// The waits of one call as they would be drawn: an endless or limited iterator for libraries that want one.
///
/// Made by [`Retry::delays`](crate::Retry::delays). It has one item for each retry that the limit on attempts allows. The
/// deadline, the predicate and the budget are not in it. [`reset`](Self::reset) begins anew after a success.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use stamina::Retry;
///
/// let mut delays = Retry::on::<()>().attempts(3).delays();
/// let first = delays.next().unwrap();
/// assert!((Duration::from_millis(100)..=Duration::from_millis(1100)).contains(&first));
/// assert!(delays.next().is_some());
/// assert_eq!(delays.next(), None);
///
/// delays.reset();
/// assert!(delays.next().is_some());
/// ```
#[derive(Clone, Debug)]
#[must_use = "an iterator does nothing unless it is consumed"]
pub struct Delays {
    settings: Settings,
    own: Option<fn(u32) -> Duration>,
    seed: Option<u64>,
    retries: Retries,
}

/// The numbers of the failed attempts that a retry follows.
#[derive(Clone, Debug)]
struct Retries {
    next: u32,
    /// Retries still to come; `None` for no end.
    left: Option<u32>,
}

impl Retries {
    fn of(settings: &Settings) -> Self {
        Self {
            next: 1,
            left: settings.attempts.map(|attempts| attempts.saturating_sub(1)),
        }
    }

    fn nth(&mut self, skip: usize) -> Option<u32> {
        let skip = u32::try_from(skip).unwrap_or(u32::MAX);
        if let Some(left) = &mut self.left {
            let Some(rest) = left.checked_sub(skip).and_then(|left| left.checked_sub(1)) else {
                *left = 0;
                return None;
            };
            *left = rest;
        }
        let number = self.next.saturating_add(skip);
        self.next = number.saturating_add(1);
        Some(number)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self.left.map(usize::try_from) {
            Some(Ok(left)) => (left, Some(left)),
            Some(Err(_)) | None => (usize::MAX, None),
        }
    }
}

/// # The waits of a policy
impl<E> Retry<E> {
    /// The waits to expect: for each possible retry the shortest and the longest. Its `Display` is a table.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::Retry;
    ///
    /// let policy = Retry::on::<()>();
    /// assert_eq!(policy.schedule().count(), 9);
    /// assert_eq!(policy.schedule().last(), Some((Duration::from_secs(4), Duration::from_secs(5))));
    /// println!("{}", policy.schedule());
    /// ```
    pub fn schedule(&self) -> Schedule {
        Schedule::new(self.config.settings, self.config.schedule)
    }

    /// Waits as they would be drawn, for libraries that want an iterator. Each iterator draws its own.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::Retry;
    ///
    /// let delays: Vec<Duration> = Retry::on::<()>().attempts(4).delays().collect();
    /// assert_eq!(delays.len(), 3);
    /// ```
    pub fn delays(&self) -> Delays {
        Delays::new(self.config.settings, self.config.schedule, self.config.seed)
    }
}

impl Schedule {
    fn new(settings: Settings, own: Option<fn(u32) -> Duration>) -> Self {
        Self {
            settings,
            own,
            retries: Retries::of(&settings),
        }
    }
}

impl Iterator for Schedule {
    type Item = (Duration, Duration);

    fn next(&mut self) -> Option<Self::Item> {
        self.nth(0)
    }

    fn nth(&mut self, skip: usize) -> Option<Self::Item> {
        let number = self.retries.nth(skip)?;
        Some(
            Backoff::new(&self.settings, self.own)
                .after(number, None)
                .bounds(),
        )
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.retries.size_hint()
    }
}

impl Delays {
    fn new(settings: Settings, own: Option<fn(u32) -> Duration>, seed: Option<u64>) -> Self {
        Self {
            settings,
            own,
            seed,
            retries: Retries::of(&settings),
        }
    }

    /// Begins anew: the next delay is the first one again.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::Retry;
    ///
    /// let mut delays = Retry::on::<()>().wait_jitter(Duration::ZERO).delays();
    /// assert_eq!(delays.by_ref().nth(3), Some(Duration::from_millis(800)));
    /// delays.reset();
    /// assert_eq!(delays.next(), Some(Duration::from_millis(100)));
    /// ```
    pub fn reset(&mut self) {
        self.retries = Retries::of(&self.settings);
    }
}

impl Iterator for Delays {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.nth(0)
    }

    // The waits that are skipped need not be drawn.
    fn nth(&mut self, skip: usize) -> Option<Duration> {
        let number = self.retries.nth(skip)?;
        let range = Backoff::new(&self.settings, self.own).after(number, None);
        Some(Duration::from_nanos(range.draw(random(self.seed, number))))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.retries.size_hint()
    }
}

/// Rows that the table shows before it says only how many more there are.
const ROWS: usize = 20;

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timeout = self.settings.timeout;
        let is_late = |begin: Duration| timeout.is_some_and(|timeout| begin >= timeout);
        writeln!(f, "retry   wait at least   at most   begins after")?;
        let (mut soonest, mut latest) = (Duration::ZERO, Duration::ZERO);
        let whole = Self::new(self.settings, self.own);
        for (row, (shortest, longest)) in whole.clone().take(ROWS).enumerate() {
            soonest = soonest.saturating_add(shortest);
            latest = latest.saturating_add(longest);
            let row = u64::try_from(row).unwrap_or(u64::MAX);
            let late = match (is_late(soonest), row) {
                (false, _) => "",
                (true, 0) => "   (past the timeout: this policy never retries)",
                (true, _) => "   (past the timeout)",
            };
            writeln!(
                f,
                "{:>5} {:>13.3} s {:>7.3} s   {:.3} to {:.3} s{late}",
                row.saturating_add(1),
                shortest.as_secs_f64(),
                longest.as_secs_f64(),
                soonest.as_secs_f64(),
                latest.as_secs_f64(),
            )?;
        }
        match (self.settings.attempts, whole.retries.left) {
            (Some(attempts), Some(left)) => {
                let left = usize::try_from(left).unwrap_or(usize::MAX);
                let more = left.saturating_sub(ROWS);
                if more > 0 {
                    write!(f, "and {more} more: ")?;
                }
                let plural = if attempts == 1 { "" } else { "s" };
                write!(f, "at most {attempts} attempt{plural}")?;
            }
            _ => write!(f, "and so on without limit on attempts")?,
        }
        match timeout {
            Some(timeout) => write!(
                f,
                ", no retry begins {} s or more after the start",
                timeout.as_secs_f64()
            ),
            None => write!(f, ", no timeout"),
        }
    }
}

//! The driver for loops that callers write themselves.

use std::fmt::{self, Debug};
use std::panic::Location;
use std::time::Duration;

use crate::budget::Token;
use crate::decision::StopReason;
use crate::events::Names;
use crate::judge::judge;
use crate::retry::Retry;
use crate::standing::{Origin, Resumed, Standing};

/// A call whose loop is the caller's own code block, so that `break`, `?`, `return` and `&mut` borrows all work.
///
/// Made by [`Retry::start`] and [`Retry::resume`]. Dropping it without [`succeed`](Self::succeed) counts as neither
/// success nor failure.
///
/// # Examples
///
/// ```
/// use stamina::Retry;
///
/// static POLICY: Retry<std::num::ParseIntError> = Retry::on::<std::num::ParseIntError>();
///
/// # let _testing = stamina::testing::scoped(stamina::testing::Testing::attempts(9));
/// let mut input = String::from("4x2");
/// let mut attempts = POLICY.start();
/// let number = loop {
///     match input.parse::<u32>() {
///         Ok(number) => break attempts.succeed(number),
///         Err(error) => attempts.again(error)?,
///     }
///     input.retain(|character| character.is_ascii_digit());
/// };
/// assert_eq!((number, attempts.number()), (42, 2));
/// # Ok::<(), std::num::ParseIntError>(())
/// ```
#[must_use = "it makes no attempts by itself: the loop round it does"]
pub struct Attempts<'a, E> {
    policy: &'a Retry<E>,
    origin: Origin,
    number: u32,
    waited: u64,
    resumed: Resumed,
    names: Names,
    stop_reason: Option<StopReason>,
    succeeded: bool,
}

impl<'a, E> Attempts<'a, E> {
    pub(crate) fn waiting_to_start(policy: &'a Retry<E>, names: Names) -> Self {
        Self {
            policy,
            origin: Origin::here(),
            number: 1,
            waited: 0,
            resumed: Resumed::default(),
            names,
            stop_reason: None,
            succeeded: false,
        }
    }

    pub(crate) fn start_clock(&mut self) {
        self.origin.start(&self.policy.plan, false);
    }

    fn standing(&self) -> Standing<'_> {
        let plan = &self.policy.plan;
        Standing::new(plan, &self.origin, self.number, self.waited, self.names)
            .resumed(&self.resumed)
    }
}

impl<E: Debug> Attempts<'_, E> {
    /// The number of the attempt under way; 1 is the first.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(stamina::Retry::on::<()>().start().number(), 1);
    /// ```
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The shortest and the longest wait that would follow if this attempt failed now, or `None` if it is the last:
    /// by the limit on attempts, by the deadline, or because the call has ended.
    ///
    /// What a predicate or a budget may say is not in it.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::Retry;
    ///
    /// let policy = Retry::on::<()>().attempts(2);
    /// let ms = Duration::from_millis;
    /// assert_eq!(policy.start().next_wait(), Some((ms(100), ms(1100))));
    /// assert_eq!(policy.resume(1, Duration::ZERO).next_wait(), None);
    /// ```
    #[must_use]
    pub fn next_wait(&self) -> Option<(Duration, Duration)> {
        if self.stop_reason.is_some() || self.succeeded {
            return None;
        }
        self.standing().next_wait(&self.policy.plan)
    }

    /// All waits so far.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(stamina::Retry::on::<()>().start().waited().is_zero());
    /// ```
    #[must_use]
    pub fn waited(&self) -> Duration {
        Duration::from_nanos(self.waited)
    }

    /// Time since the start of the call, including what [`resume`](Retry::resume) was given.
    ///
    /// Without a timeout and a budget no clock is read, and only the waits count.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::Retry;
    ///
    /// let policy = Retry::on::<()>();
    /// assert!(policy.resume(2, Duration::from_secs(7)).elapsed() >= Duration::from_secs(7));
    /// ```
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.standing().elapsed(&self.policy.plan)
    }

    /// Why the last failure was not retried; `None` while the call goes on.
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::{Retry, StopReason};
    ///
    /// let policy = Retry::on::<&str>().attempts(1);
    /// let mut attempts = policy.start();
    /// assert_eq!(attempts.again("down"), Err("down"));
    /// assert_eq!(attempts.stop_reason(), Some(StopReason::AttemptsExhausted));
    /// ```
    #[must_use]
    pub fn stop_reason(&self) -> Option<StopReason> {
        self.stop_reason
    }

    /// Seeds the jitter of this call alone; wins over [`Retry::seed`]. For simulations and tests.
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::Retry;
    ///
    /// let policy = Retry::on::<()>();
    /// let wait = |seed| policy.start().seeded(seed).decide(&());
    /// assert_eq!(wait(1), wait(1));
    /// assert_ne!(wait(1), wait(2));
    /// ```
    pub fn seeded(mut self, seed: u64) -> Self {
        self.resumed.seed = Some(seed);
        self
    }

    /// The judge without the sleeping: how long to wait before the next attempt, for event loops, job queues and
    /// simulators.
    ///
    /// After `Ok` the next attempt counts as under way, and a token taken from a budget as spent.
    ///
    /// # Errors
    ///
    /// The reason why there is to be no other attempt.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::{Retry, StopReason};
    ///
    /// let policy = Retry::on::<&str>().attempts(2).wait_jitter(Duration::ZERO);
    /// let mut attempts = policy.start();
    /// assert_eq!(attempts.decide(&"down"), Ok(Duration::from_millis(100)));
    /// assert_eq!(attempts.decide(&"down"), Err(StopReason::AttemptsExhausted));
    /// ```
    pub fn decide(&mut self, error: &E) -> Result<Duration, StopReason> {
        let Some(next) = self.judge(error) else {
            return Err(self.stop_reason.unwrap_or(StopReason::NotRetryable));
        };
        let wait = next.wait;
        self.advance(next);
        Ok(wait)
    }

    /// Waits and returns, so that the loop goes round; or hands the error back when it is enough.
    ///
    /// # Errors
    ///
    /// The error, unchanged.
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::Retry;
    ///
    /// # let _testing = stamina::testing::scoped(stamina::testing::Testing::attempts(2));
    /// let policy = Retry::on::<&str>().attempts(2);
    /// let mut attempts = policy.start();
    /// assert_eq!(attempts.again("first"), Ok(()));
    /// assert_eq!(attempts.again("second"), Err("second"));
    /// ```
    pub fn again(&mut self, error: E) -> Result<(), E> {
        let Some(next) = self.judge(&error) else {
            return Err(error);
        };
        // The error is not held while waiting.
        drop(error);
        self.policy.plan.timer.sleep_blocking(next.wait);
        self.advance(next);
        Ok(())
    }

    /// [`again`](Self::again) for async code. Dropped before it is ready, it leaves everything as it was before.
    ///
    /// # Errors
    ///
    /// The error, unchanged.
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::Retry;
    ///
    /// # let _testing = stamina::testing::scoped(stamina::testing::Testing::attempts(2));
    /// # futures::executor::block_on(async {
    /// let policy = Retry::on::<&str>().attempts(2);
    /// let mut attempts = policy.start();
    /// assert_eq!(attempts.again_async("first").await, Ok(()));
    /// assert_eq!(attempts.again_async("second").await, Err("second"));
    /// # });
    /// ```
    pub async fn again_async(&mut self, error: E) -> Result<(), E> {
        let Some(next) = self.judge(&error) else {
            return Err(error);
        };
        // The error is not held while waiting.
        drop(error);
        self.policy.plan.timer.sleep(next.wait).await;
        self.advance(next);
        Ok(())
    }

    /// Tells the budget and telemetry that the call ended well, and returns `value`. A call ends once: the second time, and
    /// after a limit has ended it, nothing is told.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(stamina::Retry::on::<()>().start().succeed(5), 5);
    /// ```
    pub fn succeed<T>(&mut self, value: T) -> T {
        let gave_up = self.stop_reason.is_some_and(StopReason::is_limit);
        if !std::mem::replace(&mut self.succeeded, true) && !gave_up {
            self.standing().succeeded(&self.policy.plan);
        }
        value
    }

    fn judge(&mut self, error: &E) -> Option<Next> {
        let mut standing = self.standing();
        let wait = judge(self.policy, &mut standing, error);
        let Standing {
            number,
            waited,
            token,
            stop_reason,
            ..
        } = standing;
        self.stop_reason = stop_reason;
        wait.map(|wait| Next {
            wait,
            number,
            waited,
            token,
        })
    }

    /// The next attempt is under way.
    fn advance(&mut self, mut next: Next) {
        (self.number, self.waited) = (next.number, next.waited);
        Token::spend(&mut next.token);
    }
}

/// A retry that was decided on, but has not begun.
struct Next {
    wait: Duration,
    number: u32,
    waited: u64,
    token: Option<Token>,
}

impl<E> Debug for Attempts<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempts")
            .field("number", &self.number)
            .field("waited", &Duration::from_nanos(self.waited))
            .field("stop_reason", &self.stop_reason)
            .finish_non_exhaustive()
    }
}

impl<E: Debug> Retry<E> {
    /// Starts a call whose loop is your own code block. See [`Attempts`].
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::Retry;
    ///
    /// # let _testing = stamina::testing::scoped(stamina::testing::Testing::attempts(9));
    /// let policy = Retry::on::<&str>();
    /// let mut buffer = Vec::new();
    /// let mut attempts = policy.start();
    /// let length = loop {
    ///     buffer.push(0);
    ///     match if buffer.len() < 3 { Err("short") } else { Ok(buffer.len()) } {
    ///         Ok(length) => break attempts.succeed(length),
    ///         Err(error) => attempts.again(error)?,
    ///     }
    /// };
    /// assert_eq!(length, 3);
    /// # Ok::<(), &str>(())
    /// ```
    #[track_caller]
    pub fn start(&self) -> Attempts<'_, E> {
        self.resume(0, Duration::ZERO)
    }

    /// [`start`](Self::start) for a call that began elsewhere: its state is two numbers, in a database row or an event,
    /// so that retries can outlive the process and move between machines.
    ///
    /// With `attempts_made` = 2 the attempt under way is number 3; `elapsed` is the time since the call's start.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::Retry;
    ///
    /// let policy = Retry::on::<&str>().wait_jitter(Duration::ZERO);
    /// let mut attempts = policy.resume(2, Duration::from_secs(1));
    ///
    /// assert_eq!(attempts.number(), 3);
    /// assert_eq!(attempts.decide(&"down"), Ok(Duration::from_millis(400)));
    /// ```
    #[track_caller]
    pub fn resume(&self, attempts_made: u32, elapsed: Duration) -> Attempts<'_, E> {
        let mut attempts = Attempts::waiting_to_start(
            self,
            Names {
                types: || ("", std::any::type_name::<E>()),
                place: Some(Location::caller()),
            },
        );
        attempts.start_clock();
        attempts.number = attempts_made.saturating_add(1);
        attempts.resumed.before = elapsed;
        attempts
    }
}

//! The driver for loops that callers write themselves.

use std::fmt::{self, Debug};
use std::future::Future;
use std::ops::{ControlFlow, Deref};
use std::panic::Location;
use std::time::Duration;

use super::cutoff::AttemptFuture;
use super::pause::Pause;
use crate::engine::{
    ByOutcome, Call, CallState, Callable, Failed, Pending, Step, attempt_limit, wait_range,
};
use crate::policy::{Decision, Retry, StopReason};

/// A call whose loop is the caller's own code, so that `break`, `?`, `return` and `&mut` borrows all work.
///
/// Made by [`Retry::start`], [`Retry::resume`] and [`Retry::into_attempts`]. Dropping it without
/// [`succeed`](Self::succeed) counts as neither success nor failure.
///
/// One `Attempts` can serve a loop that never ends: after [`succeed`](Self::succeed) the next failure begins a new call,
/// with attempt 1, the first wait and a clock that starts at that failure. After a limit or a permanent error has ended
/// the call, every further failure is handed back with the same reason, until `succeed` or [`reset`](Self::reset). It keeps
/// the switches, the hooks and the nesting of where it was made.
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
#[must_use = "it makes no attempts by itself: write the loop around it"]
pub struct Attempts<'a, E> {
    policy: PolicyRef<'a, E>,
    state: CallState,
    /// The attempt under way, from 1.
    number: u32,
    callable: Callable,
    stop_reason: Option<StopReason>,
    /// The call has succeeded; the next failure or success belongs to a new one.
    succeeded: bool,
}

enum PolicyRef<'a, E> {
    Borrowed(&'a Retry<E>),
    Owned(Box<Retry<E>>),
}

impl<E> Deref for PolicyRef<'_, E> {
    type Target = Retry<E>;

    fn deref(&self) -> &Retry<E> {
        match self {
            Self::Borrowed(policy) => policy,
            Self::Owned(policy) => policy,
        }
    }
}

impl<'a, E> Attempts<'a, E> {
    fn new(policy: PolicyRef<'a, E>, callable: Callable) -> Self {
        Self {
            policy,
            state: CallState::new(),
            number: 1,
            callable,
            stop_reason: None,
            succeeded: false,
        }
    }

    /// The attempts of a future, whose clock starts at its first poll.
    pub(super) fn of_future(policy: &'a Retry<E>, callable: Callable) -> Self {
        Self::new(PolicyRef::Borrowed(policy), callable)
    }

    pub(super) fn start_clock(&mut self) {
        self.state.start(&self.policy.config, false);
    }

    /// Enters the operation of a future, for the closure that makes the next attempt.
    pub(super) fn enter_operation<T>(&self, operation: impl FnOnce() -> T) -> T {
        let _guard = self.state.enter_operation();
        operation()
    }

    /// Begins a new call if the last one has succeeded. The attempt that has just ended began with that success.
    fn begin_new_call(&mut self) {
        if self.succeeded {
            self.restart();
        }
    }

    fn restart(&mut self) {
        let config = &self.policy.config;
        let now = self.state.now(config);
        self.state.restart(now);
        self.number = 1;
        self.stop_reason = None;
        self.succeeded = false;
    }

    /// Begins a new call: attempt 1, the first wait, and a clock that starts now. Nothing is reported or credited.
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::Retry;
    ///
    /// let policy = Retry::on::<&str>().attempts(2);
    /// let mut attempts = policy.start();
    /// assert!(attempts.decide(&"down").is_ok());
    /// assert!(attempts.decide(&"down").is_err());
    ///
    /// attempts.reset();
    /// assert_eq!((attempts.number(), attempts.stop_reason()), (1, None));
    /// assert!(attempts.decide(&"down").is_ok());
    /// ```
    pub fn reset(&mut self) {
        self.restart();
        self.state.attempt_begins(&self.policy.config);
    }

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

    /// All waits so far.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(stamina::Retry::on::<()>().start().waited().is_zero());
    /// ```
    #[must_use]
    pub fn waited(&self) -> Duration {
        Duration::from_nanos(self.state.waited)
    }

    /// Time since the start of the call, including what [`resume`](Retry::resume) was given.
    ///
    /// Without a timeout, a budget and `reset_after` no clock is read, and only the waits count.
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
        self.state.elapsed(self.state.now(&self.policy.config))
    }

    /// Time left before the policy's deadline, for the operation's own timeout; `None` without one, and in testing mode.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::Retry;
    ///
    /// let policy = Retry::on::<()>().timeout(Duration::from_secs(10));
    /// let left = policy.resume(1, Duration::from_secs(7)).remaining().unwrap();
    /// assert!(left <= Duration::from_secs(3) && left > Duration::from_secs(2));
    /// assert_eq!(policy.no_timeout().start().remaining(), None);
    /// ```
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        let config = &self.policy.config;
        let remaining = self.state.remaining(config, self.state.now(config));
        // The clock of the next call has not started.
        if self.succeeded {
            remaining.and(config.settings.timeout)
        } else {
            remaining
        }
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
        self.state.set_seed(seed);
        self
    }
}

impl<E: Debug> Attempts<'_, E> {
    /// The shortest and the longest wait that would follow if this attempt failed now, or `None` if it is the last: by
    /// the limit on attempts, by the deadline, as a nested call that leaves retries to the outer one, or because the call
    /// has stopped.
    ///
    /// The decisions of a predicate or a budget are not in it.
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
        if self.stop_reason.is_some() {
            return None;
        }
        let (config, mode) = (&self.policy.config, self.state.mode());
        let now = self.state.now(config);
        let took = self.state.attempt_took(now);
        let starts_anew = self.succeeded || self.state.is_healthy(config, took, now, true);
        let number = if starts_anew { 1 } else { self.number };
        let is_last = attempt_limit(config, mode).is_some_and(|limit| number >= limit);
        if is_last || self.state.is_nested(config) {
            return None;
        }
        let wait = wait_range(config, mode, number, Decision::Retry);
        let left = self.state.remaining(config, now);
        let left = left.map(|left| match config.settings.timeout {
            Some(timeout) if starts_anew => timeout,
            _ => left,
        });
        let wait = match left {
            Some(left) => wait.within(left)?,
            None => wait,
        };
        Some(wait.bounds())
    }

    /// Decides about a failure without waiting: how long to wait before the next attempt, for event loops, job queues
    /// and simulators.
    ///
    /// After `Ok` the next attempt counts as under way, and a budget's permit as spent.
    ///
    /// # Errors
    ///
    /// The reason why there is no further attempt.
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
        let pause = self.pause(error)?;
        Ok(pause.hand_over())
    }

    /// Decides about a failure, and leaves the waiting to the [`Pause`]: to warn in your own way, to answer messages
    /// meanwhile, or to stop at a shutdown.
    ///
    /// # Errors
    ///
    /// The reason why there is no further attempt.
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::{Retry, StopReason};
    ///
    /// let policy = Retry::on::<&str>().attempts(2);
    /// let mut attempts = policy.start();
    ///
    /// // Dropped, the attempt has not been counted.
    /// drop(attempts.pause(&"down").unwrap());
    /// assert_eq!(attempts.number(), 1);
    ///
    /// attempts.pause(&"down").unwrap().skip();
    /// assert_eq!(attempts.pause(&"down").unwrap_err(), StopReason::AttemptsExhausted);
    /// ```
    pub fn pause(&mut self, error: &E) -> Result<Pause<'_>, StopReason> {
        match self.step(|call, policy| call.fail(&Failed::new(policy, error))) {
            Step::Retry(pending) => Ok(self.pause_for(pending)),
            Step::Stopped(reason) => Err(reason),
            Step::Success => unreachable!("an error is no success"),
        }
    }

    /// Waits and returns, so that the loop goes around; or hands the error back if the call has ended.
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
        let Ok(pause) = self.pause(&error) else {
            return Err(error);
        };
        // The error is not held while waiting.
        drop(error);
        pause.block();
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
        let Ok(pause) = self.pause(&error) else {
            return Err(error);
        };
        // The error is not held while waiting.
        drop(error);
        pause.await;
        Ok(())
    }

    /// Runs an attempt of an async code block: cut by the policy's [`attempt_timeout`](Retry::attempt_timeout) or its
    /// deadline, whichever is first, counted from here. Without an attempt timeout nothing is cut.
    ///
    /// # Errors
    ///
    /// The future's error, or the one of the attempt timeout.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::{Retry, Timer};
    /// use stamina::testing::VirtualClock;
    ///
    /// static CLOCK: VirtualClock = VirtualClock::new();
    /// static POLICY: Retry<&str> = Retry::on::<&str>()
    ///     .attempts(3)
    ///     .attempt_timeout(Duration::from_secs(2), || "too slow")
    ///     .timer(Timer::custom(&CLOCK));
    ///
    /// async fn connect() -> Result<(), &'static str> {
    ///     std::future::pending().await
    /// }
    ///
    /// # futures::executor::block_on(async {
    /// let mut attempts = POLICY.start();
    /// let result = loop {
    ///     match attempts.attempt(connect()).await {
    ///         Ok(value) => break Ok(attempts.succeed(value)),
    ///         Err(error) => match attempts.again_async(error).await {
    ///             Ok(()) => continue,
    ///             Err(error) => break Err(error),
    ///         },
    ///     }
    /// };
    /// assert_eq!((result, attempts.number()), (Err("too slow"), 3));
    /// # });
    /// ```
    pub fn attempt<T, Fut: Future<Output = Result<T, E>>>(
        &self,
        future: Fut,
    ) -> impl Future<Output = Result<T, E>> + use<T, E, Fut> {
        self.attempt_future(future)
    }

    /// Notes that the call has succeeded: the budget is credited, a call that had retried is reported as recovered, and
    /// `value` is returned. The next failure begins a new call.
    ///
    /// After a limit has ended the call, nothing is credited or reported: it gave up before. The next attempt counts from
    /// here for [`Budget::earned_after`](crate::Budget::earned_after); if it begins later, say so with
    /// [`reset`](Self::reset).
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::Retry;
    ///
    /// let policy = Retry::on::<&str>().attempts(2);
    /// let mut attempts = policy.start();
    /// assert!(attempts.decide(&"down").is_ok());
    /// assert_eq!(attempts.succeed(5), 5);
    ///
    /// // A new call: it may retry again.
    /// assert!(attempts.decide(&"down").is_ok());
    /// ```
    pub fn succeed<T>(&mut self, value: T) -> T {
        if self.stop_reason.take().is_some_and(StopReason::is_limit) {
            self.note_success();
        } else {
            self.step(|call, _| call.succeed());
        }
        value
    }

    /// The call has ended well, and the attempt of the next one begins.
    fn note_success(&mut self) {
        self.succeeded = true;
        self.state.attempt_begins(&self.policy.config);
    }

    /// Decides what follows an attempt.
    fn step(&mut self, decide: impl FnOnce(&mut Call<'_>, &Retry<E>) -> Step) -> Step {
        if let Some(reason) = self.stop_reason {
            return Step::Stopped(reason);
        }
        self.begin_new_call();
        let policy = &*self.policy;
        let mut call = Call {
            config: &policy.config,
            state: &mut self.state,
            attempt: &mut self.number,
            callable: self.callable,
            cuts_attempts: true,
        };
        let step = decide(&mut call, policy);
        match step {
            Step::Success => self.note_success(),
            Step::Stopped(reason) => self.stop_reason = Some(reason),
            Step::Retry(_) => {}
        }
        step
    }

    fn pause_for(&mut self, pending: Pending) -> Pause<'_> {
        Pause {
            config: &self.policy.config,
            state: &mut self.state,
            number: &mut self.number,
            pending,
        }
    }

    fn attempt_future<Fut>(&self, future: Fut) -> AttemptFuture<Fut, E> {
        AttemptFuture::new(&self.policy, self.state.depth(), self.remaining(), future)
    }
}

impl<T: Debug, E: Debug> Attempts<'_, Result<T, E>> {
    /// [`again`](Self::again) for whole outcomes: waits and continues if the policy retries the outcome, otherwise breaks
    /// with it. An `Ok` that is not retried counts as success.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::ops::ControlFlow;
    /// use stamina::Retry;
    ///
    /// # let _testing = stamina::testing::scoped(stamina::testing::Testing::attempts(5));
    /// let policy = Retry::on::<Result<u16, String>>().when(|outcome| *outcome == Ok(503));
    /// let mut answers = [503, 503, 200].into_iter();
    /// let mut attempts = policy.start();
    /// let outcome = loop {
    ///     if let ControlFlow::Break(outcome) = attempts.settle(Ok(answers.next().unwrap())) {
    ///         break outcome;
    ///     }
    /// };
    /// assert_eq!((outcome, attempts.number()), (Ok(200), 3));
    /// ```
    pub fn settle(&mut self, outcome: Result<T, E>) -> ControlFlow<Result<T, E>> {
        let Step::Retry(pending) = self.step_outcome(&outcome) else {
            return ControlFlow::Break(outcome);
        };
        drop(outcome);
        self.pause_for(pending).block();
        ControlFlow::Continue(())
    }

    /// [`settle`](Self::settle) for async code. Dropped before it is ready, it leaves everything as it was before.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::ops::ControlFlow;
    /// use stamina::Retry;
    ///
    /// # let _testing = stamina::testing::scoped(stamina::testing::Testing::attempts(5));
    /// # futures::executor::block_on(async {
    /// let policy = Retry::on::<Result<bool, String>>().when(|outcome| *outcome == Ok(false));
    /// let mut attempts = policy.start();
    /// assert_eq!(attempts.settle_async(Ok(false)).await, ControlFlow::Continue(()));
    /// assert_eq!(attempts.settle_async(Ok(true)).await, ControlFlow::Break(Ok(true)));
    /// # });
    /// ```
    pub async fn settle_async(&mut self, outcome: Result<T, E>) -> ControlFlow<Result<T, E>> {
        let Step::Retry(pending) = self.step_outcome(&outcome) else {
            return ControlFlow::Break(outcome);
        };
        drop(outcome);
        self.pause_for(pending).await;
        ControlFlow::Continue(())
    }

    fn step_outcome(&mut self, outcome: &Result<T, E>) -> Step {
        let Some(reason) = self.stop_reason else {
            return self.step(|call, policy| call.step::<_, ByOutcome>(policy, outcome));
        };
        // A call that has stopped ends well with a fine outcome all the same.
        let asks = !matches!(reason, StopReason::Inactive | StopReason::Nested)
            && self.policy.has_predicate();
        if outcome.is_ok() && !(asks && self.policy.decide(outcome) != Decision::Stop) {
            self.succeed(());
            return Step::Success;
        }
        Step::Stopped(reason)
    }

    /// [`attempt`](Self::attempt) for whole outcomes.
    ///
    /// # Errors
    ///
    /// The future's outcome, or the one of the attempt timeout.
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::Retry;
    ///
    /// # futures::executor::block_on(async {
    /// let policy = Retry::on::<Result<u16, String>>();
    /// let attempts = policy.start();
    /// assert_eq!(attempts.attempt_outcome(async { Ok(200) }).await, Ok(200));
    /// # });
    /// ```
    pub fn attempt_outcome<Fut: Future<Output = Result<T, E>>>(
        &self,
        future: Fut,
    ) -> impl Future<Output = Result<T, E>> + use<T, E, Fut> {
        self.attempt_future(future)
    }
}

impl<E> Debug for Attempts<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempts")
            .field("number", &self.number)
            .field("waited", &self.waited())
            .field("stop_reason", &self.stop_reason)
            .finish_non_exhaustive()
    }
}

/// # Run it: a loop of your own
impl<E: Debug> Retry<E> {
    /// Starts a call whose loop is your own code. See [`Attempts`].
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
        let mut attempts = Attempts::new(
            PolicyRef::Borrowed(self),
            Callable::Place(Location::caller()),
        );
        attempts.start_clock();
        attempts
    }

    /// [`start`](Self::start) that takes the policy along, for a field of a struct. Its clock starts here.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io;
    /// use stamina::{Attempts, Retry};
    ///
    /// struct Link {
    ///     attempts: Attempts<'static, io::Error>,
    /// }
    ///
    /// let policy = Retry::on::<io::Error>().attempts(3); // for example from a configuration file
    /// let mut link = Link { attempts: policy.into_attempts() };
    /// assert!(link.attempts.decide(&io::ErrorKind::BrokenPipe.into()).is_ok());
    /// ```
    #[track_caller]
    pub fn into_attempts(self) -> Attempts<'static, E> {
        let mut attempts = Attempts::new(
            PolicyRef::Owned(Box::new(self)),
            Callable::Place(Location::caller()),
        );
        attempts.start_clock();
        attempts
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
        let mut attempts = self.start();
        attempts.number = attempts_made.saturating_add(1);
        attempts.state.resume(elapsed);
        attempts
    }
}

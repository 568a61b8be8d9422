//! The blocking drivers.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use crate::budget::Token;
use crate::decision::StopReason;
use crate::depth::deeper;
use crate::events::{Names, Types};
use crate::judge::{ByError, ByOutcome, Reading, examine};
use crate::retry::Retry;
use crate::scope::any_unusual;
use crate::standing::{Origin, Standing};

/// How a call ended, and what it took.
///
/// # Examples
///
/// ```
/// use stamina::{Retry, StopReason, testing};
///
/// let _guard = testing::scoped(testing::Testing::attempts(3));
/// let report = Retry::on::<&str>().report(|| Err::<(), _>("down"));
///
/// assert_eq!(report.result, Err("down"));
/// assert_eq!(report.attempts, 3);
/// assert_eq!(report.stop_reason, Some(StopReason::AttemptsExhausted));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "the result of the call is in it"]
pub struct Report<T, E> {
    /// What [`Retry::call`] would have returned.
    pub result: Result<T, E>,
    /// Attempts made, the first included.
    pub attempts: u32,
    /// All waits together.
    pub waited: Duration,
    /// The whole call, attempts and waits; always measured.
    pub elapsed: Duration,
    /// Why the call ended with its error; `None` for a success.
    pub stop_reason: Option<StopReason>,
}

/// Runs an operation under a policy. It gives the operation's type a name to pass on.
#[inline]
fn drive<O, R: Reading<O>, F: FnMut() -> O>(policy: &Retry<R::On>, operation: F) -> O {
    drive_as::<O, R, F>(policy, operation)
}

/// [`drive`], with the operation that `N` names in telemetry.
///
/// Here is only what a first-try success needs. All else is apart and cold, so that it costs such a call nothing.
#[inline]
fn drive_as<O, R: Reading<O>, N>(policy: &Retry<R::On>, mut operation: impl FnMut() -> O) -> O {
    if any_unusual() {
        return set_down::<O, R, N>(None, policy, None, operation);
    }
    let started = policy.plan.needs_clock().then(|| policy.plan.timer.now());
    let outcome = deeper(&mut operation);
    if R::failure(policy, &outcome).is_none() {
        if policy.plan.has_budget() {
            policy.plan.credit(started);
        }
        return outcome;
    }
    set_down::<O, R, N>(Some(outcome), policy, started, operation)
}

/// Gives the operation a place in memory, which a first-try success is spared: there it stays in registers.
#[cold]
#[inline(never)]
fn set_down<O, R: Reading<O>, N>(
    first: Option<O>,
    policy: &Retry<R::On>,
    started: Option<Instant>,
    mut operation: impl FnMut() -> O,
) -> O {
    drive_slowly::<O, R>(first, policy, started, &mut operation, types_of::<O, R, N>)
}

/// [`drive_as`] once it is no first-try success, or never was going to be simple.
///
/// It is compiled once for all operations with the same outcome, not for each: so `operation` is dynamic.
#[cold]
#[inline(never)]
fn drive_slowly<O, R: Reading<O>>(
    first: Option<O>,
    policy: &Retry<R::On>,
    started: Option<Instant>,
    operation: &mut dyn FnMut() -> O,
    types: Types,
) -> O {
    let mut origin = started.map_or(Origin::Plain, Origin::Started);
    let first = first.unwrap_or_else(|| {
        origin = Origin::here();
        origin.start(&policy.plan, false);
        deeper(&mut *operation)
    });
    let mut standing = Standing::new(&policy.plan, &origin, 1, 0, Names::new(types));
    go_on::<O, R>(policy, &mut standing, first, operation)
}

/// The loop, from the outcome of the first attempt on.
#[inline]
fn go_on<O, R: Reading<O>>(
    policy: &Retry<R::On>,
    standing: &mut Standing<'_>,
    mut outcome: O,
    operation: &mut dyn FnMut() -> O,
) -> O {
    while let Some(wait) = examine::<O, R>(policy, standing, &outcome) {
        // The error is not held while waiting.
        drop(outcome);
        policy.plan.timer.sleep_blocking(wait);
        Token::spend(&mut standing.token);
        outcome = deeper(&mut *operation);
    }
    outcome
}

/// The loop with a report; its time is always measured.
fn report<T, E: Debug, F: FnMut() -> Result<T, E>>(
    policy: &Retry<E>,
    mut operation: F,
) -> Report<T, E> {
    let mut origin = Origin::here();
    origin.start(&policy.plan, true);
    let types = types_of::<Result<T, E>, ByError<E>, F>;
    let mut standing = Standing::new(&policy.plan, &origin, 1, 0, Names::new(types));
    let first = deeper(&mut operation);
    let result = go_on::<_, ByError<E>>(policy, &mut standing, first, &mut operation);
    Report {
        result,
        attempts: standing.number,
        waited: Duration::from_nanos(standing.waited),
        elapsed: standing.elapsed(&policy.plan),
        stop_reason: standing.stop_reason,
    }
}

/// The type names of the operation `N` and of its error.
pub(crate) fn types_of<O, R: Reading<O>, N>() -> (&'static str, &'static str) {
    (std::any::type_name::<N>(), R::error_type())
}

impl<E: Debug> Retry<E> {
    /// Runs `operation` until it succeeds or the policy says that it is enough; waits by blocking this thread.
    ///
    /// # Errors
    ///
    /// The last error, unchanged, when it is not to be retried or a limit is reached.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io;
    /// use stamina::Retry;
    ///
    /// # let _testing = stamina::testing::scoped(stamina::testing::Testing::attempts(5));
    /// let mut answers = [Err(io::ErrorKind::ConnectionRefused), Ok("page")].into_iter();
    /// let page = Retry::on::<io::Error>().call(|| answers.next().unwrap().map_err(io::Error::from))?;
    /// assert_eq!(page, "page");
    /// # Ok::<(), io::Error>(())
    /// ```
    #[inline]
    pub fn call<T>(&self, operation: impl FnMut() -> Result<T, E>) -> Result<T, E> {
        drive::<_, ByError<E>, _>(self, operation)
    }

    /// [`call`](Self::call) that also tells what the call took and why it ended.
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::Retry;
    ///
    /// let report = Retry::on::<&str>().report(|| Ok(5));
    /// assert_eq!((report.result, report.attempts, report.stop_reason), (Ok(5), 1, None));
    /// ```
    pub fn report<T>(&self, operation: impl FnMut() -> Result<T, E>) -> Report<T, E> {
        report::<_, E, _>(self, operation)
    }

    /// The decorator: a closure of the same shape that retries. It keeps a clone of this policy.
    ///
    /// The argument is cloned for each attempt; several go into a tuple.
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::Retry;
    ///
    /// fn half(number: u32) -> Result<u32, String> {
    ///     if number % 2 == 0 { Ok(number / 2) } else { Err(format!("{number} is odd")) }
    /// }
    ///
    /// let half = Retry::on::<String>().attempts(1).wrap(half);
    /// assert_eq!(half(8), Ok(4));
    /// ```
    pub fn wrap<A, T, F>(&self, operation: F) -> impl Fn(A) -> Result<T, E> + use<E, A, T, F>
    where
        A: Clone,
        F: Fn(A) -> Result<T, E>,
    {
        let policy = self.clone();
        move |argument: A| drive_as::<_, ByError<E>, F>(&policy, || operation(argument.clone()))
    }
}

impl<T: Debug, E: Debug> Retry<Result<T, E>> {
    /// [`call`](Self::call) where the predicate sees the whole outcome, so that an `Ok` can be retried too.
    ///
    /// Without a predicate an `Err` is retried and an `Ok` is not. An `Ok` that the predicate wants no retry for is a
    /// success; where a limit is reached the last outcome comes back, be it `Ok` or `Err`.
    ///
    /// # Errors
    ///
    /// The last outcome, if that is an error.
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::Retry;
    ///
    /// # let _testing = stamina::testing::scoped(stamina::testing::Testing::attempts(5));
    /// let mut answers = [503, 503, 200].into_iter();
    /// let status = Retry::on::<Result<u16, String>>()
    ///     .when(|outcome| matches!(outcome, Ok(503) | Err(_)))
    ///     .call_outcome(|| Ok(answers.next().unwrap()));
    /// assert_eq!(status, Ok(200));
    /// ```
    pub fn call_outcome(&self, operation: impl FnMut() -> Result<T, E>) -> Result<T, E> {
        drive::<_, ByOutcome<T, E>, _>(self, operation)
    }
}

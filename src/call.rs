//! The blocking drivers.

use std::fmt::Debug;
use std::time::Duration;

use crate::decision::StopReason;
use crate::depth::deeper;
use crate::instrument::Callable;
use crate::judge::{ByError, ByOutcome, Origin, Reading, Standing, examine, waited};
use crate::retry::Retry;

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

/// A blocking call on its way.
struct Run {
    origin: Origin,
    number: u32,
    waited: u64,
    stop_reason: Option<StopReason>,
    callable: Callable,
}

impl Run {
    #[inline]
    fn start<E>(policy: &Retry<E>, callable: Callable, measured: bool) -> Self {
        let mut origin = Origin::here();
        origin.start(&policy.plan, measured);
        Self {
            origin,
            number: 1,
            waited: 0,
            stop_reason: None,
            callable,
        }
    }

    fn standing(&self) -> Standing<'_> {
        Standing::new(&self.origin, self.number, self.waited, self.callable)
    }

    /// The loop.
    #[inline]
    fn drive<O, R: Reading<O>>(
        &mut self,
        policy: &Retry<R::On>,
        mut operation: impl FnMut() -> O,
    ) -> O {
        let outcome = deeper(&mut operation);
        if R::failure(policy, &outcome).is_none() && !policy.plan.has_budget() {
            return outcome;
        }
        self.go_on::<O, R>(policy, operation, outcome)
    }

    /// Everything after the first attempt, apart from it: what most calls never need shall not slow them down.
    #[cold]
    #[inline(never)]
    fn go_on<O, R: Reading<O>>(
        &mut self,
        policy: &Retry<R::On>,
        mut operation: impl FnMut() -> O,
        mut outcome: O,
    ) -> O {
        loop {
            match examine::<O, R>(policy, &self.standing(), &outcome) {
                Ok(None) => return outcome,
                Err(reason) => {
                    self.stop_reason = Some(reason);
                    return outcome;
                }
                Ok(Some(go)) => {
                    // The error is not held while waiting.
                    drop(outcome);
                    policy.plan.timer.sleep_blocking(go.wait);
                    go.token.spend();
                    self.waited = waited(self.waited, go.wait);
                    self.number = self.number.saturating_add(1);
                    outcome = deeper(&mut operation);
                }
            }
        }
    }
}

/// The name of an operation for telemetry.
pub(crate) fn callable_of<F>() -> Callable {
    Callable::Type(std::any::type_name::<F>())
}

fn type_of<F>(_: &F) -> Callable {
    callable_of::<F>()
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
        let callable = type_of(&operation);
        Run::start(self, callable, false).drive::<_, ByError<E>>(self, operation)
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
        let callable = type_of(&operation);
        let mut run = Run::start(self, callable, true);
        let result = run.drive::<_, ByError<E>>(self, operation);
        Report {
            attempts: run.number,
            waited: Duration::from_nanos(run.waited),
            elapsed: run.standing().elapsed(&self.plan),
            stop_reason: run.stop_reason,
            result,
        }
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
        let callable = type_of(&operation);
        move |argument: A| {
            Run::start(&policy, callable, false)
                .drive::<_, ByError<E>>(&policy, || operation(argument.clone()))
        }
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
        let callable = type_of(&operation);
        Run::start(self, callable, false).drive::<_, ByOutcome<T, E>>(self, operation)
    }
}

//! The blocking drivers.

use std::fmt::Debug;

use super::report::Report;
use crate::engine::{
    ByError, ByOutcome, Call, CallState, Callable, Classify, OneDeeper, Step, credit_first_try,
    depth,
};
use crate::policy::{Retry, StopReason};
use crate::testing::mode::Mode;
use crate::testing::scope::any_override;
use crate::time::Instant;

/// Runs an operation that telemetry names after itself.
#[inline]
fn run_operation<O, C: Classify<O>, F: FnMut() -> O>(policy: &Retry<C::On>, operation: F) -> O {
    run::<O, C, F>(policy, operation)
}

/// Runs an operation that telemetry names after `N`.
///
/// Only what a first-try success needs is compiled into the caller.
#[inline]
fn run<O, C: Classify<O>, N: ?Sized>(policy: &Retry<C::On>, mut operation: impl FnMut() -> O) -> O {
    if any_override() {
        return run_on::<O, C, N>(policy, None, None, operation);
    }
    let config = &policy.config;
    let started = config.reads_clock.then(|| config.timer.now());
    let outcome = {
        let _guard = OneDeeper::enter();
        operation()
    };
    if C::failure(policy, &outcome).is_some() {
        return run_on::<O, C, N>(policy, started, Some(outcome), operation);
    }
    if config.budget.is_some() {
        credit_first_try(config, Mode::Normal, depth(), started);
    }
    outcome
}

/// Goes on after a `first` attempt that has failed, or starts a call while a switch or scope for tests is away from its
/// default. Here the operation moves to memory; a first-try success keeps it in registers.
#[cold]
#[inline(never)]
fn run_on<O, C: Classify<O>, N: ?Sized>(
    policy: &Retry<C::On>,
    started: Option<Instant>,
    first: Option<O>,
    mut operation: impl FnMut() -> O,
) -> O {
    let callable = Callable::of::<N>();
    run_dynamic::<O, C>(policy, started, first, &mut operation, callable)
}

/// [`run_on`], compiled once for all operations with the same outcome.
#[inline(never)]
fn run_dynamic<O, C: Classify<O>>(
    policy: &Retry<C::On>,
    started: Option<Instant>,
    first: Option<O>,
    operation: &mut dyn FnMut() -> O,
    callable: Callable,
) -> O {
    let mut state = CallState::begun(started);
    let first = first.unwrap_or_else(|| {
        state = CallState::new();
        state.start(&policy.config, false);
        attempt(&state, operation)
    });
    retry_loop::<O, C>(policy, &mut state, callable, first, operation).0
}

/// Runs one attempt.
fn attempt<O>(state: &CallState, operation: &mut dyn FnMut() -> O) -> O {
    let _guard = state.enter_operation();
    operation()
}

/// The loop, from the outcome of the first attempt on. It also returns the number of attempts, and why it stopped.
///
/// Compiled once for all operations with the same outcome, so `operation` is dynamic.
fn retry_loop<O, C: Classify<O>>(
    policy: &Retry<C::On>,
    state: &mut CallState,
    callable: Callable,
    mut outcome: O,
    operation: &mut dyn FnMut() -> O,
) -> (O, u32, Option<StopReason>) {
    let config = &policy.config;
    let mut number = 1;
    let mut call = Call {
        config,
        state,
        attempt: &mut number,
        callable,
        cuts_attempts: false,
    };
    loop {
        match call.step::<O, C>(policy, &outcome) {
            Step::Success => return (outcome, number, None),
            Step::Stopped(reason) => return (outcome, number, Some(reason)),
            Step::Retry(pending) => {
                // The error is not held while waiting.
                drop(outcome);
                config.timer.sleep_blocking(pending.wait());
                pending.begin(config, call.state, call.attempt);
                outcome = attempt(call.state, operation);
            }
        }
    }
}

/// # Run it: blocking
impl<E: Debug> Retry<E> {
    /// Runs `operation` until it succeeds or the policy ends the call. Waits by blocking this thread.
    ///
    /// # Errors
    ///
    /// The last error, unchanged, if the policy does not retry it or a limit is reached.
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
        run_operation::<_, ByError, _>(self, operation)
    }

    /// [`call`](Self::call) that also reports what the call took and why it ended.
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::Retry;
    ///
    /// let report = Retry::on::<&str>().report(|| Ok(5));
    /// assert_eq!((report.result, report.attempts, report.stop_reason), (Ok(5), 1, None));
    /// ```
    pub fn report<T>(&self, mut operation: impl FnMut() -> Result<T, E>) -> Report<T, E> {
        let mut state = CallState::new();
        state.start(&self.config, true);
        let first = attempt(&state, &mut operation);
        let callable = Callable::of_val(&operation);
        let (result, attempts, stop_reason) =
            retry_loop::<_, ByError>(self, &mut state, callable, first, &mut operation);
        Report::new(&self.config, &state, attempts, stop_reason, result)
    }

    /// Makes a closure of one argument that retries. It keeps a clone of this policy.
    ///
    /// The argument is cloned for each attempt; several go into a tuple. The argument's type is fixed, its lifetime
    /// included, which is a limit of the language: a function of a `&str` that is called with different borrows takes
    /// a closure around [`call`](Self::call) instead: `|path: &str| policy.call(|| read(path))`.
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
        move |argument: A| run::<_, ByError, F>(&policy, || operation(argument.clone()))
    }
}

/// # Run it: blocking, with whole outcomes
impl<T: Debug, E: Debug> Retry<Result<T, E>> {
    /// [`call`](Self::call) with a predicate that sees the whole outcome, so that an `Ok` can be retried too.
    ///
    /// Without a predicate an `Err` is retried and an `Ok` is not. An `Ok` that the predicate does not retry is a
    /// success. If a limit is reached, the last outcome comes back, `Ok` or `Err`.
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
        run_operation::<_, ByOutcome, _>(self, operation)
    }
}

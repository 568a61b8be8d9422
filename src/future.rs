//! The driver for futures.

use std::fmt::{self, Debug};
use std::future::Future;
use std::marker::PhantomData;
use std::ops::{AsyncFnMut, Deref};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;

use crate::attempts::Attempts;
use crate::budget::Token;
use crate::call::{self, Report};
use crate::decision::StopReason;
use crate::depth::{Deeper, Level, deeper};
use crate::events::{Names, Types};
use crate::judge::{ByError, ByOutcome, Reading, examine};
use crate::operation::{Attempting, Cut, Operation, Wrapped};
use crate::retry::Retry;
use crate::standing::{Origin, Standing};
use crate::timer::Sleep;

pin_project! {
    /// A retried operation: the future of [`Retry::call_async`] and its like.
    ///
    /// It borrows its policy: keep that in a `static`, a field, or the same `async` block. It is `Send` when its parts
    /// are. Its time starts at the first poll. Dropping it at any point is safe and leaves nothing behind.
    ///
    /// # Panics
    ///
    /// If it is polled after completion.
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct RetryFuture<P, O, R>
    where
        O: Attempting,
    {
        policy: P,
        operation: O,
        origin: Origin,
        waited: u64,
        #[pin]
        state: State<O::Attempt>,
        reading: PhantomData<fn() -> R>,
    }
}

pin_project! {
    // The attempt's number lives in the states because there it fits beside the tag.
    #[project = StateProject]
    #[project_replace = StateReplaced]
    enum State<Fut> {
        New,
        Attempting { #[pin] attempt: Fut, number: u32 },
        Waiting { #[pin] wait: Wait, number: u32 },
        Done { attempts: u32, stop_reason: Option<StopReason> },
    }
}

pin_project! {
    struct Wait {
        #[pin]
        sleep: Sleep,
        // One of a budget, for the attempt that comes next.
        token: Option<Token>,
    }

    impl PinnedDrop for Wait {
        // Cold, because most futures end without having waited, and are dropped all the same.
        #[cold]
        fn drop(this: Pin<&mut Self>) {
            let token = this.project().token;
            if token.is_some() {
                give_back(token);
            }
        }
    }
}

#[cold]
#[inline(never)]
fn give_back(token: &mut Option<Token>) {
    *token = None;
}

impl<Fut> State<Fut> {
    #[inline]
    fn succeeded_at_once() -> Self {
        Self::Done {
            attempts: 1,
            stop_reason: None,
        }
    }
}

impl<P, O, R> RetryFuture<P, O, R>
where
    O: Operation,
    R: Reading<O::Outcome>,
    P: Deref<Target = Retry<R::On>>,
{
    fn new(policy: P, operation: O) -> Self {
        Self {
            policy,
            operation,
            origin: Origin::here(),
            waited: 0,
            state: State::New,
            reading: PhantomData,
        }
    }

    /// The first attempt, after which most calls are over. `measured`: whether the time is needed although the policy
    /// has no use for it.
    #[inline]
    fn poll_to_end(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        measured: bool,
    ) -> Poll<O::Outcome> {
        let mut this = self.as_mut().project();
        let polled = {
            let _level = Level::enter();
            if let StateProject::New = this.state.as_mut().project() {
                this.origin.start(&this.policy.plan, measured);
                let left = || this.origin.left(&this.policy.plan, 0);
                let attempt = this.operation.attempt(this.policy.plan.timer, left);
                // Unlike `set` this finds out in place that there is nothing to drop.
                let state = State::Attempting { attempt, number: 1 };
                this.state.as_mut().project_replace(state);
            }
            match this.state.as_mut().project() {
                StateProject::Attempting { attempt, number: 1 } => Some(attempt.poll(cx)),
                _ => None,
            }
        };
        let Some(polled) = polled else {
            return self.go_on(cx, None);
        };
        let outcome = this.operation.outcome(ready!(polled));
        if R::failure(this.policy, &outcome).is_some() {
            return self.go_on(cx, Some(outcome));
        }
        if this.policy.plan.has_budget() {
            return self.succeed_with_budget(outcome);
        }
        this.state.project_replace(State::succeeded_at_once());
        Poll::Ready(outcome)
    }

    /// The end of a first-try success that fills a budget.
    #[cold]
    #[inline(never)]
    fn succeed_with_budget(self: Pin<&mut Self>, outcome: O::Outcome) -> Poll<O::Outcome> {
        let mut this = self.project();
        this.origin.first_try_succeeded(&this.policy.plan);
        this.state.set(State::succeeded_at_once());
        Poll::Ready(outcome)
    }

    /// The loop, from the outcome of the attempt under way or from wherever it was left.
    #[cold]
    #[inline(never)]
    fn go_on(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut finished: Option<O::Outcome>,
    ) -> Poll<O::Outcome> {
        let mut this = self.project();
        let plan = &this.policy.plan;
        loop {
            match this.state.as_mut().project() {
                StateProject::Attempting { attempt, number } => {
                    let outcome = if let Some(outcome) = finished.take() {
                        outcome
                    } else {
                        let level = Level::enter();
                        let polled = attempt.poll(cx);
                        drop(level);
                        this.operation.outcome(ready!(polled))
                    };
                    let attempts = *number;
                    let mut number = attempts;
                    let types = types_of::<O, R>;
                    match after::<_, R>(
                        this.policy,
                        this.origin,
                        &mut number,
                        this.waited,
                        types,
                        &outcome,
                    ) {
                        Ok(wait) => {
                            // The error is not held while waiting.
                            drop(outcome);
                            this.state.set(State::Waiting { wait, number });
                        }
                        Err(stop_reason) => {
                            this.state.set(State::Done {
                                attempts,
                                stop_reason,
                            });
                            return Poll::Ready(outcome);
                        }
                    }
                }
                StateProject::Waiting { wait, number } => {
                    let (wait, number) = (wait.project(), *number);
                    ready!(wait.sleep.poll(cx));
                    Token::spend(wait.token);
                    let left = || this.origin.left(plan, *this.waited);
                    // The closure that makes the future is a part of the operation too.
                    let level = Level::enter();
                    let attempt = this.operation.attempt(plan.timer, left);
                    drop(level);
                    this.state.set(State::Attempting { attempt, number });
                }
                StateProject::New | StateProject::Done { .. } => {
                    panic!("stamina: a retried future was polled after it had completed")
                }
            }
        }
    }
}

/// What comes after an attempt: the wait before the next, or else why the call has ended, where that was no success.
///
/// Compiled once for all operations with the same outcome, not for each.
#[inline(never)]
fn after<O, R: Reading<O>>(
    policy: &Retry<R::On>,
    origin: &Origin,
    number: &mut u32,
    waited: &mut u64,
    types: Types,
    outcome: &O,
) -> Result<Wait, Option<StopReason>> {
    let plan = &policy.plan;
    let mut standing = Standing::new(plan, origin, *number, *waited, Names::new(types));
    let Some(wait) = examine::<O, R>(policy, &mut standing, outcome) else {
        return Err(standing.stop_reason);
    };
    (*number, *waited) = (standing.number, standing.waited);
    Ok(Wait {
        sleep: plan.timer.sleep(wait),
        token: standing.token,
    })
}

/// The type names of the operation and of its error.
fn types_of<O: Operation, R: Reading<O::Outcome>>() -> (&'static str, &'static str) {
    (O::type_name(), R::error_type())
}

impl<P, O, R> Future for RetryFuture<P, O, R>
where
    O: Operation,
    R: Reading<O::Outcome>,
    P: Deref<Target = Retry<R::On>>,
{
    type Output = O::Outcome;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<O::Outcome> {
        self.poll_to_end(cx, false)
    }
}

impl<P, O: Attempting, R> Debug for RetryFuture<P, O, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::New => "new",
            State::Attempting { .. } => "attempting",
            State::Waiting { .. } => "waiting",
            State::Done { .. } => "done",
        };
        f.debug_struct("RetryFuture")
            .field("state", &state)
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`Retry::report_async`].
    ///
    /// # Panics
    ///
    /// If it is polled after completion.
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct ReportFuture<P, O, R>
    where
        O: Attempting,
    {
        #[pin]
        call: RetryFuture<P, O, R>,
    }
}

impl<P, O, R, T, E> Future for ReportFuture<P, O, R>
where
    O: Operation<Outcome = Result<T, E>>,
    R: Reading<Result<T, E>>,
    P: Deref<Target = Retry<R::On>>,
{
    type Output = Report<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Report<T, E>> {
        let mut call = self.project().call;
        let result = ready!(call.as_mut().poll_to_end(cx, true));
        let call = call.project();
        let StateProject::Done {
            attempts,
            stop_reason,
        } = call.state.project()
        else {
            unreachable!("the call has just ended")
        };
        let standing = Standing::new(
            &call.policy.plan,
            call.origin,
            *attempts,
            *call.waited,
            Names::new(types_of::<O, R>),
        );
        Poll::Ready(Report {
            result,
            attempts: *attempts,
            waited: Duration::from_nanos(*call.waited),
            elapsed: standing.elapsed(&call.policy.plan),
            stop_reason: *stop_reason,
        })
    }
}

impl<P, O: Operation, R> Debug for ReportFuture<P, O, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReportFuture")
            .field("call", &self.call)
            .finish()
    }
}

/// The future of a closure made by [`Retry::wrap_async`].
pub type WrapFuture<E, F, A> = RetryFuture<Arc<Retry<E>>, Wrapped<F, A>, ByError<E>>;

impl<P, O: Attempting, R> RetryFuture<P, O, R> {
    /// Cuts each attempt at `timeout` or at the policy's deadline, whichever is first, and takes it as failed with
    /// `error()`. The attempt's future is dropped.
    ///
    /// An attempt that blocks its thread instead of waiting can't be cut. The clock is read for each attempt, also
    /// where the policy has neither a timeout nor a budget. In testing mode and where retries are switched off `timeout`
    /// holds all the same; the policy's deadline does not.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::{Retry, Timer};
    /// use stamina::testing::VirtualClock;
    ///
    /// static CLOCK: VirtualClock = VirtualClock::new();
    /// let policy = Retry::on::<&str>().attempts(2).timer(Timer::custom(&CLOCK));
    ///
    /// let hangs = || std::future::pending::<Result<(), &str>>();
    /// let call = policy.call_async(hangs).attempt_timeout(Duration::from_secs(3), || "too slow");
    ///
    /// # futures::executor::block_on(async {
    /// assert_eq!(call.await, Err("too slow"));
    /// # });
    /// ```
    pub fn attempt_timeout<T, E, G>(
        self,
        timeout: Duration,
        error: G,
    ) -> RetryFuture<P, Cut<O, G>, R>
    where
        O: Operation<Outcome = Result<T, E>>,
        R: Reading<Result<T, E>>,
        P: Deref<Target = Retry<R::On>>,
        G: FnMut() -> E,
    {
        // Not polled yet: a pinned future can't be moved here. So there is only the beginning to take over.
        let Self {
            policy,
            operation,
            origin,
            ..
        } = self;
        let operation = Cut {
            operation,
            timeout,
            error,
        };
        RetryFuture {
            policy,
            operation,
            origin,
            waited: 0,
            state: State::New,
            reading: PhantomData,
        }
    }
}

impl<E: Debug> Retry<E> {
    /// Runs an async `operation` until it succeeds or the policy says that it is enough.
    ///
    /// Works on every executor, and nothing needs to be set up. The closure makes a new future for each attempt. To
    /// lend it `&mut` state, use [`call_async_with`](Self::call_async_with) or a code block ([`start`](Self::start)).
    ///
    /// It yields to the executor where the operation or a wait does: attempts that are ready at once, without waits
    /// between them and without a limit, keep their thread to themselves.
    ///
    /// # Errors
    ///
    /// The last error, unchanged, when it is not to be retried or a limit is reached.
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::Retry;
    ///
    /// async fn fetch(id: u32) -> Result<u32, &'static str> {
    ///     Ok(id * 2)
    /// }
    ///
    /// static POLICY: Retry<&str> = Retry::on::<&str>();
    ///
    /// # futures::executor::block_on(async {
    /// assert_eq!(POLICY.call_async(|| fetch(4)).await, Ok(8));
    /// # });
    /// ```
    #[inline]
    pub fn call_async<T, F, Fut>(&self, operation: F) -> RetryFuture<&Self, F, ByError<E>>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        RetryFuture::new(self, operation)
    }

    /// [`call_async`](Self::call_async) that also tells what the call took and why it ended.
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::Retry;
    ///
    /// # futures::executor::block_on(async {
    /// let report = Retry::on::<&str>().report_async(|| async { Ok(5) }).await;
    /// assert_eq!((report.result, report.attempts), (Ok(5), 1));
    /// # });
    /// ```
    pub fn report_async<T, F, Fut>(&self, operation: F) -> ReportFuture<&Self, F, ByError<E>>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        ReportFuture {
            call: RetryFuture::new(self, operation),
        }
    }

    /// [`call_async`](Self::call_async) with `&mut` state that every attempt may use.
    ///
    /// It can be spawned where the closure owns what it captures and `C` holds no references, which is a limit of
    /// today's compiler; elsewhere use a code block ([`start`](Self::start)).
    ///
    /// # Errors
    ///
    /// As [`call_async`](Self::call_async).
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::Retry;
    ///
    /// # let _testing = stamina::testing::scoped(stamina::testing::Testing::attempts(5));
    /// # futures::executor::block_on(async {
    /// let mut log = Vec::new();
    /// let result = Retry::on::<&str>()
    ///     .call_async_with(&mut log, async |log| {
    ///         log.push("attempt");
    ///         if log.len() < 3 { Err("down") } else { Ok(log.len()) }
    ///     })
    ///     .await;
    /// assert_eq!(result, Ok(3));
    /// # });
    /// ```
    pub fn call_async_with<C, T, F>(
        &self,
        context: &mut C,
        mut operation: F,
    ) -> impl Future<Output = Result<T, E>>
    where
        F: AsyncFnMut(&mut C) -> Result<T, E>,
    {
        let mut attempts = Attempts::waiting_to_start(
            self,
            Names::new(call::types_of::<Result<T, E>, ByError<E>, F>),
        );
        async move {
            attempts.start_clock();
            loop {
                let (operation, context) = (&mut operation, &mut *context);
                match Deeper::new(deeper(move || operation(context))).await {
                    Ok(value) => return Ok(attempts.succeed(value)),
                    Err(error) => attempts.again_async(error).await?,
                }
            }
        }
    }

    /// The decorator for async functions: a closure of the same shape that retries. It keeps a clone of this policy,
    /// so its futures borrow nothing.
    ///
    /// The argument is cloned for each attempt; several go into a tuple.
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::Retry;
    ///
    /// async fn fetch(id: u32) -> Result<u32, &'static str> {
    ///     Ok(id * 2)
    /// }
    ///
    /// let fetch = Retry::on::<&str>().wrap_async(fetch);
    /// # futures::executor::block_on(async {
    /// assert_eq!(fetch(4).await, Ok(8));
    /// # });
    /// ```
    pub fn wrap_async<A, T, F, Fut>(
        &self,
        operation: F,
    ) -> impl Fn(A) -> WrapFuture<E, F, A> + use<E, A, T, F, Fut>
    where
        A: Clone,
        F: Fn(A) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let (policy, function) = (Arc::new(self.clone()), Arc::new(operation));
        move |argument| {
            RetryFuture::new(
                Arc::clone(&policy),
                Wrapped {
                    function: Arc::clone(&function),
                    argument,
                },
            )
        }
    }
}

impl<T: Debug, E: Debug> Retry<Result<T, E>> {
    /// [`call_outcome`](Self::call_outcome) for async operations.
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
    /// # futures::executor::block_on(async {
    /// let mut ready = [false, false, true].into_iter();
    /// let outcome = Retry::on::<Result<bool, String>>()
    ///     .when(|outcome| *outcome != Ok(true))
    ///     .call_outcome_async(|| std::future::ready(Ok(ready.next().unwrap())))
    ///     .await;
    /// assert_eq!(outcome, Ok(true));
    /// # });
    /// ```
    pub fn call_outcome_async<F, Fut>(&self, operation: F) -> RetryFuture<&Self, F, ByOutcome<T, E>>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        RetryFuture::new(self, operation)
    }
}

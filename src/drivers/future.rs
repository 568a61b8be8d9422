//! The futures that retry, and what makes them.

use std::fmt::{self, Debug};
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;

use super::async_loop::AsyncLoop;
use super::async_phase::Operation;
use super::report::Report;
use crate::engine::{ByError, ByOutcome, Callable, Classify};
use crate::policy::{Retry, refuse_zero_attempt_timeout};

pin_project! {
    /// A retried operation: the future of [`Retry::call_async`].
    ///
    /// It borrows its policy: keep that in a `static`, a field, or the same `async` block. It is `Send` if its parts are.
    /// Its time starts at the first poll. It may be dropped at any point, which leaves nothing behind.
    ///
    /// # Panics
    ///
    /// If it is polled after completion.
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct RetryFuture<'a, E, F, Fut> {
        #[pin]
        call: AsyncLoop<&'a Retry<E>, F, Fut, ByError>,
    }
}

pin_project! {
    /// The future of [`Retry::report_async`].
    ///
    /// # Panics
    ///
    /// If it is polled after completion.
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct ReportFuture<'a, E, F, Fut> {
        #[pin]
        call: AsyncLoop<&'a Retry<E>, F, Fut, ByError>,
    }
}

pin_project! {
    /// The future of [`Retry::call_outcome_async`].
    ///
    /// # Panics
    ///
    /// If it is polled after completion.
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct OutcomeFuture<'a, T, E, F, Fut> {
        #[pin]
        call: AsyncLoop<&'a Retry<Result<T, E>>, F, Fut, ByOutcome>,
    }
}

pin_project! {
    /// The future of a closure made by [`Retry::wrap_async`]. It borrows nothing.
    ///
    /// # Panics
    ///
    /// If it is polled after completion.
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct WrapFuture<E, F, A, Fut> {
        #[pin]
        call: AsyncLoop<Arc<Retry<E>>, Wrapped<F, A>, Fut, ByError>,
    }
}

/// A wrapped function with the argument of one call.
struct Wrapped<F, A> {
    function: Arc<F>,
    argument: A,
}

impl<F: Fn(A) -> Fut, A: Clone, Fut, On> Operation<Fut, On> for Wrapped<F, A> {
    fn start(&mut self) -> Fut {
        (self.function)(self.argument.clone())
    }

    fn callable() -> Callable {
        Callable::of::<F>()
    }
}

/// An operation with a limit of its own for each attempt.
struct Limited<O, G> {
    operation: O,
    limit: Duration,
    error: G,
}

impl<O: Operation<Fut, On>, G: FnMut() -> On, Fut, On> Operation<Fut, On> for Limited<O, G> {
    fn start(&mut self) -> Fut {
        self.operation.start()
    }

    fn attempt_timeout(&self) -> Option<Duration> {
        Some(self.limit)
    }

    fn attempt_timeout_error(&mut self) -> Option<On> {
        Some((self.error)())
    }

    fn callable() -> Callable {
        O::callable()
    }
}

pin_project! {
    /// The future of `attempt_timeout`.
    struct LimitedFuture<P, O, G, Fut, C> {
        #[pin]
        call: AsyncLoop<P, Limited<O, G>, Fut, C>,
    }
}

impl<P, O, G, Fut, C> LimitedFuture<P, O, G, Fut, C> {
    #[track_caller]
    fn new(call: AsyncLoop<P, O, Fut, C>, limit: Duration, error: G) -> Self {
        refuse_zero_attempt_timeout(limit);
        Self {
            call: call.with_operation(|operation| Limited {
                operation,
                limit,
                error,
            }),
        }
    }
}

impl<P, O, G, Fut, C> Future for LimitedFuture<P, O, G, Fut, C>
where
    P: Deref<Target = Retry<C::On>>,
    O: Operation<Fut, C::On>,
    G: FnMut() -> C::On,
    Fut: Future,
    C: Classify<Fut::Output>,
{
    type Output = Fut::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Fut::Output> {
        self.project().call.poll_call(cx, false)
    }
}

impl<E, F, Fut, T> Future for RetryFuture<'_, E, F, Fut>
where
    E: Debug,
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    type Output = Result<T, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().call.poll_call(cx, false)
    }
}

impl<E, F, Fut, T> Future for ReportFuture<'_, E, F, Fut>
where
    E: Debug,
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    type Output = Report<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut call = self.project().call;
        let result = ready!(call.as_mut().poll_call(cx, true));
        Poll::Ready(call.report(result))
    }
}

impl<T, E, F, Fut> Future for OutcomeFuture<'_, T, E, F, Fut>
where
    T: Debug,
    E: Debug,
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    type Output = Result<T, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().call.poll_call(cx, false)
    }
}

impl<E, F, A, Fut, T> Future for WrapFuture<E, F, A, Fut>
where
    E: Debug,
    F: Fn(A) -> Fut,
    A: Clone,
    Fut: Future<Output = Result<T, E>>,
{
    type Output = Result<T, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().call.poll_call(cx, false)
    }
}

impl<'a, E: Debug, F, Fut> RetryFuture<'a, E, F, Fut> {
    /// Cuts each attempt at `timeout` or at the policy's deadline, whichever is first: its future is dropped, and it
    /// counts as failed with `error()`. It takes the place of [`Retry::attempt_timeout`], for an error that needs a
    /// capture.
    ///
    /// An attempt that blocks its thread instead of waiting can't be cut. The clock is read for each attempt. In testing
    /// mode and if retries are switched off, `timeout` still holds; the policy's deadline does not.
    ///
    /// # Panics
    ///
    /// If `timeout` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::{Retry, Timer};
    /// use stamina::testing::VirtualClock;
    ///
    /// static CLOCK: VirtualClock = VirtualClock::new();
    /// let policy = Retry::on::<String>().attempts(2).timer(Timer::custom(&CLOCK));
    ///
    /// let host = "db1";
    /// let hangs = || std::future::pending::<Result<(), String>>();
    /// let call = policy.call_async(hangs).attempt_timeout(Duration::from_secs(3), || format!("{host} is too slow"));
    ///
    /// # futures::executor::block_on(async {
    /// assert_eq!(call.await, Err("db1 is too slow".into()));
    /// # });
    /// ```
    #[track_caller]
    pub fn attempt_timeout<T, G>(
        self,
        timeout: Duration,
        error: G,
    ) -> impl Future<Output = Result<T, E>> + use<'a, T, E, F, Fut, G>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
        G: FnMut() -> E,
    {
        LimitedFuture::new(self.call, timeout, error)
    }
}

impl<'a, T: Debug, E: Debug, F, Fut> OutcomeFuture<'a, T, E, F, Fut> {
    /// [`RetryFuture::attempt_timeout`] for whole outcomes.
    ///
    /// # Panics
    ///
    /// If `timeout` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::Retry;
    ///
    /// # futures::executor::block_on(async {
    /// let policy = Retry::on::<Result<u16, String>>();
    /// let call = policy.call_outcome_async(|| async { Ok(200) });
    /// let outcome = call.attempt_timeout(Duration::from_secs(3), || Err("too slow".into())).await;
    /// assert_eq!(outcome, Ok(200));
    /// # });
    /// ```
    #[track_caller]
    pub fn attempt_timeout<G>(
        self,
        timeout: Duration,
        error: G,
    ) -> impl Future<Output = Result<T, E>> + use<'a, T, E, F, Fut, G>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
        G: FnMut() -> Result<T, E>,
    {
        LimitedFuture::new(self.call, timeout, error)
    }
}

impl<E: Debug, F, A, Fut> WrapFuture<E, F, A, Fut> {
    /// [`RetryFuture::attempt_timeout`] for wrapped functions.
    ///
    /// # Panics
    ///
    /// If `timeout` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::Retry;
    ///
    /// # futures::executor::block_on(async {
    /// let double = Retry::on::<&str>().wrap_async(|number: u32| async move { Ok(number * 2) });
    /// let result = double(4).attempt_timeout(Duration::from_secs(3), || "too slow").await;
    /// assert_eq!(result, Ok(8));
    /// # });
    /// ```
    #[track_caller]
    pub fn attempt_timeout<T, G>(
        self,
        timeout: Duration,
        error: G,
    ) -> impl Future<Output = Result<T, E>> + use<T, E, F, A, Fut, G>
    where
        F: Fn(A) -> Fut,
        A: Clone,
        Fut: Future<Output = Result<T, E>>,
        G: FnMut() -> E,
    {
        LimitedFuture::new(self.call, timeout, error)
    }
}

/// # Run it: async
impl<E: Debug> Retry<E> {
    /// Runs an async `operation` until it succeeds or the policy ends the call.
    ///
    /// Works on every executor, and nothing needs to be set up. The closure makes a new future for each attempt. To
    /// lend it `&mut` state, use [`call_async_with`](Self::call_async_with) or a code block ([`start`](Self::start)).
    ///
    /// It yields to the executor if the operation or a wait does: attempts that are ready at once, without waits between
    /// them and without a limit, keep their thread to themselves.
    ///
    /// # Errors
    ///
    /// The last error, unchanged, if the policy does not retry it or a limit is reached.
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
    pub fn call_async<T, F, Fut>(&self, operation: F) -> RetryFuture<'_, E, F, Fut>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        RetryFuture {
            call: AsyncLoop::new(self, operation),
        }
    }

    /// [`call_async`](Self::call_async) that also reports what the call took and why it ended.
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
    pub fn report_async<T, F, Fut>(&self, operation: F) -> ReportFuture<'_, E, F, Fut>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        ReportFuture {
            call: AsyncLoop::new(self, operation),
        }
    }

    /// Makes a closure of one argument that retries an async function. It keeps a clone of this policy, so its futures
    /// borrow nothing.
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
    ) -> impl Fn(A) -> WrapFuture<E, F, A, Fut> + use<E, A, T, F, Fut>
    where
        A: Clone,
        F: Fn(A) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let (policy, function) = (Arc::new(self.clone()), Arc::new(operation));
        move |argument| {
            let operation = Wrapped {
                function: Arc::clone(&function),
                argument,
            };
            WrapFuture {
                call: AsyncLoop::new(Arc::clone(&policy), operation),
            }
        }
    }
}

/// # Run it: async, with whole outcomes
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
    pub fn call_outcome_async<F, Fut>(&self, operation: F) -> OutcomeFuture<'_, T, E, F, Fut>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        OutcomeFuture {
            call: AsyncLoop::new(self, operation),
        }
    }
}

impl<E, F, Fut> Debug for RetryFuture<'_, E, F, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RetryFuture({:?})", self.call)
    }
}

impl<E, F, Fut> Debug for ReportFuture<'_, E, F, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReportFuture({:?})", self.call)
    }
}

impl<T, E, F, Fut> Debug for OutcomeFuture<'_, T, E, F, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OutcomeFuture({:?})", self.call)
    }
}

impl<E, F, A, Fut> Debug for WrapFuture<E, F, A, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WrapFuture({:?})", self.call)
    }
}

//! Futures that lend `&mut` state to each attempt.

use std::fmt::Debug;
use std::future::Future;
use std::ops::{AsyncFnMut, ControlFlow};
use std::pin::Pin;

use super::attempts::Attempts;
use crate::engine::Callable;
use crate::policy::Retry;

/// A future in a box that can be sent to another thread: what closures for
/// [`call_async_with_boxed`](Retry::call_async_with_boxed) return.
///
/// # Examples
///
/// ```
/// let future: stamina::BoxFuture<'_, u32> = Box::pin(async { 7 });
/// assert_eq!(futures::executor::block_on(future), 7);
/// ```
#[cfg(not(all(target_arch = "wasm32", target_os = "unknown")))]
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A future in a box: what closures for [`call_async_with_boxed`](Retry::call_async_with_boxed) return. In a browser it
/// need not be `Send`.
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// The loop of a call by error, for an operation that is given the same state each time.
macro_rules! call_with {
    ($policy:expr, $state:expr, $operation:expr, $callable:expr) => {{
        let mut attempts = Attempts::of_future($policy, $callable);
        async move {
            attempts.start_clock();
            loop {
                let attempt = attempts.enter_operation(|| $operation(&mut *$state));
                match attempts.attempt(attempt).await {
                    Ok(value) => return Ok(attempts.succeed(value)),
                    Err(error) => attempts.again_async(error).await?,
                }
            }
        }
    }};
}

/// The same by outcome.
macro_rules! call_outcome_with {
    ($policy:expr, $state:expr, $operation:expr, $callable:expr) => {{
        let mut attempts = Attempts::of_future($policy, $callable);
        async move {
            attempts.start_clock();
            loop {
                let attempt = attempts.enter_operation(|| $operation(&mut *$state));
                let outcome = attempts.attempt_outcome(attempt).await;
                if let ControlFlow::Break(outcome) = attempts.settle_async(outcome).await {
                    return outcome;
                }
            }
        }
    }};
}

/// # Run it: async, with lent state
impl<E: Debug> Retry<E> {
    /// [`call_async`](Self::call_async) with `&mut` state that every attempt may use.
    ///
    /// It can be spawned if the closure owns what it captures and `C` holds no references, which is a limit of today's
    /// compiler. Otherwise use [`call_async_with_boxed`](Self::call_async_with_boxed) or a code block
    /// ([`start`](Self::start)).
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
        state: &mut C,
        mut operation: F,
    ) -> impl Future<Output = Result<T, E>>
    where
        C: ?Sized,
        F: AsyncFnMut(&mut C) -> Result<T, E>,
    {
        call_with!(self, state, operation, Callable::of::<F>())
    }

    /// [`call_async_with`](Self::call_async_with) for closures that return a boxed future: it can be spawned although the
    /// state holds references.
    ///
    /// What the future borrows must be in the state, which may be a tuple: the compiler does not accept a future that
    /// borrows from what the closure captures.
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
    /// struct Client {
    ///     sent: u32,
    /// }
    ///
    /// impl Client {
    ///     async fn get(&mut self, path: &str) -> Result<usize, &'static str> {
    ///         self.sent += 1;
    ///         if self.sent < 2 { Err("down") } else { Ok(path.len()) }
    ///     }
    /// }
    ///
    /// static POLICY: Retry<&str> = Retry::on::<&str>();
    ///
    /// async fn fetch(client: &mut Client, path: &str) -> Result<usize, &'static str> {
    ///     let mut state = (client, path);
    ///     POLICY.call_async_with_boxed(&mut state, |(client, path)| Box::pin(client.get(path))).await
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # stamina::testing::set_testing(Some(stamina::testing::Testing::attempts(3)));
    /// let task = tokio::spawn(async {
    ///     let (mut client, path) = (Client { sent: 0 }, String::from("/page"));
    ///     fetch(&mut client, &path).await
    /// });
    /// assert_eq!(task.await.unwrap(), Ok(5));
    /// # }
    /// ```
    pub fn call_async_with_boxed<'p, C, T, F>(
        &'p self,
        state: &'p mut C,
        mut operation: F,
    ) -> impl Future<Output = Result<T, E>> + use<'p, C, T, F, E>
    where
        C: ?Sized,
        F: FnMut(&mut C) -> BoxFuture<'_, Result<T, E>>,
    {
        call_with!(self, state, operation, Callable::of::<F>())
    }
}

/// # Run it: async, with lent state and whole outcomes
impl<T: Debug, E: Debug> Retry<Result<T, E>> {
    /// [`call_outcome_async`](Self::call_outcome_async) with `&mut` state that every attempt may use.
    ///
    /// It can be spawned under the same conditions as [`call_async_with`](Self::call_async_with).
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
    /// let mut asked = 0;
    /// let outcome = Retry::on::<Result<bool, String>>()
    ///     .when(|outcome| *outcome == Ok(false))
    ///     .call_outcome_async_with(&mut asked, async |asked| {
    ///         *asked += 1;
    ///         Ok(*asked == 3)
    ///     })
    ///     .await;
    /// assert_eq!((outcome, asked), (Ok(true), 3));
    /// # });
    /// ```
    pub fn call_outcome_async_with<C, F>(
        &self,
        state: &mut C,
        mut operation: F,
    ) -> impl Future<Output = Result<T, E>>
    where
        C: ?Sized,
        F: AsyncFnMut(&mut C) -> Result<T, E>,
    {
        call_outcome_with!(self, state, operation, Callable::of::<F>())
    }

    /// [`call_outcome_async_with`](Self::call_outcome_async_with) for closures that return a boxed future: it can be
    /// spawned whatever the state and the closure borrow.
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
    /// # futures::executor::block_on(async {
    /// let mut asked = 0;
    /// let outcome = Retry::on::<Result<u32, String>>()
    ///     .call_outcome_async_with_boxed(&mut asked, |asked| {
    ///         Box::pin(async move {
    ///             *asked += 1;
    ///             Ok(*asked)
    ///         })
    ///     })
    ///     .await;
    /// assert_eq!((outcome, asked), (Ok(1), 1));
    /// # });
    /// ```
    pub fn call_outcome_async_with_boxed<'p, C, F>(
        &'p self,
        state: &'p mut C,
        mut operation: F,
    ) -> impl Future<Output = Result<T, E>> + use<'p, C, F, T, E>
    where
        C: ?Sized,
        F: FnMut(&mut C) -> BoxFuture<'_, Result<T, E>>,
    {
        call_outcome_with!(self, state, operation, Callable::of::<F>())
    }
}

//! What a future's attempts are made of: closures, and the wrappers that the library puts round them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;

use crate::time::{Instant, Sleep, Timer};

/// What makes attempts of a type.
///
/// Apart from [`Operation`], as this is all that a future's fields depend on: whether a future is `Send` must not hang
/// on bounds between errors. Inside of an `async fn` the compiler forgets which lifetimes of error types are the same.
pub trait Attempting {
    /// An attempt under way.
    type Attempt: Future;
}

/// What makes attempts: a closure, or one of the wrappers round a closure below.
pub trait Operation: Attempting {
    /// What an attempt comes to.
    type Outcome;

    /// Starts an attempt. `left` tells the time before the policy's deadline.
    #[doc(hidden)]
    fn attempt(&mut self, timer: Timer, left: impl FnOnce() -> Option<Duration>) -> Self::Attempt;

    /// What a finished attempt comes to.
    #[doc(hidden)]
    fn outcome(&mut self, output: <Self::Attempt as Future>::Output) -> Self::Outcome;

    /// The type name of the closure inside.
    #[doc(hidden)]
    fn type_name() -> &'static str {
        std::any::type_name::<Self>()
    }
}

impl<F: FnMut() -> Fut, Fut: Future> Attempting for F {
    type Attempt = Fut;
}

impl<F: FnMut() -> Fut, Fut: Future> Operation for F {
    type Outcome = Fut::Output;

    #[inline]
    fn attempt(&mut self, _: Timer, _: impl FnOnce() -> Option<Duration>) -> Fut {
        self()
    }

    #[inline]
    fn outcome(&mut self, output: Fut::Output) -> Fut::Output {
        output
    }
}

/// A wrapped function with the argument of one call.
#[derive(Debug)]
pub struct Wrapped<F, A> {
    pub(crate) function: Arc<F>,
    pub(crate) argument: A,
}

impl<F: Fn(A) -> Fut, A: Clone, Fut: Future> Attempting for Wrapped<F, A> {
    type Attempt = Fut;
}

impl<F: Fn(A) -> Fut, A: Clone, Fut: Future> Operation for Wrapped<F, A> {
    type Outcome = Fut::Output;

    fn attempt(&mut self, _: Timer, _: impl FnOnce() -> Option<Duration>) -> Fut {
        (self.function)(self.argument.clone())
    }

    fn outcome(&mut self, output: Fut::Output) -> Fut::Output {
        output
    }

    fn type_name() -> &'static str {
        std::any::type_name::<F>()
    }
}

/// An operation whose attempts are cut: see [`RetryFuture::attempt_timeout`].
#[derive(Debug)]
pub struct Cut<O, G> {
    pub(crate) operation: O,
    pub(crate) timeout: Duration,
    pub(crate) error: G,
}

impl<O: Attempting, G> Attempting for Cut<O, G> {
    type Attempt = CutAttempt<O::Attempt>;
}

impl<T, E, O, G> Operation for Cut<O, G>
where
    O: Operation<Outcome = Result<T, E>>,
    G: FnMut() -> E,
{
    type Outcome = Result<T, E>;

    fn attempt(&mut self, timer: Timer, left: impl FnOnce() -> Option<Duration>) -> Self::Attempt {
        let left = left();
        let timeout = left.map_or(self.timeout, |left| left.min(self.timeout));
        // From here on, so that what an attempt does before it first waits counts too.
        let until = timer.now().checked_add(timeout);
        CutAttempt {
            attempt: self.operation.attempt(timer, || left),
            timer,
            until,
            expiry: None,
        }
    }

    fn outcome(&mut self, output: Option<<O::Attempt as Future>::Output>) -> Result<T, E> {
        match output {
            Some(output) => self.operation.outcome(output),
            None => Err((self.error)()),
        }
    }

    fn type_name() -> &'static str {
        O::type_name()
    }
}

pin_project! {
    /// An attempt that ends with `None` when its time is up.
    #[derive(Debug)]
    pub struct CutAttempt<Fut> {
        #[pin]
        attempt: Fut,
        timer: Timer,
        // `None` where no clock reaches that far.
        until: Option<Instant>,
        #[pin]
        expiry: Option<Sleep>,
    }
}

impl<Fut: Future> Future for CutAttempt<Fut> {
    type Output = Option<Fut::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        // The expiry is asked first: an attempt that never waits may use up the task's turn (tokio's cooperative
        // budget), and after it no timer of that runtime would ever be ready. What the attempt has still counts.
        let expiry = this.expiry.as_mut().as_pin_mut();
        let asked = expiry.map(|expiry| expiry.poll(cx));
        if let Poll::Ready(output) = this.attempt.poll(cx) {
            return Poll::Ready(Some(output));
        }
        if let Some(expired) = asked {
            return expired.map(|()| None);
        }
        // Only an attempt that has to be waited for needs a timer.
        let Some(until) = *this.until else {
            return Poll::Pending;
        };
        let left = until.saturating_duration_since(this.timer.now());
        this.expiry.set(Some(this.timer.sleep(left)));
        match this.expiry.as_pin_mut() {
            Some(expiry) => expiry.poll(cx).map(|()| None),
            None => Poll::Pending,
        }
    }
}

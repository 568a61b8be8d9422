//! The policy as a layer, which cuts attempts.

use std::fmt::{self, Debug};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use ::tower::{Layer, Service};
use pin_project_lite::pin_project;

use super::policy::{SENDING, Sending};
use super::{Kind, Policy};
use crate::drivers::cutoff::Attempt;
use crate::engine::Level;
use crate::policy::{NO_ATTEMPT_TIMEOUT_ERROR, Retry};

impl<S, K: Kind, C, W> Layer<S> for Policy<K, C, W>
where
    Self: Clone,
{
    type Service = ::tower::retry::Retry<Self, AttemptTimeout<S, K>>;

    /// Puts tower's `Retry` around the service, and inside of it what cuts attempts.
    fn layer(&self, service: S) -> Self::Service {
        let mut policy = self.clone();
        policy.cuts_attempts = true;
        let service = AttemptTimeout {
            service,
            retry: Arc::clone(&self.retry),
        };
        ::tower::retry::Retry::new(policy, service)
    }
}

/// Cuts the attempts of a service by the attempt timeout of a policy. Made by the policy as a layer.
pub struct AttemptTimeout<S, K: Kind> {
    service: S,
    retry: Arc<Retry<K::Error>>,
}

impl<S: Clone, K: Kind> Clone for AttemptTimeout<S, K> {
    fn clone(&self) -> Self {
        Self {
            service: self.service.clone(),
            retry: Arc::clone(&self.retry),
        }
    }
}

impl<S: Debug, K: Kind> Debug for AttemptTimeout<S, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttemptTimeout")
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

/// What an attempt that is cut fails with: an error of the service, or a whole outcome.
pub trait IntoOutcome<Outcome> {
    /// The outcome of the attempt.
    fn into_outcome(self) -> Outcome;
}

impl<T, E> IntoOutcome<Result<T, E>> for E {
    fn into_outcome(self) -> Result<T, E> {
        Err(self)
    }
}

impl<T, E> IntoOutcome<Result<T, E>> for Result<T, E> {
    fn into_outcome(self) -> Self {
        self
    }
}

impl<S, Req, K> Service<Req> for AttemptTimeout<S, K>
where
    S: Service<Req>,
    K: Kind,
    K::Error: IntoOutcome<Result<S::Response, S::Error>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = AttemptFuture<S::Future, K::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let Sending { depth, remaining } = SENDING.take();
        let future = {
            let _level = Level::inside_of(depth);
            self.service.call(request)
        };
        AttemptFuture {
            attempt: Attempt::new(&self.retry.config, depth, remaining, future),
            error: self.retry.attempt_timeout_fn(),
        }
    }
}

pin_project! {
    /// The response future of [`AttemptTimeout`].
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct AttemptFuture<Fut, E> {
        #[pin]
        attempt: Attempt<Fut>,
        error: Option<fn() -> E>,
    }
}

impl<Fut, E> Future for AttemptFuture<Fut, E>
where
    Fut: Future,
    E: IntoOutcome<Fut::Output>,
{
    type Output = Fut::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Fut::Output> {
        let this = self.project();
        let outcome = ready!(this.attempt.poll(cx));
        Poll::Ready(
            outcome.unwrap_or_else(|| this.error.expect(NO_ATTEMPT_TIMEOUT_ERROR)().into_outcome()),
        )
    }
}

impl<Fut, E> Debug for AttemptFuture<Fut, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttemptFuture").finish_non_exhaustive()
    }
}

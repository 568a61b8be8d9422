//! The policy as a layer, which cuts attempts.

use std::fmt::{self, Debug};
use std::sync::Arc;
use std::task::{Context, Poll};

use ::tower::{Layer, Service};

use super::policy::{SENDING, Sending};
use super::{Kind, Policy};
use crate::drivers::cutoff::AttemptFuture;
use crate::engine::{DepthGuard, IntoOutcome};
use crate::policy::Retry;

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
            let _guard = DepthGuard::inside_of(depth);
            self.service.call(request)
        };
        AttemptFuture::new(&self.retry, depth, remaining, future)
    }
}

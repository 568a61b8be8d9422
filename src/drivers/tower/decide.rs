//! What follows an outcome: by the policy's predicate, or by one that sees the request too.

use std::fmt::{self, Debug};

use ::tower::BoxError;

use super::{Boxed, BoxedOutcome, CloneRequest, On, Policy};
use crate::engine::{ByError, ByOutcome, Failed, Failure};
use crate::policy::{Decision, Retry};
use crate::telemetry::RetryDetails;
use crate::time::Sleep;

/// A policy whose own predicate decides: the default.
#[derive(Clone, Copy, Debug)]
pub struct ByPolicy;

/// A policy with a predicate that sees the request too. Made by [`Policy::when_request`].
#[derive(Clone, Copy, Debug)]
pub struct ByRequest<F>(pub(super) F);

macro_rules! decide_by_policy {
    (impl[$($generics:tt)*] for $kind:ty, $error:ty, $classify:ty, where $($bounds:tt)*) => {
        impl<Req, Res, C: CloneRequest<Req>, $($generics)*> ::tower::retry::Policy<Req, Res, $error>
            for Policy<$kind, C, ByPolicy>
        where
            $($bounds)*
        {
            type Future = Sleep;

            #[inline]
            fn retry(&mut self, _: &mut Req, outcome: &mut Result<Res, $error>) -> Option<Sleep> {
                let policy = &*self.retry;
                self.request.follow(policy, |call| call.step::<_, $classify>(policy, outcome))
            }

            #[inline]
            fn clone_request(&mut self, request: &Req) -> Option<Req> {
                self.copy(request)
            }
        }
    };
}

decide_by_policy!(impl[E] for On<E>, E, ByError, where E: Debug);
decide_by_policy!(impl[E] for On<Result<Res, E>>, E, ByOutcome, where Res: Debug, E: Debug);
decide_by_policy!(impl[] for Boxed, BoxError, ByError, where);
decide_by_policy!(impl[] for BoxedOutcome<Res>, BoxError, ByOutcome, where Res: Debug);

macro_rules! decide_by_request {
    (impl[$($generics:tt)*] for $kind:ty, $error:ty, where $($bounds:tt)*) => {
        impl<Req, Res, C: CloneRequest<Req>, F, V, $($generics)*> ::tower::retry::Policy<Req, Res, $error>
            for Policy<$kind, C, ByRequest<F>>
        where
            F: Fn(&Req, &Result<Res, $error>) -> V,
            V: Into<Decision>,
            $($bounds)*
        {
            type Future = Sleep;

            fn retry(&mut self, request: &mut Req, outcome: &mut Result<Res, $error>) -> Option<Sleep> {
                let policy = &*self.retry;
                let failure = FailedRequest {
                    policy,
                    outcome,
                    decide: &|outcome| (self.predicate.0)(request, outcome).into(),
                };
                self.request.follow(policy, |call| call.fail(&failure))
            }

            #[inline]
            fn clone_request(&mut self, request: &Req) -> Option<Req> {
                self.copy(request)
            }
        }
    };
}

decide_by_request!(impl[E] for On<E>, E, where E: Debug);
decide_by_request!(impl[] for Boxed, BoxError, where);

/// The outcome of a request that a predicate with the request decides on.
struct FailedRequest<'a, Res, E> {
    policy: &'a Retry<E>,
    outcome: &'a Result<Res, E>,
    decide: &'a dyn Fn(&Result<Res, E>) -> Decision,
}

impl<Res, E: Debug> FailedRequest<'_, Res, E> {
    fn failed(&self) -> Option<Failed<'_, E>> {
        self.outcome
            .as_ref()
            .err()
            .map(|error| Failed::new(self.policy, error))
    }
}

impl<Res, E: Debug> Failure for FailedRequest<'_, Res, E> {
    fn decide(&self) -> Decision {
        (self.decide)(self.outcome)
    }

    fn is_ok(&self) -> bool {
        self.outcome.is_ok()
    }

    fn error_type(&self) -> &'static str {
        match self.outcome {
            Ok(_) => std::any::type_name::<Res>(),
            Err(_) => std::any::type_name::<E>(),
        }
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.failed() {
            Some(failed) => failed.describe(f),
            None => write!(f, "Ok({})", self.error_type()),
        }
    }

    // A response is no error that the hook could take.
    fn has_own_hook(&self) -> bool {
        self.failed().is_some_and(|failed| failed.has_own_hook())
    }

    fn call_own_hook(&self, details: &RetryDetails<'_>) {
        if let Some(failed) = self.failed() {
            failed.call_own_hook(details);
        }
    }
}

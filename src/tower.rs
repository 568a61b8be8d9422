//! A policy for tower's own `Retry` layer (feature `tower`).
//!
//! [`Retry::tower`] makes a [`Policy`] for [`tower::retry::Retry`], and so for every client that is a tower `Service`.
//! The same judge decides as everywhere else: attempts, waits, hints, deadline, budget, hooks and the switches for
//! tests all hold.
//!
//! # Each request is a call
//!
//! tower copies the policy for each request, and the copy is that request's state: its attempts, its deadline (counted
//! from the moment the request is sent) and its waits, whose jitter is drawn one by one. A response future that is
//! dropped leaves nothing behind, and gives the token of a retry that had not been sent back to the budget.
//!
//! Layers that are added before the `Retry` layer see the request once, as a whole; layers added after it see each
//! attempt. So a timeout for attempts that hang belongs after it. A layer that fails in its own way makes the error
//! `tower::BoxError`, and the policy one on that: [`when::caused_by`](crate::when::caused_by) looks inside.
//!
//! # Requests that can't be cloned
//!
//! A retry sends a copy of the request. Requests that are `Clone` are copied so; for others, say how with
//! [`Policy::clone_with`]. Where there is no copy the request is sent once, and the policy is not asked at all.
//!
//! # Examples
//!
//! ```
//! use std::future::{Ready, ready};
//! use std::task::{Context, Poll};
//! use stamina::Retry;
//! use tower::{Service, ServiceBuilder};
//!
//! /// Fails twice, then doubles.
//! #[derive(Clone)]
//! struct Flaky(std::sync::Arc<std::sync::atomic::AtomicU32>);
//!
//! impl Service<u32> for Flaky {
//!     type Response = u32;
//!     type Error = &'static str;
//!     type Future = Ready<Result<u32, &'static str>>;
//!
//!     fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
//!         Poll::Ready(Ok(()))
//!     }
//!
//!     fn call(&mut self, request: u32) -> Self::Future {
//!         let call = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
//!         ready(if call < 2 { Err("unavailable") } else { Ok(2 * request) })
//!     }
//! }
//!
//! let policy = Retry::on::<&str>().attempts(5).named("double");
//! let mut client = ServiceBuilder::new().retry(policy.tower()).service(Flaky(Default::default()));
//!
//! # let _testing = stamina::testing::scoped(stamina::testing::Testing::attempts(5));
//! # futures::executor::block_on(async {
//! assert_eq!(client.call(21).await, Ok(42));
//! # });
//! ```
//!
//! [`tower::retry::Retry`]: ::tower::retry::Retry

use std::fmt::{self, Debug};
use std::sync::Arc;
use std::time::Instant;

use crate::budget::Token;
use crate::events::Names;
use crate::judge::{ByError, ByOutcome, Reading, examine};
use crate::retry::Retry;
use crate::standing::{Origin, Standing};
use crate::timer::Sleep;

/// A [`Retry`] as a [`tower::retry::Policy`]. Made by [`Retry::tower`].
///
/// A policy on `E` drives services whose error is `E`. A policy on `Result<Res, E>` drives services that answer with
/// `Res` and fail with `E`, and its predicate sees the whole outcome, so that a response (HTTP 503) can be retried too;
/// without a predicate it retries an `Err`, and when a limit is reached the last outcome comes back, be it `Ok` or `Err`.
///
/// Name the type in [`Retry::on`]: as both are possible, the compiler can't guess it from the service.
///
/// In telemetry the `callable` is `tower`, unless the policy is [`named`](Retry::named).
///
/// # Examples
///
/// ```
/// use stamina::Retry;
/// use tower::retry::RetryLayer;
///
/// let on_errors = RetryLayer::new(Retry::on::<std::io::Error>().tower());
///
/// #[derive(Debug)]
/// struct Response {
///     status: u16,
/// }
///
/// let on_outcomes = RetryLayer::new(
///     Retry::on::<Result<Response, std::io::Error>>()
///         .when(|outcome| outcome.as_ref().map_or(true, |response| response.status == 503))
///         .tower(),
/// );
/// # let _ = (on_errors, on_outcomes);
/// ```
pub struct Policy<E, C = ByClone> {
    request: Request<E>,
    cloner: C,
}

/// Where the request stands that this copy of the policy is for.
///
/// Each request makes one and drops it, and tower moves it about, so it is kept small.
struct Request<E> {
    retry: Arc<Retry<E>>,
    origin: Origin,
    waited: u64,
    /// When a token was taken for the retry that is waited for.
    taken: Option<Instant>,
    /// The attempt under way, from 1; 0 where there has been no request.
    number: u32,
}

impl<E> Request<E> {
    /// A new request, where none has been retried.
    #[inline]
    fn begin(&mut self) {
        self.origin = Origin::here();
        self.origin.start(&self.retry.plan, false);
        self.number = 1;
    }

    /// The attempt is on its way, and the token spent.
    #[inline]
    fn sent(&mut self) {
        self.taken = None;
    }

    /// Whether the first attempt has succeeded, and nothing is to be done about it.
    #[inline]
    fn is_over<O, R: Reading<O, On = E>>(&self, outcome: &O) -> bool {
        self.number == 1
            && R::failure(&self.retry, outcome).is_none()
            && !self.retry.plan.has_budget()
    }

    /// Puts an outcome before the judge: the wait before the next attempt, if there is to be one.
    #[cold]
    #[inline(never)]
    fn wait_after<O, R: Reading<O, On = E>>(&mut self, outcome: &O) -> Option<Sleep> {
        if self.number == 0 {
            self.begin();
        }
        self.sent();
        let plan = &self.retry.plan;
        let names = Names::new(|| ("tower", R::error_type()));
        let mut standing = Standing::new(plan, &self.origin, self.number, self.waited, names);
        let wait = examine::<O, R>(&self.retry, &mut standing, outcome)?;
        (self.number, self.waited) = (standing.number, standing.waited);
        self.taken = standing.token.and_then(Token::into_taken);
        Some(plan.timer.sleep(wait))
    }

    #[cold]
    fn give_back(&self, taken: Instant) {
        if let Some(budget) = self.retry.plan.budget() {
            budget.give_back(taken);
        }
    }
}

impl<E> Clone for Request<E> {
    #[inline]
    fn clone(&self) -> Self {
        Self {
            retry: Arc::clone(&self.retry),
            origin: self.origin.clone(),
            waited: self.waited,
            // One token is for one retry.
            taken: None,
            number: self.number,
        }
    }
}

impl<E> Drop for Request<E> {
    #[inline]
    fn drop(&mut self) {
        if let Some(taken) = self.taken {
            self.give_back(taken);
        }
    }
}

impl<E, C> Policy<E, C> {
    /// Copies requests with a function of yours, where they are not `Clone`. Where it returns `None` the request is
    /// not retried.
    ///
    /// Name the type of the closure's argument; the compiler can't guess it.
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::Retry;
    ///
    /// struct Upload {
    ///     key: u64,
    ///     file: Option<std::fs::File>,
    /// }
    ///
    /// // What reads from a file is sent once.
    /// let policy = Retry::on::<std::io::Error>().tower().clone_with(|upload: &Upload| {
    ///     upload.file.is_none().then(|| Upload { key: upload.key, file: None })
    /// });
    /// # let _ = policy;
    /// ```
    #[must_use]
    pub fn clone_with<Req, F>(self, clone: F) -> Policy<E, F>
    where
        F: Fn(&Req) -> Option<Req>,
    {
        Policy {
            request: self.request,
            cloner: clone,
        }
    }

    /// Copies a request that is about to be sent.
    #[inline]
    fn copy<Req>(&mut self, request: &Req) -> Option<Req>
    where
        C: CloneRequest<Req>,
    {
        let copy = self.cloner.clone_request(request);
        if self.request.number > 1 {
            // Only a request's own copy of the policy is ever asked about an outcome, so this is one.
            self.request.sent();
        } else {
            // This is the layer's policy: a new request begins, and its copy of the policy is made next.
            self.request.begin();
        }
        copy
    }

    #[inline]
    fn examine<O, R: Reading<O, On = E>>(&mut self, outcome: &O) -> Option<Sleep> {
        if self.request.is_over::<O, R>(outcome) {
            return None;
        }
        self.request.wait_after::<O, R>(outcome)
    }
}

impl<Req, Res, E, C> ::tower::retry::Policy<Req, Res, E> for Policy<E, C>
where
    E: Debug,
    C: CloneRequest<Req>,
{
    type Future = Sleep;

    #[inline]
    fn retry(&mut self, _: &mut Req, result: &mut Result<Res, E>) -> Option<Sleep> {
        self.examine::<_, ByError<E>>(result)
    }

    #[inline]
    fn clone_request(&mut self, request: &Req) -> Option<Req> {
        self.copy(request)
    }
}

impl<Req, Res, E, C> ::tower::retry::Policy<Req, Res, E> for Policy<Result<Res, E>, C>
where
    Res: Debug,
    E: Debug,
    C: CloneRequest<Req>,
{
    type Future = Sleep;

    #[inline]
    fn retry(&mut self, _: &mut Req, result: &mut Result<Res, E>) -> Option<Sleep> {
        self.examine::<_, ByOutcome<Res, E>>(result)
    }

    #[inline]
    fn clone_request(&mut self, request: &Req) -> Option<Req> {
        self.copy(request)
    }
}

impl<E, C: Clone> Clone for Policy<E, C> {
    #[inline]
    fn clone(&self) -> Self {
        Self {
            request: self.request.clone(),
            cloner: self.cloner.clone(),
        }
    }
}

impl<E, C> Debug for Policy<E, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("retry", &self.request.retry)
            .field("number", &self.request.number)
            .finish_non_exhaustive()
    }
}

/// How a [`Policy`] copies requests: [`ByClone`], or any function `Fn(&Req) -> Option<Req>`.
///
/// # Examples
///
/// A function pointer gives the policy a type that can be written down:
///
/// ```
/// use std::io;
/// use stamina::Retry;
/// use stamina::tower::{CloneRequest, Policy};
///
/// struct Query(String);
///
/// fn copy(query: &Query) -> Option<Query> {
///     Some(Query(query.0.clone()))
/// }
///
/// struct Client<S> {
///     service: tower::retry::Retry<Policy<io::Error, fn(&Query) -> Option<Query>>, S>,
/// }
///
/// let policy: Policy<io::Error, fn(&Query) -> Option<Query>> = Retry::on().tower().clone_with(copy);
/// let client = Client { service: tower::retry::Retry::new(policy, ()) };
///
/// assert!(copy.clone_request(&Query("select 1".into())).is_some());
/// # let _ = client.service;
/// ```
pub trait CloneRequest<Req> {
    /// A copy of the request, if it can be copied.
    fn clone_request(&self, request: &Req) -> Option<Req>;
}

/// Copies requests by `Clone`.
///
/// # Examples
///
/// ```
/// use stamina::tower::{ByClone, CloneRequest};
///
/// assert_eq!(ByClone.clone_request(&7), Some(7));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ByClone;

impl<Req: Clone> CloneRequest<Req> for ByClone {
    fn clone_request(&self, request: &Req) -> Option<Req> {
        Some(request.clone())
    }
}

impl<Req, F: Fn(&Req) -> Option<Req>> CloneRequest<Req> for F {
    fn clone_request(&self, request: &Req) -> Option<Req> {
        self(request)
    }
}

impl<E> Retry<E> {
    /// This policy for tower's `Retry` layer (feature `tower`). See [`tower`](crate::tower).
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::{Budget, Retry};
    /// use tower::ServiceBuilder;
    ///
    /// static SEARCH: Budget = Budget::new();
    ///
    /// let layers = ServiceBuilder::new().retry(Retry::on::<std::io::Error>().budget(&SEARCH).tower());
    /// # let _ = layers;
    /// ```
    #[must_use]
    pub fn tower(&self) -> Policy<E> {
        Policy {
            request: Request {
                retry: Arc::new(self.clone()),
                origin: Origin::Plain,
                waited: 0,
                taken: None,
                number: 0,
            },
            cloner: ByClone,
        }
    }
}

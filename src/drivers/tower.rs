//! A policy for tower's own `Retry` layer (feature `tower`).
//!
//! [`Retry::tower`] makes a [`Policy`] for [`tower::retry::Retry`], and so for every client that is a tower `Service`.
//! The same step function decides as everywhere else: attempts, waits, hints, deadline, budget, hooks and the switches for
//! tests all hold.
//!
//! # Each request is a call
//!
//! tower copies the policy for each request, and the copy is that request's state: its attempts, its deadline (counted
//! from the moment the request is sent) and its waits, whose jitter is drawn one by one. A response future that is
//! dropped leaves nothing behind, and gives the permit of a retry that had not been sent back to the budget.
//!
//! Layers that are added before the `Retry` layer see the request once, as a whole; layers added after it see each
//! attempt. So a timeout for attempts that hang belongs after it. A layer that fails in its own way makes the error
//! `tower::BoxError`, and the policy one on that: [`when::caused_by`](crate::when::caused_by) looks inside.
//!
//! # Attempts that hang
//!
//! tower's own `Retry` layer can't cut an attempt. The policy is a [`Layer`](::tower::Layer) of its own that can: if the
//! policy has an [`attempt_timeout`](Retry::attempt_timeout), add it with `.layer(policy.tower())` instead of
//! `.retry(policy.tower())`, which panics at the first request.
//!
//! # Requests that can't be cloned
//!
//! A retry sends a copy of the request. Requests that are `Clone` are copied so; for others, say how with
//! [`Policy::clone_with`]. A request without a copy is sent once, and the policy is not asked at all.
//!
//! # Inside of a spawned task
//!
//! A service whose policy names an error type with a lifetime or a trait object in it, such as `&'static str` or
//! `Result<Box<dyn Body>, Error>`, can't be awaited inside of a spawned `async` block: today's compiler forgets the
//! lifetime and reports that an "implementation is not general enough". `tower::BoxError` and outcomes with it are not
//! affected, as their policies don't name it ([`Boxed`], [`BoxedOutcome`]). For the rest box the service before, with
//! `tower::util::BoxCloneService`.
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

use std::cell::Cell;
use std::fmt::{self, Debug};
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tower::{BoxError, Layer, Service};

use super::cutoff::Attempt;
use crate::engine::{
    ByError, ByOutcome, Call, CallState, Callable, Failed, Failure, Pending, Step, depth,
};
use crate::policy::{Decision, NO_ATTEMPT_TIMEOUT_ERROR, Parts, Retry};
use crate::telemetry::RetryDetails;
use crate::time::{Instant, Sleep};

/// A [`Retry`] as a [`tower::retry::Policy`], and as a [`Layer`](::tower::Layer). Made by [`Retry::tower`].
///
/// A policy on `E` drives services whose error is `E`. A policy on `Result<Res, E>` drives services that answer with
/// `Res` and fail with `E`, and its predicate sees the whole outcome, so that a response (HTTP 503) can be retried too;
/// without a predicate it retries an `Err`, and if a limit is reached the last outcome comes back, `Ok` or `Err`. To see
/// the request as well, use [`when_request`](Self::when_request).
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
///
/// [`tower::retry::Policy`]: ::tower::retry::Policy
pub struct Policy<K: Kind, C = ByClone, W = ByPolicy> {
    retry: Arc<Retry<K::Error>>,
    cloner: C,
    predicate: W,
    request: Request,
    /// Whether the policy is its own layer, which cuts attempts.
    cuts_attempts: bool,
}

/// What a [`Policy`] is on: [`On<E>`](On), or a type that does not name its error.
pub trait Kind {
    /// What the [`Retry`] is on.
    type Error;
}

/// A policy on `E`, which may be an outcome.
#[derive(Debug)]
pub struct On<E>(PhantomData<fn() -> E>);

/// A policy on `tower::BoxError`.
#[derive(Debug)]
pub struct Boxed;

/// A policy on `Result<Res, tower::BoxError>`.
#[derive(Debug)]
pub struct BoxedOutcome<Res>(PhantomData<fn() -> Res>);

impl<E> Kind for On<E> {
    type Error = E;
}

impl Kind for Boxed {
    type Error = BoxError;
}

impl<Res> Kind for BoxedOutcome<Res> {
    type Error = Result<Res, BoxError>;
}

/// The request that this copy of the policy is for. tower copies the policy for each request, right after it has asked
/// for a copy of the request.
#[derive(Debug)]
struct Request {
    state: CallState,
    /// The attempt under way, from 1.
    number: u32,
    /// When the request began that the next copy of this policy is for.
    began: Option<Instant>,
}

impl Request {
    fn new() -> Self {
        Self {
            state: CallState::new(),
            number: 1,
            began: None,
        }
    }

    /// Decides what follows an attempt.
    #[inline]
    fn follow<E>(
        &mut self,
        policy: &Retry<E>,
        decide: impl FnOnce(&mut Call<'_>) -> Step,
    ) -> Option<Wait> {
        let config = &policy.config;
        let mut call = Call {
            config,
            state: &mut self.state,
            attempt: &mut self.number,
            callable: Callable::Type("tower"),
        };
        let Step::Retry(pending) = decide(&mut call) else {
            return None;
        };
        // This copy of the policy is dropped with its request, so there is nothing to undo but the permit.
        pending.count(&mut self.state, &mut self.number);
        Some(Wait {
            sleep: config.timer.sleep(pending.wait()),
            pending: Some(pending),
        })
    }
}

impl<K: Kind, C, W> Policy<K, C, W> {
    /// Copies requests with a function of yours, for those that are not `Clone`. If it returns `None`, the request is
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
    pub fn clone_with<Req, F>(self, clone: F) -> Policy<K, F, W>
    where
        F: Fn(&Req) -> Option<Req>,
    {
        Policy {
            retry: self.retry,
            cloner: clone,
            predicate: self.predicate,
            request: self.request,
            cuts_attempts: self.cuts_attempts,
        }
    }

    /// Decides with a function that sees the request (its method, its host) and the outcome. It takes the place of the
    /// policy's own predicate. The policy is on the service's error, and the response need not be `Debug`.
    ///
    /// Name the types of the closure's arguments; the compiler can't guess them.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io;
    /// use stamina::Retry;
    ///
    /// struct Request {
    ///     method: &'static str,
    /// }
    ///
    /// struct Response {
    ///     status: u16,
    /// }
    ///
    /// let policy = Retry::on::<io::Error>().tower().when_request(
    ///     |request: &Request, outcome: &Result<Response, io::Error>| match outcome {
    ///         Ok(response) => response.status == 503,
    ///         Err(_) => request.method == "GET",
    ///     },
    /// );
    /// # let _ = policy;
    /// ```
    #[must_use]
    pub fn when_request<Req, Res, E, F, V>(self, predicate: F) -> Policy<K, C, ByRequest<F>>
    where
        F: Fn(&Req, &Result<Res, E>) -> V,
        V: Into<Decision>,
    {
        Policy {
            retry: self.retry,
            cloner: self.cloner,
            predicate: ByRequest(predicate),
            request: self.request,
            cuts_attempts: self.cuts_attempts,
        }
    }

    /// Copies a request that is about to be sent.
    fn copy<Req>(&mut self, request: &Req) -> Option<Req>
    where
        C: CloneRequest<Req>,
    {
        let config = &self.retry.config;
        assert!(
            self.cuts_attempts || config.settings.attempt_timeout.is_none(),
            "stamina: this policy has an `attempt_timeout`, which tower's own `Retry` layer can't enforce: \
             add the policy with `.layer(policy.tower())` instead of `.retry(policy.tower())`"
        );
        let Request {
            state,
            number,
            began,
        } = &mut self.request;
        if *number > 1 {
            // Only a request's own copy of the policy has retried, so this is one.
            state.attempt_begins(config);
            REMAINING.set(state.remaining(config, state.now(config)));
        } else {
            // This is the layer's policy: a new request begins, and its copy of the policy is made next.
            *began = config.reads_clock().then(|| config.timer.now());
            REMAINING.set(config.settings.timeout);
        }
        self.cloner.clone_request(request)
    }
}

thread_local! {
    /// The time that is left for the request that is sent next on this thread: tower asks for a copy of the request and
    /// then calls the service, at once.
    static REMAINING: Cell<Option<Duration>> = const { Cell::new(None) };
}

impl<K: Kind, C: Clone, W: Clone> Clone for Policy<K, C, W> {
    /// The policy of a new request.
    #[inline]
    fn clone(&self) -> Self {
        let mut request = Request::new();
        if let Some(began) = self.request.began {
            request.state.start_at(&self.retry.config, began);
        }
        Self {
            retry: Arc::clone(&self.retry),
            cloner: self.cloner.clone(),
            predicate: self.predicate.clone(),
            request,
            cuts_attempts: self.cuts_attempts,
        }
    }
}

impl<K: Kind, C, W> Debug for Policy<K, C, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("retry", &self.retry)
            .field("number", &self.request.number)
            .finish_non_exhaustive()
    }
}

/// The wait before a request is sent again. Dropped before it is ready, it gives the permit back.
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Wait {
    sleep: Sleep,
    pending: Option<Pending>,
}

impl Future for Wait {
    type Output = ();

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        ready!(Pin::new(&mut self.sleep).poll(cx));
        if let Some(pending) = self.pending.take() {
            pending.spend();
        }
        Poll::Ready(())
    }
}

/// A policy whose own predicate decides: the default.
#[derive(Clone, Copy, Debug)]
pub struct ByPolicy;

/// A policy with a predicate that sees the request too. Made by [`Policy::when_request`].
#[derive(Clone, Copy, Debug)]
pub struct ByRequest<F>(F);

macro_rules! decide_by_policy {
    (impl[$($generics:tt)*] for $kind:ty, $error:ty, $classify:ty, where $($bounds:tt)*) => {
        impl<Req, Res, C: CloneRequest<Req>, $($generics)*> ::tower::retry::Policy<Req, Res, $error>
            for Policy<$kind, C, ByPolicy>
        where
            $($bounds)*
        {
            type Future = Wait;

            #[inline]
            fn retry(&mut self, _: &mut Req, outcome: &mut Result<Res, $error>) -> Option<Wait> {
                let policy = &*self.retry;
                self.request.follow(policy, |call| call.judge::<_, $classify>(policy, outcome))
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
            type Future = Wait;

            fn retry(&mut self, request: &mut Req, outcome: &mut Result<Res, $error>) -> Option<Wait> {
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

impl<S, K: Kind, C, W> Layer<S> for Policy<K, C, W>
where
    Self: Clone,
{
    type Service = ::tower::retry::Retry<Self, AttemptTimeout<S, K>>;

    /// Puts tower's `Retry` around the service, and inside of it what cuts attempts.
    fn layer(&self, service: S) -> Self::Service {
        let policy = Self {
            cuts_attempts: true,
            ..self.clone()
        };
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
        let remaining = REMAINING.take();
        AttemptFuture {
            attempt: Attempt::new(
                &self.retry.config,
                depth(),
                remaining,
                self.service.call(request),
            ),
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

/// How a [`Policy`] copies requests: [`ByClone`], or any function `Fn(&Req) -> Option<Req>`.
///
/// # Examples
///
/// A function pointer gives the policy a type that can be written down:
///
/// ```
/// use std::io;
/// use stamina::Retry;
/// use stamina::tower::{CloneRequest, On, Policy};
///
/// struct Query(String);
///
/// fn copy(query: &Query) -> Option<Query> {
///     Some(Query(query.0.clone()))
/// }
///
/// type Copying = Policy<On<io::Error>, fn(&Query) -> Option<Query>>;
///
/// struct Client<S> {
///     service: tower::retry::Retry<Copying, S>,
/// }
///
/// let policy: Copying = Retry::on::<io::Error>().tower().clone_with(copy);
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

impl<K: Kind> Policy<K> {
    fn new(retry: Retry<K::Error>) -> Self {
        Self {
            retry: Arc::new(retry),
            cloner: ByClone,
            predicate: ByPolicy,
            request: Request::new(),
            cuts_attempts: false,
        }
    }
}

/// # Tower
impl<E> Parts<E> {
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
    pub fn tower(&self) -> Policy<On<E>> {
        Policy::new(self.clone().into())
    }
}

/// # Tower
impl Retry<BoxError> {
    /// This policy for tower's `Retry` layer (feature `tower`): one that can be awaited inside of a spawned task. See
    /// [`tower`](crate::tower).
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::Retry;
    /// use tower::{BoxError, ServiceBuilder};
    ///
    /// let layers = ServiceBuilder::new().retry(Retry::on::<BoxError>().tower());
    /// # let _ = layers;
    /// ```
    #[must_use]
    pub fn tower(&self) -> Policy<Boxed> {
        Policy::new(self.clone())
    }
}

/// # Tower
impl<Res> Retry<Result<Res, BoxError>> {
    /// This policy for tower's `Retry` layer (feature `tower`): one that can be awaited inside of a spawned task, if
    /// `Res` has no lifetime in it. See [`tower`](crate::tower).
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::Retry;
    /// use tower::{BoxError, ServiceBuilder};
    ///
    /// let layers = ServiceBuilder::new().retry(Retry::on::<Result<u16, BoxError>>().tower());
    /// # let _ = layers;
    /// ```
    #[must_use]
    pub fn tower(&self) -> Policy<BoxedOutcome<Res>> {
        Policy::new(self.clone())
    }
}

//! The policy, and what it remembers of a request.

use std::cell::Cell;
use std::fmt::{self, Debug};
use std::sync::Arc;
use std::time::Duration;

use super::{ByClone, ByPolicy, ByRequest, CloneRequest, Kind};
use crate::engine::{Call, CallState, Callable, Pending, Step};
use crate::policy::{Config, Decision, Retry};
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
    pub(super) retry: Arc<Retry<K::Error>>,
    cloner: C,
    pub(super) predicate: W,
    pub(super) request: Request,
    /// Whether the policy is its own layer, which cuts attempts.
    pub(super) cuts_attempts: bool,
}

/// The request that this copy of the policy is for. tower copies the policy for each request, right after it has asked
/// for a copy of the request.
pub(super) struct Request {
    state: CallState,
    /// The attempt under way, from 1; 0 if there is no request.
    number: u32,
    /// The retry that tower waits for. tower drops this copy of the policy with its request, and so gives the permit back.
    pending: Option<Pending>,
    /// When the request began that the next copy of this policy is for.
    began: Option<Instant>,
}

impl Request {
    // Inlined for tower's first-try success: each request makes one.
    #[inline]
    fn new() -> Self {
        Self {
            state: CallState::new(),
            number: 1,
            pending: None,
            began: None,
        }
    }

    /// No request yet. It keeps no scope of where the policy is made.
    fn idle() -> Self {
        Self {
            state: CallState::idle(),
            number: 0,
            pending: None,
            began: None,
        }
    }

    /// Starts a call that no copy of a request has started.
    #[cold]
    fn start(&mut self, config: &Config) {
        if self.number == 0 {
            (self.state, self.number) = (CallState::new(), 1);
        }
        self.state.start(config, false);
    }

    /// Begins the retry that was waited for, if there is one.
    #[inline]
    fn begin_retry(&mut self, config: &Config) {
        if let Some(pending) = self.pending.take() {
            pending.begin(config, &mut self.state, &mut self.number);
        }
    }

    /// Decides what follows an attempt.
    #[inline]
    pub(super) fn follow<E>(
        &mut self,
        policy: &Retry<E>,
        decide: impl FnOnce(&mut Call<'_>) -> Step,
    ) -> Option<Sleep> {
        let config = &policy.config;
        // A driver other than tower's need not ask for copies of the request: then the call starts here, and the retry
        // that was waited for has begun.
        if self.number == 0 || (config.reads_clock && self.state.started().is_none()) {
            self.start(config);
        }
        self.begin_retry(config);
        let mut call = Call {
            config,
            state: &mut self.state,
            attempt: &mut self.number,
            callable: Callable::Type("tower"),
            cuts_attempts: true,
        };
        let Step::Retry(pending) = decide(&mut call) else {
            return None;
        };
        let sleep = config.timer.sleep(pending.wait());
        self.pending = Some(pending);
        Some(sleep)
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
    /// Name the types of the closure's arguments; the compiler can't guess them. On `BoxError`, inside of a spawned `async`
    /// block, give a function instead of a closure: today's compiler forgets the lifetime in the closure's signature.
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
    pub fn when_request<Req, Res, F, V>(self, predicate: F) -> Policy<K, C, ByRequest<F>>
    where
        F: Fn(&Req, &Result<Res, K::Error>) -> V,
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
    pub(super) fn copy<Req>(&mut self, request: &Req) -> Option<Req>
    where
        C: CloneRequest<Req>,
    {
        let config = &self.retry.config;
        let copy = self.cloner.clone_request(request);
        self.request.begin_retry(config);
        // Only a request's own copy of the policy retries. The layer's policy never does: a new request begins, and its
        // copy of the policy is made next.
        let is_retry = self.request.number > 1;
        if !is_retry {
            self.request.began = config.reads_clock.then(|| config.timer.now());
        }
        if self.cuts_attempts {
            // Last, because the function that copies may send requests of its own.
            self.pass_on();
        } else {
            let can_cut = config.settings.attempt_timeout.is_none();
            assert!(can_cut, "{CAN_NOT_CUT}");
        }
        copy
    }

    /// Passes on what the layer that cuts attempts needs to know.
    #[cold]
    fn pass_on(&self) {
        let new = CallState::new();
        let state = if self.request.number > 1 {
            &self.request.state
        } else {
            &new
        };
        let config = &self.retry.config;
        SENDING.set(Sending {
            depth: state.depth(),
            remaining: state.remaining(config, state.now(config)),
        });
    }
}

const CAN_NOT_CUT: &str = "stamina: this policy has an `attempt_timeout`, which tower's own `Retry` layer can't enforce: \
     add the policy with `.layer(policy.tower())` instead of `.retry(policy.tower())`";

thread_local! {
    /// About the request that is sent next on this thread: tower asks for a copy of the request and then calls the
    /// service, at once.
    pub(super) static SENDING: Cell<Sending> = Cell::default();
}

/// What the layer that cuts attempts needs to know about a request.
#[derive(Default)]
pub(super) struct Sending {
    pub(super) depth: u32,
    /// The time that is left before its deadline.
    pub(super) remaining: Option<Duration>,
}

impl<K: Kind, C: Clone, W: Clone> Clone for Policy<K, C, W> {
    /// The policy of a new request.
    #[inline]
    fn clone(&self) -> Self {
        let mut request = Request::new();
        if let Some(began) = self.request.began {
            request.state.start_at(began);
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

impl<K: Kind> Policy<K> {
    pub(super) fn new(retry: Retry<K::Error>) -> Self {
        Self {
            retry: Arc::new(retry),
            cloner: ByClone,
            predicate: ByPolicy,
            request: Request::idle(),
            cuts_attempts: false,
        }
    }
}

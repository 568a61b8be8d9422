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
//! lifetime and reports that an "implementation is not general enough". Policies on `tower::BoxError` and on outcomes with it
//! are not affected, as they don't name it ([`Boxed`], [`BoxedOutcome`]); but the service under them must not name it either,
//! as a `BoxCloneService` and a closure's own `async` block do. A closure that calls an `async fn` is fine. For the rest put
//! the whole service, retries included, into a `tower::util::BoxCloneService`.
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

mod attempt_timeout;
mod clone_request;
mod decide;
mod kind;
mod policy;

use ::tower::BoxError;

pub use self::attempt_timeout::AttemptTimeout;
pub use self::clone_request::{ByClone, CloneRequest};
pub use self::decide::{ByPolicy, ByRequest};
pub use self::kind::{Boxed, BoxedOutcome, Kind, On};
pub use self::policy::Policy;
pub use super::cutoff::AttemptFuture;
pub use crate::engine::IntoOutcome;
use crate::policy::{Parts, Retry};

/// # Run it: tower
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

/// # Run it: tower
impl Retry<BoxError> {
    /// This policy for tower's `Retry` layer (feature `tower`): one that can be awaited inside of a spawned task. A policy
    /// on any other error has this method too. See [`tower`](crate::tower).
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

/// # Run it: tower
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

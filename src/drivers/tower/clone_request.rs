//! How requests are copied.

/// How a [`Policy`](super::Policy) copies requests: [`ByClone`], or any function `Fn(&Req) -> Option<Req>`.
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

//! What a policy is on.

use std::marker::PhantomData;

use ::tower::BoxError;

/// What a [`Policy`](super::Policy) is on: [`On<E>`](On), or a type that does not name its error.
pub trait Kind {
    /// What the [`Retry`](crate::Retry) is on.
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

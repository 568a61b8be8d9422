//! Types without values, named as those of `tokio.rs`: code that uses them needs no conditions, and the compiler removes
//! it.

use std::future::Future;
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::Instant;

#[derive(Clone, Copy)]
pub(super) enum Tokio {}

/// Not `Unpin`, as tokio's own: a feature that some other crate switches on must not change whether a future is.
pub(crate) struct TokioSleep(Tokio, PhantomPinned);

impl Tokio {
    pub(super) fn now(self) -> Instant {
        match self {}
    }

    pub(super) fn sleep(self, _: Duration) -> TokioSleep {
        match self {}
    }
}

impl Future for TokioSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        match self.0 {}
    }
}

//! shim
pub use crate::timer::*;
pub use std::time::Instant;
#[cfg(not(feature="tokio"))]
pub(crate) struct TokioSleep(std::marker::PhantomPinned);
#[cfg(not(feature = "tokio"))]
impl Future for TokioSleep {
    type Output = ();
    fn poll(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<()> { std::task::Poll::Pending }
}
#[cfg(feature="tokio")]
pub(crate) use tokio::time::Sleep as TokioSleep;
impl Timer { pub(crate) fn tokio_sleep(self, d: std::time::Duration)-> Option<TokioSleep> { None } }

//! tokio's clock and sleep. Without the feature `tokio`, and where tokio has no clock, types of the same names that have
//! no values: code that uses them needs no conditions, and the compiler removes it.

#[cfg(all(
    feature = "tokio",
    not(all(target_arch = "wasm32", target_os = "unknown"))
))]
mod present {
    use std::time::Duration;

    use crate::time::Instant;

    #[derive(Clone, Copy)]
    pub(in crate::time) struct Tokio;

    pub(crate) type TokioSleep = tokio::time::Sleep;

    #[allow(clippy::unused_self, reason = "a value proves that tokio is there")]
    impl Tokio {
        pub(in crate::time) fn now(self) -> Instant {
            tokio::time::Instant::now().into_std()
        }

        pub(in crate::time) fn sleep(self, duration: Duration) -> TokioSleep {
            tokio::time::sleep(duration)
        }
    }
}

#[cfg(not(all(
    feature = "tokio",
    not(all(target_arch = "wasm32", target_os = "unknown"))
)))]
mod absent {
    use std::future::Future;
    use std::marker::PhantomPinned;
    use std::pin::Pin;
    use std::task::{Context, Poll};
    use std::time::Duration;

    use crate::time::Instant;

    #[derive(Clone, Copy)]
    pub(in crate::time) enum Tokio {}

    /// Not `Unpin`, as tokio's own: a feature that some other crate switches on must not change whether a future is.
    pub(crate) struct TokioSleep(Tokio, PhantomPinned);

    impl Tokio {
        pub(in crate::time) fn now(self) -> Instant {
            match self {}
        }

        pub(in crate::time) fn sleep(self, _: Duration) -> TokioSleep {
            match self {}
        }
    }

    impl Future for TokioSleep {
        type Output = ();

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            match self.0 {}
        }
    }
}

#[cfg(not(all(
    feature = "tokio",
    not(all(target_arch = "wasm32", target_os = "unknown"))
)))]
pub(crate) use absent::*;
#[cfg(all(
    feature = "tokio",
    not(all(target_arch = "wasm32", target_os = "unknown"))
))]
pub(crate) use present::*;

//! How many retried operations this thread of control is inside of.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// The number of retried operations that are running around this point; 0 in none.
pub(crate) fn depth() -> u32 {
    DEPTH.get()
}

/// One level, left on drop, so also when the operation panics.
pub(crate) struct Level;

impl Level {
    #[inline]
    pub(crate) fn enter() -> Self {
        DEPTH.set(DEPTH.get().wrapping_add(1));
        Self
    }
}

impl Drop for Level {
    #[inline]
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get().wrapping_sub(1));
    }
}

/// While it lives, this thread is outside of all calls. For a simulation.
#[cfg(feature = "fleet")]
#[must_use = "dropping it returns to the former depth"]
pub(crate) struct Outside {
    former: u32,
}

#[cfg(feature = "fleet")]
impl Outside {
    pub(crate) fn enter() -> Self {
        Self {
            former: DEPTH.replace(0),
        }
    }
}

#[cfg(feature = "fleet")]
impl Drop for Outside {
    fn drop(&mut self) {
        DEPTH.set(self.former);
    }
}

/// Runs an operation one level deeper.
#[inline]
pub(crate) fn deeper<T>(operation: impl FnOnce() -> T) -> T {
    let _level = Level::enter();
    operation()
}

pin_project! {
    /// A future that is polled one level deeper, on whichever thread that happens.
    #[derive(Debug)]
    pub(crate) struct Deeper<Fut> {
        #[pin]
        future: Fut,
    }
}

impl<Fut> Deeper<Fut> {
    pub(crate) fn new(future: Fut) -> Self {
        Self { future }
    }
}

impl<Fut: Future> Future for Deeper<Fut> {
    type Output = Fut::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Fut::Output> {
        let future = self.project().future;
        deeper(|| future.poll(cx))
    }
}

//! The future that every timer hands out.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::coarse::CoarseWait;
use super::host;

/// A future that is ready when a wait is over, as [`Clock::sleep`](crate::Clock::sleep) returns it.
///
/// It is `Unpin`, and `Send` except on `wasm32-unknown-unknown`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use stamina::Sleep;
///
/// fn sleep(duration: Duration) -> Sleep {
///     if duration.is_zero() {
///         return Sleep::ready();
///     }
///     Sleep::boxed(futures_timer::Delay::new(duration))
/// }
/// # let _ = sleep(Duration::ZERO);
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct Sleep(Kind);

enum Kind {
    Ready,
    Host(host::Delay),
    Coarse(CoarseWait),
    Boxed(host::Boxed),
}

impl Sleep {
    /// Ready at once.
    ///
    /// # Examples
    ///
    /// ```
    /// let sleep = stamina::Sleep::ready();
    /// # let _ = sleep;
    /// ```
    pub const fn ready() -> Self {
        Self(Kind::Ready)
    }

    /// Any future of your runtime.
    ///
    /// On `wasm32-unknown-unknown` the future need not be `Send`.
    ///
    /// # Examples
    ///
    /// ```
    /// let sleep = stamina::Sleep::boxed(async {});
    /// # let _ = sleep;
    /// ```
    #[cfg(not(all(target_arch = "wasm32", target_os = "unknown")))]
    pub fn boxed(sleep: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Kind::Boxed(Box::pin(sleep)))
    }

    /// Any future of your runtime, `Send` or not.
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    pub fn boxed(sleep: impl Future<Output = ()> + 'static) -> Self {
        Self(Kind::Boxed(Box::pin(sleep)))
    }

    pub(super) const fn host(delay: host::Delay) -> Self {
        Self(Kind::Host(delay))
    }

    pub(super) const fn coarse(wait: CoarseWait) -> Self {
        Self(Kind::Coarse(wait))
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            Kind::Ready => Poll::Ready(()),
            Kind::Host(delay) => Pin::new(delay).poll(cx),
            Kind::Coarse(wait) => wait.poll(cx.waker()),
            Kind::Boxed(sleep) => sleep.as_mut().poll(cx),
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").finish_non_exhaustive()
    }
}

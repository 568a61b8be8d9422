//! A retry of a code block that was decided on but has not been waited for.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::engine::{CallState, Pending};
use crate::policy::Config;
use crate::time::Sleep;

/// A retry that was decided on, but not waited for yet. Made by [`Attempts::pause`](crate::Attempts::pause).
///
/// Wait by [`block`](Self::block), by `.await`, or by means of your own and then [`skip`](Self::skip). Only then does the
/// next attempt count, and only then is the budget's permit spent. Dropping it undoes the retry: the attempt is still the
/// same, and the permit goes back. Hooks have seen the retry by then, and what [`reset_after`] has started anew
/// stays so.
///
/// [`reset_after`]: crate::Retry::reset_after
///
/// # Examples
///
/// Wait for a message to stop at the same time:
///
/// ```
/// use std::sync::mpsc::{Receiver, channel};
/// use stamina::Retry;
///
/// static POLICY: Retry<&str> = Retry::on::<&str>();
///
/// fn work(stop: &Receiver<()>) -> Result<u32, &'static str> {
///     let mut attempts = POLICY.start();
///     loop {
///         let error = "down"; // the attempt fails
///         let Ok(pause) = attempts.pause(&error) else { return Err(error) };
///         if stop.recv_timeout(pause.wait()).is_ok() {
///             return Err(error); // the last error, and the retry is undone
///         }
///         pause.skip();
///     }
/// }
///
/// let (sender, stop) = channel();
/// sender.send(()).unwrap();
/// assert_eq!(work(&stop), Err("down"));
/// ```
#[must_use = "dropping a pause undoes the retry: wait with `block`, `.await` or `skip`"]
pub struct Pause<'a> {
    pub(super) config: &'a Config,
    pub(super) state: &'a mut CallState,
    pub(super) number: &'a mut u32,
    pub(super) pending: Pending,
}

impl Pause<'_> {
    /// How long to wait before the next attempt.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::Retry;
    ///
    /// let policy = Retry::on::<&str>().fixed(Duration::from_secs(2));
    /// assert_eq!(policy.start().pause(&"down").unwrap().wait(), Duration::from_secs(2));
    /// ```
    #[must_use]
    pub fn wait(&self) -> Duration {
        self.pending.wait()
    }

    /// Waits by blocking this thread; then the next attempt is under way.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::Retry;
    ///
    /// let policy = Retry::on::<&str>().fixed(Duration::from_millis(1));
    /// let mut attempts = policy.start();
    /// attempts.pause(&"down").unwrap().block();
    /// assert_eq!(attempts.number(), 2);
    /// ```
    pub fn block(self) {
        self.config.timer.sleep_blocking(self.wait());
        self.skip();
    }

    /// Counts the wait as over: you have waited yourself. The next attempt is under way.
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::Retry;
    ///
    /// let policy = Retry::on::<&str>();
    /// let mut attempts = policy.start();
    /// attempts.pause(&"down").unwrap().skip();
    /// assert_eq!(attempts.number(), 2);
    /// ```
    pub fn skip(self) {
        self.pending.begin(self.config, self.state, self.number);
    }

    /// Leaves the wait to the caller: the next attempt begins after it.
    pub(super) fn hand_over(self) -> Duration {
        let wait = self.wait();
        self.pending.begin(self.config, self.state, self.number);
        self.state.attempt_begins_after(wait);
        wait
    }
}

impl<'a> IntoFuture for Pause<'a> {
    type Output = ();
    type IntoFuture = PauseFuture<'a>;

    fn into_future(self) -> PauseFuture<'a> {
        PauseFuture {
            sleep: self.config.timer.sleep(self.wait()),
            pause: Some(self),
        }
    }
}

/// The future of a [`Pause`] that is awaited. Dropped before it is ready, it undoes the retry.
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct PauseFuture<'a> {
    sleep: Sleep,
    pause: Option<Pause<'a>>,
}

impl Future for PauseFuture<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        ready!(Pin::new(&mut self.sleep).poll(cx));
        if let Some(pause) = self.pause.take() {
            pause.skip();
        }
        Poll::Ready(())
    }
}

impl fmt::Debug for Pause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pause")
            .field("wait", &self.wait())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for PauseFuture<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PauseFuture").field(&self.pause).finish()
    }
}

//! Attempts that are cut when their time is up.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;

use crate::engine::{CallState, Cutoff, DepthGuard, IntoOutcome};
use crate::policy::{Config, NO_ATTEMPT_TIMEOUT_ERROR, Retry};
use crate::time::Timer;

impl Cutoff {
    /// A cutoff for an attempt that begins now: after `limit` or at the deadline, whichever is first.
    pub(super) fn new(timer: Timer, limit: Duration, remaining: Option<Duration>) -> Self {
        let limit = remaining.map_or(limit, |remaining| remaining.min(limit));
        Self {
            at: timer.now().checked_add(limit),
            sleep: Mutex::new(None),
            has_cut: false,
        }
    }

    /// Polls an attempt; `None` if its time is up.
    pub(super) fn poll<T>(
        &mut self,
        timer: Timer,
        cx: &mut Context<'_>,
        attempt: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<Option<T>> {
        // The sleep is polled first: an attempt that never waits may use up the task's turn (tokio's cooperative budget),
        // and after it no timer of that runtime would ever be ready. An attempt that is ready still counts.
        let slot = self.sleep.get_mut().unwrap_or_else(PoisonError::into_inner);
        let polled = slot.as_mut().map(|sleep| Pin::new(sleep).poll(cx));
        if let Poll::Ready(output) = attempt(cx) {
            return Poll::Ready(Some(output));
        }
        if let Some(polled) = polled {
            self.has_cut = polled.is_ready();
            return polled.map(|()| None);
        }
        // Only an attempt that has to be waited for needs a timer.
        let Some(at) = self.at else {
            return Poll::Pending;
        };
        let left = at.saturating_duration_since(timer.now());
        let sleep = slot.insert(timer.sleep(left));
        let polled = Pin::new(sleep).poll(cx);
        self.has_cut = polled.is_ready();
        polled.map(|()| None)
    }
}

/// Notes when the attempt that begins now is to be cut.
#[cold]
pub(super) fn set_cutoff(config: &Config, state: &mut CallState, limit: Duration) {
    let remaining = state.remaining(config, state.now(config));
    state.set_cutoff(Cutoff::new(config.timer, limit, remaining));
}

pin_project! {
    /// An attempt of a code block or of a service, which may be cut.
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct AttemptFuture<Fut, E> {
        #[pin]
        future: Fut,
        timer: Timer,
        depth: u32,
        cutoff: Option<Cutoff>,
        error: Option<fn() -> E>,
    }
}

impl<Fut, E> AttemptFuture<Fut, E> {
    /// An attempt that is cut by the settings of its policy, counted from here.
    pub(super) fn new(
        policy: &Retry<E>,
        depth: u32,
        remaining: Option<Duration>,
        future: Fut,
    ) -> Self {
        let (timer, limit) = (policy.config.timer, policy.config.settings.attempt_timeout);
        Self {
            future,
            timer,
            depth,
            cutoff: limit.map(|limit| Cutoff::new(timer, limit, remaining)),
            error: policy.attempt_timeout_fn(),
        }
    }
}

impl<Fut, E> Future for AttemptFuture<Fut, E>
where
    Fut: Future,
    E: IntoOutcome<Fut::Output>,
{
    type Output = Fut::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Fut::Output> {
        let this = self.project();
        let _guard = DepthGuard::inside_of(*this.depth);
        let Some(cutoff) = this.cutoff else {
            return this.future.poll(cx);
        };
        let outcome = ready!(cutoff.poll(*this.timer, cx, |cx| this.future.poll(cx)));
        Poll::Ready(
            outcome.unwrap_or_else(|| this.error.expect(NO_ATTEMPT_TIMEOUT_ERROR)().into_outcome()),
        )
    }
}

impl<Fut, E> fmt::Debug for AttemptFuture<Fut, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttemptFuture").finish_non_exhaustive()
    }
}

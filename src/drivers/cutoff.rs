//! Polls an attempt that may be cut: the one place where an async attempt runs.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;

use crate::engine::{CallState, Cutoff, Level};
use crate::policy::Config;
use crate::time::Timer;

impl Cutoff {
    /// A cutoff for an attempt that begins now: after `limit` or at the deadline, whichever is first.
    pub(super) fn new(timer: Timer, limit: Duration, remaining: Option<Duration>) -> Self {
        let limit = remaining.map_or(limit, |remaining| remaining.min(limit));
        Self {
            at: timer.now().checked_add(limit),
            sleep: Mutex::new(None),
        }
    }

    /// Polls an attempt; `None` if its time is up.
    pub(super) fn poll<Fut: Future>(
        &mut self,
        timer: Timer,
        attempt: Pin<&mut Fut>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Fut::Output>> {
        // The sleep is polled first: an attempt that never waits may use up the task's turn (tokio's cooperative budget),
        // and after it no timer of that runtime would ever be ready. An attempt that is ready still counts.
        let slot = self.sleep.get_mut().unwrap_or_else(PoisonError::into_inner);
        let polled = slot.as_mut().map(|sleep| Pin::new(sleep).poll(cx));
        if let Poll::Ready(output) = attempt.poll(cx) {
            return Poll::Ready(Some(output));
        }
        if let Some(polled) = polled {
            return polled.map(|()| None);
        }
        // Only an attempt that has to be waited for needs a timer.
        let Some(at) = self.at else {
            return Poll::Pending;
        };
        let left = at.saturating_duration_since(timer.now());
        let sleep = slot.insert(timer.sleep(left));
        Pin::new(sleep).poll(cx).map(|()| None)
    }
}

/// Notes when the attempt that begins now is to be cut.
#[cold]
pub(super) fn set_cutoff(config: &Config, state: &mut CallState, limit: Duration) {
    let remaining = state.remaining(config, state.now(config));
    state.set_cutoff(Cutoff::new(config.timer, limit, remaining));
}

pin_project! {
    /// An attempt of a code block.
    #[derive(Debug)]
    pub(super) struct Attempt<Fut> {
        #[pin]
        future: Fut,
        timer: Timer,
        depth: u32,
        cutoff: Option<Cutoff>,
    }
}

impl<Fut> Attempt<Fut> {
    /// An attempt that is cut by the settings of its policy, counted from here.
    pub(super) fn new(
        config: &Config,
        depth: u32,
        remaining: Option<Duration>,
        future: Fut,
    ) -> Self {
        let limit = config.settings.attempt_timeout;
        Self {
            future,
            timer: config.timer,
            depth,
            cutoff: limit.map(|limit| Cutoff::new(config.timer, limit, remaining)),
        }
    }
}

impl<Fut: Future> Future for Attempt<Fut> {
    /// `None` if it was cut.
    type Output = Option<Fut::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let _level = Level::inside_of(*this.depth);
        match this.cutoff {
            None => this.future.poll(cx).map(Some),
            Some(cutoff) => cutoff.poll(*this.timer, this.future, cx),
        }
    }
}

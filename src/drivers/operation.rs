//! What makes the futures of the attempts of a call.

use std::time::Duration;

use crate::engine::Callable;

/// What makes the futures of the attempts.
pub(super) trait Operation<Fut, On> {
    /// Makes the future of the next attempt.
    fn start(&mut self) -> Fut;

    /// A limit for each attempt that takes the place of the policy's.
    fn attempt_timeout(&self) -> Option<Duration> {
        None
    }

    /// What an attempt fails with that was cut by that limit.
    fn attempt_timeout_error(&mut self) -> Option<On> {
        None
    }

    /// How telemetry names the operation.
    fn callable() -> Callable;
}

impl<F: FnMut() -> Fut, Fut, On> Operation<Fut, On> for F {
    #[inline]
    fn start(&mut self) -> Fut {
        self()
    }

    fn callable() -> Callable {
        Callable::of::<F>()
    }
}

//! tokio's clock and sleep.

use std::time::Duration;

use super::Instant;

pub(crate) type TokioSleep = tokio::time::Sleep;

#[derive(Clone, Copy)]
pub(super) struct Tokio;

#[allow(clippy::unused_self, reason = "a value proves that tokio is there")]
impl Tokio {
    pub(super) fn now(self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    pub(super) fn sleep(self, duration: Duration) -> TokioSleep {
        tokio::time::sleep(duration)
    }
}

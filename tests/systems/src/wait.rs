//! Waiting for something with a bound, by looking at it now and then.

use std::time::{Duration, Instant};

/// How long anything may take before a test gives up on it. Only a broken program, or a hopeless machine, needs so long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How long one whole test may take.
pub const WHOLE_TEST: Duration = Duration::from_secs(180);

const PAUSE: Duration = Duration::from_millis(20);

/// Waits until `done` says so.
#[track_caller]
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(
            start.elapsed() < PATIENCE,
            "waited {PATIENCE:?} in vain: {what}"
        );
        std::thread::sleep(PAUSE);
    }
}

/// The same without blocking a runtime.
pub async fn until_async(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(
            start.elapsed() < PATIENCE,
            "waited {PATIENCE:?} in vain: {what}"
        );
        tokio::time::sleep(PAUSE).await;
    }
}

//! Tests of `stamina` against real programs, which are killed, paused and drained on loopback.
//!
//! ```sh
//! apt-get install -y postgresql redis-server nginx haproxy prometheus
//! cargo test -p stamina-systems
//! ```
//!
//! | test | program | what happens to it |
//! |---|---|---|
//! | `postgres::` | PostgreSQL | killed with SIGKILL (whole, one backend, postmaster alone), kept down, restarted |
//! | `redis::` | Redis | killed and restarted; paused with SIGSTOP |
//! | `http::` | nginx, HAProxy | back end flaps, is drained, answers 429 and 503 with Retry-After |
//! | `grpc::` | - | a tonic server answers UNAVAILABLE; the client retries through tower |
//! | `cookbook::` | PostgreSQL, Redis | runs recipes of `docs/cookbook_crates.md`, and is killed meanwhile |
//! | `kills::` | PostgreSQL, Redis | killed with SIGKILL again and again, while writers retry |
//! | `jobs::` | PostgreSQL | workers of a job queue are killed at random, the database once |
//! | `prometheus::` | Prometheus | scrapes a service; every metric is asked back through its query API |
//! | `dogstatsd::` | - | the same service under another exporter |
//!
//! `kills::` kills each server eight times. To kill each of them a thousand times, and see the figures:
//!
//! ```sh
//! STAMINA_KILLS=1000 cargo test -p stamina-systems kills:: -- --nocapture
//! ```
//!
//! A test whose program is not installed prints that it was skipped, and passes. With `STAMINA_SYSTEMS_REQUIRED=1` in the
//! environment it fails instead: that is how a build server makes sure that nothing is skipped in silence.
//!
//! A fixture that cannot do its work panics, and says what the server wrote. Every server has a temporary directory and ports of its own, and dies with the value that stands for it, after a panic
//! too. Started by root, PostgreSQL runs as the user `postgres`, because it refuses to run as root.
//! Verdicts do not depend on speed: whatever is waited for has a generous bound ([`wait::PATIENCE`]), and times are only
//! compared from below, or with bounds that are far away.

use std::time::Duration;

pub mod backend;
pub mod events;
pub mod haproxy;
pub mod jobs;
pub mod nginx;
pub mod port;
pub mod postgres;
pub mod process;
pub mod program;
pub mod prometheus;
pub mod redis;
pub mod store;
pub mod wait;

/// A runtime for one test. The future runs on the calling thread, and the whole test is bounded.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    run_within(wait::WHOLE_TEST, test)
}

/// [`run`] for a test that may take longer.
pub fn run_within<T>(limit: Duration, test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a tokio runtime");
    let outcome = runtime.block_on(async { tokio::time::timeout(limit, test).await });
    runtime.shutdown_background();
    outcome.expect("the test takes far too long")
}

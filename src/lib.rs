//! Retries for production Rust: exponential backoff with jitter, limits on attempts and on time, a retry budget,
//! telemetry without asking, and tests without waits.
//!
//! ```
//! use std::time::Duration;
//! use stamina::Retry;
//!
//! static FETCH: Retry<std::io::Error> = Retry::on::<std::io::Error>().attempts(5).timeout(Duration::from_secs(10));
//!
//! let page = FETCH.call(|| std::fs::read_to_string("Cargo.toml"))?;
//! assert!(page.contains("stamina"));
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # What is decided for you
//!
//! | setting | default |
//! |---|---|
//! | attempts, the first included | 10 |
//! | deadline of the whole call | 45 s |
//! | first wait, before jitter | 100 ms |
//! | growth of the wait | 2 |
//! | longest wait, jitter included | 5 s |
//! | jitter on each wait | 1 s |
//!
//! The last error comes back unchanged. The next attempt begins before the deadline or not at all. Waits are random, so
//! that clients which failed together don't come back together. Log records and metrics are emitted through the facades
//! `log` and `metrics`. Everything works on every async executor.
//!
//! # Where to look
//!
//! | you want | see |
//! |---|---|
//! | to retry a closure, blocking or async | [`Retry::call`], [`Retry::call_async`] |
//! | `&mut` state across attempts | [`Retry::start`], [`Retry::call_async_with`] |
//! | to choose the errors, honour a `Retry-After` | [`Retry::when`], [`Decision`], [`when`](mod@when) |
//! | to retry an `Ok` | [`Retry::call_outcome`] |
//! | a function that retries | [`Retry::wrap`], [`Retry::wrap_async`] |
//! | to know what it took | [`Retry::report`], [`Report`] |
//! | attempts that hang to be cut | [`RetryFuture::attempt_timeout`] |
//! | to keep retries from causing an outage | [`Budget`] |
//! | tests without waits | [`testing`] |
//! | hooks, logs, traces, metrics | [`instrument`] |
//! | retries that outlive the process | [`Retry::resume`], [`Attempts::decide`] |
//! | other sources of time | [`Timer`], [`Clock`] |
//!
//! # What it is not for
//!
//! Operations that must not happen twice: a retry may repeat one that succeeded with its answer lost. And programming
//! errors: name what is transient with [`Retry::when`].
//!
//! # Features
//!
//! `log` and `metrics` are on by default. `tracing` emits events of that facade in place of log records, `tokio` adds
//! `Timer::tokio()`, `serde` reads [`Settings`] from a file, `http` reads `Retry-After`, `tower` drives tower's `Retry`
//! layer, `fleet` simulates a fleet of clients. Features only add.

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]
// Beyond the lints in Cargo.toml, which tests and examples share: here nothing may panic on data, and only `timer.rs`
// may read a clock or sleep.
#![cfg_attr(
    not(test),
    warn(
        clippy::arithmetic_side_effects,
        clippy::disallowed_methods,
        clippy::unwrap_used
    )
)]

mod attempts;
mod backoff;
mod budget;
mod call;
mod coarse;
mod decision;
mod depth;
mod docs;
mod events;
mod future;
mod judge;
mod message;
mod operation;
mod retry;
mod scope;
mod settings;
mod standing;
mod switch;
mod sync;
mod telemetry;
mod timer;

#[cfg(feature = "http")]
pub mod http;
pub mod instrument;
pub mod testing;
#[cfg(feature = "tower")]
pub mod tower;
pub mod when;

pub use attempts::Attempts;
pub use backoff::Schedule;
pub use budget::Budget;
pub use call::Report;
pub use decision::{Decision, StopReason};
pub use future::{ReportFuture, RetryFuture, WrapFuture};
pub use retry::Retry;
#[cfg(shuttle = "switches")]
pub use scope::unusual;
pub use settings::Settings;
pub use switch::{is_active, set_active};
pub use timer::{Clock, Sleep, Timer};

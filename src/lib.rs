//! Retries for production Rust: exponential backoff with jitter, limits on attempts and on time, a retry budget,
//! telemetry without asking, and tests without waits.
//!
//! ```
//! use std::io;
//! use std::time::Duration;
//! use stamina::{Retry, when};
//!
//! static FETCH: Retry<io::Error> = Retry::on::<io::Error>()
//!     .when_fn(when::transient_io)
//!     .attempts(5)
//!     .timeout(Duration::from_secs(10));
//!
//! let page = FETCH.call(|| std::fs::read_to_string("Cargo.toml"))?;
//! assert!(page.contains("stamina"));
//! # Ok::<(), io::Error>(())
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
//! | longest wait, jitter included | 5 s, or as long as the first wait needs |
//! | jitter on each wait | 1 s, less for short waits |
//!
//! The last error comes back unchanged. No wait is begun that would reach the deadline; an attempt under way is not cut
//! unless you set an [`attempt_timeout`](Retry::attempt_timeout). Waits are random, so that clients that failed
//! together don't come back together. Log records and metrics are emitted through the facades `log` and `metrics`.
//! Everything works on every async executor.
//!
//! # Where to look
//!
//! | you want | see |
//! |---|---|
//! | to retry a closure, blocking or async | [`Retry::call`], [`Retry::call_async`] |
//! | to choose the errors, honour a `Retry-After` | [`Retry::when_fn`], [`Retry::when`], [`Decision`], [`when`](mod@when) |
//! | `&mut` state across attempts | [`Retry::start`], [`Retry::call_async_with`] |
//! | to reconnect after a healthy time | [`Retry::reset_after`] |
//! | attempts that hang to be cut | [`Retry::attempt_timeout`] |
//! | waits of your own: a list, Fibonacci | [`Retry::waits`] |
//! | to poll, or retry an `Ok` | [`Retry::fixed`], [`Retry::call_outcome`], [`Retry::quiet`] |
//! | a function that retries | [`Retry::wrap`], [`Retry::wrap_async`] |
//! | to know what it took | [`Retry::report`], [`Report`] |
//! | to keep retries from causing an outage | [`Budget`], [`Budgets`] |
//! | tests without waits | [`testing`] |
//! | hooks, log records, metrics, `tracing` | [`instrument`] |
//! | to stop during a wait, retries that outlive the process | [`Attempts::pause`], [`Attempts::decide`], [`Retry::resume`] |
//! | other sources of time | [`Timer`], [`Clock`] |
//!
//! The [tutorial](docs::tutorial) shows how to retry, step by step. The [cookbook](docs::cookbook) has recipes. [`docs`] has
//! all pages.
//!
//! # What it is not for
//!
//! Operations that must not happen twice: a retry may repeat one that succeeded with its answer lost. And programming
//! errors: name what is transient with [`Retry::when_fn`].
//!
//! # Features
//!
//! `log` and `metrics` are on by default. `tracing` emits events instead of log records, `tokio` adds `Timer::tokio()`,
//! `serde` reads [`Settings`] from a file, `http` reads `Retry-After`, `tower` drives tower's `Retry` layer, `fleet`
//! simulates a fleet of clients. Features only add.

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]
// Beyond the lints in Cargo.toml, which tests and examples share: here nothing may panic on data, and only `time` may
// read a clock or sleep.
#![cfg_attr(
    not(test),
    warn(
        clippy::arithmetic_side_effects,
        clippy::disallowed_methods,
        clippy::unwrap_used
    )
)]

// `Retry`: its settings (`setters`, `settings`), what a predicate returns and why calls end (`decision`). Before the drivers,
// so that rustdoc shows the setters first.
mod policy;

// How long each wait is. A new wait strategy belongs here.
mod backoff;
// The retry budget; `permit`: the token of one retry, which goes back if the retry does not begin.
mod budget;
pub mod docs;
// The ways to run a call: they run attempts and sleep.
mod drivers;
// What follows an attempt; `step`: the rules that retry or end a call, in order.
mod engine;
// The words of a refused setting.
mod message;
// What `schedule()` and `delays()` show of the waits.
mod schedule;
// Atomics and locks, which the model checker replaces.
mod sync;
// Events and who receives them; `dispatch`: the default hooks, where a new sink is added.
mod telemetry;
// Clocks and sleeps.
mod time;

#[cfg(feature = "http")]
pub mod http;
pub mod instrument;
pub mod testing;
pub mod when;

pub use budget::{Budget, Budgets};
#[cfg(feature = "tower")]
pub use drivers::tower;
pub use drivers::{
    Attempts, BoxFuture, OutcomeFuture, Pause, PauseFuture, Report, ReportFuture, RetryFuture,
    WrapFuture,
};
#[doc(hidden)]
pub use policy::Parts;
pub use policy::{Decision, InvalidSettings, Retry, Settings, StopReason};
pub use schedule::{Delays, Schedule};
pub use testing::mode::{is_active, set_active};
#[cfg(shuttle = "switches")]
pub use testing::scope::overrides;
pub use time::{Clock, Instant, Sleep, Timer};

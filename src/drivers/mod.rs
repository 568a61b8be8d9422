//! The ways to run a call: blocking, as a future, in a loop of the caller's own, through tower.
//!
//! Drivers run attempts and sleep; what follows an attempt is decided in [`engine`](crate::engine).

// First what most programs use: rustdoc shows the methods of `Retry` in this order.
mod blocking;
mod future;
mod lent;

mod async_loop;
mod async_phase;
mod attempts;
mod cutoff;
mod pause;
mod report;
#[cfg(feature = "tower")]
pub mod tower;

pub use self::attempts::Attempts;
pub use self::future::{OutcomeFuture, ReportFuture, RetryFuture, WrapFuture};
pub use self::lent::BoxFuture;
pub use self::pause::{Pause, PauseFuture};
pub use self::report::Report;

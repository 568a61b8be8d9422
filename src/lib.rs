//! Retries for production Rust.

mod attempts;
mod backoff;
mod budget;
mod call;
mod decision;
mod depth;
mod future;
mod judge;
mod message;
mod retry;
mod scope;
mod settings;
mod switch;
mod timer;

pub mod instrument;
pub mod testing;
pub mod when;

pub use attempts::Attempts;
pub use backoff::Schedule;
pub use budget::Budget;
pub use call::Report;
pub use decision::{Decision, StopReason};
pub use future::{ReportFuture, RetryFuture, WrapFuture};
pub use retry::Retry;
pub use settings::Settings;
pub use switch::{is_active, set_active};
pub use timer::{Clock, Sleep, Timer};

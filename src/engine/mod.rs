//! The engine: decides what follows an attempt. Nothing in here sleeps.
//!
//! A driver runs attempts and sleeps. After each attempt it asks [`classify`] whether the outcome is a failure, and
//! [`step`] what to do about it. What a call remembers between attempts is its [`CallState`]; a retry that was decided on
//! but has not begun is a [`Pending`].

mod call;
mod classify;
mod events;
mod nesting;
mod pending;
mod state;
mod step;

pub(crate) use self::call::{Call, Callable};
#[cfg(feature = "tower")]
pub(crate) use self::classify::Failure;
#[cfg_attr(
    not(feature = "tower"),
    allow(unreachable_pub, reason = "only tower's layer names it")
)]
pub use self::classify::IntoOutcome;
pub(crate) use self::classify::{ByError, ByOutcome, Classify, Failed};
pub(crate) use self::nesting::{DepthGuard, OneDeeper, depth};
pub(crate) use self::pending::Pending;
pub(crate) use self::state::{CallState, Cutoff, credit_first_try};
pub(crate) use self::step::{Step, attempt_limit, wait_range};

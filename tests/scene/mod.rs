//! The old names of `tests/support`, for test files that are being moved.
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "each test file uses a part of this"
)]

#[path = "../support/mod.rs"]
mod support;

pub use support::*;
pub use support::{
    Event as Told, ManualClock as Steered, Recorder as Witness, panic_message as panic_of,
};

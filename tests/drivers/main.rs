//! The ways to run a call, each for itself.

#![allow(clippy::unchecked_time_subtraction, reason = "a test may panic")]

#[path = "../support/mod.rs"]
mod support;

mod attempts;
mod call;
mod ended;
mod future;
mod outcome;
mod parity;
mod pause;
mod report;
mod script;
mod spawn;
mod stack;
mod threads;
mod tower;
mod tower_clients;
mod wrap;

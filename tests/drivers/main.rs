//! The ways to run a call, each for itself.

#[path = "../support/mod.rs"]
mod support;

mod attempts;
mod call;
mod future;
mod outcome;
mod report;
mod spawn;
mod stack;
mod threads;
mod tower;
mod wrap;

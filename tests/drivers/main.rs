//! The ways to run a call, each for itself.

#[path = "../support/mod.rs"]
mod support;

mod attempts;
mod call;
mod ended;
mod future;
mod outcome;
mod pause;
mod report;
mod spawn;
mod stack;
mod threads;
mod tower;
mod wrap;

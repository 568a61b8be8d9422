//! The rules of a call: waits, decisions, limits, budget, nesting, time.

#![allow(clippy::unchecked_time_subtraction, reason = "a test may panic")]

#[path = "../support/mod.rs"]
mod support;

mod attempt_timeout;
mod budget;
mod budget_metrics;
mod deadline;
mod decisions;
mod fleet;
mod hints;
mod nesting;
mod odd;
mod reports;
mod reset_after;
mod time;
mod waits;

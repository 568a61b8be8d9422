//! The rules of a call: waits, decisions, limits, budget, nesting, time.

#[path = "../support/mod.rs"]
mod support;

mod budget;
mod budget_metrics;
mod deadline;
mod decisions;
mod nesting;
mod odd;
mod time;
mod waits;

//! The other test files as one program, for mutation testing: a mutant then costs one link and not forty.
//!
//! It is built where it is asked for by name alone (`test = false` in `Cargo.toml`), and it is run by `cargo nextest`,
//! which gives each test a process of its own: many of them change switches, hooks, loggers or recorders of the
//! process. Left out are the files that read texts (`layout`, `pages`, `public_api`, `readme`) and the soak test.
//! `tests/layout.rs` holds that no other is forgotten.

#[path = "attempts.rs"]
mod attempts;
#[path = "budget.rs"]
mod budget;
#[path = "budget_metrics.rs"]
mod budget_metrics;
#[path = "call.rs"]
mod call;
#[path = "contract.rs"]
mod contract;
#[path = "deadline.rs"]
mod deadline;
#[path = "decisions.rs"]
mod decisions;
#[path = "faults.rs"]
mod faults;
#[path = "fleet.rs"]
mod fleet;
#[path = "future.rs"]
mod future;
#[path = "hooks.rs"]
mod hooks;
#[path = "http.rs"]
mod http;
#[path = "log.rs"]
mod log;
#[path = "metrics.rs"]
mod metrics;
#[path = "model.rs"]
mod model;
#[path = "nesting.rs"]
mod nesting;
#[path = "odd.rs"]
mod odd;
#[path = "operations.rs"]
mod operations;
#[path = "outcome.rs"]
mod outcome;
#[path = "parity.rs"]
mod parity;
#[path = "picture.rs"]
mod picture;
#[path = "plain.rs"]
mod plain;
#[path = "policy.rs"]
mod policy;
#[path = "real_time.rs"]
mod real_time;
#[path = "report.rs"]
mod report;
#[path = "serde.rs"]
mod serde;
#[path = "shapes.rs"]
mod shapes;
#[path = "silence.rs"]
mod silence;
#[path = "spawn.rs"]
mod spawn;
#[path = "stack.rs"]
mod stack;
#[path = "switches.rs"]
mod switches;
#[path = "threads.rs"]
mod threads;
#[path = "time.rs"]
mod time;
#[path = "tower.rs"]
mod tower;
#[path = "tracing.rs"]
mod tracing;
#[path = "waits.rs"]
mod waits;
#[path = "when.rs"]
mod when;
#[path = "wrap.rs"]
mod wrap;

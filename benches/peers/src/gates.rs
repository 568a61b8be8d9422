//! What may not get worse: the one place for the allowed ratios. `tests/gates.rs` holds them.

use crate::case::{self, Scenario};

/// The most a scenario may cost.
#[derive(Debug, Clone, Copy)]
pub struct Gate {
    pub scenario: Scenario,
    /// Instructions, as a multiple of the plain loop by hand in the same run.
    pub ratio: f64,
    /// Allocations of one call.
    pub allocations: u64,
}

const fn gate(scenario: Scenario, ratio: f64, allocations: u64) -> Gate {
    Gate {
        scenario,
        ratio,
        allocations,
    }
}

/// What the library reaches, and a little room for another compiler. A change that costs more must say why here.
///
/// The success at the first try is what every call pays. It is above 1 because a call looks at the switches for tests and
/// counts its depth; a future also looks for a deadline, a limit for each attempt and a budget, and keeps its state in
/// memory. After a failure comes a sleep of milliseconds, so one step function with all its rules decides there, and its
/// gates hold only that it stays as cheap as it is.
pub const GATES: &[Gate] = &[
    // Blocking, at the first try: 29, 64 and 263 instructions.
    gate(case::SYNC_SUCCESS, 1.20, 0),
    gate(case::SYNC_SUCCESS_DEADLINE, 1.07, 0),
    gate(case::SYNC_SUCCESS_BUDGET, 1.14, 0),
    // The step function: some 440 instructions for each failure, 625 with a deadline.
    gate(case::SYNC_FAILURES, 3.50, 0),
    gate(case::SYNC_FAILURES_DEADLINE, 2.72, 0),
    gate(case::SYNC_PREDICATE, 3.50, 0),
    gate(case::SYNC_BUDGET, 3.50, 0),
    gate(case::SYNC_TELEMETRY, 0.40, 0),
    // A future at the first try: 117, 155 and 363 instructions.
    gate(case::ASYNC_SUCCESS, 1.78, 0),
    gate(case::ASYNC_SUCCESS_DEADLINE, 1.48, 0),
    gate(case::ASYNC_SUCCESS_BUDGET, 1.34, 0),
    gate(case::ASYNC_BLOCK, 1.70, 0),
    // The step function; a sleep chosen at run time, which is made, polled and dropped through a tag; and a loop that is
    // compiled once for all operations with the same outcome. Compiled for each operation, it took 1,672 instructions for
    // three failures instead of 1,883, but 200 call sites took nearly twice as long to compile.
    gate(case::ASYNC_FAILURES, 4.20, 0),
    gate(case::ASYNC_FAILURES_DEADLINE, 3.12, 0),
    gate(case::ASYNC_PREDICATE, 4.20, 0),
    gate(case::ASYNC_BUDGET, 3.70, 0),
    gate(case::ASYNC_BLOCK_FAILURES, 4.00, 0),
    gate(case::ASYNC_TELEMETRY, 0.54, 0),
    // The boxes are the benchmark's own sleeps, by hand too.
    gate(case::ASYNC_WAITS, 2.65, 3),
];

/// Bytes of the future of an operation of 64 bytes, from a closure that captures nothing.
pub const FUTURE_BYTES: usize = 104;
/// The same with the feature `tokio`, whose sleep is held in place instead of in a box. A loop by hand
/// on that sleep has as many.
pub const FUTURE_BYTES_TOKIO: usize = 152;

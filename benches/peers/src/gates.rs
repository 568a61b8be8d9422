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

pub const GATES: &[Gate] = &[
    gate(case::SYNC_SUCCESS, 1.0, 0),
    gate(case::SYNC_SUCCESS_DEADLINE, 1.0, 0),
    gate(case::SYNC_FAILURES, 1.5, 0),
    gate(case::SYNC_FAILURES_DEADLINE, 1.5, 0),
    gate(case::SYNC_PREDICATE, 1.5, 0),
    gate(case::SYNC_BUDGET, 1.5, 0),
    gate(case::SYNC_TELEMETRY, 1.0, 0),
    gate(case::ASYNC_SUCCESS, 1.0, 0),
    gate(case::ASYNC_SUCCESS_DEADLINE, 1.0, 0),
    gate(case::ASYNC_FAILURES, 1.5, 0),
    gate(case::ASYNC_FAILURES_DEADLINE, 1.5, 0),
    gate(case::ASYNC_PREDICATE, 1.5, 0),
    gate(case::ASYNC_BUDGET, 1.5, 0),
    gate(case::ASYNC_TELEMETRY, 1.0, 0),
];

/// Bytes of the future of an operation of 64 bytes, from a closure that captures nothing.
pub const FUTURE_BYTES: usize = 104;

//! The table of what is measured: a scenario, who runs it, and the function.

use crate::operation::{Operation, Outcome};
use crate::rows;

/// One situation, the same for everyone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scenario {
    pub id: &'static str,
    pub title: &'static str,
    pub failures: u32,
}

const fn scenario(id: &'static str, title: &'static str, failures: u32) -> Scenario {
    Scenario {
        id,
        title,
        failures,
    }
}

pub const SYNC_SUCCESS: Scenario = scenario("sync-success", "sync, success at once", 0);
pub const SYNC_SUCCESS_DEADLINE: Scenario = scenario(
    "sync-success-deadline",
    "sync, success at once, deadline",
    0,
);
pub const SYNC_SUCCESS_BUDGET: Scenario =
    scenario("sync-success-budget", "sync, success at once, budget", 0);
pub const SYNC_FAILURES: Scenario = scenario("sync-failures", "sync, three failures, success", 3);
pub const SYNC_FAILURES_DEADLINE: Scenario = scenario(
    "sync-failures-deadline",
    "sync, three failures, success, deadline",
    3,
);
pub const SYNC_PREDICATE: Scenario = scenario(
    "sync-predicate",
    "sync, three failures, success, predicate",
    3,
);
/// One failure, because a success gives back the token of its last retry and no other: any number of calls can follow each
/// other.
pub const SYNC_BUDGET: Scenario = scenario("sync-budget", "sync, one failure, success, budget", 1);
pub const SYNC_TELEMETRY: Scenario = scenario(
    "sync-telemetry",
    "sync, three failures, success, telemetry, no recorder",
    3,
);
pub const SYNC_PROMETHEUS: Scenario = scenario(
    "sync-prometheus",
    "sync, three failures, success, Prometheus recorder",
    3,
);
pub const ASYNC_SUCCESS: Scenario = scenario("async-success", "async, success at once", 0);
pub const ASYNC_SUCCESS_DEADLINE: Scenario = scenario(
    "async-success-deadline",
    "async, success at once, deadline",
    0,
);
pub const ASYNC_SUCCESS_BUDGET: Scenario =
    scenario("async-success-budget", "async, success at once, budget", 0);
pub const ASYNC_FAILURES: Scenario =
    scenario("async-failures", "async, three failures, success", 3);
pub const ASYNC_FAILURES_DEADLINE: Scenario = scenario(
    "async-failures-deadline",
    "async, three failures, success, deadline",
    3,
);
pub const ASYNC_PREDICATE: Scenario = scenario(
    "async-predicate",
    "async, three failures, success, predicate",
    3,
);
pub const ASYNC_BUDGET: Scenario =
    scenario("async-budget", "async, one failure, success, budget", 1);
pub const ASYNC_WAITS: Scenario = scenario(
    "async-waits",
    "async, three failures, success, waits not ready at once",
    3,
);
pub const ASYNC_BLOCK: Scenario =
    scenario("async-block", "async, success at once, own async block", 0);
pub const ASYNC_BLOCK_FAILURES: Scenario = scenario(
    "async-block-failures",
    "async, three failures, success, own async block",
    3,
);
pub const ASYNC_TELEMETRY: Scenario = scenario(
    "async-telemetry",
    "async, three failures, success, telemetry, no recorder",
    3,
);
pub const ASYNC_PROMETHEUS: Scenario = scenario(
    "async-prometheus",
    "async, three failures, success, Prometheus recorder",
    3,
);

/// In the order of the tables.
pub const SCENARIOS: [Scenario; 21] = [
    SYNC_SUCCESS,
    SYNC_SUCCESS_DEADLINE,
    SYNC_SUCCESS_BUDGET,
    SYNC_FAILURES,
    SYNC_FAILURES_DEADLINE,
    SYNC_PREDICATE,
    SYNC_BUDGET,
    SYNC_TELEMETRY,
    SYNC_PROMETHEUS,
    ASYNC_SUCCESS,
    ASYNC_SUCCESS_DEADLINE,
    ASYNC_SUCCESS_BUDGET,
    ASYNC_FAILURES,
    ASYNC_FAILURES_DEADLINE,
    ASYNC_PREDICATE,
    ASYNC_BUDGET,
    ASYNC_WAITS,
    ASYNC_BLOCK,
    ASYNC_BLOCK_FAILURES,
    ASYNC_TELEMETRY,
    ASYNC_PROMETHEUS,
];

impl Scenario {
    /// Whether a recorder has to be installed first. That is once for the whole process.
    #[must_use]
    pub fn needs_recorder(self) -> bool {
        self == SYNC_PROMETHEUS || self == ASYNC_PROMETHEUS
    }
}

/// One scenario run by one crate.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    pub scenario: Scenario,
    pub who: &'static str,
    pub run: fn(&Operation) -> Outcome,
}

pub const fn case(who: &'static str, scenario: Scenario, run: fn(&Operation) -> Outcome) -> Case {
    Case { scenario, who, run }
}

/// In the order of the tables' columns.
pub const WHO: [&str; 13] = [
    ALONE,
    PLAIN,
    BEST,
    SLEEP,
    STAMINA,
    BACKON,
    BACKOFF,
    RETRY,
    TOKIO_RETRY2,
    TOWER,
    STAMINA_TOWER,
    RELENTLESS,
    METTLE,
];

pub const ALONE: &str = "operation alone";
pub const PLAIN: &str = "by hand, plain";
pub const BEST: &str = "by hand, best";
/// The plain loop around `stamina::Sleep`, which has to be dropped, as a real sleep has.
pub const SLEEP: &str = "by hand, Sleep";
pub const STAMINA: &str = "stamina";
pub const BACKON: &str = "backon";
pub const BACKOFF: &str = "backoff";
pub const RETRY: &str = "retry";
pub const TOKIO_RETRY2: &str = "tokio-retry2";
pub const TOWER: &str = "tower";
pub const STAMINA_TOWER: &str = "tower by stamina";
pub const RELENTLESS: &str = "relentless";
pub const METTLE: &str = "mettle";

/// The case `who` has for `scenario`, if it can do that at all.
#[must_use]
pub fn find(scenario: &str, who: &str) -> Option<Case> {
    rows::cases()
        .into_iter()
        .find(|case| case.scenario.id == scenario && case.who == who)
}

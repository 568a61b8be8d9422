//! Reports what happens to a call: makes the details of an event, but only if there is somebody to receive them.

use std::borrow::Cow;
use std::fmt::{self, Debug};
use std::time::Duration;

use super::call::{Call, Callable};
use super::classify::Failure;
use crate::policy::StopReason;
use crate::telemetry::{
    self, BudgetLevel, GaveUp, OneLine, Recovered, RetryDetails, Severity, callable_name, contain,
};
use crate::testing::mode::Mode;
use crate::time::Instant;

/// A failure as telemetry shows it.
struct Shown<'a>(&'a dyn Failure);

impl Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.describe(f)
    }
}

/// What all events report about their call.
struct CommonDetails {
    callable: Cow<'static, str>,
    static_callable: Option<&'static str>,
    waited_so_far: Duration,
    elapsed: Duration,
    budget: Option<BudgetLevel>,
}

impl CommonDetails {
    // Not inlined, to keep binaries small: each event would have a copy.
    #[inline(never)]
    fn of(call: &Call<'_>, now: Option<Instant>) -> Self {
        // A name that lives as long as the program: every one but a place.
        let static_callable = match (call.config.name, call.callable) {
            (Some(name), _) => Some(name),
            (None, Callable::Type(name)) => Some(callable_name(name)),
            (None, Callable::Place(_)) => None,
        };
        let callable = match (static_callable, call.callable) {
            (None, Callable::Place(place)) => format!("{}:{}", place.file(), place.line()).into(),
            (name, _) => name.unwrap_or_default().into(),
        };
        Self {
            callable,
            static_callable,
            waited_so_far: Duration::from_nanos(call.state.waited),
            elapsed: call.state.elapsed(now),
            budget: call.budget_level(now),
        }
    }
}

impl Call<'_> {
    fn budget_level(&self, now: Option<Instant>) -> Option<BudgetLevel> {
        let (budget, now) = self.config.budget.as_ref().zip(now)?;
        if self.state.mode() != Mode::Normal {
            return None;
        }
        let (name, balance) = budget.gauge(now)?;
        Some(BudgetLevel { name, balance })
    }

    /// Whether any hook but the policy's own would receive an event.
    fn is_listened_to(&self, severity: Severity) -> bool {
        !self.config.quiet && telemetry::anyone_listens(self.state.hooks(), severity)
    }
}

/// `wait`: in nanoseconds. Inlined, so that a retry that nobody hears of costs no more than to find that out.
#[inline]
pub(super) fn retry_scheduled(
    call: &Call<'_>,
    failure: &dyn Failure,
    wait: u64,
    now: Option<Instant>,
) {
    let listened_to = call.is_listened_to(Severity::Warn);
    if listened_to || failure.has_own_hook() {
        emit_retry_scheduled(call, failure, Duration::from_nanos(wait), now, listened_to);
    }
}

#[inline(never)]
fn emit_retry_scheduled(
    call: &Call<'_>,
    failure: &dyn Failure,
    wait_for: Duration,
    now: Option<Instant>,
    listened_to: bool,
) {
    let (common, shown) = (CommonDetails::of(call, now), Shown(failure));
    let details = RetryDetails {
        callable: &common.callable,
        static_callable: common.static_callable,
        retry_num: *call.attempt,
        wait_for,
        waited_so_far: common.waited_so_far,
        elapsed: common.elapsed,
        caused_by: &OneLine(&shown),
        error_type: failure.error_type(),
        depth: call.state.depth(),
        budget: common.budget,
    };
    if failure.has_own_hook() {
        contain(|| failure.call_own_hook(&details));
    }
    if listened_to {
        telemetry::emit_retry_scheduled(call.state.hooks(), &details);
    }
}

pub(super) fn gave_up(
    call: &Call<'_>,
    failure: &dyn Failure,
    reason: StopReason,
    now: Option<Instant>,
) {
    if !call.is_listened_to(Severity::Warn) {
        return;
    }
    let (common, shown) = (CommonDetails::of(call, now), Shown(failure));
    let details = GaveUp {
        callable: &common.callable,
        static_callable: common.static_callable,
        attempts: *call.attempt,
        reason,
        waited_so_far: common.waited_so_far,
        elapsed: common.elapsed,
        caused_by: &OneLine(&shown),
        error_type: failure.error_type(),
        depth: call.state.depth(),
        budget: common.budget,
    };
    telemetry::emit_gave_up(call.state.hooks(), &details);
}

pub(super) fn recovered(call: &Call<'_>, now: Option<Instant>) {
    if !call.is_listened_to(Severity::Info) {
        return;
    }
    let now = now.or_else(|| call.now());
    let common = CommonDetails::of(call, now);
    let details = Recovered {
        callable: &common.callable,
        static_callable: common.static_callable,
        attempts: *call.attempt,
        waited_so_far: common.waited_so_far,
        elapsed: common.elapsed,
        budget: common.budget,
    };
    telemetry::emit_recovered(call.state.hooks(), &details);
}

//! Makes the details of events for telemetry.

use std::borrow::Cow;
use std::fmt::Debug;
use std::panic::Location;
use std::time::Duration;

use crate::decision::StopReason;
use crate::telemetry::{
    BudgetLevel, GaveUp, Hooks, OneLine, Recovered, RetryDetails, callable_name, contain,
    emit_gave_up, emit_recovered, emit_retry_scheduled,
};

/// A policy's own hook.
pub(crate) type OnRetry = dyn Fn(&RetryDetails<'_>) + Send + Sync;

/// Tells the type names of an operation and of its error; a function, because hardly anybody asks.
pub(crate) type Types = fn() -> (&'static str, &'static str);

/// What telemetry calls an operation and its error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names {
    pub(crate) types: Types,
    /// Where a code block starts, if it is one.
    pub(crate) place: Option<&'static Location<'static>>,
}

impl Names {
    #[inline]
    pub(crate) fn new(types: Types) -> Self {
        Self { types, place: None }
    }

    pub(crate) fn callable(self) -> Cow<'static, str> {
        match self.place {
            Some(place) => format!("{}:{}", place.file(), place.line()).into(),
            None => callable_name((self.types)().0).into(),
        }
    }

    pub(crate) fn error_type(self) -> &'static str {
        (self.types)().1
    }
}

/// What the three events have in common.
pub(crate) struct Event<'a> {
    pub(crate) callable: Cow<'static, str>,
    /// Attempts made so far.
    pub(crate) attempts: u32,
    pub(crate) waited_so_far: Duration,
    pub(crate) elapsed: Duration,
    pub(crate) budget: Option<BudgetLevel>,
    /// The hooks of the scope that the call was made in.
    pub(crate) scoped: Option<&'a Hooks>,
}

impl Event<'_> {
    fn static_callable(&self) -> Option<&'static str> {
        match self.callable {
            Cow::Borrowed(name) => Some(name),
            Cow::Owned(_) => None,
        }
    }
}

/// The error that an event is about.
#[derive(Clone, Copy)]
pub(crate) struct Cause<'a> {
    pub(crate) error: &'a dyn Debug,
    pub(crate) error_type: &'static str,
    pub(crate) depth: u32,
}

pub(crate) fn retry_scheduled(
    event: &Event<'_>,
    wait_for: Duration,
    cause: Cause<'_>,
    own: Option<&OnRetry>,
    listened_to: bool,
) {
    let details = RetryDetails {
        callable: &event.callable,
        static_callable: event.static_callable(),
        retry_num: event.attempts,
        wait_for,
        waited_so_far: event.waited_so_far,
        elapsed: event.elapsed,
        caused_by: &OneLine(cause.error),
        error_type: cause.error_type,
        depth: cause.depth,
        budget: event.budget,
    };
    if let Some(own) = own {
        contain(|| own(&details));
    }
    if listened_to {
        emit_retry_scheduled(event.scoped, &details);
    }
}

pub(crate) fn gave_up(event: &Event<'_>, reason: StopReason, cause: Cause<'_>) {
    let details = GaveUp {
        callable: &event.callable,
        static_callable: event.static_callable(),
        attempts: event.attempts,
        reason,
        waited_so_far: event.waited_so_far,
        elapsed: event.elapsed,
        caused_by: &OneLine(cause.error),
        error_type: cause.error_type,
        depth: cause.depth,
        budget: event.budget,
    };
    emit_gave_up(event.scoped, &details);
}

pub(crate) fn recovered(event: &Event<'_>) {
    let details = Recovered {
        callable: &event.callable,
        static_callable: event.static_callable(),
        attempts: event.attempts,
        waited_so_far: event.waited_so_far,
        elapsed: event.elapsed,
        budget: event.budget,
    };
    emit_recovered(event.scoped, &details);
}

//! What the simulation needs beyond the public interface. Nothing else in it reaches inside the library.

use super::clock;
use crate::depth::Outside;
use crate::instrument::{HookScope, scoped_hooks};
use crate::retry::Retry;
use crate::testing::{Scope, normal};

/// Shields the simulated calls from the switches, hooks and calls around them.
pub(super) fn isolate() -> (HookScope, Scope, Outside) {
    (scoped_hooks([]), normal(), Outside::enter())
}

/// The policy in simulated time, without a hook of its own.
pub(super) fn prepare<E>(policy: &Retry<E>) -> Retry<E> {
    let mut policy = policy.clone().timer(clock::timer());
    policy.plan.mute();
    policy
}

/// Whether all calls of a policy have the same jitter.
pub(super) fn has_seed<E>(policy: &Retry<E>) -> bool {
    policy.plan.seed.is_some()
}

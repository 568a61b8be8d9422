//! What the simulation needs beyond the public interface. Nothing else in it reaches inside the library.

use super::clock;
use crate::engine::DepthGuard;
use crate::instrument::{HookScope, scoped_hooks};
use crate::policy::Retry;
use crate::testing::{Scope, normal};

/// Shields the simulated calls from the switches, hooks and calls around them.
pub(super) fn isolate() -> (HookScope, Scope, DepthGuard) {
    (scoped_hooks([]), normal(), DepthGuard::outside())
}

/// The policy in simulated time, without a hook of its own.
pub(super) fn prepare<E>(policy: &Retry<E>) -> Retry<E> {
    policy.clone().timer(clock::timer()).on_retry(|_, _| {})
}

/// Whether all calls of a policy have the same jitter.
pub(super) fn has_seed<E>(policy: &Retry<E>) -> bool {
    policy.config.seed.is_some()
}

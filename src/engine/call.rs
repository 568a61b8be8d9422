//! A call between two of its attempts.

use std::panic::Location;

use super::state::CallState;
use crate::policy::Config;
use crate::time::Instant;

/// A call after one of its attempts, as the step function sees it.
pub(crate) struct Call<'a> {
    pub(crate) config: &'a Config,
    pub(crate) state: &'a mut CallState,
    /// The number of the attempt that has just ended, from 1.
    pub(crate) attempt: &'a mut u32,
    pub(crate) callable: Callable,
    /// Whether attempts that take too long may have been cut. Blocking ones can't be.
    pub(crate) cuts_attempts: bool,
}

impl Call<'_> {
    /// Reads the clock, if this call has a use for it.
    #[inline]
    pub(super) fn now(&self) -> Option<Instant> {
        self.state.now(self.config)
    }
}

/// What telemetry calls an operation, unless its policy has a name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Callable {
    /// The type of a closure or function: its path.
    Type(&'static str),
    /// Where a code block starts.
    Place(&'static Location<'static>),
}

impl Callable {
    /// The operation's own name.
    #[inline]
    pub(crate) fn of<F: ?Sized>() -> Self {
        Self::Type(std::any::type_name::<F>())
    }

    /// The name of an operation whose type can't be named.
    pub(crate) fn of_val<F: ?Sized>(_: &F) -> Self {
        Self::of::<F>()
    }
}

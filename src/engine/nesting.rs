//! How many retried operations a call is inside of.

use std::cell::Cell;

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// The depth of a call that is made here and now; 0 outside of every retried operation.
#[inline]
pub(crate) fn depth() -> u32 {
    DEPTH.get()
}

/// Runs this thread at a depth until it is dropped, so also if the operation panics.
///
/// It restores the depth from before instead of subtracting one: a future belongs to the depth at which it was made, and
/// may be polled inside of an unrelated operation.
pub(crate) struct DepthGuard {
    before: u32,
}

impl DepthGuard {
    /// Enters the operation of a call that was made at `depth`.
    #[inline]
    pub(crate) fn inside_of(depth: u32) -> Self {
        Self {
            before: DEPTH.replace(depth.wrapping_add(1)),
        }
    }

    /// Leaves all operations, for a simulation that calls around it must not change.
    #[cfg(feature = "fleet")]
    pub(crate) fn outside() -> Self {
        Self {
            before: DEPTH.replace(0),
        }
    }
}

impl Drop for DepthGuard {
    #[inline]
    fn drop(&mut self) {
        DEPTH.set(self.before);
    }
}

/// [`DepthGuard`] for a blocking call that is made here and now: it comes back to where it was by itself, so there is
/// nothing to remember. The first-try success of a blocking call, whose instructions are counted, has no register to spare.
pub(crate) struct OneDeeper;

impl OneDeeper {
    #[inline]
    pub(crate) fn enter() -> Self {
        DEPTH.set(depth().wrapping_add(1));
        Self
    }
}

impl Drop for OneDeeper {
    #[inline]
    fn drop(&mut self) {
        DEPTH.set(depth().wrapping_sub(1));
    }
}

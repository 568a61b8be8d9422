//! What a future that retries is in the middle of, and the one place where its attempts run.

use std::pin::Pin;
use std::time::Duration;

use pin_project_lite::pin_project;

use crate::engine::{Callable, Level, Pending};
use crate::policy::StopReason;
use crate::time::{Sleep, TokioSleep};

/// What makes the futures of the attempts.
pub(super) trait Operation<Fut, On> {
    /// Makes the future of the next attempt.
    fn start(&mut self) -> Fut;

    /// A limit for each attempt that takes the place of the policy's.
    fn attempt_timeout(&self) -> Option<Duration> {
        None
    }

    /// What an attempt fails with that was cut by that limit.
    fn attempt_timeout_error(&mut self) -> Option<On> {
        None
    }

    /// How telemetry names the operation.
    fn callable() -> Callable;
}

impl<F: FnMut() -> Fut, Fut, On> Operation<Fut, On> for F {
    #[inline]
    fn start(&mut self) -> Fut {
        self()
    }

    fn callable() -> Callable {
        Callable::of::<F>()
    }
}

pin_project! {
    // The number of the attempt stands in the variants, as it costs no room beside the enum's tag.
    #[project = PhaseProject]
    #[project_replace = PhaseReplaced]
    pub(super) enum Phase<Fut> {
        New,
        Attempting { #[pin] attempt: Fut, number: u32 },
        Waiting { #[pin] wait: Wait, number: u32 },
        // tokio's sleep is large, so it is held in place instead of in a box, and only if there is no permit to hold too.
        WaitingInPlace { #[pin] sleep: TokioSleep, number: u32 },
        Done { attempts: u32, stop_reason: Option<StopReason> },
    }
}

pin_project! {
    pub(super) struct Wait {
        pub(super) sleep: Sleep,
        // Taken when the retry begins.
        pub(super) pending: Option<Pending>,
    }

    impl PinnedDrop for Wait {
        // Cold, because most futures end without having waited, and are dropped all the same.
        #[cold]
        #[inline(never)]
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            *this.pending = None;
            *this.sleep = Sleep::ready();
        }
    }
}

/// Runs the attempt under way, which `begins` here if it has a number: the one place where attempts run.
#[inline]
pub(super) fn run_attempt<O: Operation<Fut, On>, On, Fut, T>(
    operation: &mut O,
    mut phase: Pin<&mut Phase<Fut>>,
    depth: u32,
    begins: Option<u32>,
    poll: impl FnOnce(Pin<&mut Fut>) -> T,
) -> T {
    // The closure that makes the future is a part of the operation too.
    let _level = Level::inside_of(depth);
    if let Some(number) = begins {
        let attempt = operation.start();
        // Unlike `set` this finds out in place that there is nothing to drop.
        phase
            .as_mut()
            .project_replace(Phase::Attempting { attempt, number });
    }
    let PhaseProject::Attempting { attempt, .. } = phase.project() else {
        unreachable!("an attempt is under way")
    };
    poll(attempt)
}

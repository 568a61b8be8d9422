//! What a future that retries is in the middle of, and the one place where its attempts run.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;

use crate::engine::{Callable, DepthGuard, Pending};
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

/// A phase without its attempt, whose type only the caller knows.
pub(super) enum PhaseRef<'a> {
    New,
    Attempting(u32),
    Waiting(Pin<&'a mut Wait>, &'a mut u32),
    WaitingInPlace(Pin<&'a mut TokioSleep>, u32),
    Done,
}

/// What is under way, whatever the types of the operation and its futures: the loop after a first failure is compiled once
/// for all operations with the same outcome.
pub(super) trait AnyPhase<Outcome, On> {
    fn get(&mut self) -> PhaseRef<'_>;

    /// Ends the attempt under way, and the call if nothing follows.
    fn end_attempt(&mut self, attempts: u32, stop_reason: Option<StopReason>);

    fn wait(&mut self, wait: Wait, number: u32);

    fn wait_in_place(&mut self, sleep: TokioSleep, number: u32) -> Pin<&mut TokioSleep>;

    /// [`run_attempt`].
    fn poll_attempt(
        &mut self,
        cx: &mut Context<'_>,
        depth: u32,
        begins: Option<u32>,
    ) -> Poll<Outcome>;

    /// [`Operation::attempt_timeout_error`].
    fn attempt_timeout_error(&mut self) -> Option<On>;
}

/// The parts of a future that know the operation.
pub(super) struct TypedPhase<'a, O, Fut> {
    pub(super) operation: &'a mut O,
    pub(super) phase: Pin<&'a mut Phase<Fut>>,
}

impl<O, Fut, On> AnyPhase<Fut::Output, On> for TypedPhase<'_, O, Fut>
where
    O: Operation<Fut, On>,
    Fut: Future,
{
    fn get(&mut self) -> PhaseRef<'_> {
        match self.phase.as_mut().project() {
            PhaseProject::New => PhaseRef::New,
            PhaseProject::Attempting { number, .. } => PhaseRef::Attempting(*number),
            PhaseProject::Waiting { wait, number } => PhaseRef::Waiting(wait, number),
            PhaseProject::WaitingInPlace { sleep, number } => {
                PhaseRef::WaitingInPlace(sleep, *number)
            }
            PhaseProject::Done { .. } => PhaseRef::Done,
        }
    }

    fn end_attempt(&mut self, attempts: u32, stop_reason: Option<StopReason>) {
        // Replaced again by the wait for a retry. If making that panics, the call has ended.
        self.phase.set(Phase::Done {
            attempts,
            stop_reason,
        });
    }

    fn wait(&mut self, wait: Wait, number: u32) {
        self.phase.set(Phase::Waiting { wait, number });
    }

    fn wait_in_place(&mut self, sleep: TokioSleep, number: u32) -> Pin<&mut TokioSleep> {
        self.phase.set(Phase::WaitingInPlace { sleep, number });
        let PhaseProject::WaitingInPlace { sleep, .. } = self.phase.as_mut().project() else {
            unreachable!("it has just been set")
        };
        sleep
    }

    fn poll_attempt(
        &mut self,
        cx: &mut Context<'_>,
        depth: u32,
        begins: Option<u32>,
    ) -> Poll<Fut::Output> {
        run_attempt(self.operation, self.phase.as_mut(), cx, depth, begins)
    }

    fn attempt_timeout_error(&mut self) -> Option<On> {
        self.operation.attempt_timeout_error()
    }
}

/// Polls the attempt under way, which `begins` here if it has a number: the one place where attempts run.
#[inline]
pub(super) fn run_attempt<O: Operation<Fut, On>, On, Fut: Future>(
    operation: &mut O,
    mut phase: Pin<&mut Phase<Fut>>,
    cx: &mut Context<'_>,
    depth: u32,
    begins: Option<u32>,
) -> Poll<Fut::Output> {
    // The closure that makes the future is a part of the operation too.
    let _guard = DepthGuard::inside_of(depth);
    if let Some(number) = begins {
        let attempt = operation.start();
        phase.set(Phase::Attempting { attempt, number });
    }
    let PhaseProject::Attempting { attempt, .. } = phase.project() else {
        unreachable!("an attempt is under way")
    };
    attempt.poll(cx)
}

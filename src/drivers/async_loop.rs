//! The loop of every future that retries.

use std::fmt::{self, Debug};
use std::future::Future;
use std::marker::PhantomData;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;

use super::async_phase::{
    AnyPhase, Operation, Phase, PhaseProject, PhaseRef, TypedPhase, Wait, run_attempt,
};
use super::cutoff::set_cutoff;
use super::report::Report;
use crate::engine::{Call, CallState, Callable, Classify, IntoOutcome, Pending, Step};
use crate::policy::{NO_ATTEMPT_TIMEOUT_ERROR, Retry};

pin_project! {
    /// A call under way: it runs attempts, waits, and goes on from wherever it was left.
    pub(super) struct AsyncLoop<P, O, Fut, C> {
        policy: P,
        operation: O,
        state: CallState,
        #[pin]
        phase: Phase<Fut>,
        classify: PhantomData<fn() -> C>,
    }
}

impl<P, O, Fut, C> AsyncLoop<P, O, Fut, C> {
    #[inline]
    pub(super) fn new(policy: P, operation: O) -> Self {
        Self {
            policy,
            operation,
            state: CallState::new(),
            phase: Phase::New,
            classify: PhantomData,
        }
    }

    /// The same call, which has not been polled yet, with another operation.
    pub(super) fn with_operation<Q>(
        self,
        operation: impl FnOnce(O) -> Q,
    ) -> AsyncLoop<P, Q, Fut, C> {
        AsyncLoop {
            policy: self.policy,
            operation: operation(self.operation),
            state: self.state,
            phase: Phase::New,
            classify: PhantomData,
        }
    }
}

impl<P, O, Fut, C> AsyncLoop<P, O, Fut, C>
where
    P: Deref<Target = Retry<C::On>>,
    O: Operation<Fut, C::On>,
    Fut: Future,
    C: Classify<Fut::Output>,
{
    /// Polls the call. Only what a first-try success needs is compiled into the caller. `measured`: the time is needed
    /// although the policy does not need it.
    #[inline]
    pub(super) fn poll_call(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        measured: bool,
    ) -> Poll<Fut::Output> {
        let mut this = self.as_mut().project();
        if !matches!(this.phase.as_mut().project(), PhaseProject::New) {
            return self.poll_on(cx, None);
        }
        let policy: &Retry<C::On> = this.policy;
        this.state.start(&policy.config, measured);
        if this.state.has_extras() || attempt_timeout(policy, this.operation).is_some() {
            return self.poll_on(cx, None);
        }
        let outcome = ready!(run_attempt(
            this.operation,
            this.phase.as_mut(),
            cx,
            0,
            Some(1)
        ));
        if C::failure(policy, &outcome).is_some() {
            return self.poll_on(cx, Some(outcome));
        }
        if policy.config.budget.is_some() {
            this.state.credit_first_try(&policy.config);
        }
        this.phase.set(Phase::Done {
            attempts: 1,
            stop_reason: None,
        });
        Poll::Ready(outcome)
    }

    /// Goes on from wherever it was left, or from an attempt that has just `ended`.
    #[cold]
    #[inline(never)]
    fn poll_on(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        ended: Option<Fut::Output>,
    ) -> Poll<Fut::Output> {
        let this = self.project();
        let policy: &Retry<C::On> = this.policy;
        let attempt_timeout = attempt_timeout(policy, this.operation);
        let mut typed = TypedPhase {
            operation: this.operation,
            phase: this.phase,
        };
        let retry_loop = RetryLoop::<_, C> {
            policy,
            state: this.state,
            callable: O::callable(),
            number: 1,
            attempt_timeout,
            phase: &mut typed,
        };
        retry_loop.poll(cx, ended)
    }

    /// What the call took. It must have ended with `result`.
    pub(super) fn report<T, E>(self: Pin<&mut Self>, result: Result<T, E>) -> Report<T, E> {
        let this = self.project();
        let PhaseProject::Done {
            attempts,
            stop_reason,
        } = this.phase.project()
        else {
            unreachable!("the call has just ended")
        };
        Report::new(
            &this.policy.config,
            this.state,
            *attempts,
            *stop_reason,
            result,
        )
    }
}

#[inline]
fn attempt_timeout<O: Operation<Fut, On>, Fut, On>(
    policy: &Retry<On>,
    operation: &O,
) -> Option<Duration> {
    let own = operation.attempt_timeout();
    own.or(policy.config.settings.attempt_timeout)
}

/// The loop of a call. It knows only the type of the outcome.
struct RetryLoop<'a, Outcome, C: Classify<Outcome>> {
    policy: &'a Retry<C::On>,
    state: &'a mut CallState,
    callable: Callable,
    /// The number of the attempt under way.
    number: u32,
    attempt_timeout: Option<Duration>,
    phase: &'a mut dyn AnyPhase<Outcome, C::On>,
}

impl<Outcome, C: Classify<Outcome>> RetryLoop<'_, Outcome, C> {
    /// The loop, from the outcome of an attempt on, or from wherever it was left.
    #[inline(never)]
    fn poll(mut self, cx: &mut Context<'_>, ended: Option<Outcome>) -> Poll<Outcome> {
        let mut outcome = match ended {
            Some(outcome) => outcome,
            None => ready!(self.poll_phase(cx)),
        };
        loop {
            let mut call = Call {
                config: &self.policy.config,
                state: self.state,
                attempt: &mut self.number,
                callable: self.callable,
                cuts_attempts: true,
            };
            let step = call.step::<_, C>(self.policy, &outcome);
            let stop_reason = match &step {
                Step::Success | Step::Retry(_) => None,
                Step::Stopped(reason) => Some(*reason),
            };
            self.phase.end_attempt(self.number, stop_reason);
            let Step::Retry(pending) = step else {
                return Poll::Ready(outcome);
            };
            // Neither the failed attempt nor its error is held while waiting.
            drop(outcome);
            ready!(self.poll_new_wait(cx, pending));
            outcome = ready!(self.poll_attempt(cx, true));
        }
    }

    /// Polls what is under way: an attempt, or a wait and then the attempt after it.
    fn poll_phase(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        let config = &self.policy.config;
        let begins = match self.phase.get() {
            PhaseRef::New => true,
            PhaseRef::Attempting(number) => {
                self.number = number;
                false
            }
            PhaseRef::Waiting(wait, number) => {
                let wait = wait.project();
                ready!(Pin::new(wait.sleep).poll(cx));
                if let Some(pending) = wait.pending.take() {
                    pending.begin(config, self.state, number);
                }
                self.number = *number;
                true
            }
            PhaseRef::WaitingInPlace(sleep, number) => {
                ready!(sleep.poll(cx));
                self.state.attempt_begins(config);
                self.number = number;
                true
            }
            PhaseRef::Done => panic!("stamina: a retried future was polled after it had completed"),
        };
        self.poll_attempt(cx, begins)
    }

    /// Waits for a retry.
    fn poll_new_wait(&mut self, cx: &mut Context<'_>, pending: Pending) -> Poll<()> {
        self.state.clear_cutoff();
        let (config, wait) = (&self.policy.config, pending.wait());
        if !pending.has_permit() {
            if let Some(sleep) = config.timer.tokio_sleep(wait) {
                // Without a permit there is nothing to undo, so the retry is counted now.
                pending.count(self.state, &mut self.number);
                ready!(self.phase.wait_in_place(sleep, self.number).poll(cx));
                self.state.attempt_begins(config);
                return Poll::Ready(());
            }
        }
        // Polled before it is stored: a sleep that is ready at once is not.
        let mut sleep = config.timer.sleep(wait);
        if Pin::new(&mut sleep).poll(cx).is_pending() {
            let pending = Some(pending);
            self.phase.wait(Wait { sleep, pending }, self.number);
            return Poll::Pending;
        }
        pending.begin(config, self.state, &mut self.number);
        Poll::Ready(())
    }

    /// Polls the attempt under way, which may begin here, and cuts it if its time is up.
    fn poll_attempt(&mut self, cx: &mut Context<'_>, begins: bool) -> Poll<Outcome> {
        let config = &self.policy.config;
        let depth = self.state.depth();
        if let (Some(limit), true) = (self.attempt_timeout, begins) {
            set_cutoff(config, self.state, limit);
        }
        let begins = begins.then_some(self.number);
        let Some(cutoff) = self.state.cutoff() else {
            return self.phase.poll_attempt(cx, depth, begins);
        };
        let polled = cutoff.poll(config.timer, cx, |cx| {
            self.phase.poll_attempt(cx, depth, begins)
        });
        polled.map(|outcome| outcome.unwrap_or_else(|| self.cut()))
    }

    /// The outcome of an attempt that was cut.
    #[cold]
    fn cut(&mut self) -> Outcome {
        let own = self.phase.attempt_timeout_error();
        let error = own.or_else(|| self.policy.attempt_timeout_fn().map(|error| error()));
        error.expect(NO_ATTEMPT_TIMEOUT_ERROR).into_outcome()
    }
}

impl<P, O, Fut, C> Debug for AsyncLoop<P, O, Fut, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.phase {
            Phase::New => "new",
            Phase::Attempting { .. } => "attempting",
            Phase::Waiting { .. } | Phase::WaitingInPlace { .. } => "waiting",
            Phase::Done { .. } => "done",
        })
    }
}

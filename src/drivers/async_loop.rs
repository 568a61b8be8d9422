//! The loop of every future that retries.

use std::fmt::{self, Debug};
use std::future::Future;
use std::marker::PhantomData;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;

use super::async_phase::{Operation, Phase, PhaseProject, Wait, run_attempt};
use super::cutoff::set_cutoff;
use super::report::Report;
use crate::engine::{CallState, Classify, IntoOutcome, Pending, Step, judge};
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
        let this = self.as_mut().project();
        if !matches!(this.phase.project(), PhaseProject::New) {
            return self.poll_on(cx, None);
        }
        this.state.start(&this.policy.config, measured);
        let outcome = ready!(self.as_mut().poll_attempt(cx, Some(1)));
        let this = self.as_mut().project();
        let policy: &Retry<C::On> = this.policy;
        if C::failure(policy, &outcome).is_some() {
            return self.poll_on(cx, Some(outcome));
        }
        if policy.config.budget.is_some() {
            this.state.credit_first_try(&policy.config);
        }
        this.phase.project_replace(Phase::Done {
            attempts: 1,
            stop_reason: None,
        });
        Poll::Ready(outcome)
    }

    /// The loop, from the outcome of an attempt on, or from wherever it was left.
    #[cold]
    #[inline(never)]
    fn poll_on(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        ended: Option<Fut::Output>,
    ) -> Poll<Fut::Output> {
        let mut outcome = match ended {
            Some(outcome) => outcome,
            None => ready!(self.as_mut().poll_phase(cx)),
        };
        loop {
            let mut this = self.as_mut().project();
            let mut number = match this.phase.as_mut().project() {
                PhaseProject::Attempting { number, .. } => *number,
                _ => 1,
            };
            let callable = O::callable();
            let step = judge::<_, C>(this.policy, this.state, &mut number, callable, &outcome);
            let stop_reason = match &step {
                Step::Success | Step::Retry(_) => None,
                Step::Stopped(reason) => Some(*reason),
            };
            this.phase.set(Phase::Done {
                attempts: number,
                stop_reason,
            });
            let Step::Retry(pending) = step else {
                return Poll::Ready(outcome);
            };
            // Neither the failed attempt nor its error is held while waiting.
            drop(outcome);
            outcome = ready!(self.as_mut().wait_and_poll(cx, pending, number));
        }
    }

    /// Polls what is under way: an attempt, or a wait and then the attempt after it.
    fn poll_phase(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Fut::Output> {
        let this = self.as_mut().project();
        let config = &this.policy.config;
        let begins = match this.phase.project() {
            PhaseProject::Attempting { .. } => None,
            PhaseProject::Waiting { wait, number } => {
                let wait = wait.project();
                ready!(Pin::new(wait.sleep).poll(cx));
                if let Some(pending) = wait.pending.take() {
                    pending.begin(config, this.state, number);
                }
                Some(*number)
            }
            PhaseProject::WaitingInPlace { sleep, number } => {
                ready!(sleep.poll(cx));
                this.state.attempt_begins(config);
                Some(*number)
            }
            PhaseProject::New | PhaseProject::Done { .. } => {
                panic!("stamina: a retried future was polled after it had completed")
            }
        };
        self.poll_attempt(cx, begins)
    }

    /// Polls the attempt under way, which `begins` here if it has a number.
    #[inline]
    fn poll_attempt(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        begins: Option<u32>,
    ) -> Poll<Fut::Output> {
        if self.state.is_extended() || self.attempt_timeout().is_some() {
            return self.poll_extended(cx, begins);
        }
        let this = self.project();
        run_attempt(this.operation, this.phase, 0, begins, |attempt| {
            attempt.poll(cx)
        })
    }

    /// [`poll_attempt`](Self::poll_attempt) for a call that has more to remember than most: it may be nested, or cut.
    #[cold]
    #[inline(never)]
    fn poll_extended(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        begins: Option<u32>,
    ) -> Poll<Fut::Output> {
        let limit = self.attempt_timeout();
        let this = self.project();
        let config = &this.policy.config;
        if let (Some(limit), Some(_)) = (limit, begins) {
            set_cutoff(config, this.state, limit);
        }
        let depth = this.state.depth();
        let cutoff = this.state.cutoff();
        let polled = run_attempt(
            this.operation,
            this.phase,
            depth,
            begins,
            |attempt| match cutoff {
                None => attempt.poll(cx).map(Some),
                Some(cutoff) => cutoff.poll(config.timer, attempt, cx),
            },
        );
        polled.map(|outcome| outcome.unwrap_or_else(|| Self::cut(this.policy, this.operation)))
    }

    #[inline]
    fn attempt_timeout(&self) -> Option<Duration> {
        let own = self.operation.attempt_timeout();
        own.or(self.policy.config.settings.attempt_timeout)
    }

    /// Waits for a retry, then polls its attempt.
    fn wait_and_poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pending: Pending,
        mut number: u32,
    ) -> Poll<Fut::Output> {
        let mut this = self.as_mut().project();
        let config = &this.policy.config;
        this.state.clear_cutoff();
        if !pending.has_permit() {
            if let Some(sleep) = config.timer.tokio_sleep(pending.wait()) {
                // Without a permit there is nothing to undo, so the retry is counted now.
                pending.count(this.state, &mut number);
                this.phase.set(Phase::WaitingInPlace { sleep, number });
                return self.poll_phase(cx);
            }
        }
        // Polled before it is stored: a sleep that is ready at once does not need the phase.
        {
            let mut sleep = config.timer.sleep(pending.wait());
            if Pin::new(&mut sleep).poll(cx).is_pending() {
                let wait = Wait {
                    sleep,
                    pending: Some(pending),
                };
                this.phase.set(Phase::Waiting { wait, number });
                return Poll::Pending;
            }
        }
        pending.begin(config, this.state, &mut number);
        self.poll_attempt(cx, Some(number))
    }

    /// The outcome of an attempt that was cut.
    #[cold]
    fn cut(policy: &Retry<C::On>, operation: &mut O) -> Fut::Output {
        let own = operation.attempt_timeout_error();
        let error = own.or_else(|| policy.attempt_timeout_fn().map(|error| error()));
        error.expect(NO_ATTEMPT_TIMEOUT_ERROR).into_outcome()
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

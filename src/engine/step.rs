//! The step function: the one place that decides what follows an attempt. Its table-driven test is page one of the
//! library's specification.

#[cfg(test)]
mod tests;

use super::call::Call;
use super::classify::{Classify, Failure};
use super::events;
use super::pending::Pending;
use crate::backoff::{Backoff, WaitRange, random};
use crate::budget::Permit;
use crate::policy::{Config, Decision, Retry, StopReason};
use crate::testing::mode::Mode;
use crate::time::Instant;

/// What follows an attempt.
#[derive(Debug)]
pub(crate) enum Step {
    /// The call has succeeded.
    Success,
    /// The call has ended with its failure.
    Stopped(StopReason),
    /// The call goes on after a wait.
    Retry(Pending),
}

impl Call<'_> {
    /// Classifies an outcome and decides what follows it.
    #[inline]
    pub(crate) fn step<O, C: Classify<O>>(&mut self, policy: &Retry<C::On>, outcome: &O) -> Step {
        match C::failure(policy, outcome) {
            None => self.succeed(),
            Some(failed) => self.fail(&failed),
        }
    }

    /// What follows a success: the budget is credited, and a call that had retried has recovered.
    #[inline]
    pub(crate) fn succeed(&mut self) -> Step {
        // Inlined for tower's first-try success, which without a budget has nothing to do.
        if *self.attempt > 1 || self.config.budget.is_some() {
            self.finish_success();
        }
        Step::Success
    }

    #[cold]
    #[inline(never)]
    fn finish_success(&mut self) {
        if *self.attempt == 1 {
            self.state.credit_first_try(self.config);
        } else if self.state.mode() != Mode::Inactive && !self.state.is_nested(self.config) {
            let now = self.config.budget.as_ref().and_then(|_| self.now());
            self.credit(now);
            events::recovered(self, now);
        }
    }

    /// What follows a failure: every rule there is, in order.
    pub(crate) fn fail(&mut self, failure: &dyn Failure) -> Step {
        // 1. Retries are switched off. Skip the predicate: there will be no further attempt.
        let mode = self.state.mode();
        if mode == Mode::Inactive {
            return self.stop(failure, StopReason::Inactive);
        }

        // 2. A call around this one does the retrying.
        if self.state.is_nested(self.config) {
            return self.stop(failure, StopReason::Nested);
        }

        // 3. The decision. The predicate sees every failure once, the last one too. The attempt has ended before it.
        let ended = if self.config.times_attempts() {
            self.now()
        } else {
            None
        };
        let took = self.state.attempt_took(ended);
        let decision = failure.decide();
        if decision == Decision::Stop {
            return self.stop(failure, StopReason::NotRetryable);
        }

        // 4. A healthy attempt starts the call anew, with this failure as its first.
        let now = self.now();
        if self
            .state
            .is_healthy(self.config, took, ended, self.cuts_attempts)
        {
            self.start_anew(now);
        }

        // 5. Attempts.
        if attempt_limit(self.config, mode).is_some_and(|limit| *self.attempt >= limit) {
            return self.give_up(failure, StopReason::AttemptsExhausted, now);
        }

        // 6. The wait.
        let wait = wait_range(self.config, mode, *self.attempt, decision);

        // 7. The deadline: the next attempt must begin before it. The jitter fits into what is left.
        let wait = match self.state.remaining(self.config, now) {
            Some(left) => wait.within(left),
            None => Some(wait),
        };
        let Some(wait) = wait else {
            return self.give_up(failure, StopReason::TimedOut, now);
        };

        // 8. The budget, asked only if all else allows.
        let budget = self.config.budget.as_ref().zip(now);
        let permit = match budget {
            Some((budget, now)) if mode == Mode::Normal => {
                let limit = budget.earned_after_limit();
                let slow = took.zip(limit).is_some_and(|(took, limit)| took >= limit);
                let permit = Permit::take(budget.clone(), now, slow);
                if permit.is_none() {
                    return self.give_up(failure, StopReason::BudgetExhausted, Some(now));
                }
                permit
            }
            _ => None,
        };

        // 9. Telemetry, before the wait.
        let seed = self.state.seed().or(self.config.seed);
        let wait = wait.draw(random(seed, *self.attempt));
        events::retry_scheduled(self, failure, wait, now);
        Step::Retry(Pending::new(wait, permit))
    }

    /// Ends the call for another reason than a limit. An `Ok` that is not retried is a success.
    fn stop(&mut self, failure: &dyn Failure, reason: StopReason) -> Step {
        if failure.is_ok() {
            self.succeed()
        } else {
            Step::Stopped(reason)
        }
    }

    /// Ends the call because of a limit.
    fn give_up(&mut self, failure: &dyn Failure, reason: StopReason, now: Option<Instant>) -> Step {
        events::gave_up(self, failure, reason, now);
        Step::Stopped(reason)
    }

    /// Counts attempts, waits and time from here. The healthy attempt that has just failed is credited as a success.
    fn start_anew(&mut self, now: Option<Instant>) {
        self.credit(now);
        self.state.restart(now);
        // If this failure is asked about again, its attempt is not healthy again.
        self.state.attempt_begins(self.config);
        *self.attempt = 1;
    }

    /// Credits the budget with a success of this attempt.
    fn credit(&self, now: Option<Instant>) {
        let budget = self.config.budget.as_ref().zip(now);
        if let (Mode::Normal, Some((budget, now))) = (self.state.mode(), budget) {
            budget.credit(now, *self.attempt > 1);
        }
    }
}

/// The most attempts that a policy and the switches allow; `None` for no limit.
#[inline]
pub(crate) fn attempt_limit(config: &Config, mode: Mode) -> Option<u32> {
    let own = config.settings.attempts;
    match mode {
        Mode::Normal => own,
        Mode::Testing(testing) => Some(testing.limit(own)),
        Mode::Inactive => Some(1),
    }
}

/// The wait that follows failed attempt `number` by a decision to retry; zero in testing mode.
#[inline]
pub(crate) fn wait_range(
    config: &Config,
    mode: Mode,
    number: u32,
    decision: Decision,
) -> WaitRange {
    let hint = match (mode, decision) {
        (Mode::Testing(_) | Mode::Inactive, _) | (_, Decision::Stop) => return WaitRange::ZERO,
        (Mode::Normal, Decision::RetryExactly(wait)) => return WaitRange::exactly(wait),
        (Mode::Normal, Decision::RetryAfter(hint)) => Some(hint),
        (Mode::Normal, Decision::Retry) => None,
    };
    Backoff::new(&config.settings, config.schedule).after(number, hint)
}

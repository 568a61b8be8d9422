//! Page one of the specification: what follows an attempt, rule by rule, in the order in which the rules apply.
//!
//! Each row changes one thing about a call that would retry. The rows after a rule show that it comes before the next.

use std::fmt;
use std::time::Duration;

use super::{Call, Failure, Step};
use crate::budget::Budget;
use crate::engine::{CallState, Callable, DepthGuard};
use crate::policy::{Decision, Retry, StopReason};
use crate::telemetry::RetryDetails;
use crate::testing::{self, Testing, VirtualClock};
use crate::time::Timer;

use Decision::{Retry as TryAgain, RetryAfter, RetryExactly, Stop};
use StopReason::{AttemptsExhausted, BudgetExhausted, Inactive, Nested, NotRetryable, TimedOut};

const SECOND: Duration = Duration::from_secs(1);

/// A failed attempt, and what the predicate says of it.
#[derive(Clone, Copy)]
struct Down {
    decision: Decision,
    is_ok: bool,
}

impl Failure for Down {
    fn decide(&self) -> Decision {
        self.decision
    }
    fn is_ok(&self) -> bool {
        self.is_ok
    }
    fn error_type(&self) -> &'static str {
        "Down"
    }
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("down")
    }
    fn has_own_hook(&self) -> bool {
        false
    }
    fn call_own_hook(&self, _: &RetryDetails<'_>) {}
}

/// A call after an attempt. As it is, it would be retried after 100 ms.
struct Case {
    policy: Retry<()>,
    mode: Mode,
    depth: u32,
    /// The number of the attempt that has ended.
    attempt: u32,
    /// How long that attempt took.
    took: Duration,
    cuts_attempts: bool,
    failure: Option<Down>,
}

#[derive(Clone, Copy)]
enum Mode {
    Normal,
    Testing(u32),
    Inactive,
}

/// What followed: success, a reason, or the wait in milliseconds and the number of the attempt that failed.
#[derive(Debug, PartialEq)]
enum Followed {
    Success,
    Stopped(StopReason),
    Wait(u128, u32),
}

use Followed::{Stopped, Success, Wait};

impl Default for Case {
    fn default() -> Self {
        Self {
            policy: Retry::on::<()>().wait_jitter(Duration::ZERO).attempts(3),
            mode: Mode::Normal,
            depth: 0,
            attempt: 1,
            took: Duration::ZERO,
            cuts_attempts: true,
            failure: Some(Down {
                decision: TryAgain,
                is_ok: false,
            }),
        }
    }
}

impl Case {
    fn failing(decision: Decision) -> Self {
        Self {
            failure: Some(Down {
                decision,
                is_ok: false,
            }),
            ..Self::default()
        }
    }

    fn ok_that_is(decision: Decision) -> Self {
        Self {
            failure: Some(Down {
                decision,
                is_ok: true,
            }),
            ..Self::default()
        }
    }

    fn with(change: impl FnOnce(&mut Self)) -> Self {
        let mut case = Self::default();
        change(&mut case);
        case
    }

    fn policy(change: impl FnOnce(Retry<()>) -> Retry<()>) -> Self {
        Self::with(|case| case.policy = change(case.policy.clone()))
    }

    fn run(self) -> Followed {
        let clock = Box::leak(Box::new(VirtualClock::new()));
        let policy = self.policy.timer(Timer::custom(clock));
        let _mode = match self.mode {
            Mode::Normal => testing::normal(),
            Mode::Testing(attempts) => testing::scoped(Testing::attempts(attempts)),
            Mode::Inactive => testing::inactive(),
        };
        let mut state = {
            let _guards: Vec<_> = (0..self.depth).map(DepthGuard::inside_of).collect();
            CallState::new()
        };
        state.start(&policy.config, false);
        clock.advance(self.took);
        let mut attempt = self.attempt;
        let mut call = Call {
            config: &policy.config,
            state: &mut state,
            attempt: &mut attempt,
            callable: Callable::Type("op"),
            cuts_attempts: self.cuts_attempts,
        };
        let step = match self.failure {
            None => call.succeed(),
            Some(failure) => call.fail(&failure),
        };
        match step {
            Step::Success => Success,
            Step::Stopped(reason) => Stopped(reason),
            Step::Retry(pending) => Wait(pending.wait().as_millis(), attempt),
        }
    }
}

fn empty_budget() -> &'static Budget {
    Box::leak(Box::new(Budget::new().floor(0)))
}

#[track_caller]
#[allow(clippy::needless_pass_by_value, reason = "a row of a table")]
fn follows(case: Case, expected: Followed) {
    assert_eq!(case.run(), expected);
}

#[test]
fn a_success_ends_the_call() {
    follows(Case::with(|case| case.failure = None), Success);
}

#[test]
fn rule_0_nothing_stands_in_the_way() {
    follows(Case::default(), Wait(100, 1));
    follows(Case::with(|case| case.attempt = 2), Wait(200, 2));
}

#[test]
fn rule_1_retries_are_switched_off() {
    let off = |mut case: Case| {
        case.mode = Mode::Inactive;
        case
    };
    follows(off(Case::default()), Stopped(Inactive));
    // Before rule 2, and before the predicate is asked.
    follows(off(Case::with(|case| case.depth = 1)), Stopped(Inactive));
    follows(off(Case::failing(Stop)), Stopped(Inactive));
    // An `Ok` that is not retried is a success.
    follows(off(Case::ok_that_is(TryAgain)), Success);
}

#[test]
fn rule_2_a_call_around_this_one_does_the_retrying() {
    let nested = |mut case: Case| {
        case.depth = 1;
        case.policy = case.policy.outermost_only();
        case
    };
    follows(nested(Case::default()), Stopped(Nested));
    follows(nested(Case::failing(Stop)), Stopped(Nested));
    follows(nested(Case::with(|case| case.attempt = 3)), Stopped(Nested));
    follows(nested(Case::ok_that_is(TryAgain)), Success);
    // Not without `outermost_only`, and not outside.
    follows(Case::with(|case| case.depth = 1), Wait(100, 1));
    follows(Case::policy(Retry::outermost_only), Wait(100, 1));
}

#[test]
fn rule_3_the_predicate_decides() {
    follows(Case::failing(Stop), Stopped(NotRetryable));
    follows(Case::ok_that_is(Stop), Success);
    follows(Case::ok_that_is(TryAgain), Wait(100, 1));
    // Before rule 5: the predicate sees the last failure too.
    let last = Case {
        attempt: 3,
        ..Case::failing(Stop)
    };
    follows(last, Stopped(NotRetryable));
}

#[test]
fn rule_4_a_healthy_attempt_starts_the_call_anew() {
    let reset = |took| Case {
        took,
        attempt: 3,
        ..Case::policy(|policy| policy.reset_after(SECOND).timeout(2 * SECOND))
    };
    // Number 3 of 3 became number 1, and the deadline counts from the failure.
    follows(reset(SECOND), Wait(100, 1));
    follows(reset(3600 * SECOND), Wait(100, 1));
    follows(
        reset(Duration::from_nanos(999_999_999)),
        Stopped(AttemptsExhausted),
    );
    // What may have been cut has hung. A blocking attempt is not cut.
    let limited = |cuts_attempts| Case {
        cuts_attempts,
        took: 3 * SECOND,
        attempt: 3,
        ..Case::policy(|policy| {
            let policy = policy.reset_after(SECOND).timeout(10 * SECOND);
            policy.attempt_timeout(3 * SECOND, || ())
        })
    };
    follows(limited(true), Stopped(AttemptsExhausted));
    follows(limited(false), Wait(100, 1));
}

#[test]
fn rule_5_the_attempts_are_used_up() {
    follows(
        Case::with(|case| case.attempt = 3),
        Stopped(AttemptsExhausted),
    );
    follows(
        Case::with(|case| case.attempt = 4),
        Stopped(AttemptsExhausted),
    );
    // Before rule 7.
    let late = Case {
        attempt: 3,
        ..Case::policy(|policy| policy.timeout(Duration::ZERO))
    };
    follows(late, Stopped(AttemptsExhausted));
    // In testing mode its attempts count, not the policy's.
    let testing = |attempt, mode| Case {
        mode,
        attempt,
        ..Case::default()
    };
    follows(testing(3, Mode::Testing(4)), Wait(0, 3));
    follows(testing(4, Mode::Testing(4)), Stopped(AttemptsExhausted));
}

#[test]
fn rule_6_the_wait() {
    follows(Case::failing(RetryExactly(7 * SECOND)), Wait(7000, 1));
    follows(Case::failing(RetryExactly(Duration::ZERO)), Wait(0, 1));
    // A hint is a floor under the policy's own wait.
    follows(Case::failing(RetryAfter(7 * SECOND)), Wait(7000, 1));
    follows(Case::failing(RetryAfter(Duration::ZERO)), Wait(100, 1));
}

#[test]
fn rule_7_the_next_attempt_must_begin_before_the_deadline() {
    let timeout = |ms| Case::policy(|policy| policy.timeout(Duration::from_millis(ms)));
    follows(timeout(100), Stopped(TimedOut));
    follows(timeout(101), Wait(100, 1));
    let slow = Case {
        took: SECOND,
        ..timeout(1100)
    };
    follows(slow, Stopped(TimedOut));
    // The jitter fits into what is left.
    let jitter = Case::policy(|policy| {
        policy
            .wait_jitter(60 * SECOND)
            .wait_max(120 * SECOND)
            .timeout(Duration::from_millis(101))
    });
    follows(jitter, Wait(100, 1));
    // Before rule 8.
    let budget = Case::policy(|policy| policy.timeout(Duration::ZERO).budget(empty_budget()));
    follows(budget, Stopped(TimedOut));
    // Testing mode has no deadline.
    let testing = Case {
        mode: Mode::Testing(4),
        ..timeout(0)
    };
    follows(testing, Wait(0, 1));
}

#[test]
fn rule_8_the_budget_has_a_permit() {
    let budget = |case: Case| Case {
        policy: case.policy.clone().budget(empty_budget()),
        ..case
    };
    follows(budget(Case::default()), Stopped(BudgetExhausted));
    let full: &'static Budget = Box::leak(Box::new(Budget::new()));
    follows(Case::policy(|policy| policy.budget(full)), Wait(100, 1));
    // Testing mode does not ask it.
    let testing = Case {
        mode: Mode::Testing(4),
        ..budget(Case::default())
    };
    follows(testing, Wait(0, 1));
}

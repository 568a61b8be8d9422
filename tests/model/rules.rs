//! What a call must do, written once more from the promises alone: the documentation of `Retry`, `Attempts` and the
//! other drivers, not their code. Slow and plain. It reads the trace of a call and finds the first event that breaks a
//! rule.

use std::cell::Cell;
use std::time::Duration;

use super::bucket::Bucket;
use super::call::{
    Answer, Back, CUT, Call, Details, How, Mode, OWN_CUT, Outcome, Policy, Seen, State, Step,
};

/// Nanoseconds, wide enough for every `Duration`.
pub(crate) type Nanos = u128;

/// Where computed waits and the time of the test's clock end.
const END: Nanos = u64::MAX as Nanos;
const SECOND: Nanos = 1_000_000_000;

fn whole(nanos: Nanos) -> Duration {
    Duration::new(
        u64::try_from(nanos / SECOND).unwrap_or(u64::MAX),
        u32::try_from(nanos % SECOND).expect("a remainder"),
    )
}

fn clamped(duration: Duration) -> Nanos {
    duration.as_nanos().min(END)
}

/// Equal but for the rounding of a power.
fn near(a: Nanos, b: Nanos) -> bool {
    a.abs_diff(b) <= 2 + a.max(b) / 100_000_000_000
}

/// e(n), the wait before maximum and jitter.
fn exponential(policy: &Policy, number: u32) -> Nanos {
    if let Some(schedule) = policy.schedule {
        return clamped(schedule(number));
    }
    let initial = clamped(policy.initial);
    if initial == 0 {
        return 0;
    }
    let mut wait = initial as f64;
    for _ in 1..number.min(100_000) {
        wait *= policy.base;
        if wait > END as f64 || policy.base == 1.0 {
            break;
        }
    }
    (wait as Nanos).min(END)
}

/// M, the longest computed wait.
fn longest(policy: &Policy) -> Nanos {
    match (policy.max, policy.schedule) {
        (Some(max), _) => clamped(max),
        (None, Some(_)) => END,
        (None, None) => {
            let initial = clamped(policy.initial);
            // J(1): half of a maximum of 5 s or more is more than a second.
            let jitter = policy.jitter.map_or(SECOND.min(10 * initial), clamped);
            (initial + jitter).clamp(5 * SECOND, END)
        }
    }
}

/// J(n), the width of the random part.
fn jitter(policy: &Policy, number: u32) -> Nanos {
    let max = longest(policy);
    match policy.jitter {
        Some(jitter) => clamped(jitter).min(max),
        None => SECOND.min(10 * exponential(policy, number)).min(max / 2),
    }
}

/// A wait: from `low` to `high`.
#[derive(Clone, Copy, Debug)]
struct Range {
    low: Nanos,
    high: Nanos,
}

/// The wait that follows failed attempt `number`, before the deadline is looked at.
fn wait_after(policy: &Policy, number: u32, answer: Answer) -> Range {
    let (max, jitter) = (longest(policy), jitter(policy, number));
    let exponential = exponential(policy, number);
    let reach = |low: Nanos, width: Nanos| Range {
        low,
        high: (low + width).min(END),
    };
    match answer {
        Answer::Retry if policy.full => reach(0, exponential.min(max)),
        Answer::Retry => reach(exponential.min(max - jitter), jitter),
        Answer::After(hint) => {
            let own = exponential.min(max - jitter);
            reach(own.max(clamped(hint)), jitter)
        }
        Answer::Exactly(wait) => reach(clamped(wait), 0),
        Answer::Stop => unreachable!("there is no wait after a stop"),
    }
}

/// Where in their range the waits lie that were drawn at random: how many, and how many of them in each tenth.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spread {
    pub(crate) drawn: u32,
    pub(crate) tenths: [u32; 10],
}

thread_local! {
    static SPREAD: Cell<Spread> = Cell::default();
}

impl Spread {
    /// Of this thread, since it was last taken.
    #[allow(dead_code, reason = "the fuzzer does not ask for it")]
    pub(crate) fn take() -> Self {
        SPREAD.take()
    }

    fn add(range: Range, wait: Nanos) {
        if range.high - range.low < 1000 || wait < range.low || wait > range.high {
            return;
        }
        let mut spread = SPREAD.get();
        let place = (wait - range.low) * 10 / (range.high - range.low + 1);
        spread.drawn += 1;
        spread.tenths[usize::try_from(place).expect("a tenth")] += 1;
        SPREAD.set(spread);
    }
}

struct Reader<'a> {
    trace: &'a [Seen],
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<&'a Seen> {
        self.trace.get(self.at)
    }

    #[track_caller]
    fn expect(&mut self, expected: &Seen) {
        assert_eq!(
            self.peek(),
            Some(expected),
            "event {} of {:#?}",
            self.at,
            self.trace
        );
        self.at += 1;
    }
}

/// The call was dropped at this point.
struct Dropped;

/// What follows a failure.
enum Next {
    Success,
    Stopped,
    Retry,
}

struct Model<'a> {
    call: &'a Call,
    reader: Reader<'a>,
    bucket: &'a mut Bucket,
    /// Whether the trace may end early, because the future was dropped.
    dropped: bool,
    now: Nanos,
    /// When the call began; a new one of the same `Attempts` begins later.
    started: Nanos,
    before: Nanos,
    /// When the attempt under way began.
    attempt_started: Nanos,
    /// Whether it was cut.
    was_cut: bool,
    number: u32,
    waited: Nanos,
    stopped: Option<&'static str>,
    succeeded: bool,
}

/// Holds a call against the rules. `now` is when it was started: the call itself, or the first poll of its future.
/// Returns the time after it.
pub(crate) fn check(
    call: &Call,
    trace: &[Seen],
    back: Option<&Back>,
    now: Nanos,
    bucket: &mut Bucket,
) -> Nanos {
    let mut model = Model {
        call,
        reader: Reader { trace, at: 0 },
        bucket,
        dropped: back.is_none(),
        now,
        started: now,
        before: call.before.as_nanos(),
        attempt_started: now,
        was_cut: false,
        number: call.made.saturating_add(1),
        waited: 0,
        stopped: None,
        succeeded: false,
    };
    let played = model.play();
    let rest = model.reader.peek();
    assert_eq!(rest, None, "more than there should be: {trace:#?}");
    if let Some(back) = back {
        let Ok(outcome) = played else {
            panic!("the call came back too early: {back:?} of {trace:#?}");
        };
        assert_eq!(
            back.outcome, outcome,
            "the last outcome comes back unchanged"
        );
        if let Some((attempts, waited, elapsed, reason)) = back.report {
            assert_eq!(attempts, model.number);
            assert_eq!(waited, whole(model.waited));
            assert_eq!(elapsed, model.elapsed());
            assert_eq!(reason, model.stopped);
        }
    }
    model.now
}

impl Model<'_> {
    fn play(&mut self) -> Result<Outcome, Dropped> {
        let mut position = 0;
        loop {
            let step = self.call.script.get(position as usize).copied();
            let step = step.unwrap_or(Step::IDLE);
            if step.reset && self.call.code_block {
                self.begin_anew();
                self.attempt_started = self.now;
                self.expect_state();
            }
            let (outcome, answer) = self.attempt(position, &step)?;
            position += 1;
            let ended = !matches!(self.follow(outcome, answer, &step)?, Next::Retry);
            let over = position as usize >= self.call.script.len();
            if if self.call.goes_on { over } else { ended } {
                return Ok(outcome);
            }
        }
    }

    /// Whether the trace ends here because the future was dropped.
    fn may_end(&self) -> Result<(), Dropped> {
        if self.dropped && self.reader.peek().is_none() {
            Err(Dropped)
        } else {
            Ok(())
        }
    }

    fn normal(&self) -> bool {
        self.call.mode == Mode::Normal
    }

    fn nested(&self) -> bool {
        self.call.policy.outermost_only && self.call.depth > 0
    }

    fn elapsed(&self) -> Duration {
        let policy = &self.call.policy;
        let clocked = policy.timeout.is_some()
            || policy.budget
            || policy.reset_after.is_some()
            || self.call.measured;
        let here = if clocked {
            self.now.saturating_sub(self.started)
        } else {
            self.waited
        };
        whole((self.before + here).min(Duration::MAX.as_nanos()))
    }

    /// The time that is left before the deadline.
    fn remaining(&self) -> Option<Duration> {
        let timeout = self.call.policy.timeout.filter(|_| self.normal())?;
        if self.succeeded {
            return Some(timeout);
        }
        Some(timeout.saturating_sub(self.elapsed()))
    }

    fn took(&self) -> Nanos {
        self.now.saturating_sub(self.attempt_started)
    }

    /// The attempt under way has run for long enough to start the call anew if it fails.
    fn is_healthy(&self) -> bool {
        let healthy = self.call.policy.reset_after.map(|after| after.as_nanos());
        // An attempt that was cut has hung. A call that does not run its attempts itself can only tell by the time.
        let limit = self.call.policy.attempt_timeout;
        let has_hung = if self.call.runs_attempts {
            self.was_cut
        } else {
            let late = !self.succeeded && self.remaining().is_some_and(|left| left.is_zero());
            limit.is_some_and(|limit| self.took() >= limit.as_nanos() || late)
        };
        healthy.is_some_and(|healthy| self.took() >= healthy) && !has_hung
    }

    fn limit(&self) -> Option<u32> {
        let own = self.call.policy.attempts;
        match self.call.mode {
            Mode::Inactive => Some(1),
            Mode::Testing { attempts, capped } => match own {
                Some(own) if capped => Some(own.min(attempts)),
                _ => Some(attempts),
            },
            Mode::Normal => own,
        }
    }

    fn begin_anew(&mut self) {
        (self.started, self.before) = (self.now, 0);
        (self.number, self.waited) = (1, 0);
        (self.stopped, self.succeeded) = (None, false);
    }

    #[track_caller]
    fn expect_state(&mut self) {
        if self.call.code_block {
            let state = State {
                number: self.number,
                waited: whole(self.waited),
                elapsed: self.elapsed(),
                remaining: self.remaining(),
                reason: self.stopped,
            };
            self.reader.expect(&Seen::State(state));
        }
    }

    fn details(&self, wait: Nanos, cause: Option<Outcome>) -> Details {
        Details {
            number: self.number,
            wait: whole(wait),
            waited: whole(self.waited),
            elapsed: self.elapsed(),
            depth: cause.map_or(0, |_| self.call.depth),
            cause: cause.map(|outcome| match outcome {
                _ if self.call.by_outcome => format!("{outcome:?}"),
                // No `Debug` is asked of a response.
                Ok(_) => "Ok(u32)".to_owned(),
                Err(error) => error.to_string(),
            }),
        }
    }

    /// Runs an attempt. Returns its outcome, and what the predicate says about it.
    fn attempt(&mut self, position: u32, step: &Step) -> Result<(Outcome, Answer), Dropped> {
        self.may_end()?;
        let depth = self.call.operation_depth;
        self.reader.expect(&Seen::Begin(depth));
        // Time ends with the clock of the test.
        let room = END - self.now;
        let busy = step.busy.as_nanos().min(room);
        let takes = step.takes.as_nanos().min(room - busy);
        if let Some(cut) = self.call.cut {
            let after = self
                .remaining()
                .map_or(cut.after, |left| left.min(cut.after));
            let after = after.as_nanos();
            let ready_at_once = takes == 0 && step.yields == 0;
            // At the end of the test's clock everything that is waited for comes at once.
            let at_end = after > room;
            let ended = at_end && matches!(self.reader.peek(), Some(Seen::End(..)));
            let late = at_end || busy >= after || busy + takes > after;
            if late && !ready_at_once && !ended {
                self.now = (self.now + after.max(busy)).min(END);
                self.may_end()?;
                return Ok((Err(cut.error), cut.answer));
            }
        }
        self.now = (self.now + busy + takes).min(END);
        let jump = i128::from(step.jump);
        self.now = self.now.saturating_add_signed(jump).min(END);
        self.may_end()?;
        let outcome = if step.fails {
            Err(position)
        } else {
            Ok(position)
        };
        self.reader.expect(&Seen::End(depth, outcome));
        Ok((outcome, step.answer))
    }

    /// What follows an attempt.
    fn follow(&mut self, outcome: Outcome, answer: Answer, step: &Step) -> Result<Next, Dropped> {
        let by_error = self.call.code_block && !self.call.by_outcome;
        if by_error && outcome.is_ok() {
            self.succeed();
            self.expect_state();
            return Ok(Next::Success);
        }
        loop {
            if by_error {
                self.check_ahead();
            }
            let (wait, taken) = match self.decide(outcome, answer) {
                Ok(wait) => wait,
                Err(next) => {
                    self.expect_state();
                    return Ok(next);
                }
            };
            let after = (self.now + wait).min(END);
            let decided = by_error && step.how == How::Decide;
            if decided && matches!(self.reader.peek(), Some(Seen::State(_))) {
                // `decide` returns before the wait.
                self.count(wait, after);
                self.expect_state();
                self.may_end()?;
                self.now = after;
                return Ok(Next::Retry);
            }
            if let Err(dropped) = self.may_end() {
                self.undo(taken);
                return Err(dropped);
            }
            if self.reader.peek() == Some(&Seen::Undone) {
                assert!(step.undo > 0 && self.call.code_block);
                self.reader.expect(&Seen::Undone);
                self.undo(taken);
                self.expect_state();
                continue;
            }
            self.now = after;
            self.count(wait, after);
            self.expect_state();
            return Ok(Next::Retry);
        }
    }

    /// The wait counts, and the attempt after it begins at `after`.
    fn count(&mut self, wait: Nanos, after: Nanos) {
        self.waited = (self.waited + wait).min(END);
        self.number = self.number.saturating_add(1);
        self.attempt_started = after;
    }

    /// A retry does not begin: it is as if it had not been decided on.
    fn undo(&mut self, taken: Option<Nanos>) {
        if let Some(taken) = taken {
            self.bucket.give_back(taken);
        }
    }

    /// `next_wait` is what comes, but for predicate and budget.
    fn check_ahead(&mut self) {
        let Some(Seen::Ahead(ahead)) = self.reader.peek() else {
            panic!("no look ahead: {:?}", self.reader.peek());
        };
        self.reader.at += 1;
        let policy = &self.call.policy;
        let anew = self.succeeded || self.is_healthy();
        let number = if anew { 1 } else { self.number };
        if self.stopped.is_some()
            || self.nested()
            || self.limit().is_some_and(|limit| number >= limit)
        {
            assert_eq!(*ahead, None, "a next wait, but this is the last attempt");
            return;
        }
        let mut range = Range { low: 0, high: 0 };
        if self.normal() {
            range = wait_after(policy, number, Answer::Retry);
        }
        let left = self.remaining().map(|left| {
            if anew {
                policy.timeout.unwrap_or(left)
            } else {
                left
            }
        });
        let left = left.map(clamped);
        let Some((low, high)) = ahead else {
            let left = left.expect("no next wait, but there is no deadline");
            assert!(
                range.low >= left || near(range.low, left),
                "no next wait, but there is time for one"
            );
            return;
        };
        if let Some(left) = left {
            assert!(low.as_nanos() < left, "a next wait past the deadline");
            range.high = range.high.min(left - 1);
        }
        assert!(
            near(low.as_nanos(), range.low) && near(high.as_nanos(), range.high),
            "{low:?} {high:?}, but {range:?}"
        );
    }

    fn succeed(&mut self) {
        // In a loop of the caller's own the next attempt begins here.
        self.attempt_started = self.now;
        if self.stopped.take().is_some_and(is_limit) {
            // It gave up before.
            self.succeeded = true;
            return;
        }
        if self.succeeded {
            self.begin_anew();
        }
        if self.call.mode != Mode::Inactive && !self.nested() {
            let retried = self.number > 1;
            // A success at the first try counts from the start of the call.
            self.credit(if retried { self.now } else { self.started }, retried);
            if retried && !self.call.policy.quiet {
                let details = self.details(0, None);
                self.reader.expect(&Seen::Recovered(details));
            }
        }
        self.succeeded = true;
    }

    fn credit(&mut self, at: Nanos, retried: bool) {
        if self.normal() && self.call.policy.budget {
            self.bucket.credit(at, retried);
        }
    }

    fn stop(&mut self, outcome: Outcome, reason: &'static str) -> Next {
        if outcome.is_ok() {
            self.succeed();
            return Next::Success;
        }
        self.stopped = Some(reason);
        Next::Stopped
    }

    fn give_up(&mut self, outcome: Outcome, reason: &'static str) -> Next {
        if !self.call.policy.quiet {
            let details = self.details(0, Some(outcome));
            self.reader.expect(&Seen::GaveUp(reason, details));
        }
        self.stopped = Some(reason);
        Next::Stopped
    }

    /// A stopped call hands back what follows; only a fine `Ok` ends that.
    fn after_stop(&mut self, outcome: Outcome, answer: Answer, reason: &'static str) -> Next {
        if outcome.is_err() {
            return Next::Stopped;
        }
        let asks = self.call.has_predicate() && !matches!(reason, "inactive" | "nested");
        if asks {
            self.reader.expect(&Seen::Asked(outcome));
        }
        if asks && answer != Answer::Stop {
            return Next::Stopped;
        }
        self.succeed();
        Next::Success
    }

    /// The rules, in their order: switch, nesting, decision, attempts, wait, deadline, budget. Returns the wait, and when a
    /// token was taken for it.
    fn decide(
        &mut self,
        outcome: Outcome,
        mut answer: Answer,
    ) -> Result<(Nanos, Option<Nanos>), Next> {
        let policy = &self.call.policy;
        if let Some(reason) = self.stopped {
            return Err(self.after_stop(outcome, answer, reason));
        }
        let failed = outcome.is_err()
            || (self.call.has_predicate() && (self.call.by_outcome || self.call.by_request));
        if !failed {
            self.succeed();
            return Err(Next::Success);
        }
        if self.succeeded {
            self.begin_anew();
        }
        if self.call.mode == Mode::Inactive {
            return Err(self.stop(outcome, "inactive"));
        }
        if self.nested() {
            return Err(self.stop(outcome, "nested"));
        }
        let took = self.took();
        self.was_cut = matches!(outcome, Err(CUT | OWN_CUT));
        let is_healthy = self.is_healthy();
        if self.call.has_predicate() {
            self.reader.expect(&Seen::Asked(outcome));
        } else {
            answer = Answer::Retry;
        }
        if answer == Answer::Stop {
            return Err(self.stop(outcome, "not_retryable"));
        }
        if is_healthy {
            self.credit(self.now, self.number > 1);
            self.begin_anew();
            self.attempt_started = self.now;
        }
        if self.limit().is_some_and(|limit| self.number >= limit) {
            return Err(self.give_up(outcome, "attempts_exhausted"));
        }
        let mut range = Range { low: 0, high: 0 };
        if self.normal() {
            range = wait_after(policy, self.number, answer);
        }
        let left = self.remaining().map(clamped);
        let asks_budget = self.normal() && policy.budget;
        let details = match self.reader.peek() {
            Some(Seen::Own(details) | Seen::Scheduled(details)) => details,
            other => {
                let too_late = left.is_some_and(|left| {
                    range.low >= left
                        || (near(range.low, left) && !asks_budget)
                        || matches!(other, Some(Seen::GaveUp("timed_out", _)))
                            && near(range.low, left)
                });
                if too_late {
                    return Err(self.give_up(outcome, "timed_out"));
                }
                assert!(
                    asks_budget,
                    "after attempt {}: no reason to stop, but {other:?} of {:#?}",
                    self.number, self.reader.trace
                );
                self.bucket.take(self.now, took, false);
                return Err(self.give_up(outcome, "budget_exhausted"));
            }
        };
        let wait = details.wait.as_nanos();
        if let Some(left) = left {
            assert!(wait < left, "{wait} sleeps past its deadline in {left}");
            range.high = range.high.min(left - 1);
        }
        assert!(
            (wait >= range.low || near(wait, range.low))
                && (wait <= range.high || near(wait, range.high)),
            "attempt {}: waits {wait}, not in {range:?}",
            self.number
        );
        if answer == Answer::Retry && self.normal() {
            assert!(wait <= longest(policy), "longer than the maximum");
        }
        if policy.seed.is_none() {
            Spread::add(range, wait);
        }
        let taken = asks_budget.then(|| self.bucket.take(self.now, took, true));
        let details = self.details(wait, Some(outcome));
        if self.call.own && !(self.call.by_request && outcome.is_ok()) {
            self.reader.expect(&Seen::Own(details.clone()));
        }
        if !policy.quiet {
            self.reader.expect(&Seen::Scheduled(details));
        }
        Ok((wait, taken))
    }
}

/// A limit ended the call.
fn is_limit(reason: &str) -> bool {
    matches!(
        reason,
        "attempts_exhausted" | "timed_out" | "budget_exhausted"
    )
}

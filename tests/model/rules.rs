//! What a call must do, written once more and from the promises alone: the documentation of `Retry`, `Budget` and the
//! drivers, not their code. Slow and plain. It reads the trace of a call and finds the first event that breaks a rule.

use std::time::Duration;

/// Nanoseconds, wide enough for every `Duration`.
pub(crate) type Nanos = u128;

/// Where computed waits and the time of the test's clock end.
pub(crate) const END: Nanos = u64::MAX as Nanos;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) attempts: Option<u32>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) initial: Duration,
    pub(crate) max: Duration,
    pub(crate) jitter: Duration,
    pub(crate) base: f64,
    pub(crate) full: bool,
    pub(crate) own: Option<fn(u32) -> Duration>,
    pub(crate) seed: Option<u64>,
    pub(crate) predicate: bool,
    pub(crate) outermost_only: bool,
    pub(crate) budget: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mode {
    Normal,
    Testing { attempts: u32, capped: bool },
    Inactive,
}

/// What the predicate answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Answer {
    Retry,
    After(Duration),
    In(Duration),
    Stop,
}

/// One attempt of the script.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) fails: bool,
    pub(crate) answer: Answer,
    /// Time that its first poll takes, as work does that does not wait.
    pub(crate) busy: Duration,
    /// Time that it waits for.
    pub(crate) takes: Duration,
    /// Polls that find it pending without need.
    pub(crate) yields: u8,
    /// The clock jumps by so much at the end.
    pub(crate) jump: i64,
}

/// What `attempt_timeout` was given, and what the predicate says of its error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub(crate) after: Duration,
    pub(crate) answer: Answer,
}

/// A call as it is made.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) policy: Policy,
    pub(crate) mode: Mode,
    pub(crate) depth: u32,
    pub(crate) script: Vec<Step>,
    /// Begun elsewhere.
    pub(crate) made: u32,
    pub(crate) before: Duration,
    pub(crate) cut: Option<Cut>,
    /// The predicate sees the whole outcome.
    pub(crate) by_outcome: bool,
    /// Time is measured without need.
    pub(crate) measured: bool,
    /// The driver tells what wait would come next.
    pub(crate) asks_ahead: bool,
    /// The policy has a hook of its own.
    pub(crate) own: bool,
}

/// An outcome: the number of its attempt in the script, and whether it is an error. The error of a cut is `CUT`.
pub(crate) type Outcome = Result<u32, u32>;
pub(crate) const CUT: u32 = u32::MAX;

/// What is seen of a call, in order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Seen {
    Begin,
    End(Outcome),
    Ahead(Option<(Duration, Duration)>),
    Asked(Outcome),
    /// The policy's own hook.
    Own(Details),
    Scheduled(Details),
    GaveUp(&'static str, Details),
    Recovered(Details),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Details {
    pub(crate) number: u32,
    pub(crate) wait: Duration,
    pub(crate) waited: Duration,
    pub(crate) elapsed: Duration,
    pub(crate) cause: Option<String>,
    pub(crate) depth: u32,
}

/// How the call came back; `None` where its future was dropped.
#[derive(Clone, Debug)]
pub(crate) struct Back {
    pub(crate) outcome: Outcome,
    /// Attempts, time waited, time elapsed, stop reason: from those drivers that tell.
    pub(crate) report: Option<(u32, Duration, Option<Duration>, Option<&'static str>)>,
}

/// The bucket between two readings of what time does to it: as early and as late as the promises allow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    pub(crate) floor: f64,
    pub(crate) ratio: f64,
    pub(crate) tau: Nanos,
    low: f64,
    high: f64,
    low_since: Nanos,
    high_since: Nanos,
    /// The earliest time that the surplus may have been reckoned at.
    earliest: Nanos,
    /// Idle for longer than is promised to be noticed.
    lapsed: bool,
    events: f64,
}

impl Bucket {
    pub(crate) fn new(floor: u32, ratio: f64, tau: Duration, now: Nanos) -> Self {
        let floor = f64::from(floor);
        Self {
            floor,
            ratio,
            tau: tau.as_nanos(),
            low: floor,
            high: floor,
            low_since: now,
            high_since: now,
            earliest: now,
            lapsed: false,
            events: 0.0,
        }
    }

    fn decayed(&self, balance: f64, since: Nanos, now: Nanos) -> f64 {
        let surplus = balance - self.floor;
        if surplus <= 0.0 || now <= since {
            return balance;
        }
        self.floor + surplus * (-((now - since) as f64) / self.tau as f64).exp()
    }

    /// Lets time pass: for the low reading until `early`, for the high one until `late`.
    fn pass(&mut self, early: Nanos, late: Nanos) {
        let promised = self.tau / 1000 * (1 << 35);
        // Further back than 2^30 steps of time (124 days with a decay of 10 s) a surplus may be forgotten.
        if self.high_since.saturating_sub(early.min(late)) > self.tau / 1000 * (1 << 30) {
            self.low = self.low.min(self.floor);
        }
        let idle = self.high > self.floor
            && (self.lapsed || late.saturating_sub(self.earliest) > promised);
        self.lapsed = idle || late.saturating_sub(early) > promised;
        self.low = self.decayed(self.low, self.low_since, late.max(early));
        if !self.lapsed {
            self.high = self.decayed(self.high, self.high_since, early.min(late));
        }
        self.low_since = early.min(late);
        self.earliest = early.min(late);
        self.high_since = self.high_since.max(late).max(early);
        self.events += 1.0;
    }

    /// How far rounding may have taken the balance.
    fn slack(&self) -> f64 {
        0.005 + 0.000_2 * self.events + 0.003 * (self.high - self.floor).max(0.0)
    }

    fn add(&mut self, units: f64) {
        self.low += units;
        self.high += units;
    }

    /// A token was taken, or not: was that right?
    fn take(&mut self, now: Nanos, taken: bool) {
        let before = *self;
        self.pass(now, now);
        let slack = self.slack();
        if taken {
            assert!(
                self.high + slack >= 1.0,
                "a retry without a token: {self:?}"
            );
            self.low = (self.low - 1.0).max(-slack);
            self.high = (self.high - 1.0).max(self.low);
        } else {
            assert!(
                self.low - slack < 1.0,
                "no retry in spite of a token: {self:?}"
            );
            // A refusal may be forgotten, which shows where the clock jumps back before it.
            (self.high, self.high_since, self.earliest, self.lapsed) = (
                before.high,
                before.high_since,
                before.earliest,
                before.lapsed,
            );
        }
    }

    pub(crate) fn holds(&self, now: Nanos, balance: f64) {
        let mut then = *self;
        then.pass(now, now);
        let slack = then.slack();
        assert!(
            balance >= then.low - slack && balance <= then.high + slack,
            "balance {balance}, but {then:?} at {now}"
        );
    }
}

fn whole(nanos: Nanos) -> Duration {
    Duration::new(
        u64::try_from(nanos / 1_000_000_000).unwrap_or(u64::MAX),
        u32::try_from(nanos % 1_000_000_000).expect("a remainder"),
    )
}

fn clamped(duration: Duration) -> Nanos {
    duration.as_nanos().min(END)
}

/// The exponential before cap and jitter.
fn grown(policy: &Policy, number: u32) -> Nanos {
    if let Some(own) = policy.own {
        return clamped(own(number));
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

/// The shortest and the longest wait, as computed.
fn bounds(policy: &Policy, number: u32) -> (Nanos, Nanos) {
    let max = clamped(policy.max);
    let grown = grown(policy, number);
    if policy.full {
        return (0, grown.min(max));
    }
    let jitter = clamped(policy.jitter).min(max);
    let low = grown.min(max - jitter);
    (low, low + jitter)
}

/// Equal but for the rounding of a power.
fn near(a: Nanos, b: Nanos) -> bool {
    a.abs_diff(b) <= 2 + a.max(b) / 100_000_000_000
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

/// What the model says of a call that was seen.
pub(crate) struct Verdict {
    /// The time of the clock after it.
    pub(crate) now: Nanos,
}

/// Holds a call against the rules. `now` is when it was started: the call itself, or the first poll of its future.
pub(crate) fn check(
    call: &Call,
    trace: &[Seen],
    back: Option<&Back>,
    mut now: Nanos,
    bucket: &mut Option<Bucket>,
) -> Verdict {
    let Call { policy, mode, .. } = call;
    let mut reader = Reader { trace, at: 0 };
    let started = now;
    let clocked = policy.timeout.is_some() || policy.budget || call.measured;
    let (mut number, mut waited) = (call.made.saturating_add(1), 0);
    let mut script = call.script.iter();
    let mut position = 0;
    let elapsed = |now: Nanos, waited: Nanos| {
        let here = if clocked {
            now.saturating_sub(started)
        } else {
            waited
        };
        whole((call.before.as_nanos() + here).min(Duration::MAX.as_nanos()))
    };
    let limit = match mode {
        Mode::Inactive => Some(1),
        _ if policy.outermost_only && call.depth > 0 => Some(1),
        Mode::Testing {
            attempts,
            capped: true,
        } => Some(policy.attempts.map_or(*attempts, |own| own.min(*attempts))),
        Mode::Testing { attempts, .. } => Some(*attempts),
        Mode::Normal => policy.attempts,
    };
    let normal = *mode == Mode::Normal;

    let (outcome, reason) = loop {
        // The attempt.
        if reader.peek().is_none() && back.is_none() {
            return Verdict { now };
        }
        reader.expect(&Seen::Begin);
        let idle = Step {
            fails: false,
            answer: Answer::Stop,
            busy: Duration::ZERO,
            takes: Duration::ZERO,
            yields: 0,
            jump: 0,
        };
        let step = *script.next().unwrap_or(&idle);
        let mut answer = step.answer;
        let outcome = {
            // Time ends with the clock of the test.
            let room = END - now;
            let busy = step.busy.as_nanos().min(room);
            let takes = step.takes.as_nanos().min(room - busy);
            let left = policy
                .timeout
                .filter(|_| normal)
                .map(|timeout| timeout.saturating_sub(elapsed(now, waited)));
            let cut = call.cut.map(|cut| {
                left.map_or(cut.after, |left| left.min(cut.after))
                    .as_nanos()
            });
            let at_once = takes == 0 && step.yields == 0;
            // At the end of the test's clock all that is waited for comes at once.
            let at_end = cut.is_some_and(|cut| cut > room);
            let ended = at_end && matches!(reader.peek(), Some(Seen::End(_)));
            match cut {
                Some(cut)
                    if !at_once && !ended && (at_end || busy >= cut || busy + takes > cut) =>
                {
                    answer = call.cut.expect("a cut").answer;
                    now = (now + cut.max(busy)).min(END);
                    Err(CUT)
                }
                _ => {
                    now = (now + busy + takes).min(END);
                    now = now.saturating_add_signed(i128::from(step.jump)).min(END);
                    if step.fails {
                        Err(position)
                    } else {
                        Ok(position)
                    }
                }
            }
        };
        position += 1;
        if outcome != Err(CUT) {
            if reader.peek().is_none() && back.is_none() {
                // Dropped in the middle of the attempt: its token is spent.
                return Verdict { now };
            }
            reader.expect(&Seen::End(outcome));
        } else if reader.peek().is_none() && back.is_none() {
            return Verdict { now };
        }
        let failed = outcome.is_err() || (call.by_outcome && policy.predicate);
        let details = |wait: Nanos, cause: bool| Details {
            number,
            wait: whole(wait),
            waited: whole(waited.min(END)),
            elapsed: elapsed(now, waited.min(END)),
            cause: cause.then(|| {
                if call.by_outcome {
                    format!("{outcome:?}")
                } else {
                    format!("{}", outcome.unwrap_err())
                }
            }),
            depth: if cause { call.depth } else { 0 },
        };

        // What is asked ahead is what comes, but for predicate and budget.
        if failed && call.asks_ahead {
            let (low, high) = if normal {
                bounds(policy, number)
            } else {
                (0, 0)
            };
            let last = limit.is_some_and(|limit| number >= limit);
            let late = normal
                && policy.timeout.is_some_and(|timeout| {
                    low + elapsed(now, waited.min(END)).as_nanos() >= timeout.as_nanos()
                });
            match reader.peek() {
                Some(Seen::Ahead(None)) => {
                    assert!(
                        last || late,
                        "no next wait, but there is one: {number} {low} {high}"
                    );
                }
                Some(Seen::Ahead(Some((seen_low, seen_high)))) => {
                    assert!(!last && !late, "a next wait, but this is the last attempt");
                    assert!(
                        near(seen_low.as_nanos(), low) && near(seen_high.as_nanos(), high),
                        "{seen_low:?} {seen_high:?}"
                    );
                }
                other => panic!("{other:?}"),
            }
            reader.at += 1;
        }

        // The rules, in their order: switch, decision, attempts, wait, deadline, budget.
        let mut reason = None;
        let mut fine = !failed;
        let mut scheduled = None;
        if failed && *mode == Mode::Inactive {
            reason = Some("inactive");
            fine = outcome.is_ok();
        } else if failed {
            if policy.predicate {
                reader.expect(&Seen::Asked(outcome));
            } else {
                answer = Answer::Retry;
            }
            if answer == Answer::Stop {
                reason = Some("not_retryable");
                fine = outcome.is_ok();
            } else if limit.is_some_and(|limit| number >= limit) {
                reason = Some("attempts_exhausted");
            } else {
                let jitter = clamped(policy.jitter).min(clamped(policy.max));
                let (low, high) = match answer {
                    _ if !normal => (0, 0),
                    Answer::Retry => bounds(policy, number),
                    Answer::After(hint) => (
                        hint.as_nanos(),
                        (hint.as_nanos() + jitter).min(Duration::MAX.as_nanos()),
                    ),
                    Answer::In(wait) => (wait.as_nanos(), wait.as_nanos()),
                    Answer::Stop => unreachable!(),
                };
                let late = |wait: Nanos| {
                    normal
                        && policy.timeout.is_some_and(|timeout| {
                            (wait + elapsed(now, waited.min(END)).as_nanos())
                                .min(Duration::MAX.as_nanos())
                                >= timeout.as_nanos()
                        })
                };
                let asks_budget = normal && policy.budget;
                match reader.peek() {
                    Some(Seen::Own(seen) | Seen::Scheduled(seen)) => {
                        let wait = seen.wait.as_nanos();
                        assert!(
                            (wait >= low || near(wait, low)) && (wait <= high || near(wait, high)),
                            "attempt {number}: waits {wait}, not in [{low}, {high}]"
                        );
                        if answer == Answer::Retry && normal {
                            assert!(wait <= clamped(policy.max), "longer than wait_max");
                        }
                        assert!(!late(wait), "sleeps past its deadline");
                        if let (Some(bucket), true) = (bucket.as_mut(), asks_budget) {
                            bucket.take(now, true);
                        }
                        scheduled = Some(wait);
                    }
                    Some(Seen::GaveUp("timed_out", _)) => {
                        assert!(late(high), "gave up although there is time for {high}");
                        reason = Some("timed_out");
                    }
                    Some(Seen::GaveUp("budget_exhausted", _)) => {
                        assert!(asks_budget, "no budget to ask");
                        assert!(!late(low), "the deadline comes before the budget");
                        bucket.as_mut().expect("a budget").take(now, false);
                        reason = Some("budget_exhausted");
                    }
                    other => panic!("after attempt {number}: {other:?} of {trace:#?}"),
                }
            }
        }

        if let Some(wait) = scheduled {
            if call.own {
                reader.expect(&Seen::Own(details(wait, true)));
            }
            reader.expect(&Seen::Scheduled(details(wait, true)));
            let taken_at = now;
            if reader.peek().is_none() && back.is_none() {
                // Dropped while waiting: the token comes back.
                if let (Some(bucket), true) = (bucket.as_mut(), normal && policy.budget) {
                    bucket.pass(taken_at, now);
                    bucket.add(1.0);
                }
                return Verdict { now };
            }
            now = (now + wait).min(END);
            waited = (waited + wait.min(END)).min(END);
            number = number.saturating_add(1);
            continue;
        }
        if fine {
            if let (Some(bucket), true) = (bucket.as_mut(), normal && policy.budget) {
                let ratio = bucket.ratio;
                bucket.pass(started, now);
                bucket.add(ratio);
            }
            if number > 1 && *mode != Mode::Inactive {
                reader.expect(&Seen::Recovered(details(0, false)));
            }
            break (outcome, None);
        }
        if let Some(reason) =
            reason.filter(|reason| !matches!(*reason, "inactive" | "not_retryable"))
        {
            reader.expect(&Seen::GaveUp(reason, details(0, true)));
        }
        break (outcome, reason);
    };

    assert_eq!(reader.peek(), None, "more than there should be: {trace:#?}");
    let back = back.expect("a call that ends comes back");
    assert_eq!(
        back.outcome, outcome,
        "the last outcome comes back unchanged"
    );
    if let Some((attempts, seen_waited, seen_elapsed, seen_reason)) = back.report {
        assert_eq!(attempts, number);
        assert_eq!(seen_waited, whole(waited));
        assert_eq!(seen_reason, reason);
        if let Some(seen) = seen_elapsed {
            assert_eq!(seen, elapsed(now, waited));
        }
    }
    Verdict { now }
}

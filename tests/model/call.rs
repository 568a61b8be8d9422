//! A call as it is made, and what is seen of it.

use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) attempts: Option<u32>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) attempt_timeout: Option<Duration>,
    pub(crate) reset_after: Option<Duration>,
    pub(crate) initial: Duration,
    pub(crate) max: Option<Duration>,
    pub(crate) jitter: Option<Duration>,
    pub(crate) base: f64,
    pub(crate) full: bool,
    /// A schedule instead of the exponential.
    pub(crate) schedule: Option<fn(u32) -> Duration>,
    pub(crate) seed: Option<u64>,
    pub(crate) predicate: bool,
    pub(crate) outermost_only: bool,
    pub(crate) budget: bool,
    pub(crate) quiet: bool,
    /// What the predicate says about an attempt that was cut.
    pub(crate) cut_answer: Answer,
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
    Exactly(Duration),
    Stop,
}

/// How a code block waits after a failure. In async code `Again` is `again_async`, the others await a `Pause`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum How {
    Again,
    Decide,
    Skip,
    Block,
}

/// One attempt of the script.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) fails: bool,
    pub(crate) answer: Answer,
    /// Time that its first poll takes.
    pub(crate) busy: Duration,
    /// Time that it waits for.
    pub(crate) takes: Duration,
    /// Polls that find it pending without need.
    pub(crate) yields: u8,
    /// The clock jumps by so much at the end.
    pub(crate) jump: i64,
    /// How a code block goes on after it.
    pub(crate) how: How,
    /// So many times the code block first drops what it waits for.
    pub(crate) undo: u8,
    /// The code block begins a new call before it.
    pub(crate) reset: bool,
}

impl Step {
    /// Succeeds at once.
    pub(crate) const IDLE: Self = Self {
        fails: false,
        answer: Answer::Stop,
        busy: Duration::ZERO,
        takes: Duration::ZERO,
        yields: 0,
        jump: 0,
        how: How::Again,
        undo: 0,
        reset: false,
    };
}

/// When an attempt is cut, with which error, and what the predicate says about that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub(crate) after: Duration,
    pub(crate) error: u32,
    pub(crate) answer: Answer,
}

/// A call as it is made.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) policy: Policy,
    pub(crate) mode: Mode,
    /// How many calls it is made inside of.
    pub(crate) depth: u32,
    /// How many calls its operation should find itself inside of.
    pub(crate) operation_depth: u32,
    pub(crate) script: Vec<Step>,
    /// Attempts and time from before it was resumed here.
    pub(crate) made: u32,
    pub(crate) before: Duration,
    pub(crate) cut: Option<Cut>,
    /// The call itself knows when its attempts are cut.
    pub(crate) runs_attempts: bool,
    /// The predicate sees the whole outcome.
    pub(crate) by_outcome: bool,
    /// The predicate sees the request, too (tower).
    pub(crate) by_request: bool,
    /// The driver measures time although the policy does not need it.
    pub(crate) measured: bool,
    /// A loop of the caller's own.
    pub(crate) code_block: bool,
    /// The same `Attempts` goes on to the end of the script.
    pub(crate) goes_on: bool,
    /// The policy has a hook of its own.
    pub(crate) own: bool,
}

impl Call {
    pub(crate) fn has_predicate(&self) -> bool {
        self.policy.predicate || self.by_request
    }
}

/// An outcome: the number of its attempt in the script, and whether it is an error.
pub(crate) type Outcome = Result<u32, u32>;
/// The error of an attempt that was cut by the policy.
pub(crate) const CUT: u32 = u32::MAX;
/// The error of an attempt that was cut by `RetryFuture::attempt_timeout`.
pub(crate) const OWN_CUT: u32 = u32::MAX - 1;

/// What is seen of a call, in order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Seen {
    /// An attempt begins, at this depth.
    Begin(u32),
    /// An attempt ends, at this depth.
    End(u32, Outcome),
    /// `next_wait`.
    Ahead(Option<(Duration, Duration)>),
    /// The predicate is asked.
    Asked(Outcome),
    /// The policy's own hook.
    Own(Details),
    Scheduled(Details),
    GaveUp(&'static str, Details),
    Recovered(Details),
    /// What a code block waited for was dropped.
    Undone,
    /// What `Attempts` says of itself after each method.
    State(State),
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

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct State {
    pub(crate) number: u32,
    pub(crate) waited: Duration,
    pub(crate) elapsed: Duration,
    pub(crate) remaining: Option<Duration>,
    pub(crate) reason: Option<&'static str>,
}

/// How the call came back.
#[derive(Clone, Debug)]
pub(crate) struct Back {
    pub(crate) outcome: Outcome,
    /// Of a `Report`: attempts, time waited, time elapsed, stop reason.
    pub(crate) report: Option<(u32, Duration, Duration, Option<&'static str>)>,
}

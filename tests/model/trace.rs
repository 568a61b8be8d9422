//! Records what is seen of a call: the operation, the predicate and the hooks write into one trace.

use std::cell::{Cell, RefCell};
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex, Once};
use std::task::{Context, Poll};
use std::time::Duration;

use stamina::instrument::{GaveUp, Hook, Recovered, RetryDetails, set_hooks};
use stamina::{Attempts, Budget, Decision, Retry, Settings, StopReason, Timer, testing};

use super::call::{Answer, CUT, Call, Details, OWN_CUT, Outcome, Policy, Seen, State, Step};
use super::stage::Stage;

#[derive(Clone, Debug)]
pub(crate) struct Trace {
    pub(crate) stage: &'static Stage,
    pub(crate) seen: Arc<Mutex<Vec<Seen>>>,
    pub(crate) call: Arc<Call>,
    position: Arc<Mutex<u32>>,
    /// Whether the test may use scopes of the thread.
    scopes: bool,
}

/// Pending for a few polls, and asks each time for another one.
struct Yields(u8);

impl Future for Yields {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.0 == 0 {
            return Poll::Ready(());
        }
        self.0 -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

thread_local! {
    static PROBED: Cell<u32> = const { Cell::new(0) };
    static WATCHING: RefCell<Option<Trace>> = const { RefCell::new(None) };
}

/// How many calls this code runs inside of.
fn depth_here(scopes: bool) -> u32 {
    static PROBE: LazyLock<Retry<()>> = LazyLock::new(|| {
        Retry::on::<()>()
            .attempts(2)
            .no_timeout()
            .fixed(Duration::ZERO)
            .quiet()
            .on_retry(|(), details| PROBED.set(details.depth))
    });
    let _normal = scopes.then(testing::normal);
    PROBED.set(u32::MAX);
    assert_eq!(PROBE.call(|| Err::<(), _>(())), Err(()));
    PROBED.get()
}

impl Trace {
    pub(crate) fn new(stage: &'static Stage, call: Call, scopes: bool) -> Self {
        Self {
            stage,
            seen: Arc::default(),
            call: Arc::new(call),
            position: Arc::default(),
            scopes,
        }
    }

    pub(crate) fn add(&self, seen: Seen) {
        self.seen
            .lock()
            .expect("no panic under this lock")
            .push(seen);
    }

    /// How many attempts have begun.
    pub(crate) fn position(&self) -> u32 {
        *self.position.lock().expect("no panic under this lock")
    }

    /// The step of an attempt.
    pub(crate) fn step(&self, position: u32) -> Step {
        let step = self.call.script.get(position as usize);
        step.copied().unwrap_or(Step::IDLE)
    }

    fn begin(&self) -> (u32, Step) {
        self.add(Seen::Begin(depth_here(self.scopes)));
        let mut position = self.position.lock().expect("no panic under this lock");
        *position += 1;
        (*position - 1, self.step(*position - 1))
    }

    fn end(&self, number: u32, step: Step) -> Outcome {
        self.stage.jump(step.jump);
        let outcome = if step.fails { Err(number) } else { Ok(number) };
        self.add(Seen::End(depth_here(self.scopes), outcome));
        outcome
    }

    pub(crate) fn attempt(&self) -> Outcome {
        let (number, step) = self.begin();
        self.stage.pass(step.busy);
        self.stage.pass(step.takes);
        self.end(number, step)
    }

    pub(crate) fn attempt_async(&self) -> impl Future<Output = Outcome> + Send + use<> {
        let trace = self.clone();
        async move {
            let (number, step) = trace.begin();
            trace.stage.pass(step.busy);
            Yields(step.yields).await;
            trace.stage.nap(step.takes).await;
            trace.end(number, step)
        }
    }

    pub(crate) fn answer(&self, outcome: Outcome) -> Decision {
        self.add(Seen::Asked(outcome));
        let answer = match outcome {
            Err(CUT | OWN_CUT) => self.call.cut.expect("a cut").answer,
            Ok(at) | Err(at) => self.step(at).answer,
        };
        match answer {
            Answer::Retry => Decision::Retry,
            Answer::After(hint) => Decision::RetryAfter(hint),
            Answer::Exactly(wait) => Decision::RetryExactly(wait),
            Answer::Stop => Decision::Stop,
        }
    }

    pub(crate) fn state<E: Debug>(&self, attempts: &Attempts<'_, E>) {
        self.add(Seen::State(State {
            number: attempts.number(),
            waited: attempts.waited(),
            elapsed: attempts.elapsed(),
            remaining: attempts.remaining(),
            reason: attempts.stop_reason().map(StopReason::as_str),
        }));
    }

    fn details(details: &RetryDetails<'_>) -> Details {
        Details {
            number: details.retry_num,
            wait: details.wait_for,
            waited: details.waited_so_far,
            elapsed: details.elapsed,
            cause: Some(format!("{:?}", details.caused_by)),
            depth: details.depth,
        }
    }
}

impl Hook for Trace {
    fn retry_scheduled(&self, details: &RetryDetails<'_>) {
        self.add(Seen::Scheduled(Self::details(details)));
    }

    fn gave_up(&self, details: &GaveUp<'_>) {
        let seen = Details {
            number: details.attempts,
            wait: Duration::ZERO,
            waited: details.waited_so_far,
            elapsed: details.elapsed,
            cause: Some(format!("{:?}", details.caused_by)),
            depth: details.depth,
        };
        self.add(Seen::GaveUp(details.reason.as_str(), seen));
    }

    fn recovered(&self, details: &Recovered<'_>) {
        self.add(Seen::Recovered(Details {
            number: details.attempts,
            wait: Duration::ZERO,
            waited: details.waited_so_far,
            elapsed: details.elapsed,
            cause: None,
            depth: 0,
        }));
    }
}

/// The hook of the process: gives each event to the call that this thread plays in no scope.
#[derive(Debug)]
pub(crate) struct Watcher;

impl Watcher {
    pub(crate) fn on(trace: Option<&Trace>) {
        static INSTALL: Once = Once::new();
        INSTALL.call_once(|| set_hooks([Arc::new(Self) as Arc<dyn Hook>]));
        WATCHING.set(trace.cloned());
    }

    fn with(report: impl FnOnce(&Trace)) {
        WATCHING.with_borrow(|trace| trace.as_ref().map(report));
    }
}

impl Hook for Watcher {
    fn retry_scheduled(&self, details: &RetryDetails<'_>) {
        Self::with(|trace| trace.retry_scheduled(details));
    }

    fn gave_up(&self, details: &GaveUp<'_>) {
        Self::with(|trace| trace.gave_up(details));
    }

    fn recovered(&self, details: &Recovered<'_>) {
        Self::with(|trace| trace.recovered(details));
    }
}

/// The policy under test, made of the model's plain one.
pub(crate) fn build<E: Debug + 'static>(
    trace: &Trace,
    budget: &Arc<Budget>,
    read: fn(&E) -> Outcome,
    cut: fn() -> E,
) -> Retry<E> {
    let call = &trace.call;
    let Policy {
        attempts,
        timeout,
        attempt_timeout,
        ..
    } = call.policy;
    let settings = Settings {
        attempts,
        timeout,
        attempt_timeout,
        wait_initial: call.policy.initial,
        wait_max: call.policy.max,
        wait_jitter: call.policy.jitter,
        wait_exp_base: call.policy.base,
        full_jitter: call.policy.full,
    };
    let (own, asked) = (trace.clone(), trace.clone());
    let mut policy = Retry::on::<E>().timer(Timer::custom(trace.stage));
    if let Some(limit) = attempt_timeout {
        policy = policy.attempt_timeout(limit, cut);
    }
    policy = policy.with_settings(settings);
    if let Some(healthy) = call.policy.reset_after {
        policy = policy.reset_after(healthy);
    }
    if call.own {
        policy = policy.on_retry(move |_, details| own.add(Seen::Own(Trace::details(details))));
    }
    if call.policy.predicate {
        policy = policy.when(move |error| asked.answer(read(error)));
    }
    if let Some(schedule) = call.policy.schedule {
        policy = policy.waits(schedule);
    }
    if let Some(seed) = call.policy.seed {
        policy = policy.seed(seed);
    }
    if call.policy.outermost_only {
        policy = policy.outermost_only();
    }
    if call.policy.budget {
        policy = policy.shared_budget(Arc::clone(budget));
    }
    if call.policy.quiet {
        policy = policy.quiet();
    }
    assert_eq!(policy.settings(), settings);
    policy
}

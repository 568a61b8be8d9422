//! Makes a call through one of the drivers.

use std::cell::Cell;
use std::fmt::Debug;
use std::future::{Future, IntoFuture};
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use stamina::{Attempts, Budget, Report, Retry, StopReason};

use super::call::{Back, CUT, How, OWN_CUT, Outcome, Seen, Step};
use super::trace::{Trace, build};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Driver {
    Call,
    Report,
    CodeBlock,
    Wrap,
    Outcome,
    Settle,
    Async,
    ReportAsync,
    With,
    WithBoxed,
    CodeBlockAsync,
    /// With `Attempts::attempt` around each attempt.
    CodeBlockCut,
    WrapAsync,
    OutcomeAsync,
    OutcomeWith,
    OutcomeWithBoxed,
    SettleAsync,
    /// `RetryFuture::attempt_timeout`.
    Limited,
    /// `OutcomeFuture::attempt_timeout`.
    LimitedOutcome,
    /// `WrapFuture::attempt_timeout`.
    LimitedWrap,
    #[cfg(feature = "tower")]
    Tower,
    #[cfg(feature = "tower")]
    TowerOutcome,
    #[cfg(feature = "tower")]
    TowerRequest,
    /// With the policy as a layer, which cuts attempts.
    #[cfg(feature = "tower")]
    Layer,
    #[cfg(feature = "tower")]
    LayerOutcome,
    #[cfg(feature = "tower")]
    LayerRequest,
}

pub(crate) const DRIVERS: [Driver; 20] = {
    use Driver::*;
    [
        Call,
        Report,
        CodeBlock,
        Wrap,
        Outcome,
        Settle,
        Async,
        ReportAsync,
        With,
        WithBoxed,
        CodeBlockAsync,
        CodeBlockCut,
        WrapAsync,
        OutcomeAsync,
        OutcomeWith,
        OutcomeWithBoxed,
        SettleAsync,
        Limited,
        LimitedOutcome,
        LimitedWrap,
    ]
};

impl Driver {
    pub(crate) fn is_async(self) -> bool {
        use Driver::*;
        !matches!(self, Call | Report | CodeBlock | Wrap | Outcome | Settle)
    }

    /// Its attempts are cut by the policy's attempt timeout.
    pub(crate) fn cuts(self) -> bool {
        self.is_async() && self != Self::CodeBlockAsync && !self.is_plain_tower()
    }

    /// The call itself knows when its attempts are cut: they are not futures of their own.
    pub(crate) fn runs_attempts(self) -> bool {
        use Driver::*;
        let lends = matches!(self, With | WithBoxed | OutcomeWith | OutcomeWithBoxed);
        !lends && !self.is_code_block() && !self.is_tower()
    }

    /// Its attempts have a limit of their own.
    pub(crate) fn is_limited(self) -> bool {
        use Driver::*;
        matches!(self, Limited | LimitedOutcome | LimitedWrap)
    }

    pub(crate) fn is_code_block(self) -> bool {
        use Driver::*;
        matches!(
            self,
            CodeBlock | Settle | CodeBlockAsync | CodeBlockCut | SettleAsync
        )
    }

    /// Its operation counts as inside of the call.
    pub(crate) fn nests(self) -> bool {
        !matches!(self, Self::CodeBlock | Self::Settle | Self::CodeBlockAsync)
            && !self.is_plain_tower()
    }

    pub(crate) fn is_by_outcome(self) -> bool {
        use Driver::*;
        match self {
            Outcome | Settle | OutcomeAsync | OutcomeWith | OutcomeWithBoxed | SettleAsync
            | LimitedOutcome => true,
            #[cfg(feature = "tower")]
            TowerOutcome | LayerOutcome => true,
            _ => false,
        }
    }

    #[cfg(feature = "tower")]
    pub(crate) fn is_by_request(self) -> bool {
        matches!(self, Self::TowerRequest | Self::LayerRequest)
    }

    #[cfg(feature = "tower")]
    pub(crate) fn is_plain_tower(self) -> bool {
        matches!(self, Self::Tower | Self::TowerOutcome | Self::TowerRequest)
    }

    #[cfg(feature = "tower")]
    pub(crate) fn is_tower(self) -> bool {
        use Driver::*;
        self.is_plain_tower() || matches!(self, Layer | LayerOutcome | LayerRequest)
    }

    #[cfg(not(feature = "tower"))]
    pub(crate) fn is_by_request(self) -> bool {
        false
    }

    #[cfg(not(feature = "tower"))]
    pub(crate) fn is_plain_tower(self) -> bool {
        false
    }

    #[cfg(not(feature = "tower"))]
    pub(crate) fn is_tower(self) -> bool {
        false
    }
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How a future is polled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Polling {
    /// Dropped when it is still pending after so many polls.
    pub(crate) patience: Option<u8>,
    /// Polled so many times more, each time with another waker, when nothing has happened.
    pub(crate) spurious: u8,
    /// Time between making a future and its first poll.
    pub(crate) idle: Duration,
    /// How many calls it is polled inside of.
    pub(crate) depth: u32,
}

/// Runs something inside of so many calls.
fn at<T>(depth: u32, run: impl FnOnce() -> T) -> T {
    fn nest(depth: u32, run: &mut dyn FnMut()) {
        if depth == 0 {
            return run();
        }
        let outer = Retry::on::<()>().attempts(1).no_timeout().quiet();
        let nested = outer.call(|| {
            nest(depth - 1, run);
            Ok(())
        });
        assert_eq!(nested, Ok(()));
    }
    let (mut run, mut output) = (Some(run), None);
    nest(depth, &mut || output = run.take().map(|run| run()));
    output.expect("it ran")
}

fn run<F: Future>(trace: &Trace, polling: Polling, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut polls = 0_u32;
    loop {
        let mut woken = false;
        for _ in 0..=polling.spurious {
            let flag = Arc::new(Flag(AtomicBool::new(false)));
            let waker = Waker::from(Arc::clone(&flag));
            let polled = at(polling.depth, || {
                future.as_mut().poll(&mut Context::from_waker(&waker))
            });
            if let Poll::Ready(output) = polled {
                return Some(output);
            }
            polls += 1;
            if polling
                .patience
                .is_some_and(|patience| polls > u32::from(patience))
            {
                return None;
            }
            woken = flag.0.load(Ordering::Relaxed);
        }
        // Time passes only while nobody has anything to do.
        if !woken {
            trace.stage.pass_to_next();
        }
    }
}

/// Polls a future once and drops it.
fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

fn by_error(error: &u32) -> Outcome {
    Err(*error)
}

fn by_outcome(outcome: &Outcome) -> Outcome {
    *outcome
}

fn just(outcome: Outcome) -> Back {
    Back {
        outcome,
        report: None,
    }
}

fn reported(report: Report<u32, u32>) -> Back {
    let reason = report.stop_reason.map(StopReason::as_str);
    Back {
        outcome: report.result,
        report: Some((report.attempts, report.waited, report.elapsed, reason)),
    }
}

/// Whether a loop of the caller's own goes on after this outcome.
fn goes_on(trace: &Trace, retried: bool) -> bool {
    if trace.call.goes_on {
        (trace.position() as usize) < trace.call.script.len()
    } else {
        retried
    }
}

/// The step of the attempt that comes next, after what the script wants done before it.
fn next_step<E: Debug>(trace: &Trace, attempts: &mut Attempts<'_, E>) -> Step {
    let step = trace.step(trace.position());
    if step.reset {
        attempts.reset();
        trace.state(attempts);
    }
    step
}

fn begin<'a, E: Debug + 'static>(trace: &Trace, policy: &'a Retry<E>) -> Attempts<'a, E> {
    let call = &trace.call;
    match (call.made, call.before, call.policy.attempts) {
        (0, Duration::ZERO, Some(_)) => policy.start(),
        (0, Duration::ZERO, None) => policy.clone().into_attempts(),
        _ => policy.resume(call.made, call.before),
    }
}

/// A loop by error. Returns the last outcome.
fn code_block(trace: &Trace, attempts: &mut Attempts<'_, u32>) -> Outcome {
    loop {
        let step = next_step(trace, attempts);
        let outcome = trace.attempt();
        let retried = match outcome {
            Ok(_) => {
                attempts.succeed(());
                trace.state(attempts);
                false
            }
            Err(error) => again(trace, attempts, error, step),
        };
        if !goes_on(trace, retried) {
            return outcome;
        }
    }
}

fn again(trace: &Trace, attempts: &mut Attempts<'_, u32>, error: u32, step: Step) -> bool {
    for _ in 0..step.undo {
        trace.add(Seen::Ahead(attempts.next_wait()));
        let Ok(pause) = attempts.pause(&error) else {
            trace.state(attempts);
            return false;
        };
        drop(pause);
        trace.add(Seen::Undone);
        trace.state(attempts);
    }
    trace.add(Seen::Ahead(attempts.next_wait()));
    let result = match step.how {
        How::Again => attempts
            .again(error)
            .map_err(|back| assert_eq!(back, error)),
        How::Decide => attempts
            .decide(&error)
            .map(|wait| {
                trace.state(attempts);
                trace.stage.pass(wait);
            })
            .map_err(|_| ()),
        How::Skip => attempts
            .pause(&error)
            .map(|pause| {
                trace.stage.pass(pause.wait());
                pause.skip();
            })
            .map_err(|_| ()),
        How::Block => attempts
            .pause(&error)
            .map(stamina::Pause::block)
            .map_err(|_| ()),
    };
    if step.how != How::Decide || result.is_err() {
        trace.state(attempts);
    }
    result.is_ok()
}

/// The same in async code. `number` is kept up to date, so that the caller can compare it after a drop.
async fn code_block_async(
    trace: &Trace,
    attempts: &mut Attempts<'_, u32>,
    cut: bool,
    number: &Cell<u32>,
) -> Outcome {
    loop {
        let step = next_step(trace, attempts);
        number.set(attempts.number());
        let outcome = if cut {
            attempts.attempt(trace.attempt_async()).await
        } else {
            trace.attempt_async().await
        };
        let retried = match outcome {
            Ok(_) => {
                attempts.succeed(());
                trace.state(attempts);
                false
            }
            Err(error) => again_async(trace, attempts, error, step, number).await,
        };
        number.set(attempts.number());
        if !goes_on(trace, retried) {
            return outcome;
        }
    }
}

async fn again_async(
    trace: &Trace,
    attempts: &mut Attempts<'_, u32>,
    error: u32,
    step: Step,
    number: &Cell<u32>,
) -> bool {
    for _ in 0..step.undo {
        trace.add(Seen::Ahead(attempts.next_wait()));
        let polled = if step.how == How::Again {
            poll_once(attempts.again_async(error)).map(|result| result.is_ok())
        } else {
            match attempts.pause(&error) {
                Ok(pause) => poll_once(pause.into_future()).map(|()| true),
                Err(_) => Some(false),
            }
        };
        if polled.is_none() {
            trace.add(Seen::Undone);
        }
        trace.state(attempts);
        if let Some(retried) = polled {
            return retried;
        }
    }
    trace.add(Seen::Ahead(attempts.next_wait()));
    let result = match step.how {
        How::Again => {
            // A reset is not undone by a drop.
            number.set(u32::MAX);
            attempts
                .again_async(error)
                .await
                .map_err(|back| assert_eq!(back, error))
        }
        How::Decide => match attempts.decide(&error) {
            Ok(wait) => {
                trace.state(attempts);
                number.set(attempts.number());
                trace.stage.nap(wait).await;
                return true;
            }
            Err(_) => Err(()),
        },
        How::Skip => match attempts.pause(&error) {
            Ok(pause) => {
                trace.stage.nap(pause.wait()).await;
                pause.skip();
                Ok(())
            }
            Err(_) => Err(()),
        },
        How::Block => match attempts.pause(&error) {
            Ok(pause) => {
                pause.await;
                Ok(())
            }
            Err(_) => Err(()),
        },
    };
    trace.state(attempts);
    result.is_ok()
}

/// A loop by outcome.
fn settle(trace: &Trace, attempts: &mut Attempts<'_, Outcome>) -> Outcome {
    loop {
        next_step(trace, attempts);
        let outcome = trace.attempt();
        let settled = attempts.settle(outcome);
        trace.state(attempts);
        if let ControlFlow::Break(back) = settled {
            assert_eq!(back, outcome);
        }
        if !goes_on(trace, settled.is_continue()) {
            return outcome;
        }
    }
}

async fn settle_async(trace: &Trace, attempts: &mut Attempts<'_, Outcome>) -> Outcome {
    loop {
        let step = next_step(trace, attempts);
        let outcome = attempts.attempt_outcome(trace.attempt_async()).await;
        let mut undo = step.undo;
        let settled = loop {
            if undo == 0 {
                break attempts.settle_async(outcome).await;
            }
            undo -= 1;
            if let Some(settled) = poll_once(attempts.settle_async(outcome)) {
                break settled;
            }
            trace.add(Seen::Undone);
            trace.state(attempts);
        };
        trace.state(attempts);
        if !goes_on(trace, settled.is_continue()) {
            return outcome;
        }
    }
}

/// Makes the call. `start` is called when its time begins; `leave` once it is made.
pub(crate) fn drive(
    driver: Driver,
    trace: &Trace,
    polling: Polling,
    budget: &Arc<Budget>,
    start: &dyn Fn(),
    leave: &dyn Fn(),
) -> Option<Back> {
    let depth = trace.call.depth;
    let policy = build::<u32>(trace, budget, by_error, || CUT);
    let outcomes = build::<Outcome>(trace, budget, by_outcome, || Err(CUT));
    let polled = || {
        leave();
        trace.stage.pass(polling.idle);
        start();
    };
    let run_later = |future: Pin<Box<dyn Future<Output = Outcome> + '_>>| {
        polled();
        run(trace, polling, future).map(just)
    };
    match driver {
        Driver::Call => {
            start();
            Some(just(at(depth, || policy.call(|| trace.attempt()))))
        }
        Driver::Report => {
            start();
            Some(reported(at(depth, || policy.report(|| trace.attempt()))))
        }
        Driver::Wrap => {
            let wrapped = policy.wrap(|trace: Trace| trace.attempt());
            start();
            Some(just(at(depth, || wrapped(trace.clone()))))
        }
        Driver::Outcome => {
            start();
            Some(just(at(depth, || {
                outcomes.call_outcome(|| trace.attempt())
            })))
        }
        Driver::CodeBlock => {
            start();
            let mut attempts = at(depth, || begin(trace, &policy));
            leave();
            Some(just(at(polling.depth, || code_block(trace, &mut attempts))))
        }
        Driver::Settle => {
            start();
            let mut attempts = at(depth, || begin(trace, &outcomes));
            leave();
            Some(just(at(polling.depth, || settle(trace, &mut attempts))))
        }
        Driver::CodeBlockAsync | Driver::CodeBlockCut => {
            start();
            let mut attempts = at(depth, || begin(trace, &policy));
            leave();
            let (number, cut) = (Cell::new(1), driver == Driver::CodeBlockCut);
            let block = code_block_async(trace, &mut attempts, cut, &number);
            let outcome = run(trace, polling, block);
            let healthy = policy_resets(trace);
            assert!(
                number.get() == attempts.number() || healthy || number.get() == u32::MAX,
                "what is dropped leaves all as it was"
            );
            outcome.map(just)
        }
        Driver::SettleAsync => {
            start();
            let mut attempts = at(depth, || begin(trace, &outcomes));
            leave();
            run(trace, polling, settle_async(trace, &mut attempts)).map(just)
        }
        Driver::Async => run_later(Box::pin(at(depth, || {
            policy.call_async(|| trace.attempt_async())
        }))),
        Driver::ReportAsync => {
            let future = at(depth, || policy.report_async(|| trace.attempt_async()));
            polled();
            run(trace, polling, future).map(reported)
        }
        Driver::With | Driver::WithBoxed | Driver::OutcomeWith | Driver::OutcomeWithBoxed => {
            let mut count = 0_u32;
            let back = run_later(lent(driver, trace, &policy, &outcomes, &mut count));
            assert_eq!(count, trace.position());
            back
        }
        Driver::WrapAsync => {
            let wrapped = policy.wrap_async(|trace: Trace| trace.attempt_async());
            let future = at(depth, || wrapped(trace.clone()));
            drop((wrapped, policy));
            run_later(Box::pin(future))
        }
        Driver::OutcomeAsync => run_later(Box::pin(at(depth, || {
            outcomes.call_outcome_async(|| trace.attempt_async())
        }))),
        Driver::Limited => {
            let after = trace.call.cut.expect("a cut").after;
            run_later(Box::pin(at(depth, || {
                let call = policy.call_async(|| trace.attempt_async());
                call.attempt_timeout(after, || OWN_CUT)
            })))
        }
        Driver::LimitedOutcome => {
            let after = trace.call.cut.expect("a cut").after;
            run_later(Box::pin(at(depth, || {
                let call = outcomes.call_outcome_async(|| trace.attempt_async());
                call.attempt_timeout(after, || Err(OWN_CUT))
            })))
        }
        Driver::LimitedWrap => {
            let after = trace.call.cut.expect("a cut").after;
            let wrapped = policy.wrap_async(|trace: Trace| trace.attempt_async());
            run_later(Box::pin(at(depth, || {
                wrapped(trace.clone()).attempt_timeout(after, || OWN_CUT)
            })))
        }
        #[cfg(feature = "tower")]
        _ => {
            start();
            let request = at(depth, || {
                towered::request(driver, trace, &policy, &outcomes)
            });
            drop((policy, outcomes));
            leave();
            run(trace, polling, request).map(just)
        }
    }
}

fn policy_resets(trace: &Trace) -> bool {
    trace.call.policy.reset_after.is_some() || trace.call.goes_on
}

/// The drivers that lend state to each attempt.
fn lent<'a>(
    driver: Driver,
    trace: &'a Trace,
    policy: &'a Retry<u32>,
    outcomes: &'a Retry<Outcome>,
    count: &'a mut u32,
) -> Pin<Box<dyn Future<Output = Outcome> + 'a>> {
    let depth = trace.call.depth;
    let attempt = async |count: &mut u32| {
        *count += 1;
        trace.attempt_async().await
    };
    match driver {
        Driver::With => Box::pin(at(depth, || policy.call_async_with(count, attempt))),
        Driver::WithBoxed => Box::pin(at(depth, || {
            policy.call_async_with_boxed(count, |count| {
                *count += 1;
                Box::pin(trace.attempt_async())
            })
        })),
        Driver::OutcomeWith => Box::pin(at(depth, || {
            outcomes.call_outcome_async_with(count, attempt)
        })),
        _ => Box::pin(at(depth, || {
            outcomes.call_outcome_async_with_boxed(count, |count| {
                *count += 1;
                Box::pin(trace.attempt_async())
            })
        })),
    }
}

#[cfg(feature = "tower")]
mod towered {
    use super::{Context, Driver, Future, Outcome, Pin, Poll, Retry, Trace};
    use tower::{Layer, Service, retry::RetryLayer};

    #[derive(Clone)]
    struct Served(Trace);

    impl Service<()> for Served {
        type Response = u32;
        type Error = u32;
        type Future = Pin<Box<dyn Future<Output = Outcome>>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), u32>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, (): ()) -> Self::Future {
            Box::pin(self.0.attempt_async())
        }
    }

    /// Sends a request.
    pub(super) fn request(
        driver: Driver,
        trace: &Trace,
        policy: &Retry<u32>,
        outcomes: &Retry<Outcome>,
    ) -> Pin<Box<dyn Future<Output = Outcome>>> {
        let served = Served(trace.clone());
        let asked = trace.clone();
        let with_request = policy
            .tower()
            .when_request(move |(): &(), outcome: &Outcome| asked.answer(*outcome));
        match driver {
            Driver::Tower => Box::pin(RetryLayer::new(policy.tower()).layer(served).call(())),
            Driver::TowerOutcome => {
                Box::pin(RetryLayer::new(outcomes.tower()).layer(served).call(()))
            }
            Driver::TowerRequest => Box::pin(RetryLayer::new(with_request).layer(served).call(())),
            Driver::Layer => Box::pin(policy.tower().layer(served).call(())),
            Driver::LayerOutcome => Box::pin(outcomes.tower().layer(served).call(())),
            _ => Box::pin(with_request.layer(served).call(())),
        }
    }
}

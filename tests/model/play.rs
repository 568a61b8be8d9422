//! Plays scripts, read from bytes, through every driver, on a clock that the script moves, and holds what is seen
//! against the rules.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use stamina::instrument::{GaveUp, Hook, Recovered, RetryDetails, scoped_hooks, set_hooks};
use stamina::testing::{self, Testing};
use stamina::{Attempts, Budget, Clock, Decision, Retry, Settings, Sleep, StopReason, Timer};

use super::rules::{
    Answer, Back, Bucket, CUT, Call, Cut, Details, Mode, Outcome, Policy, Seen, Step, check,
};

/// A clock that stands still unless it is moved.
#[derive(Debug)]
pub(crate) struct Stage {
    base: OnceLock<Instant>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    now: u64,
    /// Deadlines that somebody waits for.
    naps: Vec<(u64, u64)>,
    next_nap: u64,
}

impl Stage {
    pub(crate) const fn new() -> Self {
        let state = State {
            now: 0,
            naps: Vec::new(),
            next_nap: 0,
        };
        Self {
            base: OnceLock::new(),
            state: Mutex::new(state),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic under this lock")
    }

    fn pass(&self, duration: Duration) {
        let mut state = self.state();
        state.now = state.now.saturating_add(nanos(duration));
    }

    fn jump(&self, by: i64) {
        let mut state = self.state();
        state.now = state.now.saturating_add_signed(by);
    }

    fn nap(&'static self, duration: Duration) -> Nap {
        let mut state = self.state();
        let (number, until) = (state.next_nap, state.now.saturating_add(nanos(duration)));
        state.next_nap += 1;
        state.naps.push((number, until));
        Nap {
            stage: self,
            number,
            until,
        }
    }

    /// Moves to the next deadline.
    fn pass_to_next(&self) {
        let mut state = self.state();
        let next = state.naps.iter().map(|(_, until)| *until).min();
        let next = next.expect("a future that is pending waits for something");
        state.now = state.now.max(next);
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

struct Nap {
    stage: &'static Stage,
    number: u64,
    until: u64,
}

impl Future for Nap {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.stage.state().now >= self.until {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for Nap {
    fn drop(&mut self) {
        self.stage
            .state()
            .naps
            .retain(|(number, _)| *number != self.number);
    }
}

impl Clock for Stage {
    fn now(&self) -> Instant {
        let base = *self.base.get_or_init(Instant::now);
        base + Duration::from_nanos(self.state().now)
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        // `Clock` lends itself for shorter than `boxed` wants; the stage is known to be a static.
        Sleep::boxed(STAGES.get(self.index()).expect("a stage").nap(duration))
    }

    fn sleep_blocking(&self, duration: Duration) {
        self.pass(duration);
    }
}

/// One for each thread that plays.
pub(crate) static STAGES: [Stage; 4] = [const { Stage::new() }; 4];

impl Stage {
    fn index(&self) -> usize {
        STAGES
            .iter()
            .position(|stage| std::ptr::eq(stage, self))
            .expect("a stage of the list")
    }
}

/// Pending for a few polls, and says each time that it wants another one.
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

/// Reads decisions from bytes; zeros once they are used up.
#[derive(Clone, Debug)]
pub(crate) struct Bytes<'a>(pub &'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    fn below(&mut self, bound: u8) -> u8 {
        self.byte() % bound
    }

    fn flag(&mut self) -> bool {
        self.byte() % 2 == 1
    }

    fn word(&mut self) -> u64 {
        (0..8).fold(0, |word, _| word << 8 | u64::from(self.byte()))
    }

    fn duration(&mut self) -> Duration {
        let ms = Duration::from_millis;
        match self.byte() % 16 {
            0 | 1 => Duration::ZERO,
            2 => Duration::from_nanos(1),
            3 => ms(1),
            4 => ms(100),
            5 => ms(250),
            6 => Duration::from_secs(1),
            7 => Duration::from_secs(5),
            8 => Duration::from_secs(45),
            9 => Duration::from_secs(86_400),
            10 => Duration::MAX,
            11 => Duration::from_nanos(u64::MAX),
            12 => Duration::from_nanos(self.word()),
            13 => Duration::new(self.word(), u32::from(self.byte())),
            _ => ms(u64::from(self.byte()) * u64::from(self.byte())),
        }
    }

    fn answer(&mut self) -> Answer {
        match self.below(8) {
            0..=3 => Answer::Retry,
            4 | 5 => Answer::After(self.duration()),
            6 => Answer::In(self.duration()),
            _ => Answer::Stop,
        }
    }

    fn step(&mut self) -> Step {
        const DAY: i64 = 86_400_000_000_000;
        Step {
            fails: self.below(8) != 0,
            answer: self.answer(),
            busy: if self.below(4) == 0 {
                self.duration()
            } else {
                Duration::ZERO
            },
            takes: self.duration(),
            yields: self.below(3),
            jump: match self.below(8) {
                0 => i64::from(self.byte()) * -1_000_000_000,
                1 => i64::from(self.byte()) * 100_000_000,
                2 => -10 * DAY,
                3 => i64::from_be_bytes(self.word().to_be_bytes()) % (20 * DAY),
                _ => 0,
            },
        }
    }

    fn policy(&mut self) -> Policy {
        let settings = self.below(4) != 0;
        let default = Settings::DEFAULT;
        Policy {
            attempts: match self.below(8) {
                0 => None,
                1 => Some(u32::MAX),
                2 => default.attempts,
                few => Some(u32::from(few) - 2),
            },
            timeout: match self.below(4) {
                0 => None,
                1 => default.timeout,
                _ => Some(self.duration()),
            },
            initial: if settings {
                self.duration()
            } else {
                default.wait_initial
            },
            max: if settings {
                self.duration()
            } else {
                Duration::from_secs(5)
            },
            jitter: if settings {
                self.duration()
            } else {
                Duration::from_secs(1)
            },
            base: match self.below(8) {
                0 => 1.0,
                1 => 1.5,
                2 => 10.0,
                3 => f64::MAX,
                4 => 1.0 + f64::from(self.byte()) / 16.0,
                _ => 2.0,
            },
            full: self.below(4) == 0,
            own: match self.below(8) {
                0 => Some(|number| Duration::from_millis(u64::from(number) * 7)),
                1 => Some(|number| {
                    if number % 2 == 0 {
                        Duration::ZERO
                    } else {
                        Duration::MAX
                    }
                }),
                _ => None,
            },
            seed: self.flag().then(|| u64::from(self.byte())),
            predicate: self.below(8) != 0,
            outermost_only: self.below(4) == 0,
            budget: self.flag(),
        }
    }

    fn mode(&mut self) -> Mode {
        match self.below(8) {
            0 => Mode::Inactive,
            1 => Mode::Testing {
                attempts: u32::from(self.below(4)) + 1,
                capped: self.flag(),
            },
            _ => Mode::Normal,
        }
    }
}

/// What all who watch a call write into.
#[derive(Clone, Debug)]
struct Trace {
    stage: &'static Stage,
    seen: Arc<Mutex<Vec<Seen>>>,
    call: Arc<Call>,
    position: Arc<Mutex<u32>>,
}

impl Trace {
    fn add(&self, seen: Seen) {
        self.seen
            .lock()
            .expect("no panic under this lock")
            .push(seen);
    }

    fn begin(&self) -> (u32, Step) {
        self.add(Seen::Begin);
        let mut position = self.position.lock().expect("no panic under this lock");
        let idle = Step {
            fails: false,
            answer: Answer::Stop,
            busy: Duration::ZERO,
            takes: Duration::ZERO,
            yields: 0,
            jump: 0,
        };
        let step = self
            .call
            .script
            .get(*position as usize)
            .copied()
            .unwrap_or(idle);
        *position += 1;
        (*position - 1, step)
    }

    fn end(&self, number: u32, step: Step) -> Outcome {
        self.stage.jump(step.jump);
        let outcome = if step.fails { Err(number) } else { Ok(number) };
        self.add(Seen::End(outcome));
        outcome
    }

    fn attempt(&self) -> Outcome {
        let (number, step) = self.begin();
        self.stage.pass(step.busy);
        self.stage.pass(step.takes);
        self.end(number, step)
    }

    fn attempt_async(&self) -> impl Future<Output = Outcome> + use<> {
        let trace = self.clone();
        async move {
            let (number, step) = trace.begin();
            trace.stage.pass(step.busy);
            Yields(step.yields).await;
            trace.stage.nap(step.takes).await;
            trace.end(number, step)
        }
    }

    fn answer(&self, outcome: Outcome) -> Decision {
        self.add(Seen::Asked(outcome));
        let answer = match outcome {
            Err(CUT) => self.call.cut.expect("a cut").answer,
            Ok(at) | Err(at) => self
                .call
                .script
                .get(at as usize)
                .map_or(Answer::Stop, |step| step.answer),
        };
        match answer {
            Answer::Retry => Decision::Retry,
            Answer::After(hint) => Decision::RetryAfter(hint),
            Answer::In(wait) => Decision::RetryExactly(wait),
            Answer::Stop => Decision::Stop,
        }
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
        let told = Details {
            number: details.attempts,
            wait: Duration::ZERO,
            waited: details.waited_so_far,
            elapsed: details.elapsed,
            cause: Some(format!("{:?}", details.caused_by)),
            depth: details.depth,
        };
        self.add(Seen::GaveUp(details.reason.as_str(), told));
    }

    fn recovered(&self, details: &Recovered<'_>) {
        let told = Details {
            number: details.attempts,
            wait: Duration::ZERO,
            waited: details.waited_so_far,
            elapsed: details.elapsed,
            cause: None,
            depth: 0,
        };
        self.add(Seen::Recovered(told));
    }
}

thread_local! {
    static WATCHING: RefCell<Option<Trace>> = const { RefCell::new(None) };
}

/// The hook of the process: hands everything to the call that this thread plays in no scope.
#[derive(Debug)]
struct Watcher;

impl Watcher {
    fn on(trace: Option<&Trace>) {
        static INSTALL: Once = Once::new();
        INSTALL.call_once(|| set_hooks([Arc::new(Self) as Arc<dyn Hook>]));
        WATCHING.set(trace.cloned());
    }

    fn tell(tell: impl FnOnce(&Trace)) {
        WATCHING.with_borrow(|trace| trace.as_ref().map(tell));
    }
}

impl Hook for Watcher {
    fn retry_scheduled(&self, details: &RetryDetails<'_>) {
        Self::tell(|trace| trace.retry_scheduled(details));
    }

    fn gave_up(&self, details: &GaveUp<'_>) {
        Self::tell(|trace| trace.gave_up(details));
    }

    fn recovered(&self, details: &Recovered<'_>) {
        Self::tell(|trace| trace.recovered(details));
    }
}

/// The policy under test, made of the model's plain one.
fn build<E>(call: &Call, trace: &Trace, budget: &Arc<Budget>, read: fn(&E) -> Outcome) -> Retry<E>
where
    E: std::fmt::Debug + 'static,
{
    let Policy {
        attempts, timeout, ..
    } = call.policy;
    let settings = Settings {
        attempts,
        timeout,
        attempt_timeout: None,
        wait_initial: call.policy.initial,
        wait_max: Some(call.policy.max),
        wait_jitter: Some(call.policy.jitter),
        wait_exp_base: call.policy.base,
        full_jitter: call.policy.full,
    };
    let (own, asked) = (trace.clone(), trace.clone());
    let mut policy = Retry::on::<E>()
        .with_settings(settings)
        .timer(Timer::custom(trace.stage));
    if call.own {
        policy = policy.on_retry(move |details| own.add(Seen::Own(Trace::details(details))));
    }
    if call.policy.predicate {
        policy = policy.when(move |error| asked.answer(read(error)));
    }
    if let Some(own) = call.policy.own {
        policy = policy.waits(own);
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
    assert_eq!(policy.settings(), settings);
    policy
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How a future is polled.
#[derive(Clone, Copy, Debug)]
struct Polling {
    /// Dropped when it is still pending after so many polls.
    patience: Option<u8>,
    /// Polled so many times more, each time with another waker, when nothing has happened.
    spurious: u8,
    /// Time between making a future and its first poll.
    idle: Duration,
}

fn run<F: Future>(trace: &Trace, polling: Polling, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut polls = 0_u32;
    loop {
        let mut woken = false;
        for _ in 0..=polling.spurious {
            let flag = Arc::new(Flag(AtomicBool::new(false)));
            let waker = Waker::from(Arc::clone(&flag));
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
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

fn plain(error: &u32) -> Outcome {
    Err(*error)
}

fn told(attempts: &Attempts<'_, u32>) -> (u32, Duration, Option<Duration>, Option<&'static str>) {
    let reason = attempts.stop_reason().map(StopReason::as_str);
    (
        attempts.number(),
        attempts.waited(),
        Some(attempts.elapsed()),
        reason,
    )
}

const DRIVERS: u8 = 13;

/// Tower's layer, on top of them: each script is played through it too.
#[cfg(feature = "tower")]
const TOWER: u8 = DRIVERS;

#[cfg(feature = "tower")]
#[derive(Clone)]
struct Served(Trace);

#[cfg(feature = "tower")]
impl tower::Service<()> for Served {
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

/// Makes the call through one of the drivers.
fn drive(
    driver: u8,
    trace: &Trace,
    polling: Polling,
    budget: &Arc<Budget>,
    start: impl Fn(),
) -> Option<Back> {
    let call = &*trace.call;
    let just = |outcome| Back {
        outcome,
        report: None,
    };
    let policy = build::<u32>(call, trace, budget, plain);
    let outcomes = build::<Outcome>(call, trace, budget, |outcome| *outcome);
    let begin = || {
        let attempts = policy.resume(call.made, call.before);
        match (call.made, call.before) {
            (0, Duration::ZERO) => policy.start(),
            _ => attempts,
        }
    };
    let polled = || {
        trace.stage.pass(polling.idle);
        start();
    };
    match driver {
        0 => {
            start();
            Some(just(policy.call(|| trace.attempt())))
        }
        1 => {
            start();
            let report = policy.report(|| trace.attempt());
            let reason = report.stop_reason.map(StopReason::as_str);
            Some(Back {
                outcome: report.result,
                report: Some((report.attempts, report.waited, Some(report.elapsed), reason)),
            })
        }
        2 => {
            start();
            let mut attempts = begin();
            let outcome = loop {
                match trace.attempt() {
                    Ok(value) => break Ok(attempts.succeed(value)),
                    Err(error) => {
                        trace.add(Seen::Ahead(attempts.next_wait()));
                        if let Err(error) = attempts.again(error) {
                            break Err(error);
                        }
                    }
                }
            };
            Some(Back {
                outcome,
                report: Some(told(&attempts)),
            })
        }
        3 => {
            start();
            let mut attempts = begin();
            let outcome = loop {
                match trace.attempt() {
                    Ok(value) => break Ok(attempts.succeed(value)),
                    Err(error) => {
                        trace.add(Seen::Ahead(attempts.next_wait()));
                        match attempts.decide(&error) {
                            Ok(wait) => trace.stage.pass(wait),
                            Err(reason) => {
                                assert_eq!(attempts.stop_reason(), Some(reason));
                                break Err(error);
                            }
                        }
                    }
                }
            };
            Some(Back {
                outcome,
                report: Some(told(&attempts)),
            })
        }
        4 => {
            let wrapped = policy.wrap(|trace: Trace| trace.attempt());
            start();
            Some(just(wrapped(trace.clone())))
        }
        5 => {
            start();
            Some(just(outcomes.call_outcome(|| trace.attempt())))
        }
        6 => {
            let future = policy.call_async(|| trace.attempt_async());
            polled();
            run(trace, polling, future).map(just)
        }
        7 => {
            let future = policy.report_async(|| trace.attempt_async());
            polled();
            run(trace, polling, future).map(|report| {
                let reason = report.stop_reason.map(StopReason::as_str);
                Back {
                    outcome: report.result,
                    report: Some((report.attempts, report.waited, Some(report.elapsed), reason)),
                }
            })
        }
        8 => {
            let mut count = 0_u32;
            let back = {
                let future = policy.call_async_with(&mut count, async |count| {
                    *count += 1;
                    trace.attempt_async().await
                });
                polled();
                run(trace, polling, future).map(just)
            };
            assert_eq!(
                count,
                *trace.position.lock().expect("no panic under this lock")
            );
            back
        }
        9 => {
            polled();
            let mut attempts = begin();
            let made = Cell::new(attempts.number());
            let outcome = run(trace, polling, async {
                loop {
                    match trace.attempt_async().await {
                        Ok(value) => break Ok(attempts.succeed(value)),
                        Err(error) => {
                            trace.add(Seen::Ahead(attempts.next_wait()));
                            made.set(attempts.number());
                            if let Err(error) = attempts.again_async(error).await {
                                break Err(error);
                            }
                            made.set(attempts.number());
                        }
                    }
                }
            });
            assert_eq!(
                made.get(),
                attempts.number(),
                "a dropped `again_async` leaves all as it was"
            );
            outcome.map(|outcome| Back {
                outcome,
                report: Some(told(&attempts)),
            })
        }
        10 => {
            let wrapped = policy.wrap_async(|trace: Trace| trace.attempt_async());
            let future = wrapped(trace.clone());
            drop((wrapped, policy));
            polled();
            run(trace, polling, future).map(just)
        }
        11 => {
            let future = outcomes.call_outcome_async(|| trace.attempt_async());
            polled();
            run(trace, polling, future).map(just)
        }
        #[cfg(feature = "tower")]
        TOWER => {
            use tower::{Layer, Service, retry::RetryLayer};
            let served = Served(trace.clone());
            start();
            let back = if call.by_outcome {
                let request = RetryLayer::new(outcomes.tower()).layer(served).call(());
                drop((policy, outcomes));
                run(trace, polling, request)
            } else {
                let request = RetryLayer::new(policy.tower()).layer(served).call(());
                drop((policy, outcomes));
                run(trace, polling, request)
            };
            back.map(just)
        }
        _ => {
            let after = call.cut.expect("a cut").after;
            let future = policy
                .call_async(|| trace.attempt_async())
                .attempt_timeout(after, || CUT);
            polled();
            run(trace, polling, future).map(just)
        }
    }
}

/// The two ways through the library.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// In scopes, and with a hook of the policy's own: the long one.
    Scopes,
    /// In no scope, as production runs: the short one, as far as the policy lets it.
    Production,
}

/// Plays what the bytes say, on each of the two ways.
pub(crate) fn play(bytes: &[u8], stage: &'static Stage) {
    // A scope of any thread sends all of them the long way.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for way in [Way::Scopes, Way::Production] {
        play_on(way, None, bytes, stage);
        #[cfg(feature = "tower")]
        play_on(way, Some(TOWER), bytes, stage);
    }
}

/// Plays a few calls that share a budget, on a stage of this thread's own; through the drivers that the bytes name, or
/// all through this one.
fn play_on(way: Way, only: Option<u8>, bytes: &[u8], stage: &'static Stage) {
    // Half of the scripts have nothing in their policy that the short way has no room for.
    let plain = way == Way::Production && bytes.len() % 2 == 0;
    // Unseeded jitter comes from this thread's generator: so a finding can be repeated.
    fastrand::seed(
        bytes
            .iter()
            .fold(0, |sum, byte| sum * 31 % 1_000_003 + u64::from(*byte)),
    );
    let mut bytes = Bytes(bytes);
    *stage.state() = State {
        now: 1_000_000_000_000_000_000,
        naps: Vec::new(),
        next_nap: 0,
    };
    let (floor, ratio) = (
        [3, 0, 1, 20][usize::from(bytes.below(4))],
        [0.2, 0.1, 1.0, 0.05][usize::from(bytes.below(4))],
    );
    let decay = Duration::from_secs([10, 1, 60, 86_400][usize::from(bytes.below(4))]);
    let budget = Arc::new(Budget::new().floor(floor).ratio(ratio).decay(decay));
    let mut bucket = Some(Bucket::new(floor, ratio, decay, stage.state().now.into()));
    let mut policy = bytes.policy();
    if plain {
        policy = Policy {
            full: false,
            own: None,
            seed: None,
            outermost_only: false,
            ..policy
        };
    }
    for _ in 0..=bytes.below(6) {
        let named = bytes.below(DRIVERS);
        let driver = only.unwrap_or(named);
        let polling = Polling {
            patience: (bytes.below(4) == 0).then(|| bytes.below(24)),
            spurious: bytes.below(3),
            idle: if bytes.flag() {
                Duration::ZERO
            } else {
                Duration::from_secs(9)
            },
        };
        let nested = bytes.below(4) == 0;
        let code_block = matches!(driver, 2 | 3 | 9);
        let resumed = code_block && bytes.flag();
        let mode = bytes.mode();
        let call = Call {
            policy,
            mode: if way == Way::Scopes {
                mode
            } else {
                Mode::Normal
            },
            depth: u32::from(nested),
            made: if resumed {
                [1, 3, u32::MAX - 1, u32::MAX][usize::from(bytes.below(4))]
            } else {
                0
            },
            before: if resumed {
                bytes.duration()
            } else {
                Duration::ZERO
            },
            cut: (driver == 12).then(|| Cut {
                after: bytes.duration(),
                answer: bytes.answer(),
            }),
            by_outcome: matches!(driver, 5 | 11) || (only.is_some() && named % 2 == 1),
            measured: matches!(driver, 1 | 7),
            asks_ahead: code_block,
            own: way == Way::Scopes,
            script: (0..bytes.below(12)).map(|_| bytes.step()).collect(),
        };
        one(way, call, driver, polling, stage, &budget, &mut bucket);
        let now = stage.now();
        let at = stage.state().now;
        if let Some(bucket) = &bucket {
            bucket.holds(at.into(), budget.balance(now));
        }
    }
}

fn one(
    way: Way,
    call: Call,
    driver: u8,
    polling: Polling,
    stage: &'static Stage,
    budget: &Arc<Budget>,
    bucket: &mut Option<Bucket>,
) {
    let trace = Trace {
        stage,
        seen: Arc::default(),
        call: Arc::new(call),
        position: Arc::default(),
    };
    let mode = || match trace.call.mode {
        Mode::Normal => testing::normal(),
        Mode::Inactive => testing::inactive(),
        Mode::Testing {
            attempts,
            capped: true,
        } => testing::scoped(Testing::attempts(attempts).capped()),
        Mode::Testing { attempts, .. } => testing::scoped(Testing::attempts(attempts)),
    };
    let scopes = (way == Way::Scopes).then(|| {
        let hooks = scoped_hooks([Arc::new(trace.clone()) as Arc<dyn Hook>]);
        (hooks, mode())
    });
    Watcher::on(scopes.is_none().then_some(&trace));
    let started = Cell::new(0);
    let start = || started.set(stage.state().now);
    let back = if trace.call.depth > 0 {
        let mut back = None;
        let outer = Retry::on::<()>().attempts(1).call(|| {
            back = drive(driver, &trace, polling, budget, start);
            Ok(())
        });
        assert_eq!(outer, Ok(()));
        back
    } else {
        drive(driver, &trace, polling, budget, start)
    };
    Watcher::on(None);
    drop(scopes);
    let seen = trace.seen.lock().expect("no panic under this lock").clone();
    let verdict = check(
        &trace.call,
        &seen,
        back.as_ref(),
        started.get().into(),
        bucket,
    );
    if back.is_some() {
        assert_eq!(
            u128::from(stage.state().now),
            verdict.now,
            "driver {driver}: time passed by the clock"
        );
    }
    assert!(stage.state().naps.is_empty(), "nothing is left behind");
}

//! Plays a script: a few calls that share a budget.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use stamina::instrument::{Hook, scoped_hooks};
use stamina::testing::{self, Testing};
use stamina::{Budget, Clock, Retry, Timer};

use super::bucket::Bucket;
use super::bytes::Bytes;
use super::call::{CUT, Call, Cut, Mode, OWN_CUT, Policy};
use super::drivers::{DRIVERS, Driver, Polling, drive};
use super::rules::{Nanos, check};
use super::stage::Stage;
use super::trace::{Trace, Watcher};

/// In which surroundings a script is played.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// In scopes, and with a hook of the policy's own.
    Scopes,
    /// In no scope, as production runs.
    Production,
}

/// Plays what the bytes say, in both surroundings.
pub(crate) fn play(bytes: &[u8], stage: &'static Stage) {
    // A scope of any thread makes all of them look for scopes.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for way in [Way::Scopes, Way::Production] {
        play_on(way, false, bytes, stage);
        if cfg!(feature = "tower") {
            play_on(way, true, bytes, stage);
        }
    }
}

/// A retry that was decided on long ago, and holds its token.
type Held = (Nanos, Pin<Box<dyn Future<Output = Result<(), ()>>>>);

/// Plays on a stage of this thread's own, through the drivers that the bytes name or through tower's.
fn play_on(way: Way, by_tower: bool, bytes: &[u8], stage: &'static Stage) {
    // Jitter without a seed comes from this thread's generator, so a finding can be repeated.
    fastrand::seed(
        bytes
            .iter()
            .fold(0, |sum, byte| sum * 31 % 1_000_003 + u64::from(*byte)),
    );
    let mut bytes = Bytes(bytes);
    stage.begin();
    let floor = [2, 0, 1, 20][usize::from(bytes.below(4))];
    let ratio = [0.2, 0.1, 1.0, 0.05][usize::from(bytes.below(4))];
    let decay = Duration::from_secs([10, 1, 60, 86_400][usize::from(bytes.below(4))]);
    let earned_after = (bytes.below(4) == 0).then(|| bytes.some_duration());
    let mut budget = Budget::new().floor(floor).ratio(ratio).decay(decay);
    if let Some(limit) = earned_after {
        budget = budget.earned_after(limit);
    }
    let budget = Arc::new(budget);
    let earned_after = earned_after.map(|limit| limit.as_nanos());
    let mut bucket = Bucket::new(floor, ratio, decay.as_nanos(), earned_after);
    let policy = bytes.policy();
    let mut held: Option<Held> = None;
    for _ in 0..=bytes.below(6) {
        if bytes.below(4) == 0 {
            held = match held {
                None => hold(stage, &budget, &mut bucket),
                Some((taken, retry)) => {
                    drop(retry);
                    bucket.give_back(taken);
                    None
                }
            };
        }
        let driver = name(bytes.byte(), by_tower, policy.attempt_timeout.is_some());
        let polling = polling(&mut bytes, driver);
        let mut call = call(&mut bytes, driver, policy, polling);
        if way == Way::Production {
            call.mode = Mode::Normal;
            call.own = call.policy.quiet;
        }
        let leaves = bytes.flag();
        one(
            way,
            call,
            driver,
            polling,
            leaves,
            stage,
            &budget,
            &mut bucket,
        );
        bucket.holds(stage.nanos().into(), budget.balance(stage.now()));
        assert_eq!(stage.naps(), usize::from(held.is_some()), "left behind");
    }
}

/// Decides on a retry in a very long time.
fn hold(stage: &'static Stage, budget: &Arc<Budget>, bucket: &mut Bucket) -> Option<Held> {
    // At the end of the test's clock there is nothing to wait for.
    if stage.nanos() == u64::MAX {
        return None;
    }
    let policy = Retry::on::<()>()
        .fixed(Duration::MAX)
        .no_timeout()
        .quiet()
        .timer(Timer::custom(stage))
        .shared_budget(Arc::clone(budget));
    let mut call = Box::pin(policy.wrap_async(|()| async { Err::<(), _>(()) })(()));
    let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    let taken = bucket.take(stage.nanos().into(), 0, polled == Poll::Pending);
    (polled == Poll::Pending).then_some((taken, call))
}

#[cfg(feature = "tower")]
fn name(byte: u8, by_tower: bool, cuts: bool) -> Driver {
    use Driver::*;
    match (by_tower, byte % 6) {
        (false, _) => DRIVERS[usize::from(byte) % DRIVERS.len()],
        (true, 0) if !cuts => Tower,
        (true, 1) if !cuts => TowerOutcome,
        (true, 2) if !cuts => TowerRequest,
        (true, 0 | 3) => Layer,
        (true, 1 | 4) => LayerOutcome,
        (true, _) => LayerRequest,
    }
}

#[cfg(not(feature = "tower"))]
fn name(byte: u8, _: bool, _: bool) -> Driver {
    DRIVERS[usize::from(byte) % DRIVERS.len()]
}

fn polling(bytes: &mut Bytes<'_>, driver: Driver) -> Polling {
    let depth = bytes.below(8);
    Polling {
        patience: (bytes.below(4) == 0).then(|| bytes.below(24)),
        spurious: bytes.below(3),
        // What starts when it is made is used at once.
        idle: if bytes.flag() || driver.is_tower() || driver.is_code_block() {
            Duration::ZERO
        } else {
            Duration::from_secs(9)
        },
        depth: u32::from(depth).saturating_sub(5),
    }
}

fn call(bytes: &mut Bytes<'_>, driver: Driver, mut policy: Policy, polling: Polling) -> Call {
    // A response that is retried does not come to the policy's own hook, so nobody would see its wait.
    policy.quiet &= !driver.is_by_request();
    // What does not wait for another thread runs where it is made.
    let moves = driver.is_async() || driver.is_code_block();
    let elsewhere = u32::from(bytes.below(8)).saturating_sub(5);
    let depth = if moves { elsewhere } else { polling.depth };
    let resumed = driver.is_code_block() && bytes.flag();
    Call {
        policy,
        mode: bytes.mode(),
        depth,
        operation_depth: if driver.nests() {
            depth + 1
        } else {
            polling.depth
        },
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
        cut: if driver.is_limited() {
            Some(Cut {
                after: bytes.some_duration(),
                error: OWN_CUT,
                answer: bytes.answer(),
            })
        } else {
            policy
                .attempt_timeout
                .filter(|_| driver.cuts())
                .map(|after| Cut {
                    after,
                    error: CUT,
                    answer: policy.cut_answer,
                })
        },
        runs_attempts: driver.runs_attempts(),
        by_outcome: driver.is_by_outcome(),
        by_request: driver.is_by_request(),
        measured: matches!(driver, Driver::Report | Driver::ReportAsync),
        code_block: driver.is_code_block(),
        goes_on: driver.is_code_block() && bytes.flag(),
        own: true,
        script: (0..bytes.below(12)).map(|_| bytes.step()).collect(),
    }
}

#[allow(clippy::too_many_arguments, reason = "what a script is made of")]
fn one(
    way: Way,
    call: Call,
    driver: Driver,
    polling: Polling,
    leaves: bool,
    stage: &'static Stage,
    budget: &Arc<Budget>,
    bucket: &mut Bucket,
) {
    let trace = Trace::new(stage, call, way == Way::Scopes);
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
    let (started, scopes) = (Cell::new(0), RefCell::new(scopes));
    let start = || started.set(stage.nanos());
    // A call keeps the scopes that it was made in.
    let leave = || {
        if leaves {
            scopes.take();
        }
    };
    let back = drive(driver, &trace, polling, budget, &start, &leave);
    Watcher::on(None);
    drop(scopes);
    let seen = trace.seen.lock().expect("no panic under this lock").clone();
    if std::env::var_os("STAMINA_MODEL_SHOW").is_some() {
        let call = Call {
            script: Vec::new(),
            ..(*trace.call).clone()
        };
        eprintln!("{driver:?} {polling:?} {call:#?}");
        for seen in &seen {
            eprintln!("  {seen:?}");
        }
        eprintln!("  back: {back:?}");
    }
    let now = check(
        &trace.call,
        &seen,
        back.as_ref(),
        started.get().into(),
        bucket,
    );
    if back.is_some() {
        assert_eq!(
            u128::from(stage.nanos()),
            now,
            "{driver:?}: time passed by the clock"
        );
    }
}

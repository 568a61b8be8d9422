//! One judge behind every driver: random scripts come to the same through all of them.
#![allow(
    clippy::option_option,
    reason = "a driver may not say why, and a call may have no reason"
)]
#![allow(clippy::needless_pass_by_value, reason = "a report is taken apart")]

mod scene;

use futures::executor::block_on;
use scene::{Told, Witness, clock, lock, ms, secs};
use stamina::testing::{self, Testing, VirtualClock};
use stamina::{Attempts, Budget, Clock, Decision, Report, Retry, Settings, StopReason, Timer};
use std::collections::VecDeque;
use std::future::ready;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How an attempt fails, and what the predicate says of it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Fault(u32, Decision);

type Outcome = Result<u32, Fault>;

/// What is played: how long each attempt takes and what it comes to.
#[derive(Clone, Debug)]
struct Script {
    settings: Settings,
    seed: u64,
    floor: Option<u32>,
    mode: Mode,
    attempts: Vec<(Duration, Outcome)>,
}

#[derive(Clone, Copy, Debug)]
enum Mode {
    Normal,
    Testing(Testing),
    Inactive,
}

impl Script {
    fn random(rng: &mut fastrand::Rng) -> Self {
        let failures = rng.u32(0..9);
        let mut attempts: Vec<_> = (0..failures)
            .map(|number| {
                let decision = match rng.u32(0..10) {
                    0 => Decision::Stop,
                    1 => Decision::RetryAfter(ms(rng.u64(0..9000))),
                    2 => Decision::RetryIn(ms(rng.u64(0..9000))),
                    3 => Decision::RetryIn(Duration::ZERO),
                    _ => Decision::Retry,
                };
                (ms(rng.u64(0..2000)), Err(Fault(number, decision)))
            })
            .collect();
        attempts.push((ms(rng.u64(0..2000)), Ok(failures)));
        let testing = Testing::attempts(rng.u32(1..6));
        let settings = Settings {
            attempts: rng.bool().then(|| rng.u32(1..8)),
            timeout: rng.bool().then(|| ms(rng.u64(0..20_000))),
            wait_initial: ms(rng.u64(0..500)),
            wait_max: ms(rng.u64(0..4000)),
            wait_jitter: ms(rng.u64(0..1500)),
            wait_exp_base: if rng.bool() {
                2.0
            } else {
                1.0 + rng.f64() * 3.0
            },
            full_jitter: rng.bool(),
        };
        Self {
            settings,
            seed: rng.u64(..),
            floor: rng.bool().then(|| rng.u32(0..5)),
            mode: match rng.u32(0..6) {
                0 => Mode::Testing(testing),
                1 => Mode::Testing(testing.capped()),
                2 => Mode::Inactive,
                _ => Mode::Normal,
            },
            attempts,
        }
    }
}

/// A script under way, in a world of its own.
struct Stage {
    clock: &'static VirtualClock,
    left: Mutex<VecDeque<(Duration, Outcome)>>,
    script: Script,
    budget: Option<Arc<Budget>>,
}

impl Stage {
    fn new(script: &Script) -> Self {
        Self {
            clock: clock(),
            left: Mutex::new(script.attempts.clone().into()),
            script: script.clone(),
            budget: script
                .floor
                .map(|floor| Arc::new(Budget::new().floor(floor))),
        }
    }

    /// The operation.
    fn play(&self) -> Outcome {
        let (length, outcome) = lock(&self.left)
            .pop_front()
            .expect("an attempt after a success");
        self.clock.advance(length);
        outcome
    }

    fn set<E>(&self, policy: Retry<E>) -> Retry<E> {
        let policy = policy
            .with_settings(self.script.settings)
            .seed(self.script.seed)
            .timer(Timer::custom(self.clock))
            .named("script");
        match &self.budget {
            Some(budget) => policy.shared_budget(Arc::clone(budget)),
            None => policy,
        }
    }

    fn policy(&self) -> Retry<Fault> {
        self.set(Retry::on::<Fault>()).when(|fault| fault.1)
    }

    fn outcome_policy(&self) -> Retry<Outcome> {
        self.set(Retry::on::<Outcome>())
            .when(|outcome| match outcome {
                Ok(_) => Decision::Stop,
                Err(fault) => fault.1,
            })
    }
}

/// How a driver says that it ended; `None` where it does not say why.
struct Ending(Outcome, Option<Option<StopReason>>);

impl From<Outcome> for Ending {
    fn from(outcome: Outcome) -> Self {
        Self(outcome, None)
    }
}

fn reported(stage: &Stage, report: Report<u32, Fault>) -> Ending {
    assert_eq!(report.attempts as usize, made(stage));
    assert_eq!(report.waited, stage.clock.waits().iter().sum());
    assert_eq!(report.elapsed, stage.clock.elapsed());
    Ending(report.result, Some(report.stop_reason))
}

fn made(stage: &Stage) -> usize {
    stage.script.attempts.len() - lock(&stage.left).len()
}

fn finished(attempts: &Attempts<'_, Fault>, outcome: Outcome) -> Ending {
    Ending(outcome, Some(attempts.stop_reason()))
}

fn decided(stage: &Stage, attempts: &mut Attempts<'_, Fault>) -> Ending {
    let outcome = loop {
        match stage.play() {
            Ok(value) => break Ok(attempts.succeed(value)),
            Err(fault) => match attempts.decide(&fault) {
                Ok(wait) => stage.clock.sleep_blocking(wait),
                Err(_) => break Err(fault),
            },
        }
    };
    finished(attempts, outcome)
}

type Driver = fn(&Stage) -> Ending;

/// Every way to drive a policy.
const DRIVERS: &[(&str, Driver)] = &[
    ("call", |stage| stage.policy().call(|| stage.play()).into()),
    ("call_async", |stage| {
        block_on(stage.policy().call_async(|| ready(stage.play()))).into()
    }),
    ("call_async, slow to be ready", |stage| {
        let yielding = || async {
            let mut yielded = false;
            std::future::poll_fn(|cx| {
                cx.waker().wake_by_ref();
                if std::mem::replace(&mut yielded, true) {
                    std::task::Poll::Ready(())
                } else {
                    std::task::Poll::Pending
                }
            })
            .await;
            stage.play()
        };
        block_on(stage.policy().call_async(yielding)).into()
    }),
    ("attempt_timeout", |stage| {
        let policy = stage.policy();
        let call = policy.call_async(|| ready(stage.play()));
        block_on(call.attempt_timeout(secs(100), || Fault(99, Decision::Retry))).into()
    }),
    ("call_async_with", |stage| {
        let mut outcomes = Vec::new();
        let operation = async |outcomes: &mut Vec<Outcome>| {
            outcomes.push(stage.play());
            outcomes[outcomes.len() - 1]
        };
        block_on(stage.policy().call_async_with(&mut outcomes, operation)).into()
    }),
    ("again", |stage| {
        let policy = stage.policy();
        let mut attempts = policy.start();
        let outcome = loop {
            match stage.play() {
                Ok(value) => break Ok(attempts.succeed(value)),
                Err(fault) => match attempts.again(fault) {
                    Ok(()) => {}
                    Err(fault) => break Err(fault),
                },
            }
        };
        finished(&attempts, outcome)
    }),
    ("again_async", |stage| {
        let policy = stage.policy();
        let mut attempts = policy.start();
        let outcome = loop {
            match stage.play() {
                Ok(value) => break Ok(attempts.succeed(value)),
                Err(fault) => match block_on(attempts.again_async(fault)) {
                    Ok(()) => {}
                    Err(fault) => break Err(fault),
                },
            }
        };
        finished(&attempts, outcome)
    }),
    ("decide", |stage| {
        decided(stage, &mut stage.policy().start())
    }),
    ("seeded", |stage| {
        let policy = stage.policy().seed(!stage.script.seed);
        decided(stage, &mut policy.start().seeded(stage.script.seed))
    }),
    ("wrap", |stage| {
        stage.policy().wrap(|()| stage.play())(()).into()
    }),
    ("wrap_async", |stage| {
        block_on(stage.policy().wrap_async(|()| ready(stage.play()))(())).into()
    }),
    ("report", |stage| {
        reported(stage, stage.policy().report(|| stage.play()))
    }),
    ("report_async", |stage| {
        reported(
            stage,
            block_on(stage.policy().report_async(|| ready(stage.play()))),
        )
    }),
    ("call_outcome", |stage| {
        stage.outcome_policy().call_outcome(|| stage.play()).into()
    }),
    ("call_outcome_async", |stage| {
        block_on(
            stage
                .outcome_policy()
                .call_outcome_async(|| ready(stage.play())),
        )
        .into()
    }),
    #[cfg(feature = "tower")]
    ("tower", |stage| towered(stage.policy().tower(), stage)),
    #[cfg(feature = "tower")]
    ("tower, by outcome", |stage| {
        towered(stage.outcome_policy().tower(), stage)
    }),
];

/// Through tower's own layer.
#[cfg(feature = "tower")]
fn towered<P>(policy: P, stage: &Stage) -> Ending
where
    P: tower::retry::Policy<(), u32, Fault> + Clone,
{
    use tower::{Layer, Service};
    #[derive(Clone)]
    struct Played<'a>(&'a Stage);
    impl Service<()> for Played<'_> {
        type Response = u32;
        type Error = Fault;
        type Future = std::future::Ready<Outcome>;

        fn poll_ready(
            &mut self,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), Fault>> {
            std::task::Poll::Ready(Ok(()))
        }

        fn call(&mut self, (): ()) -> Self::Future {
            ready(self.0.play())
        }
    }
    let mut service = tower::retry::RetryLayer::new(policy).layer(Played(stage));
    block_on(service.call(())).into()
}

/// Everything there is to see of a run.
#[derive(Debug, PartialEq)]
struct Seen {
    outcome: Outcome,
    attempts: usize,
    waits: Vec<Duration>,
    told: Vec<Told>,
    balance: Option<String>,
}

fn run(script: &Script, driver: Driver) -> (Seen, Option<Option<StopReason>>) {
    let stage = Stage::new(script);
    let (witness, _hooks) = Witness::here();
    let _mode = match script.mode {
        Mode::Normal => testing::normal(),
        Mode::Testing(testing) => testing::scoped(testing),
        Mode::Inactive => testing::inactive(),
    };
    let Ending(outcome, reason) = driver(&stage);
    let mut told = witness.take();
    for told in &mut told {
        // Where the predicate sees the outcome, so do the hooks. Where nothing else needs the time, only a report
        // measures it.
        if let Told::Retry { caused_by, .. } | Told::GaveUp { caused_by, .. } = told {
            if let Some(fault) = caused_by.strip_prefix("Err(") {
                *caused_by = fault[..fault.len() - 1].to_owned();
            }
        }
        if script.settings.timeout.is_none() && script.floor.is_none() {
            let (Told::Retry { elapsed, .. }
            | Told::GaveUp { elapsed, .. }
            | Told::Recovered { elapsed, .. }) = told;
            *elapsed = Duration::ZERO;
        }
    }
    let balance = stage
        .budget
        .as_ref()
        .map(|budget| format!("{:.6}", budget.balance(stage.clock.now())));
    let attempts = made(&stage);
    let waits = stage.clock.waits();
    (
        Seen {
            outcome,
            attempts,
            waits,
            told,
            balance,
        },
        reason,
    )
}

#[test]
fn every_driver_comes_to_the_same() {
    let mut rng = fastrand::Rng::with_seed(26_07);
    let mut reasons = std::collections::HashMap::<_, u32>::new();
    for _ in 0..2000 {
        let script = Script::random(&mut rng);
        let (expected, _) = run(&script, DRIVERS[0].1);
        let (_, expected_reason) = run(&script, |stage| {
            reported(stage, stage.policy().report(|| stage.play()))
        });
        *reasons.entry(expected_reason.flatten()).or_default() += 1;
        for (name, driver) in DRIVERS {
            let (seen, reason) = run(&script, *driver);
            assert_eq!(seen, expected, "{name} differs from call in {script:#?}");
            if reason.is_some() {
                assert_eq!(
                    reason, expected_reason,
                    "{name} differs from report in {script:#?}"
                );
            }
        }
    }
    // The scripts are worth something: every ending is among them, often.
    use StopReason::{AttemptsExhausted, BudgetExhausted, Inactive, NotRetryable, TimedOut};
    for ending in [
        None,
        Some(AttemptsExhausted),
        Some(BudgetExhausted),
        Some(Inactive),
        Some(NotRetryable),
        Some(TimedOut),
    ] {
        assert!(
            reasons.get(&ending).is_some_and(|count| *count > 50),
            "{ending:?}: {reasons:?}"
        );
    }
}

#[test]
fn a_call_may_move_between_machines_at_every_step() {
    // Resumed before each attempt from two numbers, it waits as it would have done in one piece.
    let mut rng = fastrand::Rng::with_seed(7);
    for _ in 0..500 {
        let script = Script {
            floor: None,
            mode: Mode::Normal,
            ..Script::random(&mut rng)
        };
        let (whole, reason) = run(&script, |stage| decided(stage, &mut stage.policy().start()));
        let (pieces, of_pieces) = run(&script, |stage| {
            let policy = stage.policy();
            let (mut made, mut elapsed) = (0, Duration::ZERO);
            loop {
                let mut attempts = policy.resume(made, elapsed);
                let fault = match stage.play() {
                    Ok(value) => {
                        attempts.succeed(());
                        return finished(&attempts, Ok(value));
                    }
                    Err(fault) => fault,
                };
                match attempts.decide(&fault) {
                    Ok(wait) => stage.clock.sleep_blocking(wait),
                    Err(_) => return finished(&attempts, Err(fault)),
                }
                (made, elapsed) = (attempts.number() - 1, stage.clock.elapsed());
            }
        });
        assert_eq!(
            (pieces.outcome, pieces.waits, of_pieces),
            (whole.outcome, whole.waits, reason),
            "{script:#?}"
        );
    }
}

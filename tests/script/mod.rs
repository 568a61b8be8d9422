//! Random scripts of what happens to a call, and every way to play them.
#![allow(dead_code, reason = "each test file uses a part of this")]
#![allow(unreachable_pub, reason = "a module of each test file")]
#![allow(
    clippy::option_option,
    reason = "a driver may not say why, and a call may have no reason"
)]
#![allow(clippy::needless_pass_by_value, reason = "a report is taken apart")]

use super::scene::{clock, lock, ms, secs};
use futures::executor::block_on;
use stamina::testing::{Testing, VirtualClock};
use stamina::{Attempts, Budget, Clock, Decision, Report, Retry, Settings, StopReason, Timer};
use std::collections::VecDeque;
use std::future::ready;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How an attempt fails, and what the predicate says of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault(pub u32, pub Decision);

pub type Outcome = Result<u32, Fault>;

/// What is played: how long each attempt takes and what it comes to.
#[derive(Clone, Debug)]
pub struct Script {
    pub settings: Settings,
    pub seed: Option<u64>,
    pub floor: Option<u32>,
    pub mode: Mode,
    pub attempts: Vec<(Duration, Outcome)>,
}

#[derive(Clone, Copy, Debug)]
pub enum Mode {
    Normal,
    Testing(Testing),
    Inactive,
}

impl Script {
    pub fn random(rng: &mut fastrand::Rng) -> Self {
        let failures = rng.u32(0..9);
        let mut attempts: Vec<_> = (0..failures)
            .map(|number| {
                let decision = match rng.u32(0..10) {
                    0 => Decision::Stop,
                    1 => Decision::RetryAfter(ms(rng.u64(0..9000))),
                    2 => Decision::RetryExactly(ms(rng.u64(0..9000))),
                    3 => Decision::RetryExactly(Duration::ZERO),
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
            attempt_timeout: None,
            wait_initial: ms(rng.u64(0..500)),
            wait_max: rng.bool().then(|| ms(rng.u64(0..4000))),
            wait_jitter: rng.bool().then(|| ms(rng.u64(0..1500))),
            wait_exp_base: if rng.bool() {
                2.0
            } else {
                1.0 + rng.f64() * 3.0
            },
            full_jitter: rng.bool(),
        };
        Self {
            settings,
            seed: Some(rng.u64(..)),
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
pub struct Stage {
    pub clock: &'static VirtualClock,
    left: Mutex<VecDeque<(Duration, Outcome)>>,
    pub script: Script,
    pub budget: Option<Arc<Budget>>,
}

impl Stage {
    pub fn new(script: &Script) -> Self {
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
    pub fn play(&self) -> Outcome {
        let (length, outcome) = lock(&self.left)
            .pop_front()
            .expect("an attempt after a success");
        self.clock.advance(length);
        outcome
    }

    fn set<E>(&self, policy: Retry<E>) -> Retry<E> {
        let policy = policy
            .with_settings(self.script.settings)
            .timer(Timer::custom(self.clock))
            .named("script");
        let policy = match self.script.seed {
            Some(seed) => policy.seed(seed),
            None => policy,
        };
        match &self.budget {
            Some(budget) => policy.shared_budget(Arc::clone(budget)),
            None => policy,
        }
    }

    pub fn policy(&self) -> Retry<Fault> {
        self.set(Retry::on::<Fault>()).when(|fault| fault.1)
    }

    pub fn outcome_policy(&self) -> Retry<Outcome> {
        self.set(Retry::on::<Outcome>())
            .when(|outcome| match outcome {
                Ok(_) => Decision::Stop,
                Err(fault) => fault.1,
            })
    }
}

/// How a driver says that it ended; `None` where it does not say why.
pub struct Ending(pub Outcome, pub Option<Option<StopReason>>);

impl From<Outcome> for Ending {
    fn from(outcome: Outcome) -> Self {
        Self(outcome, None)
    }
}

pub fn reported(stage: &Stage, report: Report<u32, Fault>) -> Ending {
    assert_eq!(report.attempts as usize, made(stage));
    assert_eq!(report.waited, stage.clock.waits().iter().sum());
    assert_eq!(report.elapsed, stage.clock.elapsed());
    Ending(report.result, Some(report.stop_reason))
}

pub fn made(stage: &Stage) -> usize {
    stage.script.attempts.len() - lock(&stage.left).len()
}

pub fn finished(attempts: &Attempts<'_, Fault>, outcome: Outcome) -> Ending {
    Ending(outcome, Some(attempts.stop_reason()))
}

pub fn decided(stage: &Stage, attempts: &mut Attempts<'_, Fault>) -> Ending {
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

pub type Driver = fn(&Stage) -> Ending;

/// Every way to drive a policy.
pub const DRIVERS: &[(&str, Driver)] = &[
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
        let seed = stage.script.seed.unwrap_or(5);
        decided(stage, &mut stage.policy().seed(!seed).start().seeded(seed))
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

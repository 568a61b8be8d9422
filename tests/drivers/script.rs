//! Random scripts of what happens to a call, and every way to play them.
#![allow(unreachable_pub, reason = "a module of each test file")]
#![allow(
    clippy::option_option,
    reason = "a driver may not say why, and a call may have no reason"
)]
#![allow(clippy::needless_pass_by_value, reason = "a report is taken apart")]

use crate::support::{clock, lock, ms, secs};
use futures::executor::block_on;
use stamina::testing::{Testing, VirtualClock};
use stamina::{Attempts, Budget, Clock, Decision, Report, Retry, Settings, StopReason, Timer};
use std::collections::VecDeque;
use std::fmt::Debug;
use std::future::ready;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How an attempt fails, and what the predicate says of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault(pub u32, pub Decision);

pub type Outcome = Result<u32, Fault>;

/// What is played: how long each attempt takes, and its outcome.
#[derive(Clone, Debug)]
pub struct Script {
    pub settings: Settings,
    pub seed: Option<u64>,
    pub floor: Option<u32>,
    pub earned_after: Option<Duration>,
    pub reset_after: Option<Duration>,
    pub mode: Mode,
    pub attempts: Vec<(Duration, Outcome)>,
}

#[derive(Clone, Copy, Debug)]
pub enum Mode {
    Normal,
    Testing(Testing),
    Inactive,
    /// Inside of another call, with a policy for outermost calls only.
    Nested,
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
            earned_after: (rng.u32(0..3) == 0).then(|| ms(rng.u64(1..2000))),
            reset_after: (rng.u32(0..4) == 0).then(|| ms(rng.u64(500..2500))),
            mode: match rng.u32(0..10) {
                0 => Mode::Testing(testing),
                1 => Mode::Testing(testing.capped()),
                2 => Mode::Inactive,
                3 => Mode::Nested,
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
            budget: script.floor.map(|floor| {
                let budget = Budget::new().floor(floor);
                Arc::new(match script.earned_after {
                    Some(limit) => budget.earned_after(limit),
                    None => budget,
                })
            }),
        }
    }

    /// The operation.
    pub fn play(&self) -> Outcome {
        let (length, outcome) = self.next();
        self.clock.advance(length);
        outcome
    }

    /// How long the next attempt takes, and its outcome.
    pub fn next(&self) -> (Duration, Outcome) {
        lock(&self.left)
            .pop_front()
            .expect("an attempt after a success")
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
        let policy = match self.script.reset_after {
            Some(healthy) => policy.reset_after(healthy),
            None => policy,
        };
        let policy = match self.script.mode {
            Mode::Nested => policy.outermost_only(),
            _ => policy,
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
    // After a reset they count from there.
    if stage.script.reset_after.is_none() {
        assert_eq!(report.attempts as usize, made(stage));
        assert_eq!(report.waited, stage.clock.waits().iter().sum());
        assert_eq!(report.elapsed, stage.clock.elapsed());
    }
    Ending(report.result, Some(report.stop_reason))
}

pub fn made(stage: &Stage) -> usize {
    stage.script.attempts.len() - lock(&stage.left).len()
}

pub fn finished<E: Debug>(attempts: &Attempts<'_, E>, outcome: Outcome) -> Ending {
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

/// A loop by error, whose waits are `again`'s: whether to go on, or the error.
fn looped<'a>(
    stage: &Stage,
    attempts: &mut Attempts<'a, Fault>,
    again: impl Fn(&mut Attempts<'a, Fault>, Fault) -> Result<(), Fault>,
) -> Ending {
    let outcome = loop {
        match stage.play() {
            Ok(value) => break Ok(attempts.succeed(value)),
            Err(fault) => match again(attempts, fault) {
                Ok(()) => {}
                Err(fault) => break Err(fault),
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
    ("call_async_with_boxed", |stage| {
        let policy = stage.policy();
        let mut played = 0;
        let call = policy.call_async_with_boxed(&mut played, |played| {
            *played += 1;
            Box::pin(ready(stage.play()))
        });
        let outcome = block_on(call);
        assert_eq!(played, made(stage));
        outcome.into()
    }),
    ("call_outcome_async_with", |stage| {
        let policy = stage.outcome_policy();
        let mut played = 0;
        let call = policy.call_outcome_async_with(&mut played, async |played| {
            *played += 1;
            stage.play()
        });
        let outcome = block_on(call);
        assert_eq!(played, made(stage));
        outcome.into()
    }),
    ("call_outcome_async_with_boxed", |stage| {
        let policy = stage.outcome_policy();
        block_on(policy.call_outcome_async_with_boxed(&mut (), |()| Box::pin(ready(stage.play()))))
            .into()
    }),
    ("again", |stage| {
        looped(stage, &mut stage.policy().start(), Attempts::again)
    }),
    ("again_async", |stage| {
        looped(stage, &mut stage.policy().start(), |attempts, fault| {
            block_on(attempts.again_async(fault))
        })
    }),
    ("pause, block", |stage| {
        looped(stage, &mut stage.policy().start(), |attempts, fault| {
            let pause = attempts.pause(&fault).map_err(|_| fault)?;
            pause.block();
            Ok(())
        })
    }),
    ("pause, await", |stage| {
        looped(stage, &mut stage.policy().start(), |attempts, fault| {
            let pause = attempts.pause(&fault).map_err(|_| fault)?;
            block_on(async { pause.await });
            Ok(())
        })
    }),
    ("pause, skip", |stage| {
        looped(stage, &mut stage.policy().start(), |attempts, fault| {
            let pause = attempts.pause(&fault).map_err(|_| fault)?;
            stage.clock.sleep_blocking(pause.wait());
            pause.skip();
            Ok(())
        })
    }),
    ("into_attempts", |stage| {
        looped(stage, &mut stage.policy().into_attempts(), Attempts::again)
    }),
    ("resume, from nothing", |stage| {
        let policy = stage.policy();
        looped(
            stage,
            &mut policy.resume(0, Duration::ZERO),
            Attempts::again,
        )
    }),
    ("attempt", |stage| {
        let policy = stage.policy();
        let mut attempts = policy.start();
        let outcome = loop {
            let attempt = attempts.attempt(async { stage.play() });
            match block_on(attempt) {
                Ok(value) => break Ok(attempts.succeed(value)),
                Err(fault) => match attempts.again(fault) {
                    Ok(()) => {}
                    Err(fault) => break Err(fault),
                },
            }
        };
        finished(&attempts, outcome)
    }),
    ("settle", |stage| {
        let policy = stage.outcome_policy();
        let mut attempts = policy.start();
        let outcome = loop {
            if let ControlFlow::Break(outcome) = attempts.settle(stage.play()) {
                break outcome;
            }
        };
        finished(&attempts, outcome)
    }),
    ("settle_async", |stage| {
        let policy = stage.outcome_policy();
        let mut attempts = policy.start();
        let outcome = block_on(async {
            loop {
                let outcome = attempts.attempt_outcome(ready(stage.play())).await;
                if let ControlFlow::Break(outcome) = attempts.settle_async(outcome).await {
                    break outcome;
                }
            }
        });
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
    ("call_outcome_async, attempt_timeout", |stage| {
        let policy = stage.outcome_policy();
        let call = policy.call_outcome_async(|| ready(stage.play()));
        block_on(call.attempt_timeout(secs(100), || Err(Fault(99, Decision::Retry)))).into()
    }),
    ("wrap_async, attempt_timeout", |stage| {
        let wrapped = stage.policy().wrap_async(|()| ready(stage.play()));
        let call = wrapped(()).attempt_timeout(secs(100), || Fault(99, Decision::Retry));
        block_on(call).into()
    }),
    #[cfg(feature = "tower")]
    ("tower", |stage| towered(stage.policy().tower(), stage)),
    #[cfg(feature = "tower")]
    ("tower, by outcome", |stage| {
        towered(stage.outcome_policy().tower(), stage)
    }),
    #[cfg(feature = "tower")]
    ("tower, by request", |stage| {
        let policy = stage.policy().tower();
        towered(policy.when_request(by_request), stage)
    }),
    #[cfg(feature = "tower")]
    ("tower, the policy as a layer", |stage| {
        sent(tower::Layer::layer(&stage.policy().tower(), Played(stage)))
    }),
    #[cfg(feature = "tower")]
    ("tower, the policy as a layer by outcome", |stage| {
        sent(tower::Layer::layer(
            &stage.outcome_policy().tower(),
            Played(stage),
        ))
    }),
    #[cfg(feature = "tower")]
    ("tower, the policy as a layer by request", |stage| {
        let policy = stage.policy().tower().when_request(by_request);
        sent(tower::Layer::layer(&policy, Played(stage)))
    }),
];

#[cfg(feature = "tower")]
#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "as `when_request` wants it"
)]
fn by_request((): &(), outcome: &Outcome) -> Decision {
    match outcome {
        Ok(_) => Decision::Stop,
        Err(fault) => fault.1,
    }
}

/// Through tower's own layer.
#[cfg(feature = "tower")]
fn towered<P>(policy: P, stage: &Stage) -> Ending
where
    P: tower::retry::Policy<(), u32, Fault> + Clone,
{
    use tower::Layer;
    sent(tower::retry::RetryLayer::new(policy).layer(Played(stage)))
}

#[cfg(feature = "tower")]
fn sent(mut service: impl tower::Service<(), Response = u32, Error = Fault>) -> Ending {
    block_on(service.call(())).into()
}

#[cfg(feature = "tower")]
#[derive(Clone)]
struct Played<'a>(&'a Stage);

#[cfg(feature = "tower")]
impl tower::Service<()> for Played<'_> {
    type Response = u32;
    type Error = Fault;
    type Future = std::future::Ready<Outcome>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Fault>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        ready(self.0.play())
    }
}

//! Every way to run a call, behind one signature.

use std::fmt::Debug;
use std::future::{Future, ready};
use std::ops::ControlFlow;
use std::pin::Pin;

use futures::executor::block_on;
use stamina::testing::VirtualClock;
use stamina::{BoxFuture, Retry, Timer};

use super::{clock, secs};

/// Runs an operation under a policy on its errors, until it succeeds or the policy ends the call.
pub type Driver<E> = fn(&Retry<E>, &dyn Fn() -> Result<u8, E>) -> Result<u8, E>;

/// Those whose predicate sees the error.
#[allow(clippy::too_many_lines, reason = "a list")]
pub fn drivers<E: Debug>() -> Vec<(&'static str, Driver<E>)> {
    vec![
        ("call", |policy, operation| policy.call(operation)),
        ("report", |policy, operation| {
            policy.report(operation).result
        }),
        (
            "wrap",
            |policy, operation| policy.wrap(|()| operation())(()),
        ),
        ("again", |policy, operation| {
            let mut attempts = policy.start();
            loop {
                match operation() {
                    Ok(value) => return Ok(attempts.succeed(value)),
                    Err(error) => attempts.again(error)?,
                }
            }
        }),
        ("again_async", |policy, operation| {
            block_on(async {
                let mut attempts = policy.start();
                loop {
                    match operation() {
                        Ok(value) => return Ok(attempts.succeed(value)),
                        Err(error) => attempts.again_async(error).await?,
                    }
                }
            })
        }),
        ("decide", |policy, operation| {
            let mut attempts = policy.start();
            loop {
                match operation() {
                    Ok(value) => return Ok(attempts.succeed(value)),
                    Err(error) if attempts.decide(&error).is_err() => return Err(error),
                    Err(_) => {}
                }
            }
        }),
        ("pause", |policy, operation| {
            let mut attempts = policy.start();
            loop {
                match operation() {
                    Ok(value) => return Ok(attempts.succeed(value)),
                    Err(error) => match attempts.pause(&error) {
                        Ok(pause) => {
                            drop(error);
                            pause.block();
                        }
                        Err(_) => return Err(error),
                    },
                }
            }
        }),
        ("call_async", |policy, operation| {
            block_on(policy.call_async(|| ready(operation())))
        }),
        ("report_async", |policy, operation| {
            block_on(policy.report_async(|| async { operation() })).result
        }),
        ("wrap_async", |policy, operation| {
            block_on(policy.wrap_async(|()| ready(operation()))(()))
        }),
        ("call_async_with", |policy, operation| {
            block_on(policy.call_async_with(&mut (), async |()| operation()))
        }),
        ("attempt_timeout", |policy, operation| {
            let call = policy.call_async(|| ready(operation()));
            block_on(call.attempt_timeout(secs(1_000_000), || panic!("none is slow")))
        }),
        #[cfg(feature = "tower")]
        ("tower", |policy, operation| {
            let retry = tower::retry::RetryLayer::new(policy.tower());
            block_on(layer(retry, Runs(&|| ready(operation()))))
        }),
        #[cfg(feature = "tower")]
        ("tower's layer", |policy, operation| {
            block_on(layer(policy.tower(), Runs(&|| ready(operation()))))
        }),
    ]
}

/// Those whose predicate sees the outcome.
pub fn outcome_drivers<E: Debug + Clone>() -> Vec<(&'static str, Driver<Result<u8, E>>)> {
    fn flat<E>(outcome: Result<u8, E>) -> Result<u8, Result<u8, E>> {
        outcome.map_err(Err)
    }
    fn whole<E>(operation: &dyn Fn() -> Result<u8, Result<u8, E>>) -> Result<u8, E> {
        operation().or_else(|outcome| outcome)
    }
    vec![
        ("call_outcome", |policy, operation| {
            flat(policy.call_outcome(|| whole(operation)))
        }),
        ("call_outcome_async", |policy, operation| {
            flat(block_on(
                policy.call_outcome_async(|| ready(whole(operation))),
            ))
        }),
        ("call_outcome_async_with", |policy, operation| {
            let mut state = ();
            let call = policy.call_outcome_async_with(&mut state, async |()| whole(operation));
            flat(block_on(call))
        }),
        ("settle", |policy, operation| {
            let mut attempts = policy.start();
            loop {
                if let ControlFlow::Break(outcome) = attempts.settle(whole(operation)) {
                    return flat(outcome);
                }
            }
        }),
        ("settle_async", |policy, operation| {
            let mut attempts = policy.start();
            block_on(async {
                loop {
                    let settled = attempts.settle_async(whole(operation)).await;
                    if let ControlFlow::Break(outcome) = settled {
                        return flat(outcome);
                    }
                }
            })
        }),
    ]
}

/// Lets each driver, those by outcome too, run something under a policy without a predicate, on a clock of its own.
pub fn through_all<E: Debug + Clone + 'static>(
    policy: impl Fn(Timer) -> Retry<E>,
    mut run: impl FnMut(
        &str,
        &'static VirtualClock,
        &dyn Fn(&dyn Fn() -> Result<u8, E>) -> Result<u8, E>,
    ),
) {
    let owned: Driver<E> = |policy, operation| {
        let mut attempts = policy.clone().into_attempts();
        loop {
            match operation() {
                Ok(value) => return Ok(attempts.succeed(value)),
                Err(error) => attempts.again(error)?,
            }
        }
    };
    for (name, driver) in drivers().into_iter().chain([("into_attempts", owned)]) {
        let clock = clock();
        let policy = policy(Timer::custom(clock));
        run(name, clock, &|operation| driver(&policy, operation));
    }
    for (name, driver) in outcome_drivers() {
        let clock = clock();
        let policy = policy(Timer::custom(clock)).for_error::<Result<u8, E>>();
        run(name, clock, &|operation| {
            driver(&policy, &|| operation().map_err(Err))
                .map_err(|outcome| outcome.expect_err("an error came in"))
        });
    }
}

/// A future of an attempt.
pub type Attempt = BoxFuture<'static, Result<u8, &'static str>>;

/// Runs an async operation whose attempts are cut by the policy's setting.
pub type CuttingDriver =
    for<'a> fn(&'a Cutting, &'a dyn Fn() -> Attempt) -> Pin<Box<dyn Future<Output = Answer> + 'a>>;

type Answer = Result<u8, &'static str>;

/// A policy whose attempts are cut: on errors and on outcomes.
pub struct Cutting {
    by_error: Retry<&'static str>,
    by_outcome: Retry<Answer>,
}

impl Cutting {
    /// Attempts that are cut fail with `"slow"`.
    pub fn after(limit: std::time::Duration, policy: Retry<&'static str>) -> Self {
        Self {
            by_outcome: policy.for_error().attempt_timeout(limit, || Err("slow")),
            by_error: policy.attempt_timeout(limit, || "slow"),
        }
    }
}

pub fn cutting_drivers() -> Vec<(&'static str, CuttingDriver)> {
    vec![
        ("call_async", |policy, operation| {
            Box::pin(policy.by_error.call_async(operation))
        }),
        ("report_async", |policy, operation| {
            Box::pin(async move { policy.by_error.report_async(operation).await.result })
        }),
        ("wrap_async", |policy, operation| {
            Box::pin(async move { policy.by_error.wrap_async(|()| operation())(()).await })
        }),
        ("call_async_with", |policy, operation| {
            Box::pin(async move {
                let call = async |(): &mut ()| operation().await;
                policy.by_error.call_async_with(&mut (), call).await
            })
        }),
        ("call_async_with_boxed", |policy, operation| {
            Box::pin(async move {
                let policy = &policy.by_error;
                policy
                    .call_async_with_boxed(&mut (), |()| operation())
                    .await
            })
        }),
        ("attempt", |policy, operation| {
            Box::pin(async move {
                let mut attempts = policy.by_error.start();
                loop {
                    match attempts.attempt(operation()).await {
                        Ok(value) => return Ok(attempts.succeed(value)),
                        Err(error) => attempts.again_async(error).await?,
                    }
                }
            })
        }),
        ("call_outcome_async", |policy, operation| {
            Box::pin(policy.by_outcome.call_outcome_async(operation))
        }),
        ("call_outcome_async_with", |policy, operation| {
            Box::pin(async move {
                let call = async |(): &mut ()| operation().await;
                let policy = &policy.by_outcome;
                policy.call_outcome_async_with(&mut (), call).await
            })
        }),
        ("call_outcome_async_with_boxed", |policy, operation| {
            Box::pin(async move {
                let policy = &policy.by_outcome;
                policy
                    .call_outcome_async_with_boxed(&mut (), |()| operation())
                    .await
            })
        }),
        ("attempt_outcome", |policy, operation| {
            Box::pin(async move {
                let mut attempts = policy.by_outcome.start();
                loop {
                    let outcome = attempts.attempt_outcome(operation()).await;
                    if let ControlFlow::Break(outcome) = attempts.settle_async(outcome).await {
                        return outcome;
                    }
                }
            })
        }),
        #[cfg(feature = "tower")]
        ("tower's layer", |policy, operation| {
            Box::pin(layer(policy.by_error.tower(), Runs(operation)))
        }),
        #[cfg(feature = "tower")]
        ("tower's layer, by outcome", |policy, operation| {
            Box::pin(layer(policy.by_outcome.tower(), Runs(operation)))
        }),
        #[cfg(feature = "tower")]
        ("tower's layer, by request", |policy, operation| {
            let policy = policy.by_error.tower();
            let policy = policy.when_request(|(): &(), outcome: &Answer| outcome.is_err());
            Box::pin(layer(policy, Runs(operation)))
        }),
    ]
}

/// A service that runs an operation.
#[cfg(feature = "tower")]
struct Runs<'a, Fut>(&'a dyn Fn() -> Fut);

#[cfg(feature = "tower")]
impl<Fut> Clone for Runs<'_, Fut> {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

#[cfg(feature = "tower")]
impl<E, Fut: Future<Output = Result<u8, E>>> tower::Service<()> for Runs<'_, Fut> {
    type Response = u8;
    type Error = E;
    type Future = Fut;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        (self.0)()
    }
}

/// Sends one request through a layer.
#[cfg(feature = "tower")]
fn layer<'a, Fut, L>(layer: L, service: Runs<'a, Fut>) -> <L::Service as tower::Service<()>>::Future
where
    L: tower::Layer<Runs<'a, Fut>>,
    L::Service: tower::Service<()>,
{
    use tower::Service;
    layer.layer(service).call(())
}

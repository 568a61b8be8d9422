//! Retried calls inside `async fn`s that are spawned, with an error type that has a lifetime in it. Inside of an
//! `async fn` the compiler forgets which lifetime that was; a bound that needs two of them to be equal then fails.

use std::time::Duration;

use stamina::Retry;

static POLICY: Retry<&str> = Retry::on::<&str>();
static OUTCOME: Retry<Result<u32, &str>> = Retry::on::<Result<u32, &str>>();

type Answer = Result<u32, &'static str>;

async fn fetch() -> Answer {
    std::future::ready(Ok(7)).await
}

async fn call() -> Answer {
    POLICY.call_async(|| async { fetch().await }).await
}

async fn cut() -> Answer {
    let call = POLICY.call_async(|| async { fetch().await });
    call.attempt_timeout(Duration::from_secs(1), || "too slow")
        .await
}

async fn cut_outcome() -> Answer {
    let policy = OUTCOME
        .clone()
        .attempt_timeout(Duration::from_secs(1), || Err("too slow"));
    policy.call_outcome_async(|| async { fetch().await }).await
}

async fn cut_wrapped() -> Answer {
    let policy = POLICY
        .clone()
        .attempt_timeout(Duration::from_secs(1), || "too slow");
    let fetch = policy.wrap_async(|_: u32| async { fetch().await });
    fetch(5).await
}

async fn with_context() -> Answer {
    POLICY
        .call_async_with(&mut 5, async |_| fetch().await)
        .await
}

async fn report() -> Answer {
    POLICY.report_async(|| async { fetch().await }).await.result
}

async fn outcome() -> Answer {
    OUTCOME.call_outcome_async(|| async { fetch().await }).await
}

async fn block() -> Answer {
    let mut attempts = POLICY.start();
    loop {
        match fetch().await {
            Ok(answer) => return Ok(attempts.succeed(answer)),
            Err(error) => attempts.again_async(error).await?,
        }
    }
}

#[tokio::test]
async fn every_driver_can_be_spawned_inside_an_async_fn() {
    let tasks = [
        tokio::spawn(call()),
        tokio::spawn(cut()),
        tokio::spawn(cut_outcome()),
        tokio::spawn(cut_wrapped()),
        tokio::spawn(with_context()),
        tokio::spawn(report()),
        tokio::spawn(outcome()),
        tokio::spawn(block()),
    ];
    for task in tasks {
        assert_eq!(task.await.expect("no panic"), Ok(7));
    }
}

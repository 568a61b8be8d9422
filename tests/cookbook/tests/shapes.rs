//! Shapes that need other crates, awaited inside of a spawned `async` block: `async_trait`, tower, tokio's own types.
//! `tests/drivers/spawn.rs` has the rest.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use stamina::testing::VirtualClock;
use stamina::{Decision, Retry, Timer};
use tower::util::BoxCloneService;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt, service_fn};

static CLOCK: VirtualClock = VirtualClock::new();

const fn policy<E: std::fmt::Debug>() -> Retry<E> {
    Retry::on::<E>().attempts(2).timer(Timer::custom(&CLOCK))
}

#[async_trait]
trait Store: Send + Sync {
    async fn get(&self, key: &str) -> anyhow::Result<usize>;
    async fn put(&mut self, key: &str, value: &[u8]) -> anyhow::Result<usize>;
}

/// Fails each first time.
#[derive(Default)]
struct Flaky {
    asked: std::sync::atomic::AtomicU32,
    put: u32,
}

#[async_trait]
impl Store for Flaky {
    async fn get(&self, key: &str) -> anyhow::Result<usize> {
        let asked = self
            .asked
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        anyhow::ensure!(asked % 2 == 1, "down");
        Ok(key.len())
    }

    async fn put(&mut self, key: &str, value: &[u8]) -> anyhow::Result<usize> {
        self.put += 1;
        anyhow::ensure!(self.put % 2 == 0, "down");
        Ok(key.len() + value.len())
    }
}

/// A decorator of any store, also of a boxed one.
struct Retried<S> {
    inner: S,
    policy: Retry<anyhow::Error>,
}

#[async_trait]
impl<S: Store> Store for Retried<S> {
    async fn get(&self, key: &str) -> anyhow::Result<usize> {
        self.policy.call_async(|| self.inner.get(key)).await
    }

    async fn put(&mut self, key: &str, value: &[u8]) -> anyhow::Result<usize> {
        let mut state = (&mut self.inner, key, value);
        let call = self
            .policy
            .call_async_with_boxed(&mut state, |(inner, key, value)| inner.put(key, value));
        call.await
    }
}

#[async_trait]
impl Store for Box<dyn Store> {
    async fn get(&self, key: &str) -> anyhow::Result<usize> {
        (**self).get(key).await
    }

    async fn put(&mut self, key: &str, value: &[u8]) -> anyhow::Result<usize> {
        (**self).put(key, value).await
    }
}

#[tokio::test]
async fn a_decorator_behind_async_trait() {
    let task = tokio::spawn(async move {
        let inner: Box<dyn Store> = Box::new(Flaky::default());
        let mut store: Box<dyn Store> = Box::new(Retried {
            inner,
            policy: policy(),
        });
        let (key, value) = (String::from("key"), vec![0; 4]);
        (
            store.get(&key).await.unwrap(),
            store.put(&key, &value).await.unwrap(),
        )
    });
    assert_eq!(task.await.unwrap(), (3, 7));
}

/// A service that fails each first time, with an error of this type.
fn flaky<E: Send + 'static>(
    error: fn() -> E,
) -> impl Service<usize, Response = usize, Error = E, Future: Send> + Clone + Send {
    let asked = Arc::new(std::sync::atomic::AtomicU32::new(0));
    service_fn(move |request: usize| {
        let first = asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 2 == 0;
        async move { if first { Err(error()) } else { Ok(request) } }
    })
}

#[tokio::test]
async fn tower_under_a_layer_that_boxes_errors() {
    let task = tokio::spawn(async move {
        let service = ServiceBuilder::new()
            .retry(policy::<BoxError>().tower())
            .timeout(Duration::from_secs(1))
            .service(flaky(|| "down"));
        let sent = service.clone().oneshot(4).await.unwrap();

        let outcomes = policy::<Result<usize, BoxError>>();
        let service = ServiceBuilder::new()
            .retry(outcomes.tower())
            .timeout(Duration::from_secs(1))
            .service(flaky(|| "down"));
        sent + service.clone().oneshot(4).await.unwrap()
    });
    assert_eq!(task.await.unwrap(), 8);
}

/// What works if the service itself fails with a `BoxError`.
#[tokio::test]
async fn tower_over_a_service_with_boxed_errors() {
    async fn down(request: usize) -> Result<usize, BoxError> {
        tokio::task::yield_now().await;
        Err(format!("{request} is down").into())
    }

    let task = tokio::spawn(async move {
        let function = ServiceBuilder::new()
            .retry(policy::<BoxError>().tower())
            .service(service_fn(|request: usize| down(request)));
        let first = function.clone().oneshot(4).await.unwrap_err();

        let block = ServiceBuilder::new()
            .retry(policy::<BoxError>().tower())
            .service(service_fn(|request: usize| async move {
                tokio::task::yield_now().await;
                Err::<usize, BoxError>(format!("{request} is down").into())
            }));
        let second = BoxCloneService::new(block).oneshot(5).await.unwrap_err();
        [first.to_string(), second.to_string()]
    });
    assert_eq!(task.await.unwrap(), ["4 is down", "5 is down"]);
}

#[tokio::test]
async fn tower_with_errors_of_ones_own() {
    let task = tokio::spawn(async move {
        let service = ServiceBuilder::new()
            .retry(policy::<std::io::Error>().tower())
            .service(flaky(|| std::io::Error::from(std::io::ErrorKind::TimedOut)));
        let sent = service.clone().oneshot(4).await.unwrap();

        // The predicate sees the request, too.
        let by_request = policy::<std::io::Error>().tower().when_request(
            |request: &usize, outcome: &Result<usize, std::io::Error>| {
                Decision::from(*request == 4 && outcome.is_err())
            },
        );
        let service = || {
            ServiceBuilder::new()
                .retry(by_request.clone())
                .service(flaky(|| std::io::Error::from(std::io::ErrorKind::TimedOut)))
        };
        assert!(service().oneshot(5).await.is_err());
        sent + service().oneshot(4).await.unwrap()
    });
    assert_eq!(task.await.unwrap(), 8);
}

/// The way round for an error with a lifetime in its type.
#[tokio::test]
async fn tower_with_a_boxed_service() {
    let service = ServiceBuilder::new()
        .retry(policy::<&str>().tower())
        .service(flaky(|| "down"));
    let service = BoxCloneService::new(service);
    let task = tokio::spawn(async move { service.clone().oneshot(4).await });
    assert_eq!(task.await.unwrap(), Ok(4));
}

//! Clients as people build them with tower: boxed errors, layers around and inside, spawned tasks, attempt timeouts.
#![cfg(feature = "tower")]

use std::future::{Future, pending, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::executor::block_on;
use stamina::instrument::{self, Hook};
use stamina::{Budget, Clock, Decision, Retry, Timer, when};
use tower::retry::RetryLayer;
use tower::{BoxError, Layer, Service, ServiceBuilder};

use crate::support::{Event, ManualClock, Recorder, clock, ms, panic_message, poll, secs};

type Reply = Pin<Box<dyn Future<Output = Result<u16, &'static str>> + Send>>;

/// Answers by a function of the request and of how many there were.
#[derive(Clone)]
struct Server(Arc<AtomicU32>, fn(&str, u32) -> Reply);

impl Server {
    fn new(answer: fn(&str, u32) -> Reply) -> Self {
        Self(Arc::default(), answer)
    }

    fn requests(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Service<&'static str> for Server {
    type Response = u16;
    type Error = &'static str;
    type Future = Reply;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: &'static str) -> Reply {
        (self.1)(request, self.0.fetch_add(1, Ordering::Relaxed))
    }
}

fn hangs(_: &str, _: u32) -> Reply {
    Box::pin(pending())
}

fn fails(_: &str, _: u32) -> Reply {
    Box::pin(async { Err("down") })
}

/// An error of a layer of its own.
#[derive(Debug)]
struct Elapsed;

impl std::fmt::Display for Elapsed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("elapsed")
    }
}

impl std::error::Error for Elapsed {}

/// A layer like tower's own timeout: it makes every error a `BoxError`. Its first request is too slow.
#[derive(Clone)]
struct TimeoutLayer;

#[derive(Clone)]
struct Timeout<S>(S, Arc<AtomicU32>);

impl<S> Layer<S> for TimeoutLayer {
    type Service = Timeout<S>;

    fn layer(&self, service: S) -> Timeout<S> {
        Timeout(service, Arc::default())
    }
}

impl<S, Req> Service<Req> for Timeout<S>
where
    S: Service<Req>,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let first = self.1.fetch_add(1, Ordering::Relaxed) == 0;
        let reply = self.0.call(request);
        Box::pin(async move {
            tokio::task::yield_now().await;
            if first {
                return Err(Elapsed.into());
            }
            reply.await.map_err(Into::into)
        })
    }
}

/// A server without a lifetime in its types, as servers are: busy so many times.
#[derive(Clone)]
struct Web(Arc<AtomicU32>, u32);

impl Service<String> for Web {
    type Response = u16;
    type Error = std::io::Error;
    type Future = std::future::Ready<std::io::Result<u16>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: String) -> Self::Future {
        let is_busy = self.0.fetch_add(1, Ordering::Relaxed) < self.1;
        ready(Ok(if is_busy { 503 } else { 200 }))
    }
}

#[tokio::test]
async fn boxed_errors_under_a_timeout_layer_inside_of_a_spawned_task() {
    let clock = clock();
    let task = tokio::spawn(async move {
        let policy = Retry::on::<BoxError>()
            .timer(Timer::custom(clock))
            .when(|error| when::caused_by::<Elapsed>(&**error));
        let mut client = ServiceBuilder::new()
            .retry(policy.tower())
            .layer(TimeoutLayer)
            .service(Web(Arc::default(), 0));
        client
            .call("GET /".to_owned())
            .await
            .map_err(|error| error.to_string())
    });
    assert_eq!(task.await.unwrap(), Ok(200));
    assert_eq!(clock.waits().len(), 1);

    // By outcome too, and as the policy's own layer.
    let task = tokio::spawn(async move {
        let policy = Retry::on::<Result<u16, BoxError>>()
            .timer(ManualClock::new().timer())
            .fixed(Duration::ZERO)
            .when(|outcome| !matches!(outcome, Ok(200)))
            .attempt_timeout(secs(5), || Err("too slow".into()));
        let mut client = ServiceBuilder::new()
            .layer(policy.tower())
            .layer(TimeoutLayer)
            .service(Web(Arc::default(), 2));
        client
            .call("GET /".to_owned())
            .await
            .map_err(|error| error.to_string())
    });
    assert_eq!(task.await.unwrap(), Ok(200));
}

#[test]
fn a_predicate_sees_the_request() {
    let policy = Retry::on::<&str>()
        .attempts(3)
        .timer(Timer::custom(clock()));
    let policy = policy.tower().when_request(
        |request: &&'static str, outcome: &Result<u16, &'static str>| -> Decision {
            match outcome {
                Ok(status) => (*status == 503).into(),
                Err(_) => request.starts_with("GET").into(),
            }
        },
    );
    let send = |request: &'static str, answer: fn(&str, u32) -> Reply| {
        let server = Server::new(answer);
        let reply = RetryLayer::new(policy.clone())
            .layer(server.clone())
            .call(request);
        (block_on(reply), server.requests())
    };
    assert_eq!(send("GET /", fails), (Err("down"), 3));
    assert_eq!(send("POST /", fails), (Err("down"), 1));
    let busy: fn(&str, u32) -> Reply = |_, _| Box::pin(async { Ok(503) });
    assert_eq!(send("POST /", busy), (Ok(503), 3));
    let fine: fn(&str, u32) -> Reply = |_, _| Box::pin(async { Ok(404) });
    assert_eq!(send("GET /", fine), (Ok(404), 1));

    // It takes the place of the policy's own predicate, and telemetry never shows a response.
    let (recorder, _hooks) = Recorder::here();
    let _ = send("POST /", busy);
    let shown = format!("{:?}", recorder.take());
    assert!(
        shown.contains("Ok(u16)") && !shown.contains("503"),
        "{shown}"
    );
}

#[test]
fn towers_own_layer_refuses_an_attempt_timeout() {
    let policy = Retry::on::<&str>().attempt_timeout(secs(1), || "slow");
    let mut client = RetryLayer::new(policy.tower()).layer(Server::new(fails));
    let message = panic_message(|| drop(client.call("GET /")));
    assert_eq!(
        message,
        "stamina: this policy has an `attempt_timeout`, which tower's own `Retry` layer can't enforce: \
         add the policy with `.layer(policy.tower())` instead of `.retry(policy.tower())`"
    );
}

#[test]
fn the_layer_keeps_no_scoped_hooks_alive() {
    struct Held;
    impl Hook for Held {}
    let hook: Arc<dyn Hook> = Arc::new(Held);
    let policy = Retry::on::<&str>()
        .attempts(2)
        .timer(Timer::custom(clock()));
    let mut client = RetryLayer::new(policy.tower()).layer(Server::new(fails));
    {
        let _hooks = instrument::scoped_hooks([Arc::clone(&hook)]);
        assert_eq!(block_on(client.call("GET /")), Err("down"));
    }
    assert_eq!(Arc::strong_count(&hook), 1, "after the request");
    // A request that is under way keeps the hooks that it was made in, and no longer.
    let reply = {
        let _hooks = instrument::scoped_hooks([Arc::clone(&hook)]);
        client.call("GET /")
    };
    assert!(Arc::strong_count(&hook) > 1);
    assert_eq!(block_on(reply), Err("down"));
    assert_eq!(Arc::strong_count(&hook), 1);
}

#[test]
fn a_request_that_is_dropped_in_its_wait_gives_its_permit_back() {
    let clock = ManualClock::new();
    let budget = Arc::new(Budget::new());
    let policy = Retry::on::<&str>()
        .fixed(secs(1))
        .shared_budget(Arc::clone(&budget))
        .attempt_timeout(secs(3), || "slow")
        .timer(clock.timer());
    let balance = || budget.balance(clock.now());
    for (server, cut) in [(Server::new(fails), false), (Server::new(hangs), true)] {
        let mut client = policy.tower().layer(server.clone());
        let mut reply = Box::pin(client.call("GET /"));
        assert!(poll(reply.as_mut()).is_pending());
        if cut {
            clock.pass(secs(3));
            assert!(poll(reply.as_mut()).is_pending());
        }
        assert!((balance() - 1.0).abs() < 1e-3, "{}", balance());
        drop(reply);
        assert!((balance() - 2.0).abs() < 1e-3, "{}", balance());
        assert_eq!(server.requests(), 1);
    }
}

#[test]
fn a_long_poll_that_breaks_after_a_healthy_time_starts_anew() {
    let clock = ManualClock::new();
    let policy = Retry::on::<&str>()
        .attempts(2)
        .fixed(ms(100))
        .reset_after(secs(60))
        .timer(clock.timer());
    let (recorder, _hooks) = Recorder::here();
    let server = Server::new(|_, _| {
        let mut polled = false;
        let once = std::future::poll_fn(move |_| {
            if std::mem::replace(&mut polled, true) {
                Poll::Ready(Err("lost"))
            } else {
                Poll::Pending
            }
        });
        Box::pin(once)
    });
    let mut client = policy.tower().layer(server.clone());
    let mut reply = Box::pin(client.call("GET /events"));
    for _ in 0..5 {
        assert!(poll(reply.as_mut()).is_pending());
        clock.pass(secs(600));
        assert!(poll(reply.as_mut()).is_pending());
        clock.pass(ms(100));
    }
    assert_eq!(recorder.short(), ["retry 1"; 5]);
    assert_eq!(server.requests(), 5);
    drop(reply);
}

#[test]
fn calls_inside_of_a_service_are_as_deep_as_their_request_was_made() {
    fn retries(_: &str, _: u32) -> Reply {
        Box::pin(async {
            let policy = Retry::on().attempts(2).timer(Timer::custom(clock()));
            policy.call_async(|| ready(Err::<u16, _>("down"))).await
        })
    }
    let policy = Retry::on::<&str>()
        .attempts(2)
        .timer(Timer::custom(clock()))
        .attempt_timeout(secs(3), || "slow");
    let (recorder, _hooks) = Recorder::here();
    // The request is made inside of the outer call and sent on after it.
    let mut client = policy.tower().layer(Server::new(retries));
    let outer = Retry::on::<&str>();
    let reply = outer.call(|| Ok(client.call("GET /"))).unwrap();
    assert_eq!(block_on(reply), Err("down"));
    let depth = |event: &Event| match event {
        Event::Retry { depth, .. } | Event::GaveUp { depth, .. } => *depth,
        Event::Recovered { .. } => panic!("{event:?}"),
    };
    // Each request is retried inside and given up on, then the client retries or gives up.
    let depths: Vec<_> = recorder.take().iter().map(depth).collect();
    assert_eq!(depths, [2, 2, 1, 2, 2, 1]);
}

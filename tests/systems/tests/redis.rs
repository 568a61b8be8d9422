//! Writers of Redis while it is killed, restarted and paused.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError, ServerErrorKind};
use stamina::{Retry, StopReason};
use stamina_systems::events::{self, Event};
use stamina_systems::redis::Redis;
use stamina_systems::{run, wait};

#[derive(Debug)]
enum StoreError {
    Redis(RedisError),
    Cut,
}

impl From<RedisError> for StoreError {
    fn from(error: RedisError) -> Self {
        StoreError::Redis(error)
    }
}

fn transient(error: &StoreError) -> bool {
    match error {
        StoreError::Cut => true,
        StoreError::Redis(error) => {
            error.is_io_error()
                || error.is_unrecoverable_error()
                || error.is_timeout()
                || error.is_connection_dropped()
                || matches!(
                    error.kind(),
                    redis::ErrorKind::Server(
                        ServerErrorKind::BusyLoading | ServerErrorKind::TryAgain
                    )
                )
        }
    }
}

fn policy(name: &'static str) -> Retry<StoreError> {
    Retry::on::<StoreError>()
        .named(name)
        .unlimited_attempts()
        .timeout(Duration::from_secs(60))
        .wait_initial(Duration::from_millis(10))
        .wait_max(Duration::from_millis(200))
        .wait_jitter(Duration::from_millis(50))
        .when(transient)
}

/// One connection for all callers, made anew after it broke. It has no timeout of its own: cutting is the policy's work.
#[derive(Clone)]
struct Store {
    client: Client,
    current: Arc<tokio::sync::Mutex<Option<MultiplexedConnection>>>,
}

impl Store {
    fn new(url: &str) -> Store {
        Store {
            client: Client::open(url).expect("a URL"),
            current: Arc::default(),
        }
    }

    async fn connection(&self) -> Result<MultiplexedConnection, StoreError> {
        let mut current = self.current.lock().await;
        if current.is_none() {
            let config = AsyncConnectionConfig::new()
                .set_response_timeout(None)
                .set_connection_timeout(None);
            *current = Some(
                self.client
                    .get_multiplexed_async_connection_with_config(&config)
                    .await?,
            );
        }
        Ok(current.clone().expect("just made"))
    }

    /// Idempotent by key: the total grows with the first of several writes of one key.
    async fn write(&self, key: &str) -> Result<(), StoreError> {
        let mut connection = self.connection().await?;
        let script = "if redis.call('SETNX', KEYS[1], '1') == 1 then redis.call('INCR', 'total') end return 1";
        let written: Result<i64, RedisError> = redis::cmd("EVAL")
            .arg(script)
            .arg(2)
            .arg(key)
            .arg("total")
            .query_async(&mut connection)
            .await;
        if written.is_err() {
            *self.current.lock().await = None;
        }
        Ok(written.map(drop)?)
    }

    async fn text(&self, key: &str) -> Option<String> {
        let mut connection = self.connection().await.expect("the server is up");
        redis::cmd("GET")
            .arg(key)
            .query_async(&mut connection)
            .await
            .expect("the server is up")
    }
}

#[test]
fn acknowledged_writes_survive_restarts() {
    let Some(mut server) = Redis::start("redis::acknowledged_writes_survive_restarts") else {
        return;
    };
    events::listen();
    run(async {
        let store = Store::new(&server.url());
        let policy = Arc::new(policy("redis::restarts"));
        let stop = Arc::new(AtomicBool::new(false));
        let written = Arc::new(AtomicUsize::new(0));
        let mut workers = Vec::new();
        for worker in 0..6 {
            let (store, policy) = (store.clone(), Arc::clone(&policy));
            let (stop, written) = (Arc::clone(&stop), Arc::clone(&written));
            workers.push(tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let key = format!("w{worker}-{number}");
                    // With some the answer is lost, once: the second attempt must find the first one's work.
                    let mut lose_the_reply = number % 10 == 9;
                    let attempt = || {
                        let lost = std::mem::take(&mut lose_the_reply);
                        let (store, key) = (&store, &key);
                        async move {
                            store.write(key).await?;
                            if lost { Err(StoreError::Cut) } else { Ok(()) }
                        }
                    };
                    policy
                        .call_async(attempt)
                        .await
                        .expect("every outage is shorter than the deadline");
                    acknowledged.push(key);
                    written.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                acknowledged
            }));
        }

        for _ in 0..5 {
            more(&written, 150).await;
            server.kill();
            let before = events::retries("redis::restarts");
            wait::until_async("the writers notice", || {
                events::retries("redis::restarts") > before + 6
            })
            .await;
            server.start_again();
        }
        more(&written, 150).await;
        stop.store(true, Ordering::Relaxed);

        let mut acknowledged = HashSet::new();
        for worker in workers {
            acknowledged.extend(worker.await.expect("no writer panics"));
        }
        for key in &acknowledged {
            assert_eq!(
                store.text(key).await.as_deref(),
                Some("1"),
                "{key} was acknowledged"
            );
        }
        let total = store.text("total").await.expect("it was written");
        assert_eq!(
            total,
            acknowledged.len().to_string(),
            "each key has counted once"
        );
        println!(
            "{total} writes, {} retries",
            events::retries("redis::restarts")
        );
        assert_eq!(events::gave_up("redis::restarts"), 0);
    });
}

async fn more(counter: &AtomicUsize, by: usize) {
    let goal = counter.load(Ordering::Relaxed) + by;
    wait::until_async("more writes", || counter.load(Ordering::Relaxed) >= goal).await;
}

/// A paused server keeps its connections and answers nothing: no error ever comes, unless somebody makes one.
#[test]
fn attempt_timeout_cuts_what_a_paused_server_holds() {
    let Some(server) = Redis::start("redis::attempt_timeout_cuts_what_a_paused_server_holds")
    else {
        return;
    };
    events::listen();
    run(async {
        let store = Store::new(&server.url());
        store.write("before").await.expect("the server is up");
        server.pause();

        // Without a cut the call is still at its first attempt when the others below are long through.
        let uncut = {
            let store = store.clone();
            tokio::spawn(async move {
                policy("redis::uncut")
                    .call_async(|| store.write("uncut"))
                    .await
            })
        };

        // Three attempts of 200 ms each, and two waits.
        let cut = policy("redis::cut")
            .attempts(3)
            .attempt_timeout(Duration::from_millis(200), || StoreError::Cut);
        let start = Instant::now();
        let result = cut.call_async(|| store.write("cut")).await;
        let elapsed = start.elapsed();
        assert!(matches!(result, Err(StoreError::Cut)), "{result:?}");
        assert!(elapsed >= Duration::from_millis(600), "{elapsed:?}");
        let told = events::of("redis::cut");
        assert_eq!(
            told.last(),
            Some(&Event::GaveUp {
                attempts: 3,
                reason: StopReason::AttemptsExhausted
            }),
            "{told:?}"
        );

        // The policy's deadline comes before the attempt's.
        let late = policy("redis::late").timeout(Duration::from_millis(300));
        let start = Instant::now();
        let result = late
            .call_async(|| store.write("late"))
            .attempt_timeout(Duration::from_secs(600), || StoreError::Cut)
            .await;
        let elapsed = start.elapsed();
        assert!(matches!(result, Err(StoreError::Cut)), "{result:?}");
        assert!(
            elapsed >= Duration::from_millis(300) && elapsed < wait::PATIENCE,
            "{elapsed:?}"
        );
        assert_eq!(
            events::of("redis::late"),
            [Event::GaveUp {
                attempts: 1,
                reason: StopReason::TimedOut
            }]
        );

        // Many writers wait for the server; it goes on when each of them was cut at least once.
        let patient = Arc::new(policy("redis::patient"));
        let writers: Vec<_> = (0..6)
            .map(|writer| {
                let (store, policy) = (store.clone(), Arc::clone(&patient));
                tokio::spawn(async move {
                    let key = format!("p{writer}");
                    let call = policy.call_async(|| store.write(&key));
                    call.attempt_timeout(Duration::from_millis(200), || StoreError::Cut)
                        .await
                })
            })
            .collect();
        let firsts = || {
            let first = |event: &&Event| matches!(event, Event::Retry { number: 1, .. });
            events::of("redis::patient").iter().filter(first).count()
        };
        wait::until_async("each writer is cut once", || firsts() == 6).await;
        assert!(!uncut.is_finished(), "nothing but the server ends it");
        server.unpause();
        for writer in writers {
            writer
                .await
                .expect("no writer panics")
                .expect("the server is back");
        }
        uncut
            .await
            .expect("no panic")
            .expect("the server has answered");
        assert_eq!(events::of("redis::uncut"), [], "its one attempt went well");

        let mut keys = vec!["before".to_owned(), "uncut".to_owned()];
        keys.extend((0..6).map(|writer| format!("p{writer}")));
        for key in keys {
            assert_eq!(store.text(&key).await.as_deref(), Some("1"), "{key}");
        }
    });
}

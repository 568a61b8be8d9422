//! Writers that retry while their server is killed again and again: every acknowledged write is there, and there once.
//!
//! A few kills by default. Set `STAMINA_KILLS` for more; `tests/systems/src/lib.rs` has the command.

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use deadpool_postgres::Pool;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError};
use stamina::{Retry, Timer};
use stamina_systems::postgres::Postgres;
use stamina_systems::redis::Redis;
use stamina_systems::store::{self, StoreError};
use stamina_systems::{run_within, wait};

const WRITERS: u64 = 4;

/// How often each server is killed.
fn kills() -> u32 {
    match std::env::var("STAMINA_KILLS") {
        Ok(kills) => kills.parse().expect("STAMINA_KILLS is a number"),
        Err(_) => 8,
    }
}

/// Writes of which the server may be killed before, during and after.
trait Store: Clone + Send + Sync + 'static {
    type Error: Debug + Send + Sync + 'static;

    /// One policy for all writers. It has no limit that an outage of this test reaches.
    fn policy(&self) -> Retry<Self::Error>;

    /// What an attempt fails with that was cut, or whose answer was lost.
    fn reply_lost() -> Self::Error;

    /// One attempt. Idempotent: `key` takes effect once, however often it is written.
    fn write(&self, key: u64) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Every effect, by its key; a write that took effect twice is there twice.
    fn effects(&self) -> impl Future<Output = Vec<u64>> + Send;
}

/// What does not depend on the error: short waits, and no attempt that hangs for ever.
fn patient<E: Debug>(cut: fn() -> E) -> Retry<E> {
    Retry::on::<E>()
        .unlimited_attempts()
        .timeout(wait::PATIENCE)
        .attempt_timeout(Duration::from_secs(10), cut)
        .wait_initial(Duration::from_millis(5))
        .wait_max(Duration::from_millis(100))
        .timer(Timer::tokio())
}

async fn kill_while_writing<S: Store>(
    name: &str,
    store: S,
    mut kill: impl FnMut(),
    mut up: impl FnMut(),
) {
    let started = Instant::now();
    let kills = kills();
    let stop = Arc::new(AtomicBool::new(false));
    let acknowledged = Arc::new(AtomicU64::new(0));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (store, stop) = (store.clone(), Arc::clone(&stop));
            let acknowledged = Arc::clone(&acknowledged);
            tokio::spawn(async move {
                let policy = store.policy();
                let (mut keys, mut retries) = (Vec::new(), 0);
                for key in (writer..).step_by(usize::try_from(WRITERS).expect("a small number")) {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    // With some the answer is lost, once: the second attempt must find the first one's work.
                    let mut loses_the_reply = key % 10 == 9;
                    let attempt = || {
                        let (store, loses) = (&store, std::mem::take(&mut loses_the_reply));
                        async move {
                            store.write(key).await?;
                            if loses { Err(S::reply_lost()) } else { Ok(()) }
                        }
                    };
                    let report = policy.report_async(attempt).await;
                    retries += u64::from(report.attempts - 1);
                    report
                        .result
                        .expect("every outage is shorter than the deadline");
                    keys.push(key);
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(fastrand::u64(0..4))).await;
                }
                (keys, retries)
            })
        })
        .collect();

    for number in 1..=kills {
        // Not only the first moments after a start, and no two kills at the same point of a write.
        more(&acknowledged, 2 * WRITERS).await;
        tokio::time::sleep(Duration::from_micros(fastrand::u64(0..20_000))).await;
        kill();
        up();
        if number % 100 == 0 {
            println!("{name}: {number} kills after {:.0?}", started.elapsed());
        }
    }
    more(&acknowledged, 2 * WRITERS).await;
    stop.store(true, Ordering::Relaxed);

    let (mut keys, mut retries) = (HashSet::new(), 0);
    for writer in writers {
        let (its_keys, its_retries) = writer.await.expect("no writer panics");
        keys.extend(its_keys);
        retries += its_retries;
    }
    let effects = store.effects().await;
    let distinct: HashSet<u64> = effects.iter().copied().collect();
    let lost = keys.difference(&distinct).count();
    let doubled = effects.len() - distinct.len();
    println!(
        "{name}: {kills} kills, {} writes acknowledged, {retries} retries, {lost} lost, {doubled} doubled, {:.0?}",
        keys.len(),
        started.elapsed(),
    );
    assert_eq!((lost, doubled), (0, 0));
    assert_eq!(
        distinct, keys,
        "every writer ended with an acknowledged write"
    );
    assert!(
        retries >= u64::from(kills),
        "a kill that nobody noticed proves nothing"
    );
}

async fn more(counter: &AtomicU64, by: u64) {
    let goal = counter.load(Ordering::Relaxed) + by;
    wait::until_async("more writes", || counter.load(Ordering::Relaxed) >= goal).await;
}

#[derive(Clone)]
struct Sql(Pool);

impl Store for Sql {
    type Error = StoreError;

    fn reply_lost() -> StoreError {
        StoreError::ReplyLost
    }

    fn policy(&self) -> Retry<StoreError> {
        patient(Self::reply_lost).decide_fn(store::transient)
    }

    async fn write(&self, key: u64) -> Result<(), StoreError> {
        let key = i64::try_from(key).expect("a small number");
        let mut client = self.0.get().await?;
        let transaction = client.transaction().await?;
        let first = "INSERT INTO keys VALUES ($1) ON CONFLICT DO NOTHING";
        if transaction.execute(first, &[&key]).await? == 1 {
            transaction
                .execute("INSERT INTO effects VALUES ($1)", &[&key])
                .await?;
        }
        Ok(transaction.commit().await?)
    }

    async fn effects(&self) -> Vec<u64> {
        let client = self.0.get().await.expect("the server is up");
        let rows = client
            .query("SELECT key FROM effects", &[])
            .await
            .expect("the server is up");
        let key = |row: &tokio_postgres::Row| {
            u64::try_from(row.get::<_, i64>(0)).expect("no key is negative")
        };
        rows.iter().map(key).collect()
    }
}

#[test]
fn postgresql_loses_and_doubles_nothing() {
    let Some(mut server) = Postgres::start("kills::postgresql_loses_and_doubles_nothing") else {
        return;
    };
    run_within(limit(), async {
        let pool = store::pool(&server.url(), 4);
        let client = pool.get().await.expect("the server is up");
        // No key on the effects, so that what happens twice is there twice.
        let tables =
            "CREATE TABLE keys (key bigint PRIMARY KEY); CREATE TABLE effects (key bigint)";
        client
            .batch_execute(tables)
            .await
            .expect("the tables are made");
        drop(client);
        let server = std::cell::RefCell::new(&mut server);
        let kill = || server.borrow_mut().kill_all();
        let up = || server.borrow_mut().start_again();
        kill_while_writing("PostgreSQL", Sql(pool), kill, up).await;
    });
}

/// Each writer has a connection of its own at a time, and makes a new one after an error.
#[derive(Clone)]
struct Keys {
    client: Client,
    idle: Arc<std::sync::Mutex<Vec<MultiplexedConnection>>>,
}

#[derive(Debug)]
enum KeysError {
    Redis(RedisError),
    Cut,
}

impl From<RedisError> for KeysError {
    fn from(error: RedisError) -> Self {
        KeysError::Redis(error)
    }
}

fn transient(error: &KeysError) -> bool {
    match error {
        KeysError::Cut => true,
        // A server that reads its file after a start answers `LOADING`.
        KeysError::Redis(error) => {
            error.is_io_error()
                || error.is_unrecoverable_error()
                || error.is_connection_dropped()
                || error.kind() == redis::ErrorKind::Server(redis::ServerErrorKind::BusyLoading)
        }
    }
}

impl Keys {
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<MultiplexedConnection>> {
        self.idle.lock().expect("nothing panics with it")
    }

    async fn connection(&self) -> Result<MultiplexedConnection, RedisError> {
        let idle = self.idle().pop();
        if let Some(connection) = idle {
            return Ok(connection);
        }
        // Cutting is the policy's work.
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_connection_timeout(None);
        self.client
            .get_multiplexed_async_connection_with_config(&config)
            .await
    }
}

impl Store for Keys {
    type Error = KeysError;

    fn reply_lost() -> KeysError {
        KeysError::Cut
    }

    fn policy(&self) -> Retry<KeysError> {
        patient(Self::reply_lost).when_fn(transient)
    }

    async fn write(&self, key: u64) -> Result<(), KeysError> {
        let mut connection = self.connection().await?;
        let script = "if redis.call('SETNX', KEYS[1], '1') == 1 then redis.call('RPUSH', 'effects', KEYS[1]) end return 1";
        let mut write = redis::cmd("EVAL");
        let () = write
            .arg(script)
            .arg(1)
            .arg(key)
            .query_async(&mut connection)
            .await?;
        self.idle().push(connection);
        Ok(())
    }

    async fn effects(&self) -> Vec<u64> {
        let mut connection = self.connection().await.expect("the server is up");
        let mut all = redis::cmd("LRANGE");
        all.arg("effects")
            .arg(0)
            .arg(-1)
            .query_async(&mut connection)
            .await
            .expect("the server is up")
    }
}

#[test]
fn redis_loses_and_doubles_nothing() {
    let Some(mut server) = Redis::start("kills::redis_loses_and_doubles_nothing") else {
        return;
    };
    run_within(limit(), async {
        let client = Client::open(server.url()).expect("a URL");
        let idle = Arc::default();
        let server = std::cell::RefCell::new(&mut server);
        let kill = || server.borrow_mut().kill();
        let up = || server.borrow_mut().start_again();
        kill_while_writing("Redis", Keys { client, idle }, kill, up).await;
    });
}

/// A kill, a recovery and the writes between them take well under a second.
fn limit() -> Duration {
    wait::WHOLE_TEST + kills() * Duration::from_secs(20)
}

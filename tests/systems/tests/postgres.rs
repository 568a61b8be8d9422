//! Workers write through a pool while PostgreSQL is killed and restarted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use deadpool_postgres::Pool;
use stamina::{Budget, Report, Retry, StopReason, Timer};
use stamina_systems::postgres::Postgres;
use stamina_systems::store::{self, StoreError, transient};
use stamina_systems::{run, wait};
use tokio_postgres::error::SqlState;

static DATABASE: Budget = Budget::new();

/// Sits out every outage of this test.
static PATIENT: Retry<StoreError> = Retry::on::<StoreError>()
    .named("postgres::patient")
    .unlimited_attempts()
    .timeout(Duration::from_secs(60))
    .wait_initial(Duration::from_millis(10))
    .wait_max(Duration::from_millis(250))
    .wait_jitter(Duration::from_millis(50))
    .timer(Timer::tokio())
    .decide_fn(transient);

/// Fails during an outage, for any of three reasons.
static HASTY: Retry<StoreError> = Retry::on::<StoreError>()
    .named("postgres::hasty")
    .attempts(6)
    .timeout(Duration::from_millis(300))
    .wait_initial(Duration::from_millis(10))
    .wait_max(Duration::from_millis(100))
    .wait_jitter(Duration::from_millis(20))
    .budget(&DATABASE)
    .decide_fn(transient);

const PATIENT_WORKERS: i64 = 6;
const HASTY_WORKERS: i64 = 2;

#[derive(Debug, Default)]
struct Progress {
    stop: AtomicBool,
    acknowledged: AtomicUsize,
    spent_limits: AtomicUsize,
}

/// What one worker knows at the end.
#[derive(Debug, Default)]
struct Tally {
    tried: Vec<i64>,
    acknowledged: Vec<i64>,
    refused: Vec<i64>,
    retries: u32,
    spent: Vec<StopReason>,
}

#[test]
fn acknowledged_writes_are_there_exactly_once() {
    let Some(mut server) = Postgres::start("postgres::acknowledged_writes_are_there_exactly_once")
    else {
        return;
    };
    run(async {
        let pool = store::pool(&server.url(), 8);
        let client = pool.get().await.expect("the server is up");
        client
            .batch_execute(
                "CREATE TABLE writes (key bigint PRIMARY KEY, amount bigint NOT NULL CHECK (amount > 0));
                 CREATE TABLE accounts (worker bigint PRIMARY KEY, total bigint NOT NULL);
                 INSERT INTO accounts SELECT worker, 0 FROM generate_series(0, 15) worker",
            )
            .await
            .expect("the tables are made");
        drop(client);

        let progress = Arc::new(Progress::default());
        let workers: Vec<_> = (0..PATIENT_WORKERS + HASTY_WORKERS)
            .map(|worker| {
                let policy = if worker < PATIENT_WORKERS {
                    &PATIENT
                } else {
                    &HASTY
                };
                tokio::spawn(work(worker, policy, pool.clone(), Arc::clone(&progress)))
            })
            .collect();

        // Killing and starting blocks this thread. The workers run on others.
        for round in 0..6 {
            more(&progress.acknowledged, 150, "writes between two outages").await;
            match round {
                0 | 3 => server.kill_all(),
                1 | 4 => server.kill_postmaster(),
                2 => assert!(server.kill_backend(), "somebody was connected"),
                _ => {
                    server.kill_all();
                    more(
                        &progress.spent_limits,
                        10,
                        "calls that an outage of this length must end",
                    )
                    .await;
                }
            }
            server.start_again();
        }
        more(&progress.acknowledged, 150, "writes after the last outage").await;
        progress.stop.store(true, Ordering::Relaxed);

        let mut tallies = Vec::new();
        for worker in workers {
            tallies.push(worker.await.expect("no worker panics"));
        }
        check(&pool, &tallies).await;
    });
}

/// Waits until `counter` has grown by `by`.
async fn more(counter: &AtomicUsize, by: usize, what: &str) {
    let goal = counter.load(Ordering::Relaxed) + by;
    wait::until_async(what, || counter.load(Ordering::Relaxed) >= goal).await;
}

async fn work(
    worker: i64,
    policy: &'static Retry<StoreError>,
    pool: Pool,
    progress: Arc<Progress>,
) -> Tally {
    let mut tally = Tally::default();
    for number in 0.. {
        if progress.stop.load(Ordering::Relaxed) {
            break;
        }
        let key = worker * 1_000_000 + number;
        // Some writes break a rule of the table, and no retry can help them.
        let amount = if number % 25 == 24 {
            -1
        } else {
            1 + number % 7
        };
        // With some others the answer to the commit is lost, once: the second attempt must find the first one's work.
        let mut lose_the_reply = number % 10 == 9;
        let report = policy
            .report_async(|| {
                let lose_the_reply = std::mem::take(&mut lose_the_reply);
                write(&pool, worker, key, amount, lose_the_reply)
            })
            .await;
        tally.tried.push(key);
        let pause = if report.result.is_ok() { 1 } else { 20 };
        tally.note(key, report, &progress);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    tally
}

/// Idempotent by key: the account changes with the first of several writes of one key, and with no other.
async fn write(
    pool: &Pool,
    worker: i64,
    key: i64,
    amount: i64,
    lose_the_reply: bool,
) -> Result<(), StoreError> {
    let mut client = pool.get().await?;
    let transaction = client.transaction().await?;
    let insert = "INSERT INTO writes VALUES ($1, $2) ON CONFLICT (key) DO NOTHING";
    if transaction.execute(insert, &[&key, &amount]).await? == 1 {
        let update = "UPDATE accounts SET total = total + $2 WHERE worker = $1";
        transaction.execute(update, &[&worker, &amount]).await?;
    }
    transaction.commit().await?;
    if lose_the_reply {
        Err(StoreError::ReplyLost)
    } else {
        Ok(())
    }
}

impl Tally {
    /// Every error that reaches the caller is a permanent one or a spent limit.
    fn note(&mut self, key: i64, report: Report<(), StoreError>, progress: &Progress) {
        self.retries += report.attempts - 1;
        match (report.result, report.stop_reason) {
            (Ok(()), None) => {
                self.acknowledged.push(key);
                progress.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            (Err(error), Some(StopReason::NotRetryable)) => {
                assert_eq!(error.code(), Some(&SqlState::CHECK_VIOLATION), "{error:?}");
                self.refused.push(key);
            }
            (
                Err(error),
                Some(
                    reason @ (StopReason::AttemptsExhausted
                    | StopReason::TimedOut
                    | StopReason::BudgetExhausted),
                ),
            ) => {
                assert_eq!(
                    transient(&error),
                    stamina::Decision::Retry,
                    "{error:?} is no reason to go on"
                );
                self.spent.push(reason);
                progress.spent_limits.fetch_add(1, Ordering::Relaxed);
            }
            (result, reason) => panic!("{result:?} for {reason:?}"),
        }
    }
}

async fn check(pool: &Pool, tallies: &[Tally]) {
    let client = pool.get().await.expect("the server is up");
    let stored: Vec<i64> = client
        .query("SELECT key FROM writes", &[])
        .await
        .expect("the server is up")
        .iter()
        .map(|row| row.get(0))
        .collect();
    let sum = "SELECT (SELECT sum(amount) FROM writes)::bigint, (SELECT sum(total) FROM accounts)::bigint";
    let sums = client.query_one(sum, &[]).await.expect("the server is up");
    assert_eq!(
        sums.get::<_, i64>(0),
        sums.get::<_, i64>(1),
        "each write has moved its account once"
    );

    let stored: std::collections::HashSet<i64> = stored.into_iter().collect();
    for tally in tallies {
        let lost: Vec<_> = tally
            .acknowledged
            .iter()
            .filter(|key| !stored.contains(key))
            .collect();
        assert!(lost.is_empty(), "acknowledged and not there: {lost:?}");
        let wrong: Vec<_> = tally
            .refused
            .iter()
            .filter(|key| stored.contains(key))
            .collect();
        assert!(wrong.is_empty(), "refused and there: {wrong:?}");
        // Nine in ten writes cannot need a retry unless the server is away; one in ten always does.
        assert!(tally.retries > 0, "{tally:?}");
    }
    let tried: std::collections::HashSet<i64> = tallies
        .iter()
        .flat_map(|tally| &tally.tried)
        .copied()
        .collect();
    assert!(
        stored.is_subset(&tried),
        "nothing is there that nobody wrote"
    );

    let acknowledged: usize = tallies.iter().map(|tally| tally.acknowledged.len()).sum();
    let refused: usize = tallies.iter().map(|tally| tally.refused.len()).sum();
    let retries: u32 = tallies.iter().map(|tally| tally.retries).sum();
    let spent: Vec<StopReason> = tallies
        .iter()
        .flat_map(|tally| tally.spent.clone())
        .collect();
    let of = |wanted| spent.iter().filter(|&&reason| reason == wanted).count();
    println!(
        "{acknowledged} writes acknowledged, {refused} refused, {retries} retries, {} calls ended by a limit \
         (attempts {}, time {}, budget {})",
        spent.len(),
        of(StopReason::AttemptsExhausted),
        of(StopReason::TimedOut),
        of(StopReason::BudgetExhausted),
    );
    assert!(refused > 0, "the test's own writes that break a rule");
}

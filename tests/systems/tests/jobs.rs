//! A job queue in PostgreSQL: the retries of a job outlive its workers.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use deadpool_postgres::{Client, Pool};
use stamina::StopReason;
use stamina_systems::jobs::{JOBS, SCHEMA, STORE};
use stamina_systems::postgres::Postgres;
use stamina_systems::process::Process;
use stamina_systems::{run, store, wait};
use tokio_postgres::Row;

const WORKERS: usize = 4;
const KILLS: usize = 15;
const LIMIT: i32 = 6;

/// How many jobs of each kind.
const JOB_KINDS: [(&str, i64); 6] = [
    ("easy", 80),
    ("flaky", 40),
    ("hopeless", 10),
    ("malformed", 10),
    ("busy", 10),
    ("deadly", 3),
];

/// Put in when no worker is killed any more: theirs must live to outsleep its lease.
const SLEEPY: i64 = 2;

#[test]
fn each_job_ends_exactly_once_although_workers_die() {
    let Some(mut server) = Postgres::start("jobs::each_job_ends_exactly_once_although_workers_die")
    else {
        return;
    };
    run(async {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let pool = store::pool(&server.url(), 2);
        fill(&pool).await;

        let mut fleet = Fleet::start(&server.url(), folder.path());
        let mut kills = 0;
        let mut next_kill = Instant::now();
        let begin = Instant::now();
        while kills < KILLS || open_jobs(&pool).await > 0 {
            assert!(
                begin.elapsed() < 2 * wait::PATIENCE,
                "{} jobs do not end",
                open_jobs(&pool).await
            );
            fleet.replace_the_dead();
            if kills < KILLS && Instant::now() >= next_kill {
                fleet.kill_one();
                kills += 1;
                if kills == KILLS {
                    put(&pool, 1_000, "sleepy", SLEEPY).await;
                }
                next_kill = Instant::now() + Duration::from_millis(fastrand::u64(50..250));
                if kills == KILLS / 2 {
                    server.kill_all();
                    server.start_again();
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        drop(fleet);

        let client = pool.get().await.expect("the database is up");
        check_endings(&client).await;
        check_waits(&client).await;
    });
}

async fn fill(pool: &Pool) {
    let client = pool.get().await.expect("the database is up");
    client
        .batch_execute(SCHEMA)
        .await
        .expect("the tables are made");
    // Its first attempt was made an hour ago, by a worker that nobody remembers.
    client
        .batch_execute(
            "INSERT INTO jobs (id, kind, attempts, first_start)
             VALUES (0, 'old', 1, now() - interval '1 hour')",
        )
        .await
        .expect("the old job is put in");
    let mut first = 1;
    for (kind, count) in JOB_KINDS {
        put(pool, first, kind, count).await;
        first += count;
    }
}

async fn put(pool: &Pool, first: i64, kind: &str, count: i64) {
    let last = first + count - 1;
    let insert = "INSERT INTO jobs (id, kind)
                  SELECT id, $3 FROM generate_series($1::bigint, $2::bigint) id
                  ON CONFLICT (id) DO NOTHING";
    let put = STORE
        .call_async(|| async {
            let client = pool.get().await?;
            client.execute(insert, &[&first, &last, &kind]).await?;
            Ok(())
        })
        .await;
    put.expect("the jobs are put in");
}

/// Jobs that are waiting or running. The database may be down at the moment.
async fn open_jobs(pool: &Pool) -> i64 {
    let count = STORE
        .call_async(|| async {
            let client = pool.get().await?;
            let row = client
                .query_one(
                    "SELECT count(*) FROM jobs WHERE state IN ('waiting', 'running')",
                    &[],
                )
                .await?;
            Ok(row.get(0))
        })
        .await;
    count.expect("the database comes back in time")
}

/// Every job has ended, and ended once; each in a way that its kind allows.
async fn check_endings(client: &Client) {
    let jobs = rows(
        client,
        "SELECT id, kind, state, attempts, coalesce(reason, '') AS reason,
                (SELECT count(*) FROM endings WHERE job = id) AS endings,
                (SELECT count(*) FROM starts WHERE job = id) AS starts,
                (SELECT count(DISTINCT attempt) FROM starts WHERE job = id) AS numbers
         FROM jobs ORDER BY id",
    )
    .await;
    let kinds: i64 = JOB_KINDS.iter().map(|(_, count)| count).sum();
    assert_eq!(
        i64::try_from(jobs.len()).expect("a few"),
        kinds + SLEEPY + 1,
        "no job is lost"
    );

    for job in &jobs {
        let (id, kind): (i64, &str) = (job.get("id"), job.get("kind"));
        let end: (&str, &str, i32) = (job.get("state"), job.get("reason"), job.get("attempts"));
        let (starts, numbers): (i64, i64) = (job.get("starts"), job.get("numbers"));
        assert_eq!(
            job.get::<_, i64>("endings"),
            1,
            "job {id} ({kind}) ends once"
        );
        assert_eq!(
            starts, numbers,
            "no attempt of job {id} ({kind}) is made twice"
        );
        // Losing its worker each time may use up any job's attempts, but for the one whose time is up before.
        let worn_out = end == ("failed", StopReason::AttemptsExhausted.as_str(), LIMIT);
        let right = match kind {
            "easy" | "sleepy" => worn_out || end.0 == "done",
            "flaky" => worn_out || (end.0 == "done" && end.2 >= 3),
            "hopeless" | "deadly" => worn_out,
            "malformed" => worn_out || (end.0, end.1) == ("failed", "not_retryable"),
            // The hint is longer than the whole deadline: it ends at once instead of waiting in vain.
            "busy" => worn_out || (end.0, end.1) == ("failed", "timed_out"),
            // One more attempt, and then it is known how old it is.
            "old" => end == ("failed", "timed_out", 2),
            _ => panic!("there is no {kind} job"),
        };
        assert!(
            right && end.2 <= LIMIT,
            "job {id} ({kind}) ends like this: {end:?}"
        );
    }
}

/// Every wait is the one that its number calls for, whichever process computed it: the schedule survived its workers. And
/// no attempt began before its time.
async fn check_waits(client: &Client) {
    let bands: Vec<(Duration, Duration)> = JOBS.schedule().collect();
    let waits = rows(
        client,
        "SELECT w.job, w.attempt, w.error, w.micros, s.at >= w.next AS in_time, s.worker AS next_worker,
                (SELECT worker FROM starts f WHERE f.job = w.job AND f.attempt = w.attempt) AS worker
         FROM waits w LEFT JOIN starts s ON s.job = w.job AND s.attempt = w.attempt + 1",
    )
    .await;
    let (mut lost, mut moved) = (0, 0);
    for row in &waits {
        let attempt: i32 = row.get("attempt");
        let micros: i64 = row.get("micros");
        let waited = Duration::from_micros(u64::try_from(micros).expect("not negative"));
        let (least, most) = bands[usize::try_from(attempt - 1).expect("counted from 1")];
        // The database keeps whole microseconds.
        assert!(
            least <= waited + Duration::from_micros(1) && waited <= most,
            "not in {least:?}..{most:?}: {row:?}"
        );
        assert_eq!(
            row.get::<_, Option<bool>>("in_time"),
            Some(true),
            "the next attempt comes, in time: {row:?}"
        );
        lost += usize::from(row.get::<_, &str>("error") == "WorkerLost");
        moved += usize::from(row.get::<_, &str>("worker") != row.get::<_, &str>("next_worker"));
    }
    println!(
        "{} waits: {lost} after the loss of a worker, {moved} begun by one worker and ended by another",
        waits.len()
    );
    // Each of the three deadly jobs has five waits, each after the loss of a worker that is never seen again.
    assert!(lost >= 15 && moved >= 15, "{lost} lost, {moved} moved");
}

async fn rows(client: &Client, query: &str) -> Vec<Row> {
    client.query(query, &[]).await.expect("the database is up")
}

/// Worker processes, of which there are always as many.
struct Fleet<'a> {
    url: String,
    folder: &'a Path,
    workers: Vec<Process>,
    born: usize,
}

impl<'a> Fleet<'a> {
    fn start(url: &str, folder: &'a Path) -> Fleet<'a> {
        let mut fleet = Fleet {
            url: url.to_owned(),
            folder,
            workers: Vec::new(),
            born: 0,
        };
        for _ in 0..WORKERS {
            let worker = fleet.another();
            fleet.workers.push(worker);
        }
        fleet
    }

    fn another(&mut self) -> Process {
        self.born += 1;
        let name = format!("w{}", self.born);
        let mut command = Command::new(env!("CARGO_BIN_EXE_job-worker"));
        Process::start(command.arg(&self.url).arg(&name), &self.folder.join(name))
    }

    fn replace_the_dead(&mut self) {
        for index in 0..self.workers.len() {
            if let Some(status) = self.workers[index].ended() {
                assert_eq!(
                    status.code(),
                    Some(70),
                    "only deadly jobs end a worker; it wrote:\n{}",
                    self.workers[index].log()
                );
                self.workers[index] = self.another();
            }
        }
    }

    fn kill_one(&mut self) {
        let index = fastrand::usize(..self.workers.len());
        // It may have died of a deadly job in this very moment, which is as good.
        self.workers[index].kill();
        self.workers[index] = self.another();
    }
}

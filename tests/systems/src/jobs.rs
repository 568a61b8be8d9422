//! A job queue in one table, whose retries outlive the workers. `docs/job_queue.md` explains it.
//!
//! The whole state of a call is two columns: `attempts` and `first_start`. Whichever worker has the job at the moment hands
//! them to [`Retry::resume`] and lets [`decide`](stamina::Attempts::decide) say when it runs next, or that it is over.

use std::time::Duration;

use deadpool_postgres::{Object, Pool, Transaction};
use stamina::{Attempts, Decision, Retry, StopReason, Timer};

use crate::store::{self, StoreError};

/// What is tried, how often and how long: the retries of a job. Short waits, because this is a test. Without much jitter,
/// so that each wait tells which retry it belongs to.
pub static JOBS: Retry<JobError> = Retry::on::<JobError>()
    .named("job")
    .attempts(6)
    .timeout(Duration::from_secs(600))
    .wait_initial(Duration::from_millis(100))
    .wait_exp_base(3.0)
    .wait_max(Duration::from_secs(1))
    .wait_jitter(Duration::from_millis(20))
    .decide_fn(transient);

/// The worker's own calls of the database.
pub static STORE: Retry<StoreError> = Retry::on::<StoreError>()
    .named("store")
    .unlimited_attempts()
    .timeout(Duration::from_secs(60))
    .wait_initial(Duration::from_millis(20))
    .wait_max(Duration::from_millis(300))
    .wait_jitter(Duration::from_millis(50))
    .timer(Timer::tokio())
    .decide_fn(store::transient);

/// A worker that says nothing for so long is taken for dead.
pub const LEASE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub enum JobError {
    /// Worth another try.
    Unavailable,
    /// Worth another try, and the other side said when.
    Busy(Duration),
    /// Never worth another try.
    Malformed,
    /// The worker died at it, or lost its lease.
    WorkerLost,
}

fn transient(error: &JobError) -> Decision {
    match error {
        JobError::Unavailable | JobError::WorkerLost => Decision::Retry,
        JobError::Busy(hint) => Decision::RetryAfter(*hint),
        JobError::Malformed => Decision::Stop,
    }
}

/// `jobs` is the queue. The other tables are for the test: they have no keys on purpose, so that what happens twice is there
/// twice.
pub const SCHEMA: &str = "
    CREATE TABLE jobs (
        id bigint PRIMARY KEY,
        kind text NOT NULL,
        state text NOT NULL DEFAULT 'waiting',    -- waiting, running, done, failed
        attempts int NOT NULL DEFAULT 0,          -- begun so far
        first_start timestamptz,                  -- of the first of them
        run_at timestamptz NOT NULL DEFAULT now(),
        lease_until timestamptz,
        reason text                               -- why it failed: a StopReason
    );
    CREATE INDEX ON jobs (run_at) WHERE state = 'waiting';
    CREATE INDEX ON jobs (lease_until) WHERE state = 'running';
    CREATE TABLE starts (job bigint, attempt int, worker text, at timestamptz);
    CREATE TABLE waits (job bigint, attempt int, error text, micros bigint, next timestamptz);
    CREATE TABLE endings (job bigint, how text, attempt int, reason text);
";

/// A job, and the attempt at it that is this worker's.
#[derive(Debug)]
pub struct Job {
    pub id: i64,
    pub kind: String,
    /// 1 for the first.
    pub attempt: u32,
    /// Since the first attempt began, whoever made it. It is measured by the database, the one clock that all workers share.
    pub elapsed: Duration,
}

impl Job {
    /// The retry loop of this job, taken up where the last worker left it.
    pub fn attempts(&self) -> Attempts<'static, JobError> {
        JOBS.resume(self.attempt - 1, self.elapsed)
    }
}

/// What [`claim`] found.
#[derive(Debug)]
pub enum Claim {
    /// Run it.
    Job(Job),
    /// A job whose worker was lost: it has been judged and is back in the queue, or over. Ask again.
    Judged,
    /// Nothing is due.
    Nothing,
}

/// Takes the next job that is due. Whatever else happens to this worker, the attempt is counted from here on.
///
/// # Errors
///
/// When the database could not be asked for longer than [`STORE`] puts up with.
pub async fn claim(pool: &Pool, worker: &str) -> Result<Claim, StoreError> {
    STORE
        .call_async(|| async {
            let mut client = pool.get().await?;
            let transaction = client.transaction().await?;
            let claim = claim_in(&transaction, worker).await?;
            transaction.commit().await?;
            Ok(claim)
        })
        .await
}

async fn claim_in(transaction: &Transaction<'_>, worker: &str) -> Result<Claim, StoreError> {
    let due = transaction
        .query_opt(
            "SELECT id, kind, state, attempts,
                    coalesce(extract(epoch FROM clock_timestamp() - first_start), 0)::float8 AS elapsed
             FROM jobs
             WHERE (state = 'waiting' AND run_at <= now()) OR (state = 'running' AND lease_until <= now())
             ORDER BY run_at
             LIMIT 1 FOR UPDATE SKIP LOCKED",
            &[],
        )
        .await?;
    let Some(row) = due else {
        return Ok(Claim::Nothing);
    };
    let begun = u32::try_from(row.get::<_, i32>("attempts")).unwrap_or_default();
    // A clock that was set back gives a negative time: none has passed, then.
    let elapsed = Duration::try_from_secs_f64(row.get("elapsed")).unwrap_or_default();
    let mut job = Job {
        id: row.get("id"),
        kind: row.get("kind"),
        attempt: begun,
        elapsed,
    };

    if row.get::<_, &str>("state") == "running" {
        settle_in(
            transaction,
            &job,
            job.attempts(),
            Err(&JobError::WorkerLost),
        )
        .await?;
        return Ok(Claim::Judged);
    }
    job.attempt += 1;
    transaction
        .execute(
            "UPDATE jobs SET state = 'running', attempts = $2, first_start = coalesce(first_start, clock_timestamp()),
                    lease_until = now() + make_interval(secs => $3)
             WHERE id = $1",
            &[&job.id, &i32::try_from(job.attempt).unwrap_or(i32::MAX), &LEASE.as_secs_f64()],
        )
        .await?;
    transaction
        .execute(
            "INSERT INTO starts VALUES ($1, $2, $3, clock_timestamp())",
            &[
                &job.id,
                &i32::try_from(job.attempt).unwrap_or(i32::MAX),
                &worker,
            ],
        )
        .await?;
    Ok(Claim::Job(job))
}

/// Runs a job that was claimed, and writes down how it went.
///
/// # Errors
///
/// When the database could not be told for longer than [`STORE`] puts up with. The lease runs out then.
pub async fn run(
    pool: &Pool,
    job: &Job,
    work: impl AsyncFnOnce(&Job) -> Result<(), JobError>,
) -> Result<(), StoreError> {
    let attempts = job.attempts();
    let outcome = work(job).await;
    let outcome = outcome.as_ref().map(|&()| ());
    // Judged once, not once for each try to write it down.
    let verdict = verdict(attempts, outcome);
    STORE
        .call_async(|| async {
            let mut client: Object = pool.get().await?;
            let transaction = client.transaction().await?;
            write_in(&transaction, job, outcome, verdict).await?;
            Ok(transaction.commit().await?)
        })
        .await
}

#[derive(Debug, Clone, Copy)]
enum Verdict {
    Done,
    Again(Duration),
    Failed(StopReason),
}

fn verdict(mut attempts: Attempts<'_, JobError>, outcome: Result<(), &JobError>) -> Verdict {
    match outcome {
        Ok(()) => {
            attempts.succeed(());
            Verdict::Done
        }
        Err(error) => match attempts.decide(error) {
            Ok(wait) => Verdict::Again(wait),
            Err(reason) => Verdict::Failed(reason),
        },
    }
}

async fn settle_in(
    transaction: &Transaction<'_>,
    job: &Job,
    attempts: Attempts<'_, JobError>,
    outcome: Result<(), &JobError>,
) -> Result<(), StoreError> {
    let verdict = verdict(attempts, outcome);
    write_in(transaction, job, outcome, verdict).await
}

async fn write_in(
    transaction: &Transaction<'_>,
    job: &Job,
    outcome: Result<(), &JobError>,
    verdict: Verdict,
) -> Result<(), StoreError> {
    let (state, reason, wait) = match verdict {
        Verdict::Done => ("done", None, None),
        Verdict::Again(wait) => ("waiting", None, Some(wait)),
        Verdict::Failed(reason) => ("failed", Some(reason.as_str()), None),
    };
    let attempt = i32::try_from(job.attempt).unwrap_or(i32::MAX);
    // The attempt's number is the fence: a worker that was taken for dead and comes back changes nothing, and neither does
    // the second try after a commit whose answer was lost.
    let ours = transaction
        .query_opt(
            "UPDATE jobs SET state = $3, reason = $4, lease_until = NULL,
                    run_at = coalesce(now() + make_interval(secs => $5), run_at)
             WHERE id = $1 AND state = 'running' AND attempts = $2
             RETURNING run_at",
            &[
                &job.id,
                &attempt,
                &state,
                &reason,
                &wait.map(|wait| wait.as_secs_f64()),
            ],
        )
        .await?;
    let Some(row) = ours else { return Ok(()) };
    if let Some(wait) = wait {
        let error = outcome.err().map(|error| format!("{error:?}"));
        let micros = i64::try_from(wait.as_micros()).unwrap_or(i64::MAX);
        let next: std::time::SystemTime = row.get("run_at");
        transaction
            .execute(
                "INSERT INTO waits VALUES ($1, $2, $3, $4, $5)",
                &[&job.id, &attempt, &error, &micros, &next],
            )
            .await?;
    } else {
        transaction
            .execute(
                "INSERT INTO endings VALUES ($1, $2, $3, $4)",
                &[&job.id, &state, &attempt, &reason],
            )
            .await?;
    }
    Ok(())
}

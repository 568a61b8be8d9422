//! One worker of the job queue: `job-worker <database url> <name>`. It works until it is killed.

use std::time::Duration;

use stamina_systems::jobs::{self, Claim, Job, JobError, LEASE};
use stamina_systems::store;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(name)) = (arguments.next(), arguments.next()) else {
        panic!("usage: job-worker <database url> <name>");
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a tokio runtime");
    runtime.block_on(work(&url, &name));
}

async fn work(url: &str, name: &str) {
    let pool = store::pool(url, 1);
    loop {
        match jobs::claim(&pool, name)
            .await
            .expect("the database comes back in time")
        {
            Claim::Job(job) => jobs::run(&pool, &job, attempt)
                .await
                .expect("the database comes back in time"),
            Claim::Judged => {}
            Claim::Nothing => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// What a job does is in its kind.
async fn attempt(job: &Job) -> Result<(), JobError> {
    tokio::time::sleep(Duration::from_millis(fastrand::u64(5..50))).await;
    match job.kind.as_str() {
        "easy" => Ok(()),
        // Is taken for dead meanwhile, and comes back with a result that nobody wants any more.
        "sleepy" => {
            if job.attempt == 1 {
                tokio::time::sleep(3 * LEASE).await;
            }
            Ok(())
        }
        "flaky" if job.attempt >= 3 => Ok(()),
        "flaky" | "hopeless" | "old" => Err(JobError::Unavailable),
        "busy" => Err(JobError::Busy(Duration::from_secs(3600))),
        "malformed" => Err(JobError::Malformed),
        // Takes its worker with it, without a word to the database.
        "deadly" => std::process::exit(70),
        kind => panic!("there is no {kind} job"),
    }
}

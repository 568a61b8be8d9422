//! ```sh
//! cargo run --example smol
//! ```
//!
//! Retry on any executor, here smol, with nothing to set up. Each task draws its own waits, so tasks that failed together
//! don't come back together.

use std::time::{Duration, Instant};

use smol::future::FutureExt;
use stamina::Retry;

static FETCH: Retry<&str> = Retry::on::<&str>()
    .wait_initial(Duration::from_millis(20))
    .wait_jitter(Duration::from_millis(40));

async fn fetch(task: u32, started: Instant) -> Result<u32, &'static str> {
    let mut attempt = 0;
    let operation = || {
        attempt += 1;
        let ms = started.elapsed().as_millis();
        println!("  {ms:>3} ms: task {task}, attempt {attempt}");
        std::future::ready(if attempt < 3 {
            Err("down")
        } else {
            Ok(task * task)
        })
    };
    FETCH.call_async(operation).await
}

/// A call may be dropped while it waits.
async fn cancelled() -> Result<u32, &'static str> {
    let patient = FETCH.clone().wait_initial(Duration::from_secs(5));
    let call = patient.call_async(|| std::future::ready(Err("down")));
    let cancel = async {
        smol::Timer::after(Duration::from_millis(30)).await;
        Err("cancelled")
    };
    call.or(cancel).await
}

fn main() {
    println!("Three tasks, three attempts each:");
    let started = Instant::now();
    let tasks: Vec<_> = (1..=3)
        .map(|task| smol::spawn(fetch(task, started)))
        .collect();
    let squares: Vec<_> = tasks.into_iter().map(smol::block_on).collect();
    println!("  => {squares:?}");
    assert_eq!(squares, [Ok(1), Ok(4), Ok(9)]);

    let outcome = smol::block_on(cancelled());
    println!("  => {outcome:?}");
    assert_eq!(outcome, Err("cancelled"));
}

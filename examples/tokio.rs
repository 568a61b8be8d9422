//! ```sh
//! cargo run --example tokio --features tokio
//! cargo test --example tokio --features tokio
//! ```
//!
//! On tokio: spawn a retried call, cut attempts that hang, and test it with tokio's clock paused. The paused clock needs
//! `Timer::tokio()`. Everything else works without it.

use std::time::Duration;

use stamina::{Retry, Timer};

static PING: Retry<&str> = Retry::on::<&str>()
    .attempts(4)
    .wait_initial(Duration::from_millis(20))
    .attempt_timeout(Duration::from_millis(50), || "too slow")
    .timer(Timer::tokio());

/// The first attempt hangs, the second fails, the third succeeds.
async fn answer(attempt: u32) -> Result<u32, &'static str> {
    println!("  attempt {attempt}");
    match attempt {
        1 => std::future::pending().await,
        2 => Err("refused"),
        _ => Ok(attempt),
    }
}

async fn ping() -> Result<u32, &'static str> {
    let mut attempts = 1..;
    PING.call_async(|| answer(attempts.next().unwrap_or_default()))
        .await
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    println!("A task that retries:");
    let answer = tokio::spawn(ping()).await.expect("no panic");
    println!("  => {answer:?}");
    assert_eq!(answer, Ok(3));
}

#[cfg(test)]
#[tokio::test(start_paused = true)]
async fn waits_take_no_time() {
    let hours = PING.clone().no_timeout().wait_max(Duration::MAX);
    let hours = hours.wait_initial(Duration::from_secs(3600));
    let started = (tokio::time::Instant::now(), std::time::Instant::now());
    let result = hours.call_async(|| async { Err::<(), _>("down") }).await;
    assert_eq!(result, Err("down"));
    assert!(started.0.elapsed() >= Duration::from_secs(7 * 3600)); // 1 + 2 + 4 hours
    assert!(started.1.elapsed() < Duration::from_secs(5));
}

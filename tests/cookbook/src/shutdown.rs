//! A loop that stops at a shutdown.

use stamina::{Retry, Timer};
use tokio_util::sync::CancellationToken;

static SEND: Retry<&str> = Retry::on::<&str>()
    .unlimited_attempts()
    .timer(Timer::tokio());

/// Sends until it works, or until the shutdown; then the last error comes back.
pub async fn send(
    shutdown: &CancellationToken,
    mut once: impl AsyncFnMut() -> Result<u32, &'static str>,
) -> Result<u32, &'static str> {
    let mut attempts = SEND.start();
    loop {
        let error = match once().await {
            Ok(value) => break Ok(attempts.succeed(value)),
            Err(error) => error,
        };
        let Ok(pause) = attempts.pause(&error) else {
            break Err(error);
        };
        let waited = shutdown.run_until_cancelled(pause.into_future()).await;
        if waited.is_none() {
            break Err(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::send;
    use std::time::Duration;
    use tokio::time::{Instant, sleep};
    use tokio_util::sync::CancellationToken;

    #[tokio::test(start_paused = true)]
    async fn a_call_without_a_shutdown_is_like_any_other() {
        let task = tokio::spawn(async move {
            let mut made = 0;
            let shutdown = CancellationToken::new();
            let once = async move || {
                made += 1;
                if made < 3 { Err("down") } else { Ok(made) }
            };
            send(&shutdown, once).await
        });
        assert_eq!(task.await.unwrap(), Ok(3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_shutdown_ends_the_wait_and_keeps_the_last_error() {
        let started = Instant::now();
        let shutdown = CancellationToken::new();
        let stopped = shutdown.clone();
        let task = tokio::spawn(async move {
            let mut made = 0;
            let once = async move || {
                made += 1;
                Err(if made < 5 { "down" } else { "still down" })
            };
            send(&stopped, once).await
        });
        // By then the fifth attempt has failed (waits of 1.5 to 5.5 s before it), and the sixth is at least 1.6 s away.
        sleep(Duration::from_millis(5_550)).await;
        shutdown.cancel();
        let result = task.await.unwrap();
        assert!(matches!(result, Err("down" | "still down")), "{result:?}");
        assert_eq!(started.elapsed(), Duration::from_millis(5_550));
    }
}

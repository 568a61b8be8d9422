use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, Request, StatusCode};
use stamina::Clock as _;
use stamina::testing::VirtualClock;
use stamina_cookbook::middleware::{Answer, Outcome};

pub(crate) struct Http {
    pub(crate) client: Client,
    pub(crate) attempts: u32,
    pub(crate) timeout: Duration,
    pub(crate) clock: &'static VirtualClock, // in the place of tokio's
}

impl Http {
    pub(crate) async fn send(&self, request: Request) -> Outcome {
        let Some(copy) = request.try_clone().filter(may_be_repeated) else {
            return self.once(request).await;
        };
        let started = self.clock.now();
        let mut backoff = Duration::from_millis(100);
        let mut attempt = 1;
        loop {
            let copy = copy.try_clone().expect("it was cloned before");
            let outcome = self.once(copy).await;
            let hint = match &outcome {
                Err(error) if error.is_builder() || error.is_redirect() => return outcome,
                Err(_) => None,
                Ok(answer) if !is_transient(answer.status) => return outcome,
                Ok(answer) => retry_after(&answer.headers),
            };
            if attempt >= self.attempts {
                return outcome;
            }
            let wait = hint.map_or(backoff, |hint| hint.max(backoff));
            let left = self
                .timeout
                .saturating_sub(self.clock.now().duration_since(started));
            if wait >= left {
                return outcome;
            }
            let jitter = Duration::from_secs(1).min(left.saturating_sub(wait));
            tracing_or_log(&outcome, attempt, wait);
            drop(outcome);
            self.clock
                .sleep(wait + jitter.mul_f64(fastrand::f64()))
                .await;
            backoff = (2 * backoff).min(Duration::from_secs(4));
            attempt += 1;
        }
    }

    async fn once(&self, request: Request) -> Outcome {
        let mut response = self.client.execute(request).await?;
        Ok(Answer {
            status: response.status(),
            headers: std::mem::take(response.headers_mut()),
            body: response.bytes().await?,
        })
    }
}

fn may_be_repeated(request: &Request) -> bool {
    request.method().is_idempotent() || request.headers().contains_key("idempotency-key")
}

fn is_transient(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?;
    if let Ok(seconds) = value.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds.ceil()).ok();
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

fn tracing_or_log(outcome: &Outcome, attempt: u32, wait: Duration) {
    match outcome {
        Ok(answer) => eprintln!("attempt {attempt}: {}; again after {wait:?}", answer.status),
        Err(error) => eprintln!("attempt {attempt}: {error}; again after {wait:?}"),
    }
}

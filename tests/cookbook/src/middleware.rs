//! Retries under all requests of an HTTP client.

use std::time::SystemTime;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{Client, Error, Request, StatusCode};
use stamina::{Decision, Retry, http};

/// A response whose body has arrived.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

pub type Outcome = Result<Answer, Error>;

pub struct Http {
    pub client: Client, // with `timeout` or `read_timeout`: they limit an attempt, its body included
    pub policy: Retry<Outcome>,
}

impl Http {
    pub fn new(client: Client) -> Self {
        let policy =
            Retry::on::<Outcome>()
                .decide_fn(decide)
                .describe(|outcome, f| match outcome {
                    Ok(answer) => write!(f, "{}", answer.status), // headers may hold secrets
                    Err(error) => write!(f, "{error}"),
                });
        Self { client, policy }
    }

    /// Sends a request, again if the outcome is transient and nothing forbids it. The last outcome comes back.
    pub async fn send(&self, request: Request) -> Outcome {
        let Some(copy) = request.try_clone().filter(may_be_repeated) else {
            return self.once(request).await; // a body that is a stream, or a POST
        };
        let attempt = || self.once(copy.try_clone().expect("it was cloned before"));
        self.policy.call_outcome_async(attempt).await
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

fn decide(outcome: &Outcome) -> Decision {
    match outcome {
        // All but a request that can't be built and a redirect that goes in circles: the body is only read, not parsed.
        Err(error) => (!error.is_builder() && !error.is_redirect()).into(),
        Ok(answer) if !http::is_transient(answer.status) => Decision::Stop,
        Ok(answer) => match http::retry_after(&answer.headers, SystemTime::now()) {
            Some(hint) => Decision::RetryAfter(hint),
            None => Decision::Retry,
        },
    }
}

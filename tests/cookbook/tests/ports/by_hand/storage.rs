use std::io;
use std::time::Duration;

use stamina_cookbook::storage::Backend;
use tokio::time::{Instant, sleep};

pub(crate) struct Options {
    pub(crate) attempts: u32,
    pub(crate) timeout: Duration,
    pub(crate) transient: fn(&io::Error) -> bool,
}

pub(crate) struct Download<B: Backend> {
    backend: B,
    key: String,
    offset: usize,
    body: Option<B::Body>,
    options: Options,
    started: Instant,
    attempt: u32,
}

impl<B: Backend> Download<B> {
    pub(crate) fn new(backend: B, key: String, options: Options) -> Self {
        Self {
            backend,
            key,
            offset: 0,
            body: None,
            options,
            started: Instant::now(),
            attempt: 1,
        }
    }

    pub(crate) async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            match self.advance().await {
                Ok(chunk) => {
                    self.offset += chunk.as_ref().map_or(0, Vec::len);
                    self.started = Instant::now(); // progress
                    self.attempt = 1;
                    break Ok(chunk);
                }
                Err(error) => {
                    self.body = None;
                    self.again(error).await?;
                }
            }
        }
    }

    async fn again(&mut self, error: io::Error) -> io::Result<()> {
        if !(self.options.transient)(&error) || self.attempt >= self.options.attempts {
            return Err(error);
        }
        let doubled = Duration::from_millis(100).saturating_mul(1 << (self.attempt - 1).min(20));
        let wait = doubled.min(Duration::from_secs(4));
        let left = self.options.timeout.saturating_sub(self.started.elapsed());
        if wait >= left {
            return Err(error);
        }
        let jitter = Duration::from_secs(1).min(left.saturating_sub(wait));
        eprintln!("{error}; again after {wait:?}");
        sleep(wait + jitter.mul_f64(fastrand::f64())).await;
        self.attempt += 1;
        Ok(())
    }

    async fn advance(&mut self) -> io::Result<Option<Vec<u8>>> {
        let body = match &mut self.body {
            Some(body) => body,
            None => {
                let body = self.backend.get(&self.key, self.offset).await?;
                self.body.insert(body)
            }
        };
        self.backend.chunk(body).await
    }
}

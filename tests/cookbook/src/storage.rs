//! A download whose retries span several requests.

use std::io;

use stamina::{Attempts, Retry};

/// What the other side offers: the rest of an object from an offset on, in chunks.
pub trait Backend {
    type Body;

    fn get(
        &mut self,
        key: &str,
        offset: usize,
    ) -> impl Future<Output = io::Result<Self::Body>> + Send;

    /// `None` at the end.
    fn chunk(
        &mut self,
        body: &mut Self::Body,
    ) -> impl Future<Output = io::Result<Option<Vec<u8>>>> + Send;
}

pub struct Download<B: Backend> {
    backend: B,
    key: String,
    offset: usize,
    body: Option<B::Body>,
    attempts: Attempts<'static, io::Error>,
}

impl<B: Backend> Download<B> {
    pub fn new(backend: B, key: String, policy: Retry<io::Error>) -> Self {
        Self {
            backend,
            key,
            offset: 0,
            body: None,
            attempts: policy.into_attempts(),
        }
    }

    /// The next chunk. A request that breaks is made again for what is missing; each chunk begins the limits anew.
    pub async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            match self.advance().await {
                Ok(chunk) => {
                    self.offset += chunk.as_ref().map_or(0, Vec::len);
                    self.attempts.reset(); // progress
                    break Ok(chunk);
                }
                Err(error) => {
                    self.body = None;
                    self.attempts.again_async(error).await?;
                }
            }
        }
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

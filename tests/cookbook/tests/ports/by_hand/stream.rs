use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use tokio::time::{Instant, Sleep, sleep};

pub(crate) struct Options {
    pub(crate) attempts: u32,
    pub(crate) timeout: Duration,
    pub(crate) healthy: Duration,
}

pub(crate) struct Reconnecting<F, Fut, S> {
    connect: F,
    options: Options,
    call_started: Instant,
    attempt_started: Instant,
    attempt: u32,
    state: State<Fut, S>,
}

enum State<Fut, S> {
    Waiting(Pin<Box<Sleep>>),
    Connecting(Pin<Box<Fut>>),
    Connected(Pin<Box<S>>),
    Done,
}

impl<F, Fut, S> Reconnecting<F, Fut, S>
where
    F: FnMut() -> Fut,
{
    pub(crate) fn new(options: Options, mut connect: F) -> Self {
        Self {
            state: State::Connecting(Box::pin(connect())),
            call_started: Instant::now(),
            attempt_started: Instant::now(),
            attempt: 1,
            options,
            connect,
        }
    }

    fn next_wait(&mut self) -> Option<Duration> {
        if self.attempt_started.elapsed() >= self.options.healthy {
            self.call_started = Instant::now();
            self.attempt = 1;
        }
        if self.attempt >= self.options.attempts {
            return None;
        }
        let doubled = Duration::from_millis(100).saturating_mul(1 << (self.attempt - 1).min(20));
        let wait = doubled.min(Duration::from_secs(4));
        let left = self
            .options
            .timeout
            .checked_sub(self.call_started.elapsed())?;
        if wait >= left {
            return None;
        }
        let jitter = Duration::from_secs(1).min(left.saturating_sub(wait));
        self.attempt += 1;
        Some(wait + jitter.mul_f64(fastrand::f64()))
    }
}

impl<F, Fut, S, T> Stream for Reconnecting<F, Fut, S>
where
    F: FnMut() -> Fut + Unpin,
    Fut: Future<Output = io::Result<S>>,
    S: Stream<Item = io::Result<T>>,
{
    type Item = io::Result<T>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            let next = match &mut this.state {
                State::Waiting(sleep) => {
                    ready!(sleep.as_mut().poll(cx));
                    this.attempt_started = Instant::now();
                    Ok(State::Connecting(Box::pin((this.connect)())))
                }
                State::Connecting(connecting) => {
                    let connected = ready!(connecting.as_mut().poll(cx));
                    connected.map(|stream| State::Connected(Box::pin(stream)))
                }
                State::Connected(stream) => match ready!(stream.as_mut().poll_next(cx)) {
                    Some(Err(error)) => Err(error),
                    item => return Poll::Ready(item),
                },
                State::Done => return Poll::Ready(None),
            };
            this.state = match next {
                Ok(state) => state,
                Err(error) => match this.next_wait() {
                    Some(wait) => {
                        eprintln!("{error}; connecting again after {wait:?}");
                        State::Waiting(Box::pin(sleep(wait)))
                    }
                    None => {
                        this.state = State::Done;
                        return Poll::Ready(Some(Err(error)));
                    }
                },
            };
        }
    }
}

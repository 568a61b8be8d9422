//! A stream that reconnects.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use stamina::{Attempts, Retry};
use tokio::time::{Sleep, sleep};

/// The items of one connection after the other. When the policy gives up, the last error is the last item.
pub struct Reconnecting<F, Fut, S> {
    connect: F,
    attempts: Attempts<'static, io::Error>,
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
    pub fn new(policy: Retry<io::Error>, mut connect: F) -> Self {
        Self {
            state: State::Connecting(Box::pin(connect())),
            attempts: policy.into_attempts(),
            connect,
        }
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
                Err(error) => match this.attempts.decide(&error) {
                    Ok(wait) => State::Waiting(Box::pin(sleep(wait))),
                    Err(_) => {
                        this.state = State::Done;
                        return Poll::Ready(Some(Err(error)));
                    }
                },
            };
        }
    }
}

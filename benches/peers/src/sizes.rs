//! The size of each future around an operation of 64 bytes, from a closure that captures nothing.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_timer::Delay;

use crate::case::{BEST, PLAIN, STAMINA};
use crate::rows::{hand, ours};

/// A future of 64 bytes with this error. Only its size is looked at.
#[derive(Debug)]
pub struct Operation64<E> {
    _state: [u64; 8],
    error: PhantomData<fn() -> E>,
}

impl<E> Future for Operation64<E> {
    type Output = Result<u64, E>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Pending
    }
}

#[must_use]
pub fn operation64<E>() -> Operation64<E> {
    Operation64 {
        _state: [0; 8],
        error: PhantomData,
    }
}

/// A future's size in bytes, without a deadline and with one where that makes a difference.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub who: &'static str,
    pub plain: usize,
    pub deadline: usize,
}

/// Around futures-timer's sleep where the sleeper is part of the future and can be chosen.
#[must_use]
pub fn sizes() -> Vec<Size> {
    let ours = [
        Size {
            who: PLAIN,
            plain: size_of_val(&hand::plain(operation64, Delay::new)),
            deadline: size_of_val(&hand::plain_deadline(operation64, Delay::new)),
        },
        Size {
            who: BEST,
            plain: size_of_val(&hand::best(operation64, Delay::new)),
            deadline: size_of_val(&hand::best_deadline(operation64, Delay::new)),
        },
        Size {
            who: STAMINA,
            plain: size_of_val(&ours::POLICY.call_async(operation64)),
            deadline: size_of_val(&ours::POLICY_DEADLINE.call_async(operation64)),
        },
    ];
    [ours.as_slice(), &peers()].concat()
}

/// Around tokio's sleep, without a deadline. With the feature `tokio` every future of stamina's has room for it.
#[cfg(feature = "scale-tokio")]
#[must_use]
pub fn sizes_on_tokio() -> [Size; 2] {
    [
        Size {
            who: PLAIN,
            plain: size_of_val(&hand::plain(operation64, tokio::time::sleep)),
            deadline: size_of_val(&hand::plain_deadline(operation64, tokio::time::sleep)),
        },
        Size {
            who: STAMINA,
            plain: size_of_val(&ours::POLICY.call_async(operation64)),
            deadline: size_of_val(&ours::POLICY_DEADLINE.call_async(operation64)),
        },
    ]
}

#[cfg(not(feature = "peers"))]
fn peers() -> [Size; 0] {
    []
}

#[cfg(feature = "peers")]
fn peers() -> [Size; 6] {
    use std::future::IntoFuture;
    use std::time::Duration;

    use ::backon::Retryable;
    use ::tokio_retry2::strategy::MaxInterval;

    use crate::case::{BACKOFF, BACKON, METTLE, RELENTLESS, TOKIO_RETRY2, TOWER};
    use crate::operation::Failure;
    use crate::rows::{backoff, backon, mettle, relentless, tokio_retry2, tower};
    use crate::settings::{TIMEOUT, WAIT_INITIAL};

    let same = |who, size| Size {
        who,
        plain: size,
        deadline: size,
    };
    let operation = operation64::<Failure>;
    [
        same(
            BACKON,
            size_of_val(&operation.retry(&backon::POLICY).sleep(Delay::new)),
        ),
        same(
            BACKOFF,
            size_of_val(&::backoff::future::Retry::new(
                backoff::FuturesTimer,
                backoff::policy(WAIT_INITIAL, None),
                |_: Failure, _: Duration| {},
                operation64::<::backoff::Error<Failure>>,
            )),
        ),
        Size {
            who: TOKIO_RETRY2,
            plain: size_of_val(&::tokio_retry2::Retry::spawn(
                tokio_retry2::waits(WAIT_INITIAL),
                operation64::<::tokio_retry2::RetryError<Failure>>,
            )),
            deadline: size_of_val(&::tokio_retry2::Retry::spawn(
                tokio_retry2::waits(WAIT_INITIAL).max_duration(TIMEOUT),
                operation64::<::tokio_retry2::RetryError<Failure>>,
            )),
        },
        same(TOWER, tower::future_size()),
        same(
            RELENTLESS,
            size_of_val(
                &relentless::POLICY
                    .retry_async(|_| operation64::<Failure>())
                    .clock(relentless::FuturesTimer)
                    .call(),
            ),
        ),
        same(
            METTLE,
            size_of_val(
                &::mettle::retry(operation)
                    .backoff(mettle::backoff())
                    .clock(mettle::FuturesTimer)
                    .into_future(),
            ),
        ),
    ]
}

//! What every row retries: one operation, its error, and a pause that does not sleep.

use std::cell::Cell;
use std::future::{Future, Ready, ready};
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use stamina::Sleep;

/// The operation's error: eight bytes without a destructor, as `io::Error` is eight bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    pub code: u64,
}

pub type Outcome = Result<u64, Failure>;

/// Fails as often as it was told, then succeeds.
#[derive(Debug)]
pub struct Operation {
    failures_left: Cell<u32>,
    calls: Cell<u32>,
}

impl Operation {
    #[must_use]
    pub const fn failing(failures: u32) -> Self {
        Self {
            failures_left: Cell::new(failures),
            calls: Cell::new(0),
        }
    }

    /// How often it was called.
    #[must_use]
    pub fn calls(&self) -> u32 {
        self.calls.get()
    }

    /// One attempt. Never inlined: a real operation is a call the compiler cannot see through.
    #[inline(never)]
    pub fn attempt(&self) -> Outcome {
        self.calls.set(self.calls.get().wrapping_add(1));
        let left = self.failures_left.get();
        if left == 0 {
            return Ok(black_box(7));
        }
        self.failures_left.set(left.wrapping_sub(1));
        Err(Failure {
            code: u64::from(black_box(left)),
        })
    }
}

/// One attempt as a future of 64 bytes.
#[derive(Debug)]
pub struct Fetch<'a> {
    operation: &'a Operation,
    _state: [u64; 7],
}

impl<'a> Fetch<'a> {
    #[must_use]
    pub fn new(operation: &'a Operation) -> Self {
        Self {
            operation,
            _state: [0; 7],
        }
    }
}

impl Future for Fetch<'_> {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Outcome> {
        Poll::Ready(self.operation.attempt())
    }
}

/// Stands where a program would sleep: takes the wait, and returns at once.
#[inline(never)]
pub fn pause(wait: Duration) {
    black_box(wait);
}

/// [`pause`] as a future.
pub fn pause_async(wait: Duration) -> Ready<()> {
    pause(wait);
    ready(())
}

/// [`pause`] as a future that has to be dropped, as a real sleep has.
pub fn pause_dropped(wait: Duration) -> Sleep {
    pause(wait);
    Sleep::ready()
}

/// [`pause`] as a future that is ready when it is polled for the second time. It is in a box, for stamina too.
pub fn pause_later(wait: Duration) -> Sleep {
    pause(wait);
    Sleep::boxed(Later { polled: false })
}

struct Later {
    polled: bool,
}

impl Future for Later {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.polled, true) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

/// [`finish`] for a future that has to be polled again.
pub fn finish_later<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = poll_once(future.as_mut()) {
            return output;
        }
    }
}

#[inline(never)]
fn poll_once<T>(future: Pin<&mut dyn Future<Output = T>>) -> Poll<T> {
    black_box(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Polls a future that is ready at once, through a pointer, as every executor does: where the call
/// that makes a future and the call that polls it are compiled together, the future dissolves, and
/// one would measure the optimizer.
///
/// # Panics
/// When it is not ready.
#[inline]
pub fn finish<T>(future: impl Future<Output = T>) -> T {
    poll(pin!(future))
}

#[inline(never)]
fn poll<T>(future: Pin<&mut dyn Future<Output = T>>) -> T {
    match black_box(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the future waits for something"),
    }
}

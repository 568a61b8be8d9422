//! What every row retries: one operation, its error, and a pause that does not sleep.

use std::cell::Cell;
use std::future::{Future, Ready, ready};
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

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

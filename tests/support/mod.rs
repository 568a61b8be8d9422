//! What test files share: clocks steered by hand, a hook that keeps what it was told, one poll at a time.
#![allow(dead_code, reason = "each test file uses a part of this")]
#![allow(unreachable_pub, reason = "a module of each test file")]

pub mod drivers;

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use stamina::instrument::{self, GaveUp, Hook, HookScope, Recovered, RetryDetails};
use stamina::testing::VirtualClock;
use stamina::{Clock, Sleep, StopReason, Timer};

/// Fails so many times, then gives the number of the attempt.
pub fn after(failures: u32) -> impl FnMut() -> Result<u32, &'static str> {
    let mut calls = 0;
    move || {
        calls += 1;
        if calls > failures {
            Ok(calls)
        } else {
            Err("down")
        }
    }
}

pub const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Keeps a value for the rest of the process, and in sight, so that a leak check finds only what nobody meant.
pub fn keep<T: Send + Sync + 'static>(value: T) -> &'static T {
    static KEPT: Mutex<Vec<&'static (dyn Any + Send + Sync)>> = Mutex::new(Vec::new());
    let kept: &'static T = Box::leak(Box::new(value));
    lock(&KEPT).push(kept);
    kept
}

/// A virtual clock of this test's own.
pub fn clock() -> &'static VirtualClock {
    keep(VirtualClock::new())
}

pub fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// What a future comes to that has nothing to wait for; a clock that stands still would let it hang.
#[track_caller]
pub fn at_once<F: Future>(future: F) -> F::Output {
    match poll(std::pin::pin!(future)) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

/// A clock that stands still until it is told the time, and counts who looks at it.
#[derive(Debug)]
pub struct ManualClock {
    start: Instant,
    now: Arc<Mutex<Duration>>,
    reads: AtomicU32,
    slept: Mutex<Vec<Duration>>,
}

impl ManualClock {
    /// At 1000 s, so that it can be set back.
    pub fn new() -> &'static Self {
        #[allow(clippy::disallowed_methods, reason = "an `Instant` to count from")]
        let start = Instant::now();
        keep(Self {
            start,
            now: Arc::new(Mutex::new(secs(1000))),
            reads: AtomicU32::new(0),
            slept: Mutex::default(),
        })
    }

    pub fn timer(&'static self) -> Timer {
        Timer::custom(self)
    }

    pub fn pass(&self, duration: Duration) {
        *lock(&self.now) += duration;
    }

    pub fn back(&self, duration: Duration) {
        *lock(&self.now) -= duration;
    }

    /// How often it was read.
    pub fn reads(&self) -> u32 {
        self.reads.load(Ordering::Relaxed)
    }

    /// The sleeps that were begun.
    pub fn slept(&self) -> Vec<Duration> {
        lock(&self.slept).clone()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.start + *lock(&self.now)
    }

    /// Ready once the clock was told so.
    fn sleep(&self, duration: Duration) -> Sleep {
        lock(&self.slept).push(duration);
        let now = Arc::clone(&self.now);
        let over = lock(&now).saturating_add(duration);
        Sleep::boxed(std::future::poll_fn(move |_| {
            if *lock(&now) >= over {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        }))
    }

    /// Passes at once.
    fn sleep_blocking(&self, duration: Duration) {
        lock(&self.slept).push(duration);
        let mut now = lock(&self.now);
        *now = now.saturating_add(duration);
    }
}

pub fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a hook was told, every field of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    Retry {
        callable: String,
        retry_num: u32,
        wait_for: Duration,
        waited_so_far: Duration,
        elapsed: Duration,
        caused_by: String,
        error_type: &'static str,
        depth: u32,
    },
    GaveUp {
        callable: String,
        attempts: u32,
        reason: StopReason,
        waited_so_far: Duration,
        elapsed: Duration,
        caused_by: String,
        error_type: &'static str,
        depth: u32,
    },
    Recovered {
        callable: String,
        attempts: u32,
        waited_so_far: Duration,
        elapsed: Duration,
    },
}

impl Event {
    pub fn callable(&self) -> &str {
        match self {
            Self::Retry { callable, .. }
            | Self::GaveUp { callable, .. }
            | Self::Recovered { callable, .. } => callable,
        }
    }

    /// In a few letters: `retry 1`, `gave up 3 timed_out`, `recovered 2`.
    pub fn short(&self) -> String {
        match self {
            Self::Retry { retry_num, .. } => format!("retry {retry_num}"),
            Self::GaveUp {
                attempts, reason, ..
            } => format!("gave up {attempts} {reason}"),
            Self::Recovered { attempts, .. } => format!("recovered {attempts}"),
        }
    }
}

/// Keeps what it was told.
#[derive(Debug, Default)]
pub struct Recorder(Mutex<Vec<Event>>);

impl Recorder {
    /// One for calls made on this thread while the guard lives.
    pub fn here() -> (Arc<Self>, HookScope) {
        let recorder = Arc::new(Self::default());
        let scope = instrument::scoped_hooks([Arc::clone(&recorder) as Arc<dyn Hook>]);
        (recorder, scope)
    }

    /// What it was told since it was last asked.
    pub fn take(&self) -> Vec<Event> {
        std::mem::take(&mut lock(&self.0))
    }

    pub fn short(&self) -> Vec<String> {
        self.take().iter().map(Event::short).collect()
    }
}

impl Hook for Recorder {
    fn retry_scheduled(&self, details: &RetryDetails<'_>) {
        lock(&self.0).push(Event::Retry {
            callable: details.callable.to_owned(),
            retry_num: details.retry_num,
            wait_for: details.wait_for,
            waited_so_far: details.waited_so_far,
            elapsed: details.elapsed,
            caused_by: format!("{:?}", details.caused_by),
            error_type: details.error_type,
            depth: details.depth,
        });
    }

    fn gave_up(&self, details: &GaveUp<'_>) {
        lock(&self.0).push(Event::GaveUp {
            callable: details.callable.to_owned(),
            attempts: details.attempts,
            reason: details.reason,
            waited_so_far: details.waited_so_far,
            elapsed: details.elapsed,
            caused_by: format!("{:?}", details.caused_by),
            error_type: details.error_type,
            depth: details.depth,
        });
    }

    fn recovered(&self, details: &Recovered<'_>) {
        lock(&self.0).push(Event::Recovered {
            callable: details.callable.to_owned(),
            attempts: details.attempts,
            waited_so_far: details.waited_so_far,
            elapsed: details.elapsed,
        });
    }
}

/// Runs what panics and gives its message.
#[track_caller]
pub fn panic_message(run: impl FnOnce()) -> String {
    let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run))
        .expect_err("this should have panicked");
    match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => (*payload.downcast::<&str>().expect("a message")).to_owned(),
    }
}

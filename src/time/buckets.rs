//! Waits in buckets, one for each millisecond in which some wait ends. One helper thread sleeps from bucket to bucket.
//!
//! This is like a hashed timing wheel (Varghese and Lauck), but the buckets are sorted instead of hashed: there are few
//! of them, however many waits there are, and the thread sleeps until the first. Times are ticks: milliseconds, counted
//! from a start that the caller chooses.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::PoisonError;
use std::task::{Poll, Waker};
use std::time::Duration;

use crate::sync::{AtomicU64, Condvar, Mutex, MutexGuard, Ordering};

#[derive(Debug)]
pub(crate) struct Buckets {
    state: Mutex<State>,
    /// Notified if the helper thread would sleep too long.
    earlier_wait: Condvar,
    /// The tick of the last bucket that has been emptied. It changes under the lock; a read without the lock may be late.
    emptied: AtomicU64,
}

#[derive(Debug)]
struct State {
    buckets: BTreeMap<u64, Bucket>,
    /// The tick until which the helper thread sleeps. 0 while it is awake: it looks again before it sleeps.
    asleep_until: u64,
}

#[derive(Debug, Default)]
struct Bucket {
    /// One for each wait; `None` after the wait has been cancelled.
    wakers: Vec<Option<Waker>>,
    waiting: usize,
}

/// A wait: the tick at which it ends, and its index in that bucket.
#[derive(Debug)]
pub(crate) struct Wait {
    tick: u64,
    index: usize,
}

/// The index of a wait that is in no bucket: it has not been polled yet, or it has ended.
const NO_INDEX: usize = usize::MAX;

impl Wait {
    pub(crate) const fn new(tick: u64) -> Self {
        Self {
            tick,
            index: NO_INDEX,
        }
    }
}

/// What a wait needs from its timer.
pub(crate) trait WaitQueue: Sync {
    /// Whether the wait has ended. If not, `waker` is woken when it does.
    fn poll(&self, wait: &mut Wait, waker: &Waker) -> Poll<()>;

    /// Removes a wait that is no longer needed.
    fn cancel(&self, wait: &Wait);
}

impl Buckets {
    pub(crate) const fn new() -> Self {
        Self {
            state: Mutex::new(State {
                buckets: BTreeMap::new(),
                asleep_until: 0,
            }),
            earlier_wait: Condvar::new(),
            emptied: AtomicU64::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_ended(&self, wait: &Wait) -> bool {
        wait.tick <= self.emptied.load(Ordering::Acquire)
    }

    /// One round of the helper thread: empties the first bucket if it is due; otherwise sleeps until it is, or until an
    /// earlier one is added. `time_left`: the time until a tick, zero if it has passed.
    pub(crate) fn run_once(&self, time_left: impl Fn(u64) -> Duration) {
        let mut state = self.lock();
        let next = state.buckets.first_key_value().map(|(tick, _)| *tick);
        let left = next.map(time_left);
        if let (Some(tick), Some(Duration::ZERO)) = (next, left) {
            let bucket = state.buckets.pop_first();
            self.emptied.store(tick, Ordering::Release);
            drop(state);
            for waker in bucket.into_iter().flat_map(|(_, bucket)| bucket.wakers) {
                wake(waker);
            }
            return;
        }
        state.asleep_until = next.unwrap_or(u64::MAX);
        let mut state = match left {
            None => self
                .earlier_wait
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner),
            Some(left) => {
                let woken = self.earlier_wait.wait_timeout(state, left);
                woken.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        state.asleep_until = 0;
    }
}

impl WaitQueue for Buckets {
    fn poll(&self, wait: &mut Wait, waker: &Waker) -> Poll<()> {
        if !self.has_ended(wait) {
            // A waker's code may call this timer, so it never runs under the lock: clone before it, drop after it.
            let waker = waker.clone();
            let mut state = self.lock();
            if !self.has_ended(wait) {
                let replaced = state.insert(wait, waker);
                if wait.tick < state.asleep_until {
                    // Notify the thread once, not for each further wait before it runs.
                    state.asleep_until = 0;
                    self.earlier_wait.notify_one();
                }
                drop(state);
                drop(replaced);
                return Poll::Pending;
            }
        }
        wait.index = NO_INDEX;
        Poll::Ready(())
    }

    fn cancel(&self, wait: &Wait) {
        if wait.index != NO_INDEX && !self.has_ended(wait) {
            let waker = self.lock().remove(wait);
            drop(waker);
        }
    }
}

impl State {
    /// Stores a wait's waker, and returns the one that it replaces.
    fn insert(&mut self, wait: &mut Wait, waker: Waker) -> Option<Waker> {
        let bucket = self.buckets.entry(wait.tick).or_default();
        if let Some(stored) = bucket.wakers.get_mut(wait.index) {
            return stored.replace(waker);
        }
        wait.index = bucket.wakers.len();
        bucket.wakers.push(Some(waker));
        bucket.waiting = bucket.waiting.saturating_add(1);
        None
    }

    /// Removes a wait's waker, and the bucket too if it was the last.
    fn remove(&mut self, wait: &Wait) -> Option<Waker> {
        let bucket = self.buckets.get_mut(&wait.tick)?;
        let waker = bucket.wakers.get_mut(wait.index)?.take()?;
        bucket.waiting = bucket.waiting.saturating_sub(1);
        if bucket.waiting == 0 {
            self.buckets.remove(&wait.tick);
        }
        Some(waker)
    }
}

/// Wakes a waiting task. A waker that panics must not take the other waits with it.
fn wake(waker: Option<Waker>) {
    let woken = catch_unwind(AssertUnwindSafe(|| waker.map(Waker::wake)));
    if let Err(panic) = woken {
        // The panic's value may panic again when it is dropped.
        std::mem::forget(panic);
    }
}

//! Waits in buckets, one for each millisecond in which some wait ends. One helper thread sleeps from bucket to bucket.
//!
//! Like the hashed timing wheels of Varghese and Lauck, but sorted instead of hashed: the buckets are few, however
//! many waits there are, and the next one is what the thread sleeps for. Time comes as an argument, counted in
//! milliseconds from wherever the caller likes.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::PoisonError;
use std::task::{Poll, Waker};
use std::time::Duration;

use crate::sync::{AtomicU64, Condvar, Mutex, MutexGuard, Ordering};

#[derive(Debug)]
pub(crate) struct Buckets {
    state: Mutex<State>,
    /// Rung for the helper thread where it would sleep too long.
    alarm: Condvar,
    /// The last bucket that has been emptied. Changed under the lock; read without, it may be behind.
    over: AtomicU64,
}

#[derive(Debug)]
struct State {
    buckets: BTreeMap<u64, Bucket>,
    /// What the helper thread sleeps until. While it is awake, 0: it looks again before it sleeps.
    asleep_until: u64,
}

#[derive(Debug, Default)]
struct Bucket {
    /// Each wait has its place, which stays empty once the wait has been cancelled.
    wakers: Vec<Option<Waker>>,
    waiting: usize,
}

/// A wait: which bucket it is for, and where it stands in it.
#[derive(Debug)]
pub(crate) struct Place {
    tick: u64,
    at: usize,
}

/// Not in its bucket: not polled yet, or over.
const NOWHERE: usize = usize::MAX;

impl Place {
    pub(crate) const fn new(tick: u64) -> Self {
        Self { tick, at: NOWHERE }
    }
}

/// What a wait asks of its timer.
pub(crate) trait Waits: Sync {
    /// Whether the wait is over; if not, this waker is woken when it is.
    fn poll(&self, place: &mut Place, waker: &Waker) -> Poll<()>;

    /// Takes a wait out that nobody waits for any more.
    fn cancel(&self, place: &Place);
}

impl Buckets {
    pub(crate) const fn new() -> Self {
        Self {
            state: Mutex::new(State {
                buckets: BTreeMap::new(),
                asleep_until: 0,
            }),
            alarm: Condvar::new(),
            over: AtomicU64::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self, place: &Place) -> bool {
        place.tick <= self.over.load(Ordering::Acquire)
    }

    /// One round of the helper thread: empties the first bucket if its time has come, and else sleeps until it has,
    /// or an earlier one is there. `left`: the time until a tick; zero when it has come.
    pub(crate) fn turn(&self, left: impl Fn(u64) -> Duration) {
        let mut state = self.lock();
        let next = state.buckets.first_key_value().map(|(tick, _)| *tick);
        let left = next.map(left);
        if let (Some(tick), Some(Duration::ZERO)) = (next, left) {
            let bucket = state.buckets.pop_first();
            self.over.store(tick, Ordering::Release);
            drop(state);
            for waker in bucket.into_iter().flat_map(|(_, bucket)| bucket.wakers) {
                wake(waker);
            }
            return;
        }
        state.asleep_until = next.unwrap_or(u64::MAX);
        let mut state = match left {
            None => self
                .alarm
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner),
            Some(left) => {
                let woken = self.alarm.wait_timeout(state, left);
                woken.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        state.asleep_until = 0;
    }
}

impl Waits for Buckets {
    fn poll(&self, place: &mut Place, waker: &Waker) -> Poll<()> {
        if !self.is_over(place) {
            // No code of wakers runs under the lock: it may end up here.
            let waker = waker.clone();
            let mut state = self.lock();
            if !self.is_over(place) {
                let before = state.put(place, waker);
                if place.tick < state.asleep_until {
                    // Once is enough.
                    state.asleep_until = 0;
                    self.alarm.notify_one();
                }
                drop(state);
                drop(before);
                return Poll::Pending;
            }
        }
        place.at = NOWHERE;
        Poll::Ready(())
    }

    fn cancel(&self, place: &Place) {
        if place.at != NOWHERE && !self.is_over(place) {
            let waker = self.lock().take(place);
            drop(waker);
        }
    }
}

impl State {
    /// Puts a waker in its place, and hands back the one that stood there.
    fn put(&mut self, place: &mut Place, waker: Waker) -> Option<Waker> {
        let bucket = self.buckets.entry(place.tick).or_default();
        if let Some(held) = bucket.wakers.get_mut(place.at) {
            return held.replace(waker);
        }
        place.at = bucket.wakers.len();
        bucket.wakers.push(Some(waker));
        bucket.waiting = bucket.waiting.saturating_add(1);
        None
    }

    /// Takes a waker out, and the bucket too with its last.
    fn take(&mut self, place: &Place) -> Option<Waker> {
        let bucket = self.buckets.get_mut(&place.tick)?;
        let waker = bucket.wakers.get_mut(place.at)?.take()?;
        bucket.waiting = bucket.waiting.saturating_sub(1);
        if bucket.waiting == 0 {
            self.buckets.remove(&place.tick);
        }
        Some(waker)
    }
}

/// Wakes. An executor whose waker panics must not take the others' waits with it.
fn wake(waker: Option<Waker>) {
    let woken = catch_unwind(AssertUnwindSafe(|| waker.map(Waker::wake)));
    if let Err(panic) = woken {
        // What was thrown may throw again when it is dropped.
        std::mem::forget(panic);
    }
}

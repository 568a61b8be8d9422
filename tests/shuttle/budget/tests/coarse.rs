//! `Timer::coarse()` under many orders in which threads can meet: the library's own buckets, on the locks and atomics
//! of shuttle, which calls it a deadlock where a wake-up is lost. Time stands still, and what is due is so from the
//! start; shuttle's `wait_timeout` never times out, so only being rung wakes the helper thread.
//!
//! Each scene names the fault that it finds.

#![allow(clippy::arithmetic_side_effects, reason = "a test may panic")]

#[path = "../../orders.rs"]
mod orders;

#[path = "../../../../src/time/buckets.rs"]
mod buckets;
#[path = "../../../../src/sync.rs"]
#[allow(unused_imports, unused_macros, reason = "the buckets need only a part")]
mod sync;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Wake, Waker};
use std::time::Duration;

use buckets::{Buckets, Wait, WaitQueue};
use orders::every_order;
use shuttle::future::block_on;
use shuttle::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use shuttle::thread;

const NOW: u64 = 9;
const NEVER: u64 = 10;

fn left(tick: u64) -> Duration {
    if tick <= NOW {
        Duration::ZERO
    } else {
        Duration::MAX
    }
}

/// Buckets with their helper thread.
struct Running {
    buckets: Arc<Buckets>,
    ended: Arc<AtomicBool>,
    helper: thread::JoinHandle<()>,
}

impl Running {
    fn start() -> Self {
        let (buckets, ended) = (Arc::new(Buckets::new()), Arc::new(AtomicBool::new(false)));
        let (served, until) = (Arc::clone(&buckets), Arc::clone(&ended));
        let helper = thread::spawn(move || {
            while !until.load(Ordering::SeqCst) {
                served.run_once(left);
            }
        });
        Self {
            buckets,
            ended,
            helper,
        }
    }

    /// Ends the thread: if it sleeps, a wait that is due wakes it.
    fn end(self) {
        self.ended.store(true, Ordering::SeqCst);
        let mut last = Wait::new(NOW);
        let _ = self.buckets.poll(&mut last, Waker::noop());
        self.helper.join().unwrap();
        self.buckets.cancel(&last);
    }
}

/// Waits until the end.
fn wait(buckets: &Buckets, mut place: Wait) {
    block_on(poll_fn(|cx| buckets.poll(&mut place, cx.waker())));
}

/// Counts how often it is woken, and by its references who still holds it.
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn counter() -> (Arc<Count>, Waker) {
    let count = Arc::new(Count(AtomicUsize::new(0)));
    (Arc::clone(&count), Waker::from(count))
}

/// Where all orders would take hours.
fn many_orders(check: impl Fn() + Send + Sync + 'static) {
    orders::many_orders(2_000, check);
}

/// Fault: a helper thread that releases the lock before it sleeps.
#[test]
fn a_wait_wakes_its_waker() {
    every_order(|| {
        let buckets = Arc::new(Buckets::new());
        let (count, waker) = counter();
        let waits = Arc::clone(&buckets);
        let waits = thread::spawn(move || waits.poll(&mut Wait::new(1), &waker));
        while count.0.load(Ordering::SeqCst) == 0 {
            buckets.run_once(left);
        }
        assert_eq!(waits.join().unwrap(), Poll::Pending);
    });
}

/// Fault: a helper thread that is not notified.
#[test]
fn a_wait_ends() {
    many_orders(|| {
        let running = Running::start();
        wait(&running.buckets, Wait::new(1));
        running.end();
    });
}

/// Fault: notifying only a thread that sleeps without end.
#[test]
fn an_earlier_wait_wakes_the_helper_thread() {
    many_orders(|| {
        let running = Running::start();
        let (count, waker) = counter();
        let mut never = Wait::new(NEVER);
        assert_eq!(running.buckets.poll(&mut never, &waker), Poll::Pending);
        drop(waker);
        wait(&running.buckets, Wait::new(1));
        assert_eq!(Arc::strong_count(&count), 2);
        running.buckets.cancel(&never);
        assert_eq!(Arc::strong_count(&count), 1);
        running.end();
        assert_eq!(count.0.load(Ordering::SeqCst), 0);
    });
}

/// Fault: waking one waker of a bucket; a wait that is not looked at again under the lock.
#[test]
fn waits_of_one_bucket_and_of_others_end() {
    many_orders(|| {
        let running = Running::start();
        let others = [1, 1, 2].map(|tick| {
            let buckets = Arc::clone(&running.buckets);
            thread::spawn(move || wait(&buckets, Wait::new(tick)))
        });
        wait(&running.buckets, Wait::new(2));
        for other in others {
            other.join().unwrap();
        }
        running.end();
    });
}

/// Fault: a bucket that goes with the last wait but one.
#[test]
fn a_wait_that_is_cancelled_takes_no_other_with_it() {
    many_orders(|| {
        let running = Running::start();
        let buckets = Arc::clone(&running.buckets);
        let cancels = thread::spawn(move || {
            let (count, waker) = counter();
            let mut place = Wait::new(1);
            let polled = buckets.poll(&mut place, &waker);
            buckets.cancel(&place);
            drop(waker);
            (count, polled)
        });
        wait(&running.buckets, Wait::new(1));
        let (count, polled) = cancels.join().unwrap();
        running.end();
        // Cancelled or woken, but in no case kept.
        assert_eq!(Arc::strong_count(&count), 1);
        assert!(count.0.load(Ordering::SeqCst) <= usize::from(polled.is_pending()));
    });
}

/// Fault: keeping the first waker.
#[test]
fn the_last_waker_is_woken() {
    many_orders(|| {
        let running = Running::start();
        let (count, before) = counter();
        let mut place = Wait::new(1);
        let first = running.buckets.poll(&mut place, &before);
        drop(before);
        wait(&running.buckets, place);
        running.end();
        assert_eq!(Arc::strong_count(&count), 1);
        assert!(count.0.load(Ordering::SeqCst) <= usize::from(first.is_pending()));
    });
}

/// Fault: a waker that is dropped under the lock.
#[test]
fn a_waker_may_wait_and_cancel_itself() {
    /// Does as an executor that drops or polls a task where it is woken, and counts it.
    struct Meddling(Arc<Buckets>, Arc<AtomicUsize>);

    impl Wake for Meddling {
        fn wake(self: Arc<Self>) {}
    }

    impl Drop for Meddling {
        fn drop(&mut self) {
            let mut place = Wait::new(NEVER);
            assert_eq!(self.0.poll(&mut place, Waker::noop()), Poll::Pending);
            self.0.cancel(&place);
            self.1.fetch_add(1, Ordering::SeqCst);
        }
    }

    many_orders(|| {
        let running = Running::start();
        let meddled = Arc::new(AtomicUsize::new(0));
        let (buckets, count) = (&running.buckets, &meddled);
        let meddling = || Waker::from(Arc::new(Meddling(Arc::clone(buckets), Arc::clone(count))));
        let mut place = Wait::new(1);
        let _ = buckets.poll(&mut place, &meddling());
        let _ = buckets.poll(&mut place, &meddling());
        buckets.cancel(&place);
        running.end();
        // None hung, and none panicked where that is contained.
        assert_eq!(meddled.load(Ordering::SeqCst), 2);
    });
}

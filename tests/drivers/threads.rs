//! Futures that are polled as executors may poll them: on other threads, without need, with other wakers, too often.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use stamina::instrument::{Hook, RetryDetails, scoped_hooks};
use stamina::testing::{self, Testing};
use stamina::{Clock, Retry, Sleep, Timer};

fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Sleeps until it is told that the time has come; counts how often it was asked for a sleep.
struct Gate {
    open: AtomicU32,
    sleeps: AtomicU32,
}

impl Gate {
    const fn new() -> Self {
        Self {
            open: AtomicU32::new(0),
            sleeps: AtomicU32::new(0),
        }
    }
}

/// Clocks lend themselves for any lifetime, `Sleep::boxed` wants a static one.
struct GateClock(&'static Gate);

impl Clock for GateClock {
    fn now(&self) -> std::time::Instant {
        std::time::Instant::now()
    }

    fn sleep(&self, _: Duration) -> Sleep {
        let (gate, number) = (self.0, self.0.sleeps.fetch_add(1, Ordering::SeqCst));
        Sleep::boxed(std::future::poll_fn(move |_| {
            if gate.open.load(Ordering::SeqCst) > number {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        }))
    }

    fn sleep_blocking(&self, _: Duration) {
        unreachable!("nothing here blocks");
    }
}

/// Pending for so many polls.
async fn pending_for(polls: u32) {
    let mut left = polls;
    std::future::poll_fn(|_| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        Poll::Pending
    })
    .await;
}

#[derive(Default)]
struct Event(Mutex<Vec<(u32, u32)>>);

impl Hook for Event {
    fn retry_scheduled(&self, details: &RetryDetails<'_>) {
        self.0
            .lock()
            .unwrap()
            .push((details.retry_num, details.depth));
    }
}

#[test]
fn a_future_may_be_polled_on_another_thread_each_time() {
    static POLICY: Retry<u32> = Retry::on::<u32>();
    let told = Arc::new(Event::default());
    let attempts = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&attempts);

    // Made in scopes of this thread; it keeps them wherever it goes.
    let hooks = scoped_hooks([Arc::clone(&told) as Arc<dyn Hook>]);
    let mode = testing::scoped(Testing::attempts(5));
    let mut future = Box::pin(POLICY.call_async(move || {
        let attempt = counted.fetch_add(1, Ordering::SeqCst);
        async move {
            pending_for(3).await;
            Err::<(), _>(attempt)
        }
    }));
    drop((hooks, mode));

    let mut polls = 0;
    let result = loop {
        polls += 1;
        // The future goes to a new thread and comes back.
        let (back, polled) = std::thread::spawn(move || {
            let polled = poll(future.as_mut());
            (future, polled)
        })
        .join()
        .unwrap();
        future = back;
        if let Poll::Ready(result) = polled {
            break result;
        }
    };

    assert_eq!(result, Err(4), "the last of five attempts");
    assert_eq!(polls, 5 * 3 + 1);
    assert_eq!(*told.0.lock().unwrap(), [(1, 0), (2, 0), (3, 0), (4, 0)]);
}

#[test]
fn polls_without_need_neither_repeat_the_operation_nor_draw_another_wait() {
    static GATE: Gate = Gate::new();
    static CLOCK: GateClock = GateClock(&GATE);
    let policy = Retry::on::<&str>().attempts(3).timer(Timer::custom(&CLOCK));
    let attempts = AtomicU32::new(0);
    let mut future = pin!(policy.call_async(|| {
        attempts.fetch_add(1, Ordering::SeqCst);
        async { Err::<(), _>("down") }
    }));
    let seen = || {
        (
            attempts.load(Ordering::SeqCst),
            GATE.sleeps.load(Ordering::SeqCst),
        )
    };

    for round in 1..3 {
        for _ in 0..1000 {
            assert!(poll(future.as_mut()).is_pending());
        }
        assert_eq!(seen(), (round, round));
        GATE.open.store(round, Ordering::SeqCst);
    }
    assert_eq!(poll(future.as_mut()), Poll::Ready(Err("down")));
    assert_eq!(seen(), (3, 2));
}

struct Bell {
    rung: Mutex<bool>,
    changed: std::sync::Condvar,
}

impl Bell {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            rung: Mutex::new(false),
            changed: std::sync::Condvar::new(),
        })
    }

    fn has_rung_within(&self, limit: Duration) -> bool {
        let rung = self.rung.lock().unwrap();
        let (rung, _) = self
            .changed
            .wait_timeout_while(rung, limit, |rung| !*rung)
            .unwrap();
        *rung
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        *self.rung.lock().unwrap() = true;
        self.changed.notify_all();
    }
}

/// Real time: 50 ms.
#[test]
fn the_waker_of_the_last_poll_is_the_one_that_is_woken() {
    let policy = Retry::on::<&str>()
        .attempts(2)
        .wait_jitter(Duration::ZERO)
        .wait_initial(Duration::from_millis(50));
    let mut future = pin!(policy.call_async(|| async { Err::<(), _>("down") }));
    let (first, last) = (Bell::new(), Bell::new());

    for bell in [&first, &first, &last] {
        let waker = Waker::from(Arc::clone(bell));
        assert!(
            future
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
    }

    assert!(last.has_rung_within(Duration::from_secs(10)));
    assert!(!*first.rung.lock().unwrap(), "it has been replaced");
    // Late polls with yet another one find it ready.
    assert_eq!(poll(future.as_mut()), Poll::Ready(Err("down")));
}

#[track_caller]
fn panics_when_polled_again<F: Future>(future: F, expected: &str) {
    let mut future = pin!(future);
    assert!(poll(future.as_mut()).is_ready());
    for _ in 0..2 {
        let panic =
            catch_unwind(AssertUnwindSafe(|| poll(future.as_mut()).is_ready())).unwrap_err();
        let message = panic.downcast_ref::<&str>().map(ToString::to_string);
        let message = message
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap();
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn a_poll_after_completion_panics_and_says_why() {
    const OURS: &str = "stamina: a retried future was polled after it had completed";
    let policy = Retry::on::<&str>();
    let ready = || std::future::ready(Ok::<_, &str>(5));
    panics_when_polled_again(policy.call_async(ready), OURS);
    panics_when_polled_again(policy.report_async(ready), OURS);
    panics_when_polled_again(
        policy
            .call_async(ready)
            .attempt_timeout(Duration::from_secs(1), || "slow"),
        OURS,
    );
    panics_when_polled_again(policy.wrap_async(|()| ready())(()), OURS);
    panics_when_polled_again(
        Retry::on::<Result<u32, &str>>().call_outcome_async(|| async { Ok(5) }),
        OURS,
    );
    // An async block of the compiler's, with the compiler's words.
    panics_when_polled_again(
        policy.call_async_with(&mut (), async |()| Ok(5)),
        "resumed after completion",
    );
    // After a failure it is the same.
    let policy = policy.attempts(1);
    panics_when_polled_again(policy.call_async(|| async { Err::<(), _>("down") }), OURS);
}

#[test]
fn after_a_panic_of_the_operation_a_future_panics_again_and_does_not_hang() {
    let policy = Retry::on::<&str>();
    let mut future = pin!(policy.call_async(|| async {
        assert!(std::hint::black_box(false), "the operation's own panic");
        Ok::<(), &str>(())
    }));
    for expected in ["the operation's own panic", "resumed after panicking"] {
        let panic =
            catch_unwind(AssertUnwindSafe(|| poll(future.as_mut()).is_ready())).unwrap_err();
        let message = panic.downcast_ref::<&str>().map_or_else(
            || panic.downcast_ref::<String>().cloned().unwrap(),
            ToString::to_string,
        );
        assert!(message.contains(expected), "{message}");
    }
}

//! `call_async`, `call_async_with`, `attempt_timeout`: the driver for futures.
#![allow(clippy::unchecked_time_subtraction, reason = "a test may panic")]

use crate::support::{
    Event, ManualClock, Recorder, after, at_once, clock, ms, panic_message, poll, secs,
};
use futures::executor::block_on;
use stamina::testing::{self, Testing, VirtualClock};
use stamina::{Decision, Retry, StopReason, Timer};
use std::cell::Cell;
use std::fmt::Debug;
use std::future::{Future, pending, poll_fn, ready};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::time::Duration;

static CLOCK: VirtualClock = VirtualClock::new();
/// Without a timeout: the tests of this file share its clock.
static POLICY: Retry<&str> = Retry::on::<&str>()
    .no_timeout()
    .timer(Timer::custom(&CLOCK));

/// Waits 100 ms, 200 ms, ...; until the clock is told that they are over.
fn steered(clock: &'static ManualClock) -> Retry<&'static str> {
    Retry::on().wait_jitter(Duration::ZERO).timer(clock.timer())
}

fn down() -> Result<(), &'static str> {
    Err("down")
}

#[test]
fn it_stops_at_the_first_success_and_at_the_last_attempt() {
    for failures in 0..10 {
        let mut operation = after(failures);
        assert_eq!(
            block_on(POLICY.call_async(|| ready(operation()))),
            Ok(failures + 1)
        );
    }
    let mut operation = after(10);
    assert_eq!(
        block_on(POLICY.call_async(|| ready(operation()))),
        Err("down")
    );
}

#[test]
fn nothing_happens_before_the_first_poll() {
    let made = Cell::new(0);
    let future = POLICY.call_async(|| {
        made.set(made.get() + 1);
        async { Ok::<_, &str>(()) }
    });
    assert_eq!(made.get(), 0);
    block_on(future).unwrap();
    assert_eq!(made.get(), 1);
}

#[test]
fn each_future_shows_what_it_is() {
    let operation = || ready(down());
    let outcomes = Retry::on::<Result<(), &str>>();
    let wrapped = POLICY.wrap_async(|()| ready(down()));
    let futures: [&dyn Debug; 4] = [
        &POLICY.call_async(operation),
        &POLICY.report_async(operation),
        &outcomes.call_outcome_async(operation),
        &wrapped(()),
    ];
    assert_eq!(
        futures.map(|future| format!("{future:?}")),
        [
            "RetryFuture(new)",
            "ReportFuture(new)",
            "OutcomeFuture(new)",
            "WrapFuture(new)"
        ]
    );
}

#[test]
fn each_state_is_passed_through_step_by_step() {
    let clock = ManualClock::new();
    let policy = steered(clock);
    let (made, open) = (Cell::new(0), Cell::new(false));
    let mut future = pin!(policy.call_async(|| {
        made.set(made.get() + 1);
        poll_fn(|_| {
            if open.replace(false) {
                Poll::Ready(Err::<(), _>("down"))
            } else {
                Poll::Pending
            }
        })
    }));
    let shows = |future: Pin<&mut _>, state: &str| {
        assert!(format!("{future:?}").contains(state), "{future:?}");
    };
    shows(future.as_mut(), "new");
    for attempt in 1..10 {
        assert_eq!(poll(future.as_mut()), Poll::Pending);
        assert_eq!(poll(future.as_mut()), Poll::Pending);
        assert_eq!((made.get(), clock.slept().len()), (attempt, attempt - 1));
        shows(future.as_mut(), "attempting");
        open.set(true);
        assert_eq!(poll(future.as_mut()), Poll::Pending);
        assert_eq!((made.get(), clock.slept().len()), (attempt, attempt));
        shows(future.as_mut(), "waiting");
        let wait = *clock.slept().last().unwrap();
        clock.pass(wait - Duration::from_nanos(1));
        assert_eq!(poll(future.as_mut()), Poll::Pending);
        assert_eq!(made.get(), attempt, "before the wait was over");
        clock.pass(Duration::from_nanos(1));
    }
    open.set(true);
    assert_eq!(poll(future.as_mut()), Poll::Ready(Err("down")));
    shows(future.as_mut(), "done");
}

#[test]
fn polled_after_completion_it_says_so() {
    #[track_caller]
    fn complains(future: impl Future) {
        let mut future = pin!(future);
        assert!(poll(future.as_mut()).is_ready());
        let message = panic_message(|| drop(poll(future.as_mut())));
        assert!(
            message.contains("stamina") && message.contains("polled after"),
            "{message}"
        );
    }
    complains(POLICY.call_async(|| async { Ok(()) }));
    complains(
        POLICY
            .clone()
            .attempts(1)
            .call_async(|| async { Err::<(), _>("down") }),
    );
    complains(POLICY.report_async(|| async { Ok(()) }));
    complains(POLICY.wrap_async(|()| async { Ok(()) })(()));
    complains(
        POLICY
            .call_async(|| async { Ok(()) })
            .attempt_timeout(secs(1), || "slow"),
    );
    complains(Retry::on::<Result<(), ()>>().call_outcome_async(|| async { Ok(()) }));
}

/// Counts those that are alive.
struct Alive(Arc<AtomicU32>);

impl Alive {
    fn new(count: &Arc<AtomicU32>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[test]
fn dropped_during_an_attempt_or_a_wait_it_leaves_nothing_behind() {
    let clock = ManualClock::new();
    let budget = Arc::new(stamina::Budget::new().floor(3));
    let policy = steered(clock).shared_budget(Arc::clone(&budget));
    let alive = Arc::new(AtomicU32::new(0));
    let (recorder, _hooks) = Recorder::here();
    let fails = |times| {
        let mut operation = after(times);
        let alive = &alive;
        move || {
            let (alive, result) = (Alive::new(alive), operation());
            async move {
                if result.is_ok() {
                    pending::<()>().await;
                }
                drop(alive);
                result
            }
        }
    };
    for failures in 0..3 {
        let mut future = Box::pin(policy.call_async(fails(failures)));
        for _ in 0..failures {
            assert!(poll(future.as_mut()).is_pending());
            assert_eq!(
                alive.load(Ordering::Relaxed),
                0,
                "an attempt outlived its end"
            );
            clock.pass(secs(1));
        }
        assert!(poll(future.as_mut()).is_pending());
        assert_eq!(alive.load(Ordering::Relaxed), 1);
        drop(future);
        assert_eq!(alive.load(Ordering::Relaxed), 0);
    }
    assert_eq!(recorder.short(), ["retry 1", "retry 1", "retry 2"]);
    // Three attempts that were retries, on three tokens. The balance is now 0, and a wait that is dropped gives back.
    let balance = || budget.balance(stamina::Clock::now(clock)).round();
    assert!(balance() < 1.0);
    let mut refill = policy.clone();
    for _ in 0..10 {
        refill = refill.attempts(1);
        assert_eq!(refill.call(|| Ok(())), Ok(()));
    }
    let before = balance();
    let mut future = Box::pin(policy.call_async(fails(5)));
    assert!(poll(future.as_mut()).is_pending());
    assert!(balance() < before);
    drop(future);
    assert_eq!(balance().to_bits(), before.to_bits());
    // It gave up on nothing and recovered from nothing.
    assert_eq!(recorder.short(), ["retry 1"]);
}

#[test]
fn a_panic_passes_through_and_leaves_everything_usable() {
    let (recorder, _hooks) = Recorder::here();
    for in_the_closure in [true, false] {
        let mut calls = 0;
        let message = panic_message(|| {
            let _: Result<(), _> = block_on(POLICY.call_async(|| {
                calls += 1;
                let third = calls == 3;
                assert!(!(third && in_the_closure), "panicked");
                async move {
                    assert!(!third, "panicked");
                    Err("down")
                }
            }));
        });
        assert_eq!((message.as_str(), calls), ("panicked", 3));
        assert_eq!(recorder.short(), ["retry 1", "retry 2"]);
        let mut operation = after(1);
        assert_eq!(block_on(POLICY.call_async(|| ready(operation()))), Ok(2));
        assert!(matches!(
            recorder.take()[..],
            [Event::Retry { depth: 0, .. }, Event::Recovered { .. }]
        ));
    }
}

#[test]
fn everything_an_operation_runs_is_deeper() {
    // In the closure that makes the future as well as in the future.
    let (recorder, _hooks) = Recorder::here();
    let inner = || assert!(POLICY.clone().attempts(1).start().decide(&"down").is_err());
    let mut context = ();
    block_on(POLICY.call_async(|| {
        inner();
        async {
            inner();
            Ok(())
        }
    }))
    .unwrap();
    let with = async |(): &mut ()| {
        inner();
        Ok(())
    };
    block_on(POLICY.call_async_with(&mut context, with)).unwrap();
    let with = |(): &mut ()| {
        inner();
        ready(Ok(()))
    };
    block_on(POLICY.call_async_with(&mut context, with)).unwrap();
    let wrapped = POLICY.wrap_async(move |()| {
        inner();
        async move {
            inner();
            Ok(())
        }
    });
    block_on(wrapped(())).unwrap();
    inner();
    let depths: Vec<_> = recorder.take().iter().map(depth).collect();
    assert_eq!(depths, [1, 1, 1, 1, 1, 1, 0]);
}

fn depth(told: &Event) -> u32 {
    match told {
        Event::Retry { depth, .. } | Event::GaveUp { depth, .. } => *depth,
        Event::Recovered { .. } => u32::MAX,
    }
}

#[test]
fn operations_may_borrow_and_need_not_be_send() {
    let name = Rc::new(String::from("borrowed"));
    let mut log = Vec::new();
    let found = block_on(POLICY.call_async(|| {
        log.push(1);
        let (name, enough) = (Rc::clone(&name), log.len() == 3);
        async move { if enough { Ok(name) } else { Err("down") } }
    }));
    assert_eq!((found.unwrap().len(), log.len()), (8, 3));
}

#[test]
fn state_is_lent_to_every_attempt() {
    let mut log = vec![0];
    let suffix = [7];
    let result = block_on(POLICY.call_async_with(&mut log, async |log| {
        log.push(log.len());
        ready(()).await;
        if log.len() < 4 {
            Err("short")
        } else {
            Ok(log.len() + suffix[0])
        }
    }));
    assert_eq!((result, log), (Ok(11), vec![0, 1, 2, 3]));
    // What the closure owns may change too.
    let mut calls = 0;
    let result = block_on(POLICY.call_async_with(&mut (), async |()| {
        calls += 1;
        if calls < 3 { Err("down") } else { Ok(()) }
    }));
    assert_eq!((result, calls), (Ok(()), 3));
}

#[tokio::test]
async fn state_in_spawned_tasks() {
    let with = tokio::spawn(async {
        let mut log = Vec::new();
        let operation = async |log: &mut Vec<u32>| {
            log.push(1);
            tokio::task::yield_now().await;
            if log.len() < 3 {
                Err("down")
            } else {
                Ok(log.len())
            }
        };
        POLICY.call_async_with(&mut log, operation).await
    });
    assert_eq!(with.await.unwrap(), Ok(3));
    let block = tokio::spawn(async {
        let mut log = Vec::new();
        let mut attempts = POLICY.start();
        loop {
            log.push(1);
            tokio::task::yield_now().await;
            match if log.len() < 3 {
                Err("down")
            } else {
                Ok(log.len())
            } {
                Ok(length) => break Ok(attempts.succeed(length)),
                Err(error) => {
                    if let Err(error) = attempts.again_async(error).await {
                        break Err(error);
                    }
                }
            }
        }
    });
    assert_eq!(block.await.unwrap(), Ok(3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_at_once_on_one_policy() {
    let tasks: Vec<_> = (0..2000)
        .map(|task| {
            tokio::spawn(POLICY.call_async({
                let mut operation = after(task % 9);
                move || {
                    let result = operation();
                    async move {
                        tokio::task::yield_now().await;
                        result
                    }
                }
            }))
        })
        .collect();
    for (task, handle) in (0..).zip(tasks) {
        assert_eq!(handle.await.unwrap(), Ok(task % 9 + 1));
    }
}

#[test]
fn attempts_are_cut() {
    let clock = clock();
    let policy = Retry::on()
        .attempts(3)
        .wait_jitter(Duration::ZERO)
        .timer(Timer::custom(clock));
    let mut cuts = 0;
    let hangs = || pending::<Result<(), String>>();
    let call = policy.call_async(hangs).attempt_timeout(secs(2), || {
        cuts += 1;
        format!("cut {cuts}")
    });
    assert_eq!(block_on(call), Err("cut 3".to_owned()));
    // A virtual clock counts the expiry of an attempt as a wait.
    assert_eq!(clock.waits(), [2000, 100, 2000, 200, 2000].map(ms));
}

#[test]
fn a_cut_attempt_is_dropped_and_the_next_one_may_succeed() {
    let clock = ManualClock::new();
    let policy = steered(clock);
    let alive = Arc::new(AtomicU32::new(0));
    let mut calls = 0;
    let operation = || {
        calls += 1;
        let (fine, alive) = (calls == 2, Alive::new(&alive));
        async move {
            if !fine {
                pending::<()>().await;
            }
            drop(alive);
            Ok(calls)
        }
    };
    let mut future = pin!(
        policy
            .call_async(operation)
            .attempt_timeout(secs(3), || "slow")
    );
    assert!(poll(future.as_mut()).is_pending());
    clock.pass(secs(3) - ms(1));
    assert!(poll(future.as_mut()).is_pending());
    assert_eq!(alive.load(Ordering::Relaxed), 1);
    clock.pass(ms(1));
    assert!(poll(future.as_mut()).is_pending());
    assert_eq!(
        alive.load(Ordering::Relaxed),
        0,
        "cut, but kept while waiting"
    );
    clock.pass(ms(100));
    assert_eq!(poll(future.as_mut()), Poll::Ready(Ok(2)));
    // The second attempt was ready at once and armed no timer.
    assert_eq!(clock.slept(), [ms(3000), ms(100)]);
}

#[test]
fn an_attempt_is_cut_at_the_deadline_if_that_is_first() {
    let clock = ManualClock::new();
    let policy = steered(clock).timeout(secs(5));
    let (recorder, _hooks) = Recorder::here();
    let hangs = || pending::<Result<(), &str>>();
    let mut future = pin!(policy.call_async(hangs).attempt_timeout(secs(3), || "slow"));
    assert!(poll(future.as_mut()).is_pending());
    clock.pass(secs(3));
    assert!(poll(future.as_mut()).is_pending());
    clock.pass(ms(100));
    assert!(poll(future.as_mut()).is_pending());
    assert_eq!(clock.slept(), [ms(3000), ms(100), ms(1900)]);
    clock.pass(ms(1900));
    assert_eq!(poll(future.as_mut()), Poll::Ready(Err("slow")));
    assert_eq!(recorder.short(), ["retry 1", "gave up 2 timed_out"]);
    // With no time at all, the first attempt is cut unless it is ready at once.
    let none = policy.clone().timeout(Duration::ZERO);
    let call = none.call_async(hangs).attempt_timeout(secs(3), || "slow");
    assert_eq!(at_once(call), Err("slow"));
    let call = none
        .call_async(|| ready(Ok(1)))
        .attempt_timeout(secs(3), || "slow");
    assert_eq!(at_once(call), Ok(1));
}

#[test]
fn in_testing_mode_only_its_own_time_cuts_an_attempt() {
    let clock = ManualClock::new();
    let policy = steered(clock).timeout(secs(1));
    let _testing = testing::scoped(Testing::attempts(2));
    let hangs = || pending::<Result<(), &str>>();
    let mut future = pin!(policy.call_async(hangs).attempt_timeout(secs(3), || "slow"));
    assert!(poll(future.as_mut()).is_pending());
    clock.pass(secs(2));
    assert!(poll(future.as_mut()).is_pending());
    clock.pass(secs(1));
    assert!(poll(future.as_mut()).is_pending());
    clock.pass(secs(3));
    assert_eq!(poll(future.as_mut()), Poll::Ready(Err("slow")));
    assert_eq!(clock.slept(), [secs(3), secs(0), secs(3)]);
}

#[test]
fn an_operation_that_is_ready_at_once_arms_no_timer() {
    let clock = clock();
    let policy = Retry::on::<&str>().timer(Timer::custom(clock));
    let call = policy
        .call_async(|| ready(Ok(())))
        .attempt_timeout(Duration::from_nanos(1), || "slow");
    assert_eq!(block_on(call), Ok(()));
    assert!(clock.waits().is_empty());
}

#[test]
fn a_cut_attempt_follows_the_rules_like_any_other() {
    let policy = Retry::on::<&str>().timer(Timer::custom(clock()));
    let hangs = || pending::<Result<(), &str>>();
    let permanent = policy.clone().when(|error| *error != "slow");
    let (recorder, _hooks) = Recorder::here();
    let call = permanent
        .call_async(hangs)
        .attempt_timeout(secs(1), || "slow");
    assert_eq!(block_on(call), Err("slow"));
    assert!(recorder.take().is_empty());
    // Twice: the call's own takes the place of the policy's, shorter or not.
    for limit in [secs(1), secs(3)] {
        let both = policy
            .clone()
            .attempts(1)
            .attempt_timeout(secs(2), || "policy");
        let call = both.call_async(hangs).attempt_timeout(limit, || "call");
        assert_eq!(block_on(call), Err("call"));
    }
    let outcome = Retry::on::<Result<u8, &str>>()
        .timer(Timer::custom(clock()))
        .attempts(2)
        .attempt_timeout(secs(1), || Err("slow"));
    assert_eq!(block_on(outcome.call_outcome_async(pending)), Err("slow"));
    let wrapped = policy
        .attempt_timeout(secs(1), || "slow")
        .wrap_async(move |()| hangs());
    assert_eq!(block_on(wrapped(())), Err("slow"));
}

#[test]
fn waits_of_zero_do_not_wait() {
    // On a clock that never moves a real wait would hang.
    let clock = ManualClock::new();
    let policy = steered(clock).when(|_| Decision::RetryExactly(Duration::ZERO));
    let report = at_once(policy.report_async(|| async { Err::<(), _>("down") }));
    assert_eq!(
        (report.attempts, report.stop_reason),
        (10, Some(StopReason::AttemptsExhausted))
    );
}

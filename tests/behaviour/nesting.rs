//! Retries inside retries: how deep a call is, on whatever thread or executor it runs, and `outermost_only`.

use std::future::{Future, ready};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::time::Duration;

use crate::support::{Event, ManualClock, Recorder, clock, lock, panic_message, poll, secs};
use stamina::instrument::{self, GaveUp, Hook, RetryDetails};
use stamina::{Retry, StopReason, Timer};

/// Two attempts, no waits, and a clock of its own.
fn policy(name: &'static str) -> Retry<&'static str> {
    Retry::on::<&str>()
        .attempts(2)
        .wait_initial(Duration::ZERO)
        .wait_jitter(Duration::ZERO)
        .named(name)
        .timer(Timer::custom(clock()))
}

fn down() -> Result<(), &'static str> {
    Err("down")
}

/// Who was told of at which depth, repeats left out.
fn depths(recorder: &Recorder) -> Vec<(String, u32)> {
    let mut seen = Vec::new();
    for told in recorder.take() {
        let depth = match told {
            Event::Retry { depth, .. } | Event::GaveUp { depth, .. } => depth,
            Event::Recovered { .. } => continue,
        };
        let entry = (told.callable().to_owned(), depth);
        if !seen.contains(&entry) {
            seen.push(entry);
        }
    }
    seen
}

#[track_caller]
fn saw(recorder: &Recorder, expected: &[(&str, u32)]) {
    let seen = depths(recorder);
    let seen: Vec<(&str, u32)> = seen.iter().map(|(name, depth)| (&**name, *depth)).collect();
    assert_eq!(seen, expected);
}

/// The depth here, as a call would tell it.
fn here() -> u32 {
    struct Keep(AtomicU32);
    impl Hook for Keep {
        fn gave_up(&self, details: &GaveUp<'_>) {
            self.0.store(details.depth, Ordering::Relaxed);
        }
    }
    let keep = Arc::new(Keep(AtomicU32::new(u32::MAX)));
    let _guard = instrument::scoped_hooks([Arc::clone(&keep) as Arc<dyn Hook>]);
    policy("here").attempts(1).call(down).unwrap_err();
    keep.0.load(Ordering::Relaxed)
}

/// Succeeds, so deep.
#[allow(clippy::unnecessary_wraps, reason = "it is an operation")]
#[track_caller]
fn fine_at(depth: u32) -> Result<(), &'static str> {
    assert_eq!(here(), depth);
    Ok(())
}

#[test]
fn three_levels_of_blocking_calls() {
    let (recorder, _guard) = Recorder::here();
    let result = policy("outer").call(|| policy("middle").call(|| policy("inner").call(down)));
    assert_eq!(result, Err("down"));
    saw(&recorder, &[("inner", 2), ("middle", 1), ("outer", 0)]);
    assert_eq!(here(), 0);
}

#[test]
fn every_driver_is_a_level() {
    assert_eq!(here(), 0);
    let outer = policy("outer");
    outer.call(|| fine_at(1)).unwrap();
    outer.report(|| fine_at(1)).result.unwrap();
    outer.wrap(|()| fine_at(1))(()).unwrap();
    futures::executor::block_on(async {
        outer.call_async(|| async { fine_at(1) }).await.unwrap();
        // The closure is part of the operation too.
        let closure = || {
            assert_eq!(here(), 1);
            ready(Ok(()))
        };
        outer.call_async(closure).await.unwrap();
        let cut = outer.call_async(|| async { fine_at(1) });
        cut.attempt_timeout(secs(1), || "slow").await.unwrap();
        outer.report_async(closure).await.result.unwrap();
        outer.wrap_async(|()| closure())(()).await.unwrap();
        let with = async |(): &mut ()| fine_at(1);
        outer.call_async_with(&mut (), with).await.unwrap();
    });
    let outcomes = Retry::on::<Result<(), &str>>();
    outcomes.call_outcome(|| fine_at(1)).unwrap();
    let future = outcomes.call_outcome_async(|| async { fine_at(1) });
    futures::executor::block_on(future).unwrap();
    assert_eq!(here(), 0);
}

#[test]
fn a_code_block_is_no_level() {
    let outer = policy("outer");
    let mut attempts = outer.start();
    assert_eq!(here(), 0);
    attempts.again("down").unwrap();
    assert_eq!(here(), 0);
    // But it knows its own.
    let (recorder, _guard) = Recorder::here();
    policy("around")
        .attempts(1)
        .call(|| {
            let inner = policy("block");
            let mut attempts = inner.start();
            loop {
                attempts.again("down")?;
            }
            #[allow(unreachable_code, reason = "gives the closure its type")]
            Ok::<(), _>(())
        })
        .unwrap_err();
    saw(&recorder, &[("block", 1), ("around", 0)]);
}

#[test]
fn waits_hooks_and_predicates_belong_to_the_call_not_to_its_operation() {
    let told_at = Arc::new(AtomicU32::new(u32::MAX));
    let outer = {
        let told_at = Arc::clone(&told_at);
        let asked = |_: &&str| {
            assert_eq!(here(), 0);
            true
        };
        let tell = move |_: &&str, _: &RetryDetails<'_>| told_at.store(here(), Ordering::Relaxed);
        policy("outer").when(asked).on_retry(tell)
    };
    assert_eq!(outer.call(down), Err("down"));
    assert_eq!(told_at.load(Ordering::Relaxed), 0);

    struct Deep(std::sync::Mutex<Vec<u32>>);
    impl Hook for Deep {
        fn retry_scheduled(&self, _: &RetryDetails<'_>) {
            let depth = here();
            lock(&self.0).push(depth);
        }
    }
    let deep = Arc::new(Deep(std::sync::Mutex::default()));
    let _guard = instrument::scoped_hooks([Arc::clone(&deep) as Arc<dyn Hook>]);
    outer.call(|| policy("inner").call(down)).unwrap_err();
    // Twice in the inner call, which is at depth 1, and once in the outer.
    assert_eq!(*lock(&deep.0), [1, 0, 1]);
}

#[test]
fn a_panic_leaves_no_level_behind() {
    let outer = policy("outer");
    assert_eq!(
        panic_message(|| outer.call(|| panic!("blocking")).unwrap()),
        "blocking"
    );
    assert_eq!(here(), 0);
    let panics = || outer.call_async(|| async { panic!("async") });
    assert_eq!(
        panic_message(|| futures::executor::block_on(panics()).unwrap()),
        "async"
    );
    let panics = || outer.call_async(|| -> std::future::Ready<Result<(), _>> { panic!("closure") });
    assert_eq!(
        panic_message(|| futures::executor::block_on(panics()).unwrap()),
        "closure"
    );
    assert_eq!(here(), 0);
    // Contained in an operation, it leaves that where it was.
    outer
        .call(|| {
            panic_message(|| policy("inner").call(|| panic!("deep")).unwrap());
            fine_at(1)
        })
        .unwrap();
}

#[test]
fn a_spawned_thread_starts_at_the_surface() {
    policy("outer")
        .call(|| {
            let depth = std::thread::spawn(here).join().unwrap();
            assert_eq!((depth, here()), (0, 1));
            Ok(())
        })
        .unwrap();
}

/// Pending once.
fn pause() -> impl Future<Output = ()> {
    let mut paused = false;
    std::future::poll_fn(move |cx| {
        if std::mem::replace(&mut paused, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}

async fn nested() -> Result<(), &'static str> {
    assert_eq!(here(), 1);
    pause().await;
    assert_eq!(here(), 1);
    let inner = policy("inner");
    inner
        .call_async(|| async {
            assert_eq!(here(), 2);
            pause().await;
            assert_eq!(here(), 2);
            down()
        })
        .await
        .unwrap_err();
    assert_eq!(here(), 1);
    down()
}

#[test]
fn awaits_keep_the_depth_on_one_thread() {
    let (recorder, _guard) = Recorder::here();
    let outer = policy("outer");
    futures::executor::block_on(async {
        assert_eq!(outer.call_async(nested).await, Err("down"));
        assert_eq!(here(), 0);
    });
    saw(&recorder, &[("inner", 1), ("outer", 0)]);
}

#[test]
fn two_calls_joined_inside_one_operation_are_both_one_deep() {
    let (recorder, _guard) = Recorder::here();
    let outer = policy("outer").attempts(1);
    let result = futures::executor::block_on(outer.call_async(|| async {
        let (left, right) = (policy("left"), policy("right"));
        let slow = || async {
            pause().await;
            assert_eq!(here(), 2);
            pause().await;
            down()
        };
        let (mut left, mut right) = (pin!(left.call_async(slow)), pin!(right.call_async(slow)));
        let (mut left_over, mut right_over) = (false, false);
        std::future::poll_fn(|cx| {
            assert_eq!(here(), 1);
            left_over = left_over || left.as_mut().poll(cx).is_ready();
            assert_eq!(here(), 1);
            right_over = right_over || right.as_mut().poll(cx).is_ready();
            assert_eq!(here(), 1);
            if left_over && right_over {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        down()
    }));
    assert_eq!(result, Err("down"));
    saw(&recorder, &[("left", 1), ("right", 1), ("outer", 0)]);
}

#[test]
fn a_call_dropped_halfway_leaves_nothing() {
    let outer = policy("outer");
    {
        let mut call = pin!(outer.call_async(|| async {
            pause().await;
            std::future::pending::<Result<(), &str>>().await
        }));
        assert!(poll(call.as_mut()).is_pending());
        assert_eq!(here(), 0);
        assert!(poll(call.as_mut()).is_pending());
    }
    assert_eq!(here(), 0);
}

#[test]
fn a_future_is_as_deep_as_where_it_was_made_wherever_it_is_polled() {
    static INNER: Retry<&str> = Retry::on::<&str>().attempts(1).named("inner");
    let (recorder, _guard) = Recorder::here();
    let mut made = None;
    policy("outer")
        .call(|| {
            made = Some(INNER.call_async(|| ready(down())));
            Ok(())
        })
        .unwrap();
    futures::executor::block_on(made.unwrap()).unwrap_err();
    saw(&recorder, &[("inner", 1)]);

    // A background task of a client's own runtime, made outside and polled inside of another operation's `block_on`.
    let made = INNER.call_async(|| ready(down()));
    policy("outer")
        .call(|| {
            assert_eq!(here(), 1);
            Ok(())
        })
        .unwrap();
    let mut made = Some(made);
    policy("outer")
        .call(|| {
            futures::executor::block_on(made.take().unwrap()).unwrap_err();
            // The operation's own depth is as before.
            assert_eq!(here(), 1);
            Ok(())
        })
        .unwrap();
    saw(&recorder, &[("inner", 0)]);
}

#[test]
fn tasks_that_move_between_threads_keep_their_own_depth() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(3)
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let tasks = (0..100_u32).map(|task| {
            tokio::spawn(async move {
                let outer = policy("outer");
                let result = outer
                    .call_async(|| async {
                        for _ in 0..20 + task % 7 {
                            assert_eq!(here(), 1);
                            let inner = policy("inner");
                            let result = inner
                                .call_async(|| async {
                                    tokio::task::yield_now().await;
                                    assert_eq!(here(), 2);
                                    down()
                                })
                                .await;
                            assert_eq!((result, here()), (Err("down"), 1));
                        }
                        // A spawned task is no part of the operation that spawns it.
                        assert_eq!(tokio::spawn(async { here() }).await.unwrap(), 0);
                        Ok(())
                    })
                    .await;
                (result.unwrap(), here())
            })
        });
        let tasks: Vec<_> = tasks.collect();
        for task in tasks {
            assert_eq!(task.await.unwrap().1, 0);
        }
    });
}

#[test]
fn outermost_only_is_one_attempt_inside_and_all_of_them_outside() {
    let (recorder, _guard) = Recorder::here();
    let inner = policy("inner").attempts(5).outermost_only();
    assert_eq!(inner.report(down).attempts, 5);
    recorder.take();

    let mut calls = 0;
    let report = policy("outer").attempts(3).report(|| {
        let report = inner.report(|| {
            calls += 1;
            down()
        });
        assert_eq!(
            (report.attempts, report.stop_reason),
            (1, Some(StopReason::Nested))
        );
        report.result
    });
    assert_eq!((report.attempts, calls), (3, 3));
    let told: Vec<_> = recorder
        .take()
        .iter()
        .map(|told| format!("{} {}", told.callable(), told.short()))
        .collect();
    // The nested call reports nothing: the outer one does.
    assert_eq!(
        told,
        [
            "outer retry 1",
            "outer retry 2",
            "outer gave up 3 attempts_exhausted"
        ]
    );
}

#[test]
fn outermost_only_holds_for_every_driver_and_for_futures() {
    let inner = policy("inner").attempts(5).outermost_only();
    let attempts = AtomicU32::new(0);
    let fail = || {
        attempts.fetch_add(1, Ordering::Relaxed);
        down()
    };
    let one = |what: &str| assert_eq!(attempts.swap(0, Ordering::Relaxed), 1, "{what}");
    let outer = policy("outer").attempts(1);
    let result = futures::executor::block_on(outer.call_async(|| async {
        inner.call(fail).unwrap_err();
        one("call");
        inner.wrap(|()| fail())(()).unwrap_err();
        one("wrap");
        inner
            .call_async(|| async {
                pause().await;
                fail()
            })
            .await
            .unwrap_err();
        one("call_async");
        inner
            .call_async_with(&mut (), async |()| fail())
            .await
            .unwrap_err();
        one("call_async_with");
        let mut block = inner.start();
        assert_eq!(block.next_wait(), None);
        assert_eq!(block.again("down"), Err("down"));
        assert_eq!(block.stop_reason(), Some(StopReason::Nested));
        assert_eq!(inner.start().decide(&"down"), Err(StopReason::Nested));
        // A block around a block is nothing to be inside of, but this one is inside a call.
        down()
    }));
    assert_eq!(result, Err("down"));
    assert!(inner.start().decide(&"down").is_ok());
}

#[test]
fn outermost_only_neither_asks_its_predicate_nor_its_budget_nor_feeds_it() {
    let clock = ManualClock::new();
    let budget = Arc::new(stamina::Budget::new());
    let asked = Arc::new(AtomicU32::new(0));
    let inner = {
        let asked = Arc::clone(&asked);
        let counted = move |_: &&str| asked.fetch_add(1, Ordering::Relaxed) < 100;
        policy("inner")
            .outermost_only()
            .when(counted)
            .shared_budget(Arc::clone(&budget))
            .timer(clock.timer())
    };
    policy("outer").call(|| inner.call(down)).unwrap_err();
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    let balance = || budget.balance(stamina::Clock::now(clock));
    assert!((balance() - 2.0).abs() < 1e-9, "{}", balance());
    // A success of both is credited once, by the outer call.
    let outer = policy("outer").shared_budget(Arc::clone(&budget));
    let outer = outer.timer(clock.timer());
    outer.call(|| inner.call(|| Ok::<_, &str>(()))).unwrap();
    let credited = balance();
    outer.call(|| Ok::<_, &str>(())).unwrap();
    assert!(credited > 2.0, "{credited}");
    let each = credited - 2.0;
    assert!((balance() - credited - each).abs() < 1e-9, "{}", balance());
    // The same policy outside of any call feeds its budget like every other.
    inner.call(|| Ok(())).unwrap();
    let thrice = 2.0 + 3.0 * each;
    assert!((balance() - thrice).abs() < 1e-9, "{}", balance());
}

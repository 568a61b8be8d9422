//! A policy as tower's: the layer is tower's own, the rules are the engine's.
#![cfg(feature = "tower")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::float_cmp, reason = "these balances are exact")]

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::support;
use crate::support::{ManualClock, clock};
use futures::executor::block_on;
use stamina::instrument::{self, GaveUp, Hook, Recovered, RetryDetails};
use stamina::testing::{self, Testing, VirtualClock};
use stamina::tower::{ByClone, CloneRequest, On, Policy};
use stamina::{Budget, Clock, Decision, Retry, Sleep, StopReason, Timer};
use tower::retry::RetryLayer;
use tower::{Layer, Service};

type Answer = Result<u32, &'static str>;

/// Answers by script, then always with the last line.
#[derive(Clone, Debug)]
struct Server {
    script: Arc<Mutex<VecDeque<Answer>>>,
    requests: Arc<Mutex<Vec<u32>>>,
    clock: Option<&'static VirtualClock>,
    takes: Duration,
    ready: Arc<AtomicBool>,
    closed: Arc<AtomicBool>,
}

fn server(script: &[Answer]) -> Server {
    Server {
        script: Arc::new(Mutex::new(script.iter().copied().collect())),
        requests: Arc::default(),
        clock: None,
        takes: Duration::ZERO,
        ready: Arc::new(AtomicBool::new(true)),
        closed: Arc::default(),
    }
}

impl Server {
    /// Each request takes this long.
    fn slow(mut self, clock: &'static VirtualClock, takes: Duration) -> Self {
        (self.clock, self.takes) = (Some(clock), takes);
        self
    }

    fn requests(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    fn answer(&mut self, request: u32) -> Answer {
        self.requests.lock().unwrap().push(request);
        if let Some(clock) = self.clock {
            clock.advance(self.takes);
        }
        let mut script = self.script.lock().unwrap();
        if script.len() > 1 {
            script.pop_front().unwrap()
        } else {
            script[0]
        }
    }
}

impl Service<u32> for Server {
    type Response = u32;
    type Error = &'static str;
    type Future = Ready<Answer>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        if self.closed.load(Ordering::Relaxed) {
            return Poll::Ready(Err("closed"));
        }
        if self.ready.load(Ordering::Relaxed) {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }

    fn call(&mut self, request: u32) -> Ready<Answer> {
        ready(self.answer(request))
    }
}

/// A request that is not `Clone`.
#[derive(Debug)]
struct Stream(u32);

impl Service<Stream> for Server {
    type Response = u32;
    type Error = &'static str;
    type Future = Ready<Answer>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, Stream(request): Stream) -> Ready<Answer> {
        ready(self.answer(request))
    }
}

/// Never ends a wait.
struct Frozen(&'static VirtualClock);

impl Clock for Frozen {
    fn now(&self) -> Instant {
        self.0.now()
    }
    fn sleep(&self, _: Duration) -> Sleep {
        Sleep::boxed(std::future::pending())
    }
    fn sleep_blocking(&self, _: Duration) {
        panic!("blocks");
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Waits of 100, 200, 400 .. ms in virtual time.
fn plain(clock: &'static VirtualClock) -> Retry<&'static str> {
    plain_on(clock)
}

fn plain_on<E: std::fmt::Debug>(clock: &'static VirtualClock) -> Retry<E> {
    Retry::on::<E>()
        .wait_jitter(Duration::ZERO)
        .timer(Timer::custom(clock))
}

fn send(policy: &Retry<&'static str>, server: &Server, request: u32) -> Answer {
    block_on(
        RetryLayer::new(policy.tower())
            .layer(server.clone())
            .call(request),
    )
}

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_failed_request_is_sent_again_after_the_policys_waits() {
    let clock = clock();
    let server = server(&[Err("a"), Err("b"), Err("c"), Ok(7)]);
    assert_eq!(send(&plain(clock), &server, 5), Ok(7));
    assert_eq!(*server.requests.lock().unwrap(), [5, 5, 5, 5]);
    assert_eq!(clock.waits(), [ms(100), ms(200), ms(400)]);
}

#[test]
fn a_first_try_success_costs_neither_wait_nor_question() {
    let clock = clock();
    let policy = plain(clock).when(|_: &&str| -> bool { panic!("asked") });
    let server = server(&[Ok(7)]);
    assert_eq!(send(&policy, &server, 5), Ok(7));
    assert_eq!((server.requests(), clock.waits().len()), (1, 0));
}

#[test]
fn the_last_error_comes_back_when_the_attempts_are_used_up() {
    let server = server(&[Err("a"), Err("b"), Err("c"), Err("d")]);
    assert_eq!(send(&plain(clock()).attempts(3), &server, 5), Err("c"));
    assert_eq!(server.requests(), 3);
}

#[test]
fn decisions_hold() {
    let clock = clock();
    let policy = plain(clock).when(|error| match *error {
        "hint" => Decision::RetryAfter(ms(7000)),
        "in" => Decision::RetryExactly(ms(1)),
        "permanent" => Decision::Stop,
        _ => Decision::Retry,
    });
    let server = server(&[Err("hint"), Err("in"), Err("usual"), Err("permanent")]);
    assert_eq!(send(&policy, &server, 5), Err("permanent"));
    assert_eq!(clock.waits(), [ms(7000), ms(1), ms(400)]);
}

#[test]
fn the_deadline_counts_from_when_the_request_is_sent() {
    let clock = clock();
    let policy = plain(clock).timeout(ms(1000));
    let server = server(&[Err("a")]).slow(clock, ms(300));
    let mut service = RetryLayer::new(policy.tower()).layer(server.clone());

    // 300 100 300 200 = 900, and 300 more are past it: the third attempt is the last.
    for request in 1..=3 {
        clock.advance(ms(10_000)); // while the service is idle
        assert_eq!(block_on(service.call(request)), Err("a"));
        assert_eq!(server.requests(), 3 * request as usize);
    }
    assert_eq!(clock.waits(), [ms(100), ms(200)].repeat(3));
}

#[test]
fn requests_of_one_service_know_nothing_of_each_other() {
    let server = server(&[Err("down")]);
    let policy = Retry::on::<&'static str>()
        .attempts(2)
        .wait_jitter(Duration::ZERO);
    let policy = policy.timer(Timer::custom(support::keep(Frozen(clock()))));
    let mut service = RetryLayer::new(policy.tower()).layer(server.clone());

    // Three are waiting at once, each after its own first attempt.
    let mut waiting: Vec<_> = (1..=3)
        .map(|request| Box::pin(service.call(request)))
        .collect();
    for future in &mut waiting {
        assert_eq!(poll_once(future.as_mut()), Poll::Pending);
    }
    assert_eq!(*server.requests.lock().unwrap(), [1, 2, 3]);

    // A clone of a used service starts afresh.
    drop(waiting);
    let clock = clock();
    let mut service = RetryLayer::new(plain(clock).attempts(3).tower()).layer(server.clone());
    for request in 4..=6 {
        assert_eq!(block_on(service.clone().call(request)), Err("down"));
        assert_eq!(block_on(service.call(request)), Err("down"));
    }
    assert_eq!(clock.waits(), [ms(100), ms(200)].repeat(6));
}

#[test]
fn jitter_is_drawn_for_each_wait_and_request() {
    let clock = clock();
    let policy = Retry::on::<&'static str>()
        .attempts(4)
        .full_jitter()
        .timer(Timer::custom(clock));
    let mut service = RetryLayer::new(policy.tower()).layer(server(&[Err("down")]));
    for _ in 0..50 {
        let _ = block_on(service.call(1));
    }
    let waits = clock.waits();
    assert_eq!(waits.len(), 150);
    let mut different = waits.clone();
    different.sort_unstable();
    different.dedup();
    assert_eq!(different.len(), 150, "{waits:?}");
}

#[test]
fn it_is_the_same_as_call() {
    let scripts: [&[Answer]; 6] = [
        &[Ok(1)],
        &[Err("a"), Ok(1)],
        &[Err("a"), Err("hint"), Err("a"), Ok(1)],
        &[Err("a"), Err("hint"), Err("permanent"), Ok(1)],
        &[Err("a")],
        &[Err("hint")],
    ];
    for script in scripts {
        for seed in 0..5 {
            let (by_call, by_tower) = (clock(), clock());
            let policy = Retry::on::<&'static str>()
                .seed(seed)
                .attempts(6)
                .timeout(ms(20_000));
            let policy = policy.when(|error| match *error {
                "permanent" => Decision::Stop,
                "hint" => Decision::RetryAfter(ms(6000)),
                _ => Decision::Retry,
            });
            let mut plain = server(script).slow(by_call, ms(20));
            let called = policy
                .clone()
                .timer(Timer::custom(by_call))
                .call(|| plain.answer(1));
            let layered = server(script).slow(by_tower, ms(20));
            let sent = send(&policy.timer(Timer::custom(by_tower)), &layered, 1);
            assert_eq!(called, sent, "{script:?}");
            assert_eq!(by_call.waits(), by_tower.waits(), "{script:?}");
            assert_eq!(plain.requests(), layered.requests(), "{script:?}");
        }
    }
}

#[test]
fn a_budget_is_fed_and_asked() {
    let clock = clock();
    let budget = Arc::new(Budget::new().ratio(0.5).floor(2));
    let policy = plain(clock).shared_budget(budget.clone());
    let balance = || budget.balance(clock.now());

    assert_eq!(send(&policy, &server(&[Ok(7)]), 5), Ok(7));
    assert_eq!(balance(), 2.5);
    let failing = server(&[Err("down")]);
    assert_eq!(send(&policy, &failing, 5), Err("down"));
    assert_eq!(failing.requests(), 3);
    assert!(balance() < 1.0);
    assert_eq!(send(&policy, &failing, 5), Err("down"));
    assert_eq!(failing.requests(), 4, "no token, no retry");
    assert_eq!(clock.waits().len(), 2, "no retry, no wait");
}

#[test]
fn a_token_goes_back_when_the_request_is_dropped_before_its_retry_is_sent() {
    let clock = clock();
    let budget = Arc::new(Budget::new().floor(2));
    let policy = plain(clock).shared_budget(budget.clone());
    let balance = || budget.balance(clock.now());
    let server = server(&[Err("down")]);

    // In the wait.
    let frozen = policy
        .clone()
        .timer(Timer::custom(support::keep(Frozen(clock))));
    let mut waiting = Box::pin(
        RetryLayer::new(frozen.tower())
            .layer(server.clone())
            .call(5),
    );
    assert_eq!(poll_once(waiting.as_mut()), Poll::Pending);
    assert_eq!((balance(), server.requests()), (1.0, 1));
    drop(waiting);
    assert_eq!(balance(), 2.0);

    // Behind the wait, while the service has no room.
    let mut service = RetryLayer::new(policy.tower()).layer(server.clone());
    server.ready.store(false, Ordering::Relaxed);
    let mut waiting = Box::pin(service.call(5));
    assert_eq!(poll_once(waiting.as_mut()), Poll::Pending);
    assert_eq!((balance(), server.requests()), (1.0, 2));
    drop(waiting);
    assert_eq!(balance(), 2.0);

    // The service is closed for good: the retry can't be sent.
    server.closed.store(true, Ordering::Relaxed);
    assert_eq!(block_on(service.call(5)), Err("closed"));
    assert_eq!((balance(), server.requests()), (2.0, 3));
}

#[test]
fn a_service_with_attempt_timeouts_has_room_when_the_inner_one_has() {
    let server = server(&[Ok(1)]);
    let policy = plain(clock()).attempt_timeout(ms(1000), || "slow");
    let mut service = policy.tower().layer(server.clone());
    let mut ready =
        || Service::<u32>::poll_ready(&mut service, &mut Context::from_waker(Waker::noop()));
    assert_eq!(ready(), Poll::Ready(Ok(())));
    server.ready.store(false, Ordering::Relaxed);
    assert_eq!(ready(), Poll::Pending);
    server.closed.store(true, Ordering::Relaxed);
    assert_eq!(ready(), Poll::Ready(Err("closed")));

    let mut inner = service.get_ref().clone();
    let attempt = Service::<u32>::call(&mut inner, 5);
    assert_eq!(format!("{attempt:?}"), "AttemptFuture { .. }");
    let shown = format!("{inner:?}");
    assert!(
        shown.starts_with("AttemptTimeout { service: Server"),
        "{shown}"
    );
}

#[test]
fn a_token_is_spent_once_its_retry_is_sent() {
    /// Hangs from the second request on.
    #[derive(Clone)]
    struct Hanging(Arc<Mutex<u32>>);

    impl Service<u32> for Hanging {
        type Response = u32;
        type Error = &'static str;
        type Future = Pin<Box<dyn Future<Output = Answer>>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: u32) -> Self::Future {
            *self.0.lock().unwrap() += 1;
            if *self.0.lock().unwrap() == 1 {
                Box::pin(ready(Err("down")))
            } else {
                Box::pin(std::future::pending())
            }
        }
    }

    let clock = clock();
    let budget = Arc::new(Budget::new().floor(2));
    let policy = plain(clock).shared_budget(budget.clone());
    let mut request = Box::pin(
        RetryLayer::new(policy.tower())
            .layer(Hanging(Arc::default()))
            .call(5),
    );
    assert_eq!(poll_once(request.as_mut()), Poll::Pending);
    drop(request);
    assert_eq!(budget.balance(clock.now()), 1.0);
}

#[derive(Default)]
struct Seen(Mutex<Vec<String>>);

impl Hook for Seen {
    fn retry_scheduled(&self, details: &RetryDetails<'_>) {
        self.0.lock().unwrap().push(format!(
            "{} retry {} in {:?} after {:?} at {:?} because {:?} of {} depth {}",
            details.callable,
            details.retry_num,
            details.wait_for,
            details.waited_so_far,
            details.elapsed,
            details.caused_by,
            details.error_type,
            details.depth,
        ));
    }

    fn gave_up(&self, details: &GaveUp<'_>) {
        self.0.lock().unwrap().push(format!(
            "{} gave up after {}: {}",
            details.callable, details.attempts, details.reason
        ));
    }

    fn recovered(&self, details: &Recovered<'_>) {
        self.0.lock().unwrap().push(format!(
            "{} recovered after {}",
            details.callable, details.attempts
        ));
    }
}

#[test]
fn hooks_are_told() {
    let seen = Arc::new(Seen::default());
    let _hooks = instrument::scoped_hooks([seen.clone() as Arc<dyn Hook>]);
    let clock = clock();
    let policy = plain(clock).attempts(3);

    let recovers = server(&[Err("a"), Err("b"), Ok(7)]).slow(clock, ms(5));
    send(&policy, &recovers, 5).unwrap();
    send(&policy.clone().named("search"), &server(&[Err("c")]), 5).unwrap_err();
    send(&policy, &server(&[Ok(7)]), 5).unwrap();
    send(&policy.when(|_| false), &server(&[Err("permanent")]), 5).unwrap_err();

    assert_eq!(
        *seen.0.lock().unwrap(),
        [
            r#"tower retry 1 in 100ms after 0ns at 5ms because "a" of &str depth 0"#,
            r#"tower retry 2 in 200ms after 100ms at 110ms because "b" of &str depth 0"#,
            "tower recovered after 3",
            r#"search retry 1 in 100ms after 0ns at 0ns because "c" of &str depth 0"#,
            r#"search retry 2 in 200ms after 100ms at 100ms because "c" of &str depth 0"#,
            "search gave up after 3: attempts_exhausted",
        ]
    );
}

#[test]
fn the_clock_is_read_when_a_request_is_sent_and_when_an_attempt_fails() {
    for (failures, reads) in [(0, 1), (1, 2), (2, 3)] {
        let clock = ManualClock::new();
        let policy = Retry::on::<&str>()
            .fixed(Duration::ZERO)
            .timer(clock.timer());
        let mut script = vec![Err("down"); failures];
        script.push(Ok(1));
        assert_eq!(send(&policy, &server(&script), 5), Ok(1));
        assert_eq!(clock.reads(), reads, "{failures} failures");
    }
}

#[test]
fn the_policys_own_hook_is_told() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let hook = Arc::clone(&told);
    let policy = plain(clock())
        .attempts(3)
        .on_retry(move |error, details| hook.lock().unwrap().push((*error, details.retry_num)));
    send(&policy, &server(&[Err("a")]), 5).unwrap_err();
    assert_eq!(*told.lock().unwrap(), [("a", 1), ("a", 2)]);

    // With the request in the predicate too, but not of a response, which is no error.
    told.lock().unwrap().clear();
    let by_request = policy.tower().when_request(|_: &u32, _: &Answer| true);
    let mut service = RetryLayer::new(by_request).layer(server(&[Ok(503), Err("b")]));
    assert_eq!(block_on(service.call(5)), Err("b"));
    assert_eq!(*told.lock().unwrap(), [("b", 2)]);
}

#[test]
fn switches_are_read_when_the_request_is_sent() {
    let clock = clock();
    let server = server(&[Err("down")]);
    let mut service = RetryLayer::new(plain(clock).tower()).layer(server.clone());

    let guard = testing::inactive();
    let silent = service.call(1);
    drop(guard);
    assert_eq!(block_on(silent), Err("down"));
    assert_eq!((server.requests(), clock.waits().len()), (1, 0));

    let guard = testing::scoped(Testing::attempts(3));
    let tested = service.call(1);
    drop(guard);
    assert_eq!(block_on(tested), Err("down"));
    assert_eq!(server.requests(), 4);
    assert_eq!(clock.waits(), [Duration::ZERO; 2]);

    assert_eq!(block_on(service.call(1)), Err("down"));
    assert_eq!(server.requests(), 14);
}

#[test]
fn the_predicate_sees_responses() {
    let clock = clock();
    let budget = Arc::new(Budget::new().floor(9).ratio(0.5));
    let policy = plain_on::<Result<u32, &'static str>>(clock)
        .shared_budget(budget.clone())
        .when(|outcome| matches!(outcome, Ok(503) | Err("reset")));
    let outcome = |server: &Server| {
        block_on(
            RetryLayer::new(policy.tower())
                .layer(server.clone())
                .call(5),
        )
    };
    assert_eq!(outcome(&server(&[Ok(503), Err("reset"), Ok(200)])), Ok(200));
    assert_eq!(clock.waits(), [ms(100), ms(200)]);
    // Two tokens spent, one of them refunded by the success that it led to, and half a token earned.
    assert_eq!(budget.balance(clock.now()), 8.5);

    assert_eq!(outcome(&server(&[Ok(404)])), Ok(404));
    assert!(
        (budget.balance(clock.now()) - 9.0).abs() < 0.1,
        "an answer that is not retried is a success"
    );
    assert_eq!(outcome(&server(&[Err("permanent")])), Err("permanent"));
    assert_eq!(clock.waits().len(), 2);

    let last = server(&[Ok(503)]);
    let _short = testing::scoped(Testing::attempts(3));
    assert_eq!(outcome(&last), Ok(503));
    assert_eq!(last.requests(), 3);
}

#[test]
fn without_a_predicate_a_policy_on_outcomes_retries_errors() {
    let policy = plain_on::<Result<u32, &'static str>>(clock());
    let send = |server: Server| block_on(RetryLayer::new(policy.tower()).layer(server).call(5));
    assert_eq!(send(server(&[Err("a"), Ok(503)])), Ok(503));
}

#[test]
fn a_request_that_cannot_be_copied_is_passed_through_once() {
    let seen = Arc::new(Seen::default());
    let _hooks = instrument::scoped_hooks([seen.clone() as Arc<dyn Hook>]);
    let policy = plain(clock()).when(|_: &&str| -> bool { panic!("asked") });
    let server = server(&[Err("down")]);
    let never = policy.tower().clone_with(|_: &Stream| None);
    let sent = block_on(RetryLayer::new(never).layer(server.clone()).call(Stream(5)));
    assert_eq!(sent, Err("down"));
    assert_eq!(server.requests(), 1);
    assert!(seen.0.lock().unwrap().is_empty());
}

#[test]
fn a_function_copies_requests_that_are_not_clone() {
    let clock = clock();
    let server = server(&[Err("a"), Err("b"), Ok(7)]);
    let by_hand = plain(clock)
        .tower()
        .clone_with(|stream: &Stream| Some(Stream(stream.0)));
    let sent = block_on(
        RetryLayer::new(by_hand)
            .layer(server.clone())
            .call(Stream(5)),
    );
    assert_eq!(sent, Ok(7));
    assert_eq!(*server.requests.lock().unwrap(), [5, 5, 5]);
}

#[test]
fn a_request_whose_copies_run_out_ends_with_its_last_outcome() {
    let budget = Arc::new(Budget::new().floor(5));
    let clock = clock();
    let policy = plain(clock).shared_budget(budget.clone());
    let server = server(&[Err("a"), Err("b"), Err("c")]);
    let copies = Arc::new(Mutex::new(2));
    let twice = policy.tower().clone_with(move |stream: &Stream| {
        let mut left = copies.lock().unwrap();
        *left = u32::checked_sub(*left, 1)?;
        Some(Stream(stream.0))
    });
    let sent = block_on(RetryLayer::new(twice).layer(server.clone()).call(Stream(5)));
    assert_eq!(sent, Err("c"));
    // Two retries were sent, and each has cost its token.
    assert_eq!((server.requests(), budget.balance(clock.now())), (3, 3.0));
}

#[test]
fn another_driver_need_not_copy_requests() {
    use tower::retry::Policy as _;
    let clock = clock();
    let budget = Arc::new(Budget::new().floor(5));
    let mut policy = plain(clock)
        .attempts(3)
        .shared_budget(budget.clone())
        .tower();
    let balance = || budget.balance(clock.now());

    let mut outcome: Answer = Err("down");
    for retry in 1..=2 {
        let wait = policy.retry(&mut 5_u32, &mut outcome).expect("a retry");
        block_on(wait);
        assert_eq!(balance(), 5.0 - f64::from(retry));
    }
    assert!(policy.retry(&mut 5_u32, &mut outcome).is_none());
    drop(policy);
    assert_eq!(balance(), 3.0, "both were sent");

    // Nor if it copies the policy for each request: the clock starts with the first outcome.
    let timed = plain(clock).timeout(Duration::from_secs(10));
    for mut policy in [timed.tower(), timed.tower().clone()] {
        assert!(policy.retry(&mut 5_u32, &mut outcome).is_some());
        clock.advance(Duration::from_secs(10));
        assert!(policy.retry(&mut 5_u32, &mut outcome).is_none());
    }
}

#[test]
fn it_goes_where_tower_needs_it() {
    fn spawnable<T: Send + 'static>(_: &T) {}
    fn fits<T: Clone + Send + Sync + std::fmt::Debug + 'static>(_: &T) {}
    /// Neither `Send` nor `Clone` nor `Debug`.
    struct Odd(#[allow(dead_code, reason = "only its type counts")] Cell<*const u8>);
    impl std::fmt::Debug for Odd {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            unreachable!()
        }
    }
    fits(&Retry::on::<Odd>().tower());
    let policy: Policy<On<&str>, ByClone> = Retry::on::<&'static str>().attempts(3).tower();
    fits(&policy);
    assert!(format!("{policy:?}").contains("attempts: Some(3)"));
    assert_eq!(ByClone.clone_request(&3), Some(3));

    spawnable(&RetryLayer::new(policy).layer(server(&[Ok(1)])).call(1));
}

#[test]
fn a_dropped_request_leaves_the_service_as_it_was() {
    let clock = clock();
    let server = server(&[Err("down")]);
    let policy = plain(clock).attempts(2);
    let mut service = RetryLayer::new(policy.tower()).layer(server.clone());
    drop(service.call(1));
    assert_eq!(block_on(service.call(2)), Err("down"));
    assert_eq!(*server.requests.lock().unwrap(), [1, 2, 2]);
    assert_eq!(clock.waits(), [ms(100)]);
}

#[test]
fn a_reason_is_told_for_every_limit() {
    #[derive(Default)]
    struct Reasons(Mutex<Vec<StopReason>>);
    impl Hook for Reasons {
        fn gave_up(&self, details: &GaveUp<'_>) {
            self.0.lock().unwrap().push(details.reason);
        }
    }
    let reasons = Arc::new(Reasons::default());
    let _hooks = instrument::scoped_hooks([reasons.clone() as Arc<dyn Hook>]);
    let policy = plain(clock());
    let down = server(&[Err("down")]);
    send(&policy.clone().attempts(1), &down, 5).unwrap_err();
    send(&policy.clone().timeout(ms(100)), &down, 5).unwrap_err();
    let none = Arc::new(Budget::new().floor(0));
    send(&policy.shared_budget(none), &down, 5).unwrap_err();
    assert_eq!(
        *reasons.0.lock().unwrap(),
        [
            StopReason::AttemptsExhausted,
            StopReason::TimedOut,
            StopReason::BudgetExhausted
        ]
    );
}

//! Budgets under every order in which threads can meet: shuttle runs the library's own code on its own atomics, and
//! tries all interleavings. A budget is a single word, and an atomic word has one order of changes in
//! which all threads see it; so the sequential consistency that shuttle assumes leaves nothing out.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::float_cmp,
    reason = "a test may panic, reads the time once, and asks for exact balances"
)]

#[path = "../../orders.rs"]
mod orders;

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use orders::every_order;
use shuttle::thread;
use stamina_shuttle_budget::{Budget, Clock, Retry, Sleep, StopReason, Timer};

/// A clock that stands still, so many seconds after the start, and where waits never end.
struct Still(u64);

static NOW: Still = Still(0);
static LATER: Still = Still(20);

impl Clock for Still {
    fn now(&self) -> Instant {
        static BASE: OnceLock<Instant> = OnceLock::new();
        *BASE.get_or_init(Instant::now) + Duration::from_secs(self.0)
    }

    fn sleep(&self, _: Duration) -> Sleep {
        Sleep::boxed(std::future::pending())
    }

    fn sleep_blocking(&self, _: Duration) {}
}

fn policy(budget: &Arc<Budget>, clock: &'static Still) -> Retry<&'static str> {
    Retry::on::<&str>()
        .attempts(2)
        .no_timeout()
        .timer(Timer::custom(clock))
        .shared_budget(Arc::clone(budget))
}

/// Makes a call that fails, and tells how many retries it was allowed.
fn fail(policy: &Retry<&'static str>) -> u32 {
    let report = policy.report(|| Err::<(), _>("down"));
    let expected = if report.attempts == 2 {
        StopReason::AttemptsExhausted
    } else {
        StopReason::BudgetExhausted
    };
    assert_eq!(report.stop_reason, Some(expected));
    report.attempts - 1
}

fn succeed(policy: &Retry<&'static str>) {
    assert_eq!(policy.call(|| Ok(())), Ok(()));
}

/// A call that is dropped while it waits for its retry.
fn cancel(policy: &Retry<&'static str>) {
    let mut call = Box::pin(policy.call_async(|| std::future::ready(Err::<(), _>("down"))));
    let _ = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
}

#[test]
fn the_last_token_is_taken_once() {
    every_order(|| {
        let budget = Arc::new(Budget::new().floor(1));
        let threads = [(); 3].map(|()| {
            let policy = policy(&budget, &NOW);
            thread::spawn(move || fail(&policy))
        });
        let retries: u32 = threads.map(|thread| thread.join().unwrap()).iter().sum();
        assert_eq!(retries, 1);
        assert_eq!(budget.balance(NOW.now()), 0.0);
    });
}

#[test]
fn no_success_is_lost_and_none_counts_twice() {
    every_order(|| {
        let budget = Arc::new(Budget::new().floor(0).ratio(0.5));
        let succeeds = [(); 2].map(|()| {
            let policy = policy(&budget, &NOW);
            thread::spawn(move || succeed(&policy))
        });
        let fails = {
            let policy = policy(&budget, &NOW);
            thread::spawn(move || fail(&policy))
        };
        for thread in succeeds {
            thread.join().unwrap();
        }
        let retries = fails.join().unwrap();
        assert_eq!(budget.balance(NOW.now()), 1.0 - f64::from(retries));
    });
}

#[test]
fn a_cancelled_retry_gives_back_what_it_took_and_no_more() {
    every_order(|| {
        let budget = Arc::new(Budget::new().floor(1));
        let cancels = {
            let policy = policy(&budget, &NOW);
            thread::spawn(move || cancel(&policy))
        };
        let fails = [(); 2].map(|()| {
            let policy = policy(&budget, &NOW);
            thread::spawn(move || fail(&policy))
        });
        cancels.join().unwrap();
        let retries: u32 = fails.map(|thread| thread.join().unwrap()).iter().sum();
        assert!(retries <= 1);
        assert_eq!(budget.balance(NOW.now()), 1.0 - f64::from(retries));
    });
}

#[test]
fn clocks_that_disagree_create_no_token() {
    every_order(|| {
        let budget = Arc::new(Budget::new().floor(0).ratio(1.0));
        succeed(&policy(&budget, &NOW));
        // Two time constants later the token has decayed, unless the earlier clock's thread comes first.
        let threads = [&NOW, &LATER].map(|clock| {
            let policy = policy(&budget, clock);
            thread::spawn(move || {
                let retries = fail(&policy);
                succeed(&policy);
                retries
            })
        });
        let retries: u32 = threads.map(|thread| thread.join().unwrap()).iter().sum();
        // Three successes, of which time has taken some.
        let left = budget.balance(NOW.now());
        assert!(retries <= 2);
        assert!(
            left + f64::from(retries) <= 3.0,
            "{left} and {retries} retries"
        );
        assert!(left > 0.0 && budget.balance(LATER.now()) <= left);
    });
}

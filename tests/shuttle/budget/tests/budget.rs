//! Budgets under every order in which threads can meet: shuttle runs the library's own code on its own atomics, and
//! tries all interleavings. A balance is a single word, and an atomic word has one order of changes in which all threads
//! see it. The second word, the latest time, is written with `Release` after the first and read with `Acquire` before it. So
//! the sequential consistency that shuttle assumes leaves nothing out.
//!
//! Each scene names the fault that it finds.

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

use orders::{every_order, many_orders};
use shuttle::thread;
use stamina_shuttle_budget::{Budget, Budgets, Clock, Retry, Sleep, StopReason, Timer};

/// A clock that stands still, so many seconds after the start, and where waits never end.
struct Still(u64);

static NOW: Still = Still(0);
static LATER: Still = Still(20);
/// The range of the ticks in a word: the tick is the same as `NOW`'s, but for the latest time.
static MUCH_LATER: Still = Still(640);

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

/// A call that fails once and then succeeds. Tells whether it was allowed its retry.
fn recover(policy: &Retry<&'static str>) -> bool {
    let mut attempts = policy.start();
    let allowed = attempts.decide(&"down").is_ok();
    if allowed {
        attempts.succeed(());
    }
    allowed
}

/// Fault: a `take` that writes without comparing (`store` instead of `compare_exchange`).
#[test]
fn the_last_token_is_taken_once() {
    every_order(|| {
        let budget = Arc::new(Budget::new().floor(1));
        let threads = [(); 2].map(|()| {
            let policy = policy(&budget, &NOW);
            thread::spawn(move || fail(&policy))
        });
        let retries: u32 = threads.map(|thread| thread.join().unwrap()).iter().sum();
        assert_eq!(retries, 1);
        assert_eq!(budget.balance(NOW.now()), 0.0);
    });
}

/// Fault: a permit that gives back after it was spent.
#[test]
fn no_success_is_lost_and_none_counts_twice() {
    every_order(|| {
        let budget = Arc::new(Budget::new().floor(0).ratio(0.5));
        succeed(&policy(&budget, &NOW));
        let succeeds = {
            let policy = policy(&budget, &NOW);
            thread::spawn(move || succeed(&policy))
        };
        let retries = fail(&policy(&budget, &NOW));
        succeeds.join().unwrap();
        assert_eq!(budget.balance(NOW.now()), 1.0 - f64::from(retries));
    });
}

/// Fault: a permit that gives back after it was spent, or gives back twice.
#[test]
fn a_cancelled_retry_gives_back_what_it_took_and_no_more() {
    every_order(|| {
        let budget = Arc::new(Budget::new().floor(1));
        let cancels = {
            let policy = policy(&budget, &NOW);
            thread::spawn(move || cancel(&policy))
        };
        let retries = fail(&policy(&budget, &NOW));
        cancels.join().unwrap();
        assert!(retries <= 1);
        assert_eq!(budget.balance(NOW.now()), 1.0 - f64::from(retries));
    });
}

/// Fault: a refund that does not stop at the floor.
#[test]
fn a_refund_never_becomes_surplus() {
    every_order(|| {
        let budget = Arc::new(Budget::new().floor(1).ratio(0.5));
        let recovers = [(); 2].map(|()| {
            let policy = policy(&budget, &NOW);
            thread::spawn(move || recover(&policy))
        });
        let allowed = recovers.map(|thread| thread.join().unwrap());
        // One after the other leave a full floor; the later of two at once is denied, or finds the floor filled.
        let balance = budget.balance(NOW.now());
        assert!(allowed[0] || allowed[1]);
        assert_eq!(balance, 1.0, "{allowed:?}");
    });
}

/// Fault: an update that writes without comparing.
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

/// Fault: `give_back` of a whole token whatever the time, or at its own tick when another thread has written a later one.
#[test]
fn a_late_cancel_gives_back_what_is_left_in_every_order() {
    every_order(|| {
        let budget = Arc::new(Budget::new().floor(0).ratio(1.0));
        succeed(&policy(&budget, &NOW));
        let policy_now = policy(&budget, &NOW);
        let mut call = Box::pin(policy_now.call_async(|| std::future::ready(Err::<(), _>("down"))));
        let _ = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(budget.balance(NOW.now()), 0.0);
        let policy_later = policy(&budget, &LATER);
        let later = thread::spawn(move || succeed(&policy_later));
        drop(call);
        later.join().unwrap();
        // Given back before or after: by the later time it is worth the same.
        let expected = 1.0 + (-2.0_f64).exp();
        let balance = budget.balance(LATER.now());
        assert!((balance - expected).abs() < 1e-3, "{balance}");
    });
}

/// Fault: the latest time written before the word, which makes a surplus from long ago look recent.
#[test]
fn after_a_long_time_no_order_revives_a_surplus() {
    every_order(|| {
        let budget = Arc::new(Budget::new().floor(0).ratio(1.0));
        for _ in 0..3 {
            succeed(&policy(&budget, &NOW));
        }
        let succeeds = {
            let policy = policy(&budget, &MUCH_LATER);
            thread::spawn(move || succeed(&policy))
        };
        let retries = fail(&policy(&budget, &MUCH_LATER));
        succeeds.join().unwrap();
        assert_eq!(budget.balance(MUCH_LATER.now()) + f64::from(retries), 1.0);
    });
}

/// Fault: a hasher with a seed of its own for each look-up.
#[test]
fn threads_find_the_same_budget_for_a_key() {
    every_order(|| {
        let budgets = Arc::new(Budgets::<4>::of_kind(Budget::new().floor(1)));
        let find = |key: u32| {
            let budgets = Arc::clone(&budgets);
            thread::spawn(move || std::ptr::from_ref(budgets.of(&key)) as usize)
        };
        let found = [find(1), find(1), find(1)].map(|thread| thread.join().unwrap());
        assert!(found[0] == found[1] && found[1] == found[2]);
    });
}

/// Fault: an update that writes without comparing. Three threads take too long in every order.
#[test]
fn three_threads_account_for_every_token_in_many_orders() {
    many_orders(20_000, || {
        let budget = Arc::new(Budget::new().floor(1).ratio(0.5));
        let threads = [
            |policy: Retry<&'static str>| f64::from(fail(&policy)),
            |policy: Retry<&'static str>| {
                succeed(&policy);
                -0.5
            },
            |policy: Retry<&'static str>| {
                cancel(&policy);
                0.0
            },
        ];
        let threads = threads.map(|run| {
            let policy = policy(&budget, &NOW);
            thread::spawn(move || run(policy))
        });
        let taken: f64 = threads.map(|thread| thread.join().unwrap()).iter().sum();
        assert_eq!(budget.balance(NOW.now()), 1.0 - taken);
    });
}

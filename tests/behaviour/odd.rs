//! Errors of odd types through every driver: nothing is asked of an error but `Debug`.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::fmt::{self, Debug};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::support::drivers::drivers;
use crate::support::{clock, secs};
use futures::executor::block_on;
use stamina::{Budget, Clock, Retry, StopReason, Timer};

fn policy<E: Debug>() -> Retry<E> {
    Retry::on::<E>().attempts(3).timer(Timer::custom(clock()))
}

/// The last of three errors comes back from each driver, as it was made.
#[track_caller]
fn comes_back<E: Debug>(make: impl Fn(u32) -> E, is: impl Fn(u32, &E) -> bool) {
    for (name, driver) in drivers() {
        let attempts = Cell::new(0);
        let result = driver(&policy(), &|| {
            attempts.set(attempts.get() + 1);
            Err(make(attempts.get()))
        });
        let error = result.unwrap_err();
        assert!(attempts.get() == 3 && is(3, &error), "{name}: {error:?}");
        assert_eq!(driver(&policy(), &|| Ok(7)).ok(), Some(7), "{name}");
    }
}

#[test]
fn of_no_size_or_a_large_one() {
    comes_back(|_| (), |_, ()| true);
    comes_back(
        |number| [number; 1000],
        |number, error| *error == [number; 1000],
    );
}

#[test]
fn of_one_thread_and_with_lifetimes() {
    comes_back(Rc::new, |number, error| **error == number);
    comes_back(
        |number| RefCell::new(Cell::new(number)),
        |number, error| error.borrow().get() == number,
    );
    let numbers = [0, 1, 2, 3].map(Cell::new);
    comes_back(
        |number| &numbers[number as usize],
        |number, error| error.get() == number,
    );
}

#[test]
fn of_unknown_size_behind_a_pointer() {
    comes_back(
        |number| Box::new(number) as Box<dyn Debug>,
        |number, error| format!("{error:?}") == number.to_string(),
    );
    comes_back(
        |number| Box::<dyn std::error::Error>::from(number.to_string()),
        |number, error| error.to_string() == number.to_string(),
    );
    comes_back(
        |number| number.to_string().into_boxed_str(),
        |number, error| **error == number.to_string(),
    );
}

#[test]
fn that_cannot_be() {
    for (name, driver) in drivers::<Infallible>() {
        assert_eq!(driver(&policy(), &|| Ok(7)), Ok(7), "{name}");
    }
    // And results that can't.
    let report = policy::<&str>().report(|| Err::<Infallible, _>("down"));
    assert_eq!((report.result, report.attempts), (Err("down"), 3));
    let outcome = policy().call_outcome(|| Ok::<_, Infallible>(5));
    assert_eq!(outcome, Ok(5));
}

/// What an error leaves behind: how many were made, and how many are gone.
#[derive(Clone, Default)]
struct Ledger(Rc<Cell<(u32, u32)>>);

/// An error that is counted, and whose drop may panic.
struct Counted {
    number: u32,
    panics: bool,
    ledger: Ledger,
}

impl Ledger {
    /// Makes an error; the drop of the first one panics if so wanted.
    fn error(&self, first_panics: bool) -> Counted {
        let (made, gone) = self.0.get();
        self.0.set((made + 1, gone));
        Counted {
            number: made + 1,
            panics: first_panics && made == 0,
            ledger: self.clone(),
        }
    }
}

impl Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error {}", self.number)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let (made, gone) = self.ledger.0.get();
        self.ledger.0.set((made, gone + 1));
        assert!(!self.panics, "the drop of error {} panics", self.number);
    }
}

#[test]
fn each_is_dropped_once_and_only_the_last_comes_back() {
    for (name, driver) in drivers() {
        let ledger = Ledger::default();
        let error = driver(&policy(), &|| Err(ledger.error(false))).unwrap_err();
        assert_eq!((error.number, ledger.0.get()), (3, (3, 2)), "{name}");
        drop(error);
        assert_eq!(ledger.0.get(), (3, 3), "{name}");
    }
}

/// An error is dropped before the wait, so the retry has not begun: its token goes back.
#[test]
fn one_whose_drop_panics_takes_no_token_along() {
    for (name, driver) in drivers() {
        let (clock, budget) = (clock(), Arc::new(Budget::new().floor(3)));
        let policy = Retry::on::<Counted>()
            .attempts(3)
            .timer(Timer::custom(clock))
            .shared_budget(Arc::clone(&budget));
        let ledger = Ledger::default();
        let call = || driver(&policy, &|| Err(ledger.error(true)));
        let panic = catch_unwind(AssertUnwindSafe(call)).unwrap_err();
        let message = panic.downcast_ref::<String>().map(String::as_str);
        assert_eq!(message, Some("the drop of error 1 panics"), "{name}");
        assert_eq!(ledger.0.get(), (1, 1), "{name}");
        let balance = budget.balance(clock.now());
        // `decide` has handed its retry over before.
        let expected = if name == "decide" { 2.0 } else { 3.0 };
        assert!((balance - expected).abs() < 1e-9, "{name}: {balance}");
        // The policy is as good as before.
        let ledger = Ledger::default();
        let error = driver(&policy, &|| Err(ledger.error(false))).unwrap_err();
        assert_eq!((error.number, ledger.0.get()), (3, (3, 2)), "{name}");
    }
}

/// An attempt that fails at once, and whose own drop panics.
struct Explodes<'a>(&'a Cell<u32>);

impl Future for Explodes<'_> {
    type Output = Result<(), &'static str>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Err("down"))
    }
}

impl Drop for Explodes<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
        assert_ne!(self.0.get(), 1, "the attempt's drop panics");
    }
}

#[test]
fn an_attempt_whose_drop_panics_takes_no_token_along() {
    let (clock, budget) = (clock(), Arc::new(Budget::new()));
    let policy = Retry::on::<&str>()
        .timer(Timer::custom(clock))
        .shared_budget(Arc::clone(&budget));
    let gone = Cell::new(0);
    let call = policy.call_async(|| Explodes(&gone));
    let panic = catch_unwind(AssertUnwindSafe(|| block_on(call))).unwrap_err();
    assert_eq!(gone.get(), 1, "dropped once");
    assert!(panic.is::<String>());
    assert!((budget.balance(clock.now()) - 2.0).abs() < 1e-9);
    let cut = policy
        .call_async(|| Explodes(&gone))
        .attempt_timeout(secs(1), || "slow");
    assert_eq!(block_on(cut), Err("down"));
    assert_eq!(gone.get(), 1 + 3, "as many attempts as the budget allows");
}

/// A predicate that drops what it can reach, a hook that calls: the engine holds nothing that they could break.
#[test]
fn policies_may_be_used_by_their_own_predicates_and_hooks() {
    let inner = policy::<u32>();
    let outer = policy::<u32>()
        .when({
            let inner = inner.clone();
            move |error: &u32| inner.call(|| Err::<(), _>(*error)).is_err()
        })
        .on_retry(move |_, details| {
            let retry_num = details.retry_num;
            assert_eq!(inner.report(|| Err::<(), _>(retry_num)).attempts, 3);
        });
    for (name, driver) in drivers() {
        let made = Cell::new(0);
        let result = driver(&outer, &|| {
            made.set(made.get() + 1);
            Err(made.get())
        });
        assert_eq!(result, Err(3), "{name}");
    }
    let report = outer.report(|| Err::<(), _>(0));
    assert_eq!(
        report.stop_reason,
        Some(StopReason::AttemptsExhausted),
        "{report:?}"
    );
}

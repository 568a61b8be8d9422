//! tower's `Retry` service. tower has no limit of attempts, no deadline and no wait that can be
//! taken without sleeping: all of that is the policy's, which is written by hand here (the plain
//! loop's arithmetic). So a row shows what driving a policy through the service costs. The budget
//! is tower's own `TpsBudget`: another algorithm than the decaying bucket, for the same purpose.
//! *tower by stamina* is the same service with a stamina policy (feature `tower`).

use std::cell::RefCell;
use std::future::Ready;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use ::tower::Service;
use ::tower::retry::budget::{Budget, TpsBudget};
use ::tower::retry::{Policy, Retry};

use crate::case::{self, Case, STAMINA_TOWER, TOWER, case};
use crate::operation::{Failure, Fetch, Operation, Outcome, finish, pause_async};
use crate::rows::hand::{transient, wait};
use crate::rows::ours;
use crate::settings::{ATTEMPTS, TIMEOUT, WAIT_INITIAL};
use crate::telemetry;

pub const CASES: &[Case] = &[
    case(TOWER, case::ASYNC_SUCCESS, plain),
    case(TOWER, case::ASYNC_SUCCESS_DEADLINE, deadline),
    case(TOWER, case::ASYNC_SUCCESS_BUDGET, budget),
    case(TOWER, case::ASYNC_FAILURES, plain),
    case(TOWER, case::ASYNC_FAILURES_DEADLINE, deadline),
    case(TOWER, case::ASYNC_PREDICATE, predicate),
    case(TOWER, case::ASYNC_BUDGET, budget),
    case(TOWER, case::ASYNC_TELEMETRY, with_telemetry),
    case(TOWER, case::ASYNC_PROMETHEUS, with_telemetry),
    case(STAMINA_TOWER, case::ASYNC_SUCCESS, by_stamina),
    case(
        STAMINA_TOWER,
        case::ASYNC_SUCCESS_DEADLINE,
        by_stamina_deadline,
    ),
    case(STAMINA_TOWER, case::ASYNC_FAILURES, by_stamina),
    case(
        STAMINA_TOWER,
        case::ASYNC_FAILURES_DEADLINE,
        by_stamina_deadline,
    ),
    case(STAMINA_TOWER, case::ASYNC_TELEMETRY, by_stamina),
    case(STAMINA_TOWER, case::ASYNC_PROMETHEUS, by_stamina),
];

pub static BUDGET: LazyLock<TpsBudget> =
    LazyLock::new(|| TpsBudget::new(Duration::from_secs(10), 1_000_000, 0.2));

/// The operation comes as the request.
#[derive(Clone)]
struct Service64;

impl<'a> Service<&'a Operation> for Service64 {
    type Response = u64;
    type Error = Failure;
    type Future = Fetch<'a>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, operation: &'a Operation) -> Fetch<'a> {
        Fetch::new(operation)
    }
}

/// What the rows differ in, known when compiling.
trait Extra: Clone {
    /// Of the policy in the layer, before any request.
    const NONE: Self;
    /// A request is made.
    fn start(&mut self) {}
    fn allows(&self, _: &Failure, _: Duration) -> bool {
        true
    }
    fn failed(&self, _: &Failure, _: u32, _: Duration) {}
    fn succeeded(&self, _: u32) {}
}

#[derive(Clone)]
struct Nothing;
impl Extra for Nothing {
    const NONE: Self = Self;
}

#[derive(Clone)]
struct Deadline(Option<Instant>);
impl Extra for Deadline {
    const NONE: Self = Self(None);
    fn start(&mut self) {
        self.0 = Some(Instant::now());
    }
    fn allows(&self, _: &Failure, wait: Duration) -> bool {
        self.0.is_some_and(|start| start.elapsed() + wait < TIMEOUT)
    }
}

#[derive(Clone)]
struct Predicate;
impl Extra for Predicate {
    const NONE: Self = Self;
    fn allows(&self, error: &Failure, _: Duration) -> bool {
        transient(error)
    }
}

#[derive(Clone)]
struct Budgeted;
impl Extra for Budgeted {
    const NONE: Self = Self;
    fn allows(&self, _: &Failure, _: Duration) -> bool {
        BUDGET.withdraw()
    }
    fn succeeded(&self, _: u32) {
        BUDGET.deposit();
    }
}

#[derive(Clone)]
struct Told;
impl Extra for Told {
    const NONE: Self = Self;
    fn failed(&self, error: &Failure, retry: u32, wait: Duration) {
        telemetry::retry_scheduled(error, retry, wait);
    }
    fn succeeded(&self, attempt: u32) {
        if attempt > 1 {
            telemetry::recovered(attempt);
        }
    }
}

#[derive(Clone)]
struct ByHand<X> {
    attempt: u32,
    backoff: Duration,
    extra: X,
}

impl<X: Extra> ByHand<X> {
    const NEW: Self = Self {
        attempt: 1,
        backoff: WAIT_INITIAL,
        extra: X::NONE,
    };
}

impl<'a, X: Extra> Policy<&'a Operation, u64, Failure> for ByHand<X> {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut &'a Operation, result: &mut Outcome) -> Option<Ready<()>> {
        match result {
            Ok(_) => {
                self.extra.succeeded(self.attempt);
                None
            }
            Err(_) if self.attempt == ATTEMPTS => None,
            Err(error) => {
                let wait = wait(self.backoff);
                if !self.extra.allows(error, wait) {
                    return None;
                }
                self.extra.failed(error, self.attempt, wait);
                self.attempt += 1;
                self.backoff *= 2;
                Some(pause_async(wait))
            }
        }
    }

    fn clone_request(&mut self, operation: &&'a Operation) -> Option<&'a Operation> {
        if self.attempt == 1 {
            self.extra.start();
        }
        Some(operation)
    }
}

/// A client is made once and sends many requests.
macro_rules! client {
    ($send:ident, $policy:ty, $new:expr) => {
        fn $send(operation: &Operation) -> Outcome {
            thread_local! {
                static CLIENT: RefCell<Retry<$policy, Service64>> =
                    RefCell::new(Retry::new($new, Service64));
            }
            CLIENT.with_borrow_mut(|client| {
                let ready = client.poll_ready(&mut Context::from_waker(Waker::noop()));
                debug_assert!(ready.is_ready());
                finish(client.call(operation))
            })
        }
    };
}

client!(plain, ByHand<Nothing>, ByHand::NEW);
client!(deadline, ByHand<Deadline>, ByHand::NEW);
client!(predicate, ByHand<Predicate>, ByHand::NEW);
client!(budget, ByHand<Budgeted>, ByHand::NEW);
client!(with_telemetry, ByHand<Told>, ByHand::NEW);

type ByStamina = stamina::tower::Policy<stamina::tower::On<Failure>>;
client!(by_stamina, ByStamina, ours::POLICY.tower());
client!(
    by_stamina_deadline,
    ByStamina,
    ours::POLICY_DEADLINE.tower()
);

/// The size of the service's future around an operation of 64 bytes and futures-timer's sleep.
#[must_use]
pub fn future_size() -> usize {
    use futures_timer::Delay;

    use crate::sizes::{Operation64, operation64};

    #[derive(Clone)]
    struct Counts(u32);
    impl Policy<(), u64, Failure> for Counts {
        type Future = Delay;

        fn retry(&mut self, (): &mut (), _: &mut Outcome) -> Option<Delay> {
            self.0 += 1;
            None
        }

        fn clone_request(&mut self, (): &()) -> Option<()> {
            Some(())
        }
    }

    #[derive(Clone)]
    struct Nothing;
    impl Service<()> for Nothing {
        type Response = u64;
        type Error = Failure;
        type Future = Operation64<Failure>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, (): ()) -> Operation64<Failure> {
            operation64()
        }
    }
    size_of_val(&Retry::new(Counts(1), Nothing).call(()))
}

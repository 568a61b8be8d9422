//! The signatures of the contract, each written as a caller writes it, in the context that is promised: what is `const`
//! stands in a `const` or a `static`, what is a struct is taken apart by name and type, what is generic is named with
//! a turbofish.

use std::error::Error;
use std::fmt::{Debug, Display};
use std::future::{Future, Ready, ready};
use std::io;
use std::num::ParseIntError;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use stamina::instrument::{self, GaveUp, Hook, HookScope, Recovered, RetryDetails};
use stamina::testing::{self, Scope, Testing, VirtualClock};
use stamina::{
    Attempts, Budget, Clock, Decision, InvalidSettings, Report, Retry, Schedule, Settings, Sleep,
    StopReason, Timer, WrapFuture, when,
};

const MS: Duration = Duration::from_millis(1);

/// An error that is neither `Clone` nor `Send` nor `Sync` nor `'static`.
#[derive(Debug)]
struct Awkward<'a>(#[allow(dead_code, reason = "only its type matters")] *const &'a u8);

fn stop<E>(_: &E) -> Decision {
    Decision::Stop
}

fn never<E>(_: &E) -> bool {
    false
}

fn linear(n: u32) -> Duration {
    MS * n
}

static BUDGET: Budget = Budget::new()
    .ratio(0.5)
    .decay(Duration::from_secs(1))
    .floor(2)
    .named("contract");
static CLOCK: VirtualClock = VirtualClock::new();

/// Every const setter in one `static`, and every const getter in a `const`.
static POLICY: Retry<&str> = Retry::on::<&str>()
    .attempts(3)
    .unlimited_attempts()
    .timeout(Duration::from_secs(1))
    .no_timeout()
    .wait_initial(MS)
    .wait_max(MS)
    .wait_jitter(MS)
    .wait_exp_base(1.5)
    .full_jitter()
    .waits(linear)
    .with_settings(Settings::DEFAULT)
    .when_fn(never)
    .decide_fn(stop)
    .attempt_timeout(MS, || "too slow")
    .reset_after(MS)
    .fixed(MS)
    .describe(Display::fmt)
    .quiet()
    .budget(&BUDGET)
    .named("contract")
    .timer(Timer::custom(&CLOCK))
    .seed(1)
    .outermost_only();
static PLAIN: Retry<()> = Retry::on::<()>().named("a name");
static SETTINGS: Settings = PLAIN.settings();
static NAME: Option<&str> = PLAIN.name();
const TIMERS: [Timer; 3] = [
    Timer::futures_timer(),
    Timer::coarse(),
    Timer::custom(&CLOCK),
];
const SLEEP: Sleep = Sleep::ready();
const TESTING: Testing = Testing::attempts(3).capped();
const LABEL: &str = StopReason::TimedOut.as_str();
#[cfg(feature = "tokio")]
const TOKIO: Timer = Timer::tokio();

#[test]
fn what_is_const_is_const() {
    assert_eq!(SETTINGS, Settings::default());
    assert_eq!((NAME, LABEL), (Some("a name"), "timed_out"));
    assert_eq!(POLICY.name(), Some("contract"));
    let budget: Option<&Budget> = POLICY.get_budget();
    assert!(budget.is_some_and(|budget| std::ptr::eq(budget, &raw const BUDGET)));
    let timers = TIMERS;
    let again = timers;
    assert_eq!(format!("{timers:?}"), format!("{again:?}"));
    block_on(SLEEP);
    assert_eq!(TESTING, TESTING.clone());
    #[cfg(feature = "tokio")]
    assert!(format!("{TOKIO:?}").contains("tokio"));
}

fn policy() -> Retry<&'static str> {
    Retry::on::<&str>()
        .attempts(2)
        .when(|_| true)
        .shared_budget(Arc::new(Budget::new()))
        .on_retry(|_: &&str, _: &RetryDetails<'_>| {})
}

#[test]
fn every_driver_takes_its_turbofish_and_its_types() {
    let _guard: Scope = testing::scoped(Testing::attempts(2));
    let policy = policy();
    let sync: Result<u8, &str> = policy.call::<u8>(|| Ok(1));
    let future = policy.call_async::<u8, _, _>(|| ready(Err("down")));
    let cut = policy
        .call_async(|| async { Ok::<u8, _>(3) })
        .attempt_timeout(MS, || "slow");
    let mut state = 3_u8;
    let with = policy.call_async_with(&mut state, async |state: &mut u8| {
        *state += 1;
        Ok::<u8, &str>(*state)
    });
    let wrapped = policy.wrap(|n: u8| Ok::<u8, &str>(n));
    let fetch = policy.wrap_async(|n: u8| ready(Ok::<u8, &'static str>(n)));
    let wrapped_future: WrapFuture<&'static str, _, u8, Ready<Result<u8, &'static str>>> = fetch(6);
    assert_eq!(sync, Ok(1));
    assert_eq!(block_on(future), Err("down"));
    assert_eq!(block_on(cut), Ok(3));
    assert_eq!(block_on(with), Ok(4));
    assert_eq!((wrapped(5), block_on(wrapped_future)), (Ok(5), Ok(6)));

    let Report::<u8, &str> {
        result,
        attempts,
        waited,
        elapsed,
        stop_reason,
        ..
    } = policy.report::<u8>(|| Err("down"));
    let _: (u32, Duration, Duration) = (attempts, waited, elapsed);
    assert_eq!(result, Err("down"));
    assert_eq!(stop_reason, Some(StopReason::AttemptsExhausted));
    let report: Report<u8, &str> = block_on(policy.report_async::<u8, _, _>(|| ready(Ok(2))));
    assert_eq!(report.clone().result, Ok(2));

    let outcomes = Retry::on::<Result<u8, String>>().when(|outcome| *outcome != Ok(1));
    assert_eq!(outcomes.call_outcome(|| Ok(1)), Ok(1));
    assert_eq!(
        block_on(outcomes.call_outcome_async(|| ready(Ok(2)))),
        Ok(2)
    );
}

#[test]
fn a_code_block_has_its_parts() {
    let _normal = testing::normal();
    let policy = Retry::on::<&'static str>()
        .attempts(3)
        .timer(Timer::custom(&CLOCK));
    let mut attempts: Attempts<'_, &'static str> = policy.start().seeded(7);
    let number: u32 = attempts.number();
    let next: Option<(Duration, Duration)> = attempts.next_wait();
    let times: (Duration, Duration) = (attempts.waited(), attempts.elapsed());
    let reason: Option<StopReason> = attempts.stop_reason();
    assert_eq!((number, times.0, reason), (1, Duration::ZERO, None));
    assert!(next.is_some());
    let wait: Result<Duration, StopReason> = attempts.decide(&"down");
    assert!(wait.is_ok());
    let again: Result<(), &str> = attempts.again("down");
    assert_eq!(again, Ok(()));
    let again: Result<(), &str> = block_on(attempts.again_async("down"));
    assert_eq!(again, Err("down"));
    assert_eq!(policy.resume(2, MS).number(), 3);
    assert_eq!(policy.start().succeed::<u8>(4), 4);
}

#[test]
fn after_a_success_the_next_wait_is_the_first_of_a_new_call() {
    let policy = Retry::on::<&str>();
    let mut attempts = policy.start();
    assert!(attempts.next_wait().is_some());
    attempts.decide(&"down").unwrap();
    attempts.succeed(());
    assert_eq!(attempts.next_wait(), policy.start().next_wait());
}

#[test]
fn values_have_their_shapes() {
    fn copy<T: Copy + Debug + PartialEq + Send + Sync + 'static>() {}
    fn policy<E>()
    where
        Retry<E>: Clone + Debug + Send + Sync,
    {
    }
    fn clock<T: Clock + Debug + 'static>() {}
    #[cfg_attr(
        not(any(feature = "log", feature = "metrics")),
        allow(dead_code, reason = "both hooks are features")
    )]
    fn hook<T: Hook + Debug>() {}
    fn iterator<T: Iterator<Item = (Duration, Duration)> + Display + Debug + Clone>(_: &T) {}
    fn future<T: Future<Output = ()> + Send + Debug>() {}
    copy::<Decision>();
    copy::<StopReason>();
    copy::<Settings>();
    copy::<Testing>();
    policy::<Awkward<'_>>();
    policy::<std::rc::Rc<()>>();
    clock::<VirtualClock>();
    future::<Sleep>();
    #[cfg(feature = "log")]
    hook::<instrument::LogHook>();
    #[cfg(feature = "metrics")]
    hook::<instrument::MetricsHook>();
    #[cfg(feature = "metrics")]
    instrument::describe_metrics();

    let schedule: Schedule = Retry::on::<()>().attempts(3).schedule();
    iterator(&schedule);
    assert_eq!(schedule.count(), 2);

    assert_eq!(Decision::from(MS), Decision::RetryAfter(MS));
    assert_eq!(Decision::from(true), Decision::Retry);
    let reasons = [
        (StopReason::NotRetryable, "not_retryable"),
        (StopReason::AttemptsExhausted, "attempts_exhausted"),
        (StopReason::TimedOut, "timed_out"),
        (StopReason::BudgetExhausted, "budget_exhausted"),
        (StopReason::Inactive, "inactive"),
        (StopReason::Nested, "nested"),
    ];
    for (reason, label) in reasons {
        assert_eq!(reason.as_str(), label);
    }
    // All fields and no others: a caller may write the whole struct.
    let settings = Settings {
        attempts: Some(10),
        timeout: Some(Duration::from_secs(45)),
        attempt_timeout: None,
        wait_initial: Duration::from_millis(100),
        wait_max: None,
        wait_jitter: None,
        wait_exp_base: 2.0,
        full_jitter: false,
    };
    assert_eq!(settings, Settings::DEFAULT);
    let checked: Result<(), InvalidSettings> = settings.check();
    assert_eq!(checked, Ok(()));

    let balance: f64 = BUDGET.fresh().balance(Instant::now());
    assert!((balance - 2.0).abs() < 1e-9);
    CLOCK.sleep_blocking(Duration::ZERO);
    let (_, _): (Duration, Vec<Duration>) = (CLOCK.elapsed(), CLOCK.waits());
    CLOCK.advance(Duration::ZERO);
    let _: Instant = CLOCK.now();
    block_on(Sleep::boxed(ready(())));
    stamina::set_active(stamina::is_active());
    testing::set_testing(None);
    assert!(!testing::is_testing());
    let _: Scope = testing::inactive();
}

/// Takes the details apart by name and type, and implements all three.
struct Reader;

impl Hook for Reader {
    fn retry_scheduled(&self, details: &RetryDetails<'_>) {
        let _: (&str, u32, &dyn Debug) = (details.callable, details.retry_num, details.caused_by);
        let _: (Duration, Duration) = (details.wait_for, details.waited_so_far);
        let _: (Duration, &'static str, u32) = (details.elapsed, details.error_type, details.depth);
    }
    fn gave_up(&self, details: &GaveUp<'_>) {
        let _: (&str, u32, &dyn Debug) = (details.callable, details.attempts, details.caused_by);
        let _: (StopReason, Duration) = (details.reason, details.waited_so_far);
        let _: (Duration, &'static str, u32) = (details.elapsed, details.error_type, details.depth);
    }
    fn recovered(&self, details: &Recovered<'_>) {
        let _: (&str, u32) = (details.callable, details.attempts);
        let _: (Duration, Duration) = (details.waited_so_far, details.elapsed);
    }
}

/// None of the three has to be written.
struct Deaf;
impl Hook for Deaf {}

#[test]
fn hooks_have_their_shapes() {
    let _guard: HookScope = instrument::scoped_hooks([Arc::new(Reader) as Arc<dyn Hook>]);
    let mut hooks: Vec<Arc<dyn Hook>> = instrument::hooks();
    hooks.push(Arc::new(Deaf));
    let _inner = instrument::scoped_hooks(hooks);
    assert_eq!(instrument::hooks().len(), 2);
    let _testing = testing::scoped(Testing::attempts(2));
    assert_eq!(policy().call(|| Err::<(), _>("down")), Err("down"));
    let _: fn(Vec<Arc<dyn Hook>>) = instrument::set_hooks;
    let _: fn() = instrument::reset_hooks;
}

#[test]
fn predicates_fit() {
    let io: fn(&io::Error) -> bool = when::transient_io;
    let caused: fn(&(dyn Error + 'static)) -> bool = when::caused_by::<ParseIntError>;
    let policy = Retry::on::<io::Error>().when(when::any_of(
        when::not(io),
        when::any_of(io, |_: &io::Error| MS),
    ));
    assert!(!caused(&io::Error::other("other")));
    let _testing = testing::scoped(Testing::attempts(2));
    let report = policy.report(|| Err::<(), _>(io::ErrorKind::NotFound.into()));
    assert_eq!(report.attempts, 2);
}

#[cfg(feature = "http")]
#[test]
fn http_has_its_shape() {
    use http::{HeaderMap, StatusCode};
    use std::time::SystemTime;

    let hint: fn(&HeaderMap, SystemTime) -> Option<Duration> = stamina::http::retry_after;
    let transient: fn(StatusCode) -> bool = stamina::http::is_transient;
    assert_eq!(hint(&HeaderMap::new(), SystemTime::now()), None);
    assert!(transient(StatusCode::SERVICE_UNAVAILABLE));
}

#[cfg(feature = "tower")]
#[test]
fn tower_has_its_shape() {
    fn policy<P: tower::retry::Policy<u8, u16, String>>(_: &P) {}
    use stamina::tower::{Boxed, BoxedOutcome, ByClone, ByRequest, On, Policy};
    use tower::BoxError;
    fn boxed<P: tower::retry::Policy<u8, u16, BoxError>>(_: &P) {}
    let plain: Policy<On<String>> = Retry::on::<String>().tower();
    let outcome: Policy<On<Result<u16, String>>> = Retry::on::<Result<u16, String>>().tower();
    policy(&plain);
    policy(&outcome);
    let plain: Policy<Boxed> = Retry::on::<BoxError>().tower();
    let outcome: Policy<BoxedOutcome<u16>> = Retry::on::<Result<u16, BoxError>>().tower();
    boxed(&plain);
    boxed(&outcome);
    #[allow(
        clippy::trivially_copy_pass_by_ref,
        reason = "a predicate is given a reference"
    )]
    fn by_request(request: &u8, outcome: &Result<u16, String>) -> Decision {
        (*request > 3 && outcome.is_err()).into()
    }
    type ByBoth = fn(&u8, &Result<u16, String>) -> Decision;
    let seeing: Policy<On<String>, ByClone, ByRequest<ByBoth>> = Retry::on::<String>()
        .tower()
        .when_request(by_request as ByBoth);
    policy(&seeing);
}

/// `$type` is not `$trait`: with both, the path below would be ambiguous.
macro_rules! assert_not {
    ($type:ty: $trait:path) => {
        const _: () = {
            trait Ambiguous<A> {
                fn here() {}
            }
            struct Other;
            impl<T: ?Sized> Ambiguous<()> for T {}
            impl<T: ?Sized + $trait> Ambiguous<Other> for T {}
            let _ = <$type as Ambiguous<_>>::here;
        };
    };
}

assert_not!(Scope: Send);
assert_not!(HookScope: Send);

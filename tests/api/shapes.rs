//! Every legal shape of a call, every auto trait, and sizes. Most of it only has to compile.
#![allow(dead_code, reason = "much of it is only compiled")]
#![allow(clippy::type_complexity, reason = "a type is spelt out once")]

use crate::support::{clock, ms, secs};
use stamina::instrument::{self, GaveUp, Hook, HookScope, Recovered, RetryDetails};
use stamina::testing::{self, Scope, Testing, VirtualClock};
use stamina::{
    Attempts, Budget, Clock, Decision, Report, ReportFuture, Retry, RetryFuture, Schedule,
    Settings, Sleep, StopReason, Timer, WrapFuture, when,
};
use std::error::Error;
use std::fmt::Debug;
use std::future::{Future, Ready, ready};
use std::io;
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

type Boxed = Box<dyn Error>;

// ---- The signatures of the contract, to the letter.

const _: fn() -> Retry<io::Error> = Retry::on::<io::Error>;

fn setters(policy: Retry<Boxed>, budget: &'static Budget, shared: Arc<Budget>) -> Retry<Boxed> {
    policy
        .attempts(3)
        .unlimited_attempts()
        .timeout(secs(1))
        .no_timeout()
        .wait_initial(ms(1))
        .wait_max(ms(1))
        .wait_jitter(ms(1))
        .wait_exp_base(1.5)
        .full_jitter()
        .waits(|n| ms(n.into()))
        .with_settings(Settings::DEFAULT)
        .when(|error: &Boxed| error.is::<io::Error>())
        .when(|error| error.is::<io::Error>())
        .when(|_| ms(1))
        .when(|_| Decision::Stop)
        .when(when::any_of(
            |error: &Boxed| when::caused_by::<io::Error>(&**error),
            |_: &Boxed| false,
        ))
        .when(when::not(|_: &Boxed| false))
        .when_fn(|_| true)
        .decide_fn(|_| Decision::Retry)
        .budget(budget)
        .shared_budget(shared)
        .named("name")
        .timer(Timer::default())
        .seed(1)
        .on_retry(|_: &Boxed, details: &RetryDetails<'_>| drop(details.callable.to_owned()))
        .on_retry(|error, details| drop((error.is::<io::Error>(), details.callable.to_owned())))
        .outermost_only()
}

fn getters<E>(policy: &Retry<E>) -> (Settings, Option<&Budget>, Option<&'static str>, Schedule) {
    (
        policy.settings(),
        policy.get_budget(),
        policy.name(),
        policy.schedule(),
    )
}

fn predicates(policy: Retry<io::Error>) -> Retry<io::Error> {
    let kinds = [io::ErrorKind::Other];
    policy
        .when(when::transient_io)
        .when(move |error| kinds.contains(&error.kind()))
}

/// A generic function over any error can do everything but make a policy without `Debug`.
fn generic<E: Debug, T>(
    policy: &Retry<E>,
    mut operation: impl FnMut() -> Result<T, E>,
) -> Result<T, E> {
    let _ = policy.report(&mut operation);
    policy.call(operation)
}

fn question_mark(path: &str) -> Result<String, Boxed> {
    let text = Retry::on::<io::Error>()
        .attempts(2)
        .call(|| std::fs::read_to_string(path))?;
    let number: u8 = Retry::on().call(|| text.parse())?;
    Ok(number.to_string())
}

/// Everything that an `Attempts` has.
fn attempts(policy: &Retry<Boxed>) -> Result<(), Boxed> {
    let mut attempts: Attempts<'_, Boxed> = policy.start().seeded(1);
    let _: (u32, Option<(Duration, Duration)>) = (attempts.number(), attempts.next_wait());
    let _: (Duration, Duration, Option<StopReason>) = (
        attempts.waited(),
        attempts.elapsed(),
        attempts.stop_reason(),
    );
    let _: Result<Duration, StopReason> = attempts.decide(&"down".into());
    attempts.again("down".into())?;
    let _: () = attempts.succeed(());
    let _ = policy.resume(2, secs(1));
    Ok(())
}

#[allow(clippy::needless_pass_by_value, reason = "as a hook is given them")]
fn details(retry: RetryDetails<'_>, gave_up: GaveUp<'_>, recovered: Recovered<'_>) {
    let _: (&str, u32, Duration, Duration, Duration) = (
        retry.callable,
        retry.retry_num,
        retry.wait_for,
        retry.waited_so_far,
        retry.elapsed,
    );
    let _: (&dyn Debug, &'static str, u32) = (retry.caused_by, retry.error_type, retry.depth);
    let _: (&str, u32, StopReason, Duration, Duration) = (
        gave_up.callable,
        gave_up.attempts,
        gave_up.reason,
        gave_up.waited_so_far,
        gave_up.elapsed,
    );
    let _: (&dyn Debug, &'static str, u32) = (gave_up.caused_by, gave_up.error_type, gave_up.depth);
    let _: (&str, u32, Duration, Duration) = (
        recovered.callable,
        recovered.attempts,
        recovered.waited_so_far,
        recovered.elapsed,
    );
}

/// A hook need not have any method.
struct Deaf;
impl Hook for Deaf {}

fn hooks() {
    instrument::set_hooks([]);
    instrument::set_hooks([Arc::new(Deaf) as Arc<dyn Hook>]);
    instrument::set_hooks(vec![Arc::new(Deaf) as Arc<dyn Hook>]);
    let _: HookScope = instrument::scoped_hooks(instrument::hooks());
    #[cfg(feature = "log")]
    instrument::set_hooks([Arc::new(instrument::LogHook) as Arc<dyn Hook>]);
    #[cfg(feature = "metrics")]
    instrument::set_hooks([Arc::new(instrument::MetricsHook) as Arc<dyn Hook>]);
    instrument::reset_hooks();
}

const CONSTANTS: (Testing, Settings, Timer) = (
    Testing::attempts(2).capped(),
    Settings::DEFAULT,
    Timer::futures_timer(),
);
static CLOCK: VirtualClock = VirtualClock::new();
static CUSTOM: Timer = Timer::custom(&CLOCK);
static BUDGET: Budget = Budget::new()
    .ratio(0.1)
    .decay(secs(1))
    .floor(2)
    .named("name");
const LABEL: &str = StopReason::TimedOut.as_str();
const READY: Sleep = Sleep::ready();

struct Service {
    policy: Retry<Boxed>,
}

impl Service {
    /// A policy in a field, used by a future that borrows the service.
    fn fetch(&self, id: u32) -> impl Future<Output = Result<u32, Boxed>> {
        self.policy.call_async(move || async move { Ok(id) })
    }

    fn named(
        &self,
    ) -> RetryFuture<'_, Boxed, impl FnMut() -> Ready<Result<u8, Boxed>>, Ready<Result<u8, Boxed>>>
    {
        self.policy.call_async(|| ready(Ok(1)))
    }
}

/// A call that is under way, in a struct: its type can be named.
type Connect = fn() -> Ready<Result<u8, Boxed>>;

struct Connecting<'a> {
    call: RetryFuture<'a, Boxed, Connect, Ready<Result<u8, Boxed>>>,
}

// ---- Auto traits.

fn send<T: Send>(_: &T) {}
fn spawnable<T: Send + 'static>(_: &T) {}

#[allow(clippy::used_underscore_binding, reason = "only its type matters")]
fn assert_types() {
    fn value<T: Clone + Debug + Send + Sync + 'static>() {}
    fn copy<T: Copy + Debug + Send + Sync + 'static>() {}
    fn shared<T: Debug + Send + Sync + 'static>() {}
    fn debug<T: Debug>() {}
    fn unwind_safe<T: UnwindSafe + RefUnwindSafe>() {}
    /// Neither `Send` nor `Sync` nor `Clone` nor `Debug`.
    struct Nothing(PhantomData<Rc<*mut u8>>);
    value::<Retry<Nothing>>();
    value::<Retry<Boxed>>();
    // A panic of an operation leaves no policy in doubt.
    unwind_safe::<Retry<Nothing>>();
    copy::<Decision>();
    copy::<StopReason>();
    copy::<Settings>();
    copy::<Timer>();
    copy::<Testing>();
    value::<Report<u8, String>>();
    value::<Schedule>();
    shared::<Budget>();
    shared::<VirtualClock>();
    debug::<Sleep>();
    debug::<Scope>();
    debug::<HookScope>();
    debug::<Attempts<'_, Nothing>>();
    debug::<RetryDetails<'_>>();
    debug::<GaveUp<'_>>();
    debug::<Recovered<'_>>();
    #[cfg(feature = "log")]
    copy::<instrument::LogHook>();
    #[cfg(feature = "metrics")]
    copy::<instrument::MetricsHook>();
    fn sleep<T: Future<Output = ()> + Send + 'static>() {}
    sleep::<Sleep>();
    fn object(_: &dyn Hook, _: &dyn Clock) {}
    let _ = object;
    let _: fn(&Budget, Instant) -> f64 = Budget::balance;
    let _: fn(&Budget) -> Budget = Budget::fresh;
}

/// Whether a type has an auto trait, by the method that is found first.
macro_rules! is {
    ($auto:ident: $type:ty) => {{
        trait No {
            fn answer(&self) -> bool {
                false
            }
        }
        struct Ask<T>(PhantomData<T>);
        impl<T> No for &Ask<T> {}
        impl<T: $auto> Ask<T> {
            fn answer(&self) -> bool {
                true
            }
        }
        (&Ask::<$type>(PhantomData)).answer()
    }};
}

#[test]
fn scopes_stay_on_their_thread() {
    assert!(is!(Send: u8), "the question is put well");
    assert!(!is!(Send: Rc<u8>), "the question is put well");
    assert!(!is!(Send: Scope));
    assert!(!is!(Send: HookScope));
}

static POLICY: Retry<Boxed> = Retry::on::<Boxed>();
static STRINGS: Retry<String> = Retry::on::<String>();

async fn fetch(id: u32) -> Result<u32, String> {
    Ok(id)
}

#[test]
fn futures_are_send_when_their_parts_are() {
    // Even where the error is not: it is not held while waiting.
    let plain = POLICY.call_async(|| async { Err::<u8, Boxed>("down".into()) });
    spawnable(&plain);
    spawnable(&POLICY.report_async(|| async { Err::<u8, Boxed>("down".into()) }));
    spawnable(&POLICY
        .wrap_async(|()| async { Err::<u8, Boxed>("down".into()) })(
        ()
    ));
    let cut = STRINGS
        .call_async(|| fetch(1))
        .attempt_timeout(secs(1), String::new);
    spawnable(&cut);
    static OUTCOMES: Retry<Result<u32, String>> = Retry::on::<Result<u32, String>>();
    spawnable(&OUTCOMES.call_outcome_async(|| fetch(1)));
    spawnable(&STRINGS.wrap_async(fetch));
    spawnable(&POLICY.start());
    // A policy of the same block.
    spawnable(&async {
        let policy = Retry::on::<String>()
            .attempts(2)
            .when(|error| !error.is_empty());
        let owned = String::from("owned");
        policy
            .call_async(|| fetch(owned.len().try_into().unwrap_or(0)))
            .await
    });
    spawnable(&async {
        let mut state = vec![1];
        let policy = Retry::on::<String>();
        let operation = async |state: &mut Vec<u32>| {
            state.push(fetch(1).await?);
            Ok(state.len())
        };
        policy.call_async_with(&mut state, operation).await
    });
    spawnable(&async {
        let mut state = vec![1];
        let mut attempts = STRINGS.start();
        loop {
            state.push(1);
            match fetch(1).await {
                Ok(id) => break Ok::<_, String>(attempts.succeed(id)),
                Err(error) => attempts.again_async(error).await?,
            }
        }
    });
    // What is not `Send` can still be awaited.
    let local = Rc::new(1);
    let future = STRINGS.call_async(|| ready(Ok(Rc::clone(&local))));
    assert_eq!(*futures::executor::block_on(future).unwrap(), 1);
    let service = Service {
        policy: Retry::on(),
    };
    send(&service.fetch(1));
    drop(service.named());
    let connecting = Connecting {
        call: service.policy.call_async(|| ready(Ok(2))),
    };
    assert_eq!(futures::executor::block_on(connecting.call).unwrap(), 2);
}

#[test]
fn every_public_future_can_be_printed() {
    fn print(future: impl Debug) -> String {
        format!("{future:?}")
    }
    let operation = || ready(Ok::<u8, Boxed>(1));
    assert!(print(POLICY.call_async(operation)).contains("RetryFuture"));
    assert!(print(POLICY.report_async(operation)).contains("new"));
    assert!(print(POLICY.wrap_async(move |()| operation())(())).contains("new"));
}

#[test]
fn no_feature_decides_what_is_unpin() {
    assert!(is!(Unpin: Sleep));
    assert!(is!(Unpin: Attempts<'_, Boxed>));
}

struct Operation([u8; 64]);

impl Future for Operation {
    type Output = Result<u8, String>;
    fn poll(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        std::task::Poll::Ready(Ok(self.0[0]))
    }
}

#[test]
fn futures_and_policies_are_small() {
    let future = STRINGS.call_async(|| Operation([1; 64]));
    // tokio's sleep is kept in place, and it is larger.
    let most = if cfg!(feature = "tokio") { 184 } else { 104 };
    assert!(
        size_of_val(&future) <= most,
        "{} bytes",
        size_of_val(&future)
    );
    assert_eq!(futures::executor::block_on(future), Ok(1));
    assert!(
        size_of::<Retry<String>>() <= 320,
        "{} bytes",
        size_of::<Retry<String>>()
    );
}

#[test]
fn the_shapes_run_too() {
    let timer = Timer::custom(clock());
    let policy = setters(Retry::on().timer(timer), &BUDGET, Arc::default())
        .attempts(2)
        .timer(timer);
    assert_eq!(getters(&policy).2, Some("name"));
    assert!(policy.call(|| Err::<(), _>("down".into())).is_err());
    assert_eq!(generic(&policy, || Ok(1)).unwrap(), 1);
    assert!(predicates(Retry::on()).call(|| Ok(())).is_ok());
    assert!(question_mark("/nowhere at all").is_err());
    let _: Result<(), Boxed> = attempts(&Retry::on().timer(timer));
    assert_eq!(LABEL, "timed_out");
    let _ = (CONSTANTS, CUSTOM, &READY);
    let _: fn() = assert_types;
    let _: fn() = hooks;
    let _ = details;
    let _: Option<WrapFuture<(), fn(u8) -> Ready<Result<(), ()>>, u8, Ready<Result<(), ()>>>> =
        None;
    let _: Option<ReportFuture<'_, (), fn() -> Ready<Result<(), ()>>, Ready<Result<(), ()>>>> =
        None;
    let _ = testing::is_testing();
}

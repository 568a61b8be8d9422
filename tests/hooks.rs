//! Hooks: what they are told, in which order, by whom, and under which name.
//!
//! Alone in its process: it changes the hooks of the process.
#![allow(
    clippy::redundant_closure,
    reason = "the name of the closure is what is tested"
)]
#![allow(
    clippy::redundant_closure_call,
    reason = "the name of the closure is what is tested"
)]

mod support;

use futures::executor::block_on;
use stamina::instrument::{self, BudgetLevel, GaveUp, Hook, HookScope, Recovered, RetryDetails};
use stamina::testing;
use stamina::{Budget, Retry, StopReason, Timer};
use std::future::ready;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use support::{Event, ManualClock, Recorder, clock, ms, panic_message, poll, secs};

/// Waits 100 ms, 200 ms, ... at once.
fn policy() -> Retry<&'static str> {
    Retry::on()
        .wait_jitter(Duration::ZERO)
        .timer(Timer::custom(clock()))
}

fn down() -> Result<(), &'static str> {
    Err("down")
}

#[test]
fn every_field_of_every_event() {
    let clock = ManualClock::new();
    let (recorder, _hooks) = Recorder::here();
    let policy = policy().attempts(3).named("fetch").timer(clock.timer());
    let mut errors = ["one", "two", "three", "four"].into_iter();
    let mut operation = || {
        clock.pass(secs(1));
        match errors.next() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    };
    assert_eq!(policy.call(&mut operation), Err("three"));
    let callable = "fetch".to_owned();
    let (error_type, depth) = ("&str", 0);
    let retry = |retry_num, wait_for, waited_so_far, elapsed, caused_by: &str| Event::Retry {
        callable: callable.clone(),
        retry_num,
        wait_for: ms(wait_for),
        waited_so_far: ms(waited_so_far),
        elapsed: ms(elapsed),
        caused_by: caused_by.to_owned(),
        error_type,
        depth,
    };
    let gave_up = Event::GaveUp {
        callable: callable.clone(),
        attempts: 3,
        reason: StopReason::AttemptsExhausted,
        waited_so_far: ms(300),
        elapsed: ms(3300),
        caused_by: "\"three\"".to_owned(),
        error_type,
        depth,
    };
    assert_eq!(
        recorder.take(),
        [
            retry(1, 100, 0, 1000, "\"one\""),
            retry(2, 200, 100, 2100, "\"two\""),
            gave_up
        ]
    );
    assert_eq!(policy.call(&mut operation), Ok(()));
    let recovered = Event::Recovered {
        callable: callable.clone(),
        attempts: 2,
        waited_so_far: ms(100),
        elapsed: ms(2100),
    };
    assert_eq!(
        recorder.take(),
        [retry(1, 100, 0, 1000, "\"four\""), recovered]
    );
    // Without a clock, what has elapsed is what was waited.
    let _ = policy.no_timeout().call(|| {
        clock.pass(secs(1));
        down()
    });
    assert!(matches!(recorder.take()[1], Event::Retry { elapsed, .. } if elapsed == ms(100)));
}

#[test]
fn told_only_where_there_is_something_to_tell() {
    static EMPTY: Budget = Budget::new().floor(0);
    #[track_caller]
    fn told(
        policy: &Retry<&'static str>,
        operation: impl FnMut() -> Result<(), &'static str>,
        told: &[&str],
    ) {
        let (recorder, _hooks) = Recorder::here();
        let _ = policy.call(operation);
        assert_eq!(recorder.short(), told);
    }
    let once = |errors: &'static [&'static str]| {
        let mut errors = errors.iter();
        move || errors.next().map_or(Ok(()), |error| Err(*error))
    };
    told(&policy(), || Ok(()), &[]);
    told(&policy(), once(&["down"]), &["retry 1", "recovered 2"]);
    told(
        &policy().attempts(1),
        down,
        &["gave up 1 attempts_exhausted"],
    );
    told(
        &policy().timeout(Duration::ZERO),
        down,
        &["gave up 1 timed_out"],
    );
    told(
        &policy().budget(&EMPTY),
        down,
        &["gave up 1 budget_exhausted"],
    );
    let picky = policy().when(|error| *error == "down");
    told(&picky, || Err("gone"), &[]);
    told(&picky, once(&["down", "gone"]), &["retry 1"]);
    let inactive = testing::inactive();
    told(&policy(), down, &[]);
    drop(inactive);
    let _testing = testing::scoped(testing::Testing::attempts(2));
    told(
        &policy(),
        down,
        &["retry 1", "gave up 2 attempts_exhausted"],
    );
    told(&policy(), once(&["down"]), &["retry 1", "recovered 2"]);
}

#[test]
fn told_before_the_wait() {
    let clock = ManualClock::new();
    let (recorder, _hooks) = Recorder::here();
    let own = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&own);
    let policy = policy().timer(clock.timer()).on_retry(move |_, details| {
        support::lock(&kept).push((details.retry_num, clock.slept().len()));
    });
    let mut future = pin!(policy.call_async(|| ready(down())));
    assert!(poll(future.as_mut()).is_pending());
    assert_eq!(recorder.short(), ["retry 1"]);
    let _ = policy.clone().attempts(3).call(down);
    assert_eq!(*support::lock(&own), [(1, 0), (1, 1), (2, 2)]);
}

#[test]
fn a_policys_own_hook_runs_beside_the_others_and_when_they_are_muted() {
    let count = Arc::new(Mutex::new(0));
    let counter = Arc::clone(&count);
    let policy = policy()
        .attempts(3)
        .on_retry(move |_, _| *support::lock(&counter) += 1);
    let (recorder, hooks) = Recorder::here();
    let _ = policy.call(down);
    assert_eq!((recorder.take().len(), *support::lock(&count)), (3, 2));
    let _muted = instrument::scoped_hooks([]);
    let _ = policy.call(down);
    assert_eq!((recorder.take().len(), *support::lock(&count)), (0, 4));
    // The last one that was set counts.
    let replaced = policy.on_retry(|_, _| {});
    let _ = replaced.call(down);
    assert_eq!(*support::lock(&count), 4);
    drop(hooks);
}

/// Counts itself into a list.
#[derive(Debug)]
struct Numbered(u32, Arc<Mutex<Vec<u32>>>);

impl Hook for Numbered {
    fn retry_scheduled(&self, _: &RetryDetails<'_>) {
        support::lock(&self.1).push(self.0);
    }
}

#[test]
fn hooks_are_told_in_their_order() {
    let order = Arc::new(Mutex::new(Vec::new()));
    let hooks =
        (1..=3).map(|number| Arc::new(Numbered(number, Arc::clone(&order))) as Arc<dyn Hook>);
    let _hooks = instrument::scoped_hooks(hooks);
    let _ = policy().attempts(2).call(down);
    assert_eq!(*support::lock(&order), [1, 2, 3]);
    assert_eq!(instrument::hooks().len(), 3);
}

/// Panics at everything.
#[derive(Debug)]
struct Grenade;

impl Hook for Grenade {
    fn retry_scheduled(&self, _: &RetryDetails<'_>) {
        panic!("retry_scheduled went off");
    }
    fn gave_up(&self, _: &GaveUp<'_>) {
        panic!("gave_up went off");
    }
    fn recovered(&self, _: &Recovered<'_>) {
        panic!("recovered went off");
    }
}

#[test]
fn a_hook_that_panics_corrupts_nothing() {
    let recorder = Arc::new(Recorder::default());
    let around =
        || -> [Arc<dyn Hook>; 3] { [Arc::new(Grenade), recorder.clone(), Arc::new(Grenade)] };
    let _hooks = instrument::scoped_hooks(around());
    let policy = policy()
        .attempts(3)
        .on_retry(|_, _| panic!("on_retry went off"));
    assert_eq!(policy.call(down), Err("down"));
    assert_eq!(
        recorder.short(),
        ["retry 1", "retry 2", "gave up 3 attempts_exhausted"]
    );
    assert_eq!(block_on(policy.call_async(|| ready(down()))), Err("down"));
    assert_eq!(recorder.short().len(), 3);
    let mut attempts = policy.start();
    assert_eq!(attempts.decide(&"down"), Ok(ms(100)));
    attempts.succeed(());
    assert_eq!(recorder.short(), ["retry 1", "recovered 2"]);
}

#[test]
fn an_error_whose_debug_panics_is_not_lost() {
    struct Touchy;
    impl std::fmt::Debug for Touchy {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("do not look at me")
        }
    }
    let (recorder, _hooks) = Recorder::here();
    let policy = Retry::on::<Touchy>()
        .attempts(3)
        .timer(Timer::custom(clock()));
    let mut calls = 0;
    assert!(
        policy
            .call(|| {
                calls += 1;
                Err::<(), _>(Touchy)
            })
            .is_err()
    );
    assert_eq!(calls, 3);
    // The events are not lost either, only the error's text.
    let told = recorder.take();
    assert_eq!(told.len(), 3);
    assert!(
        matches!(&told[2], Event::GaveUp { caused_by, attempts: 3, .. } if caused_by == "..."),
        "{told:?}"
    );
}

#[test]
fn a_panic_whose_payload_panics_when_it_is_dropped_is_contained() {
    /// Panics with itself when it is dropped, twice.
    struct Bomb(u32);
    impl Drop for Bomb {
        fn drop(&mut self) {
            if self.0 > 0 {
                std::panic::panic_any(Bomb(self.0 - 1));
            }
        }
    }
    struct Thrower;
    impl Hook for Thrower {
        fn retry_scheduled(&self, _: &RetryDetails<'_>) {
            std::panic::panic_any(Bomb(2));
        }
    }
    let recorder = Arc::new(Recorder::default());
    let _hooks = instrument::scoped_hooks([Arc::new(Thrower) as Arc<dyn Hook>, recorder.clone()]);
    assert_eq!(policy().attempts(2).call(down), Err("down"));
    assert_eq!(
        recorder.short(),
        ["retry 1", "gave up 2 attempts_exhausted"]
    );
}

/// A hook gets all that the default hooks get.
#[test]
fn the_budget_and_the_static_name() {
    type Kept = (Option<(&'static str, f64)>, Option<&'static str>);
    #[derive(Default)]
    struct Keeper(Mutex<Vec<Kept>>);
    impl Keeper {
        fn keep(&self, budget: Option<BudgetLevel>, name: Option<&'static str>) {
            support::lock(&self.0).push((budget.map(|level| (level.name, level.balance)), name));
        }
    }
    impl Hook for Keeper {
        fn retry_scheduled(&self, details: &RetryDetails<'_>) {
            self.keep(details.budget, details.static_callable);
        }
        fn gave_up(&self, details: &GaveUp<'_>) {
            self.keep(details.budget, details.static_callable);
        }
        fn recovered(&self, details: &Recovered<'_>) {
            self.keep(details.budget, details.static_callable);
        }
    }
    static NAMED: Budget = Budget::new().floor(1).named("payments");
    static UNNAMED: Budget = Budget::new();
    let keeper = Arc::new(Keeper::default());
    let _hooks = instrument::scoped_hooks([keeper.clone() as Arc<dyn Hook>]);
    let kept = || std::mem::take(&mut *support::lock(&keeper.0));
    let pay = policy().named("pay").budget(&NAMED);
    let empty = Some(("payments", 0.0));
    // One retry, whose permit is taken by then, and no other.
    assert_eq!(pay.call(down), Err("down"));
    assert_eq!(kept(), [(empty, Some("pay")), (empty, Some("pay"))]);
    let _ = policy().attempts(2).budget(&UNNAMED).call(down);
    let path = Some(concat!(module_path!(), "::down"));
    assert_eq!(kept(), [(None, path), (None, path)]);
    // A `file:line` is made for the call.
    let policy = policy();
    let mut attempts = policy.start();
    let _ = attempts.again("down");
    attempts.succeed(());
    assert_eq!(kept(), [(None, None), (None, None)]);
}

#[test]
fn a_hook_sees_one_line_of_an_error() {
    let (recorder, _hooks) = Recorder::here();
    let policy = Retry::on::<Vec<&str>>().attempts(1);
    let shown = |error: Vec<&'static str>| {
        let _ = policy.call(|| Err::<(), _>(error.clone()));
        match &recorder.take()[..] {
            [Event::GaveUp { caused_by, .. }] => caused_by.clone(),
            told => panic!("{told:?}"),
        }
    };
    assert_eq!(shown(vec!["a", "b"]), r#"["a", "b"]"#);
    let long = shown(vec!["long"; 1000]);
    assert!(long.len() == 1024 && long.ends_with("..."), "{long}");
}

#[test]
fn a_hook_may_use_the_library() {
    /// Makes a call of its own, and sets hooks, when it is told something.
    struct Caller(Arc<Recorder>);
    impl Hook for Caller {
        fn retry_scheduled(&self, _: &RetryDetails<'_>) {
            let _hooks = instrument::scoped_hooks([self.0.clone() as Arc<dyn Hook>]);
            let _ = policy().attempts(2).call(down);
        }
    }
    let recorder = Arc::new(Recorder::default());
    let _hooks = instrument::scoped_hooks([Arc::new(Caller(recorder.clone())) as Arc<dyn Hook>]);
    assert_eq!(policy().attempts(3).call(down), Err("down"));
    assert_eq!(recorder.take().len(), 4);
}

mod place {
    use super::{Retry, Timer, clock};

    pub(crate) async fn fetch((): ()) -> Result<(), &'static str> {
        Err("down")
    }

    pub(crate) fn read(_: u8) -> Result<(), &'static str> {
        Err("down")
    }

    pub(crate) fn twice() -> Retry<&'static str> {
        Retry::on().attempts(1).timer(Timer::custom(clock()))
    }
}

#[test]
fn what_a_call_is_called() {
    use place::{fetch, read, twice};
    let (recorder, _hooks) = Recorder::here();
    let name = || {
        let told = recorder.take();
        assert_eq!(told.len(), 1);
        told[0].callable().to_owned()
    };
    let me = concat!(module_path!(), "::what_a_call_is_called");
    let policy = twice();

    let _ = policy.call(down);
    assert_eq!(name(), concat!(module_path!(), "::down"));
    let _ = policy.call(|| down());
    assert_eq!(name(), me);
    let _ = (|| policy.call(|| (|| down())()))();
    assert_eq!(name(), me);
    let _ = policy.report(|| down());
    assert_eq!(name(), me);
    let _ = block_on(policy.call_async(|| fetch(())));
    assert_eq!(name(), me);
    let _ = block_on(async { policy.call_async(|| async { fetch(()).await }).await });
    assert_eq!(name(), me);
    let _ = block_on(policy.report_async(|| fetch(())));
    assert_eq!(name(), me);
    let _ = block_on(
        policy
            .call_async(|| fetch(()))
            .attempt_timeout(secs(1), || "slow"),
    );
    assert_eq!(name(), me);
    let _ = block_on(
        policy
            .call_async(|| fetch(()))
            .attempt_timeout(secs(1), || "slow"),
    );
    assert_eq!(name(), me);
    let _ = block_on(policy.call_async_with(&mut (), async |()| down()));
    assert_eq!(name(), me);
    let _ = policy.wrap(read)(1);
    assert_eq!(name(), concat!(module_path!(), "::place::read"));
    let _ = policy.wrap(|byte: u8| read(byte))(1);
    assert_eq!(name(), me);
    let _ = block_on(policy.wrap_async(fetch)(()));
    assert_eq!(name(), concat!(module_path!(), "::place::fetch"));
    let _ = block_on(policy.wrap_async(|()| fetch(()))(()));
    assert_eq!(name(), me);
    let wrapped = policy.wrap_async(fetch);
    let _ = block_on(wrapped(()).attempt_timeout(secs(1), || "slow"));
    assert_eq!(name(), concat!(module_path!(), "::place::fetch"));
    let outcome = Retry::on::<Result<(), &str>>().attempts(1);
    let _ = outcome.call_outcome(down);
    assert_eq!(name(), concat!(module_path!(), "::down"));
    let _ = block_on(outcome.call_outcome_async(|| fetch(())));
    assert_eq!(name(), me);

    // A closure or a function that is lent is the same one.
    let mut lent = || down();
    let _ = policy.call(&mut lent);
    assert_eq!(name(), me);
    let _ = policy.wrap(&&read)(1);
    assert_eq!(name(), concat!(module_path!(), "::place::read"));

    let _ = policy.start().decide(&"down");
    assert_eq!(name(), format!("tests/hooks.rs:{}", line!() - 1));
    let _ = policy.resume(3, Duration::ZERO).decide(&"down");
    assert_eq!(name(), format!("tests/hooks.rs:{}", line!() - 1));

    // A name wins over all of them.
    let named = policy.named("fetch");
    let _ = named.call(down);
    assert_eq!(name(), "fetch");
    let _ = named.start().decide(&"down");
    assert_eq!(name(), "fetch");
    let _ = block_on(named.wrap_async(fetch)(()));
    assert_eq!(name(), "fetch");
    let _ = block_on(named.call_async_with(&mut (), async |()| down()));
    assert_eq!(name(), "fetch");
}

/// Tests that replace the hooks of the process, one at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    support::lock(&ALONE)
}

#[test]
fn the_hooks_of_the_process() {
    let _alone = alone();
    // With both, tracing takes the place of the log.
    let records = cfg!(any(feature = "log", feature = "tracing"));
    let defaults = usize::from(records) + usize::from(cfg!(feature = "metrics"));
    assert_eq!(instrument::hooks().len(), defaults);
    let recorder = Arc::new(Recorder::default());
    let mine = || policy().attempts(2).named("process").call(down);
    instrument::set_hooks([recorder.clone() as Arc<dyn Hook>]);
    assert_eq!(instrument::hooks().len(), 1);
    let _ = std::thread::spawn(mine).join().unwrap();
    // Tests that run beside this one may be heard too.
    let heard = || {
        recorder
            .take()
            .iter()
            .filter(|told| told.callable() == "process")
            .count()
    };
    assert_eq!(heard(), 2);
    {
        let (scoped, _hooks) = Recorder::here();
        let _ = mine();
        assert_eq!((heard(), scoped.take().len()), (0, 2));
    }
    let _ = mine();
    assert_eq!(heard(), 2);
    instrument::set_hooks([]);
    assert!(instrument::hooks().is_empty());
    let _ = mine();
    instrument::set_hooks([recorder.clone() as Arc<dyn Hook>]);
    instrument::set_hooks([
        recorder.clone() as Arc<dyn Hook>,
        recorder.clone() as Arc<dyn Hook>,
    ]);
    assert_eq!(heard(), 0);
    let _ = mine();
    assert_eq!(heard(), 4);
    instrument::reset_hooks();
    instrument::reset_hooks();
    assert_eq!(instrument::hooks().len(), defaults);
    let _ = mine();
    assert_eq!(heard(), 0);
    assert_eq!(
        Arc::strong_count(&recorder),
        1,
        "hooks that were replaced are dropped"
    );
}

#[test]
fn hooks_that_use_the_library_when_they_are_dropped() {
    struct Resetting;
    impl Hook for Resetting {}
    impl Drop for Resetting {
        fn drop(&mut self) {
            instrument::reset_hooks();
            let _hooks = instrument::scoped_hooks([]);
        }
    }
    let _alone = alone();
    instrument::set_hooks([Arc::new(Resetting) as Arc<dyn Hook>]);
    instrument::set_hooks([]);
    instrument::reset_hooks();
    drop(instrument::scoped_hooks([
        Arc::new(Resetting) as Arc<dyn Hook>
    ]));
}

/// Replaced while a call tells it, or with its scope left while a future keeps it, a hook is dropped by that call.
#[test]
fn a_hook_whose_drop_panics_loses_no_error() {
    struct Bursting;
    impl Hook for Bursting {
        fn retry_scheduled(&self, _: &RetryDetails<'_>) {
            instrument::reset_hooks();
        }
    }
    impl Drop for Bursting {
        fn drop(&mut self) {
            assert!(std::thread::panicking(), "the drop of a hook");
        }
    }
    let _alone = alone();
    let policy = policy().attempts(2);
    instrument::set_hooks([Arc::new(Bursting) as Arc<dyn Hook>]);
    assert_eq!(policy.call(down), Err("down"));

    let (call, report) = {
        let _hooks = instrument::scoped_hooks([Arc::new(Bursting) as Arc<dyn Hook>]);
        let call = policy.call_async(|| ready(down()));
        (call, policy.report_async(|| ready(down())))
    };
    assert_eq!(block_on(call), Err("down"));
    assert_eq!(block_on(report).result, Err("down"));
}

#[test]
fn scopes_nest_and_may_be_left_in_any_order() {
    fn heard(recorder: &Recorder) -> usize {
        let _ = policy().attempts(2).call(down);
        recorder.take().len()
    }
    let (outer, outer_scope) = Recorder::here();
    let (inner, inner_scope) = Recorder::here();
    assert_eq!((heard(&inner), outer.take().len()), (2, 0));
    drop(outer_scope);
    assert_eq!(heard(&inner), 2);
    let (last, last_scope) = Recorder::here();
    drop(inner_scope);
    assert_eq!((heard(&last), inner.take().len()), (2, 0));
    drop(last_scope);
    let _ = heard(&last);
    assert_eq!((last.take().len(), outer.take().len()), (0, 0));

    let (outer, _scope) = Recorder::here();
    let message = panic_message(|| {
        let (_, _inner) = Recorder::here();
        panic!("left by a panic");
    });
    assert_eq!((message.as_str(), heard(&outer)), ("left by a panic", 2));
}

#[test]
fn a_future_keeps_the_hooks_it_was_made_with() {
    let (recorder, hooks) = Recorder::here();
    let policy = policy().attempts(2);
    let mut context = ();
    let wrapped = policy.wrap_async(|()| ready(down()));
    let futures = (
        policy.call_async(|| ready(down())),
        policy.report_async(|| ready(down())),
        wrapped(()),
        policy.call_async_with(&mut context, async |()| down()),
        policy
            .call_async(|| ready(down()))
            .attempt_timeout(secs(1), || "slow"),
    );
    drop::<HookScope>(hooks);
    let (other, _hooks) = Recorder::here();
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let _ = block_on(futures.0);
            let _ = block_on(futures.1);
            let _ = block_on(futures.2);
            let _ = block_on(futures.3);
            let _ = block_on(futures.4);
        });
    });
    assert_eq!((recorder.take().len(), other.take().len()), (10, 0));
}

/// Everything that reads or changes a switch, as a destructor may do it.
fn use_every_switch() {
    let defaults = instrument::hooks().len();
    let muted = instrument::scoped_hooks([]);
    assert_eq!(instrument::hooks().len(), 0);
    let (recorder, scope) = Recorder::here();
    let _ = policy().attempts(2).call(down);
    assert_eq!(
        recorder.short(),
        ["retry 1", "gave up 2 attempts_exhausted"]
    );
    drop(muted);
    drop(scope);
    assert_eq!(instrument::hooks().len(), defaults);
    let normal = testing::normal();
    let off = testing::inactive();
    assert!(!stamina::is_active());
    let testing = testing::scoped(testing::Testing::attempts(2));
    assert!(testing::is_testing());
    drop((normal, off, testing));
    assert!(stamina::is_active() && !testing::is_testing());
}

/// The order in which a thread's locals are destroyed is not promised, so some are older than the library's and some are
/// younger. If one of the destructors panicked, the process would abort.
#[test]
fn every_switch_works_while_a_threads_locals_are_destroyed() {
    struct AtTheEnd(Arc<Mutex<u32>>);
    impl Drop for AtTheEnd {
        fn drop(&mut self) {
            use_every_switch();
            *support::lock(&self.0) += 1;
        }
    }
    thread_local! {
        static OLDER: std::cell::RefCell<Option<AtTheEnd>> = const { std::cell::RefCell::new(None) };
        static YOUNGER: std::cell::RefCell<Option<AtTheEnd>> = const { std::cell::RefCell::new(None) };
        static GUARDS: std::cell::RefCell<Option<(HookScope, testing::Scope)>> =
            const { std::cell::RefCell::new(None) };
    }
    let _alone = alone();
    let ended = Arc::new(Mutex::new(0));
    let on_thread = Arc::clone(&ended);
    std::thread::spawn(move || {
        OLDER.set(Some(AtTheEnd(on_thread.clone())));
        use_every_switch();
        YOUNGER.set(Some(AtTheEnd(on_thread)));
    })
    .join()
    .unwrap();
    assert_eq!(*support::lock(&ended), 2);
    // Guards that end with their thread.
    std::thread::spawn(|| GUARDS.set(Some((instrument::scoped_hooks([]), testing::inactive()))))
        .join()
        .unwrap();
    assert!(stamina::is_active());
}

//! Switches, scopes and the list of hooks under every order in which threads can meet.
//!
//! Shuttle's threads all see one order of everything. The library's need not where it reads its counter relaxed; but
//! that counter only says "look further", and what is found there is behind a lock or belongs to the thread. One word has
//! one order of changes, and who comes after a change, because the program says so, sees it or a later one.
//!
//! Each scene names the fault that it finds.

#![allow(clippy::arithmetic_side_effects, reason = "a test may panic")]

#[path = "../../orders.rs"]
mod orders;

use std::cell::RefCell;
use std::mem;
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, Instant};

use orders::{every_order, many_orders};
use shuttle::sync::atomic::{AtomicBool, Ordering};
use shuttle::thread::{self, JoinHandle};
use stamina_shuttle_switches::instrument::{self, GaveUp, Hook, RetryDetails};
use stamina_shuttle_switches::testing::{self, Testing};
use stamina_shuttle_switches::{Clock, Retry, Sleep, Timer, is_active, overrides, set_active};

/// A clock that nobody reads, and where waits take no time.
struct Still;

impl Clock for Still {
    fn now(&self) -> Instant {
        unreachable!("neither a timeout nor a budget")
    }

    fn sleep(&self, _: Duration) -> Sleep {
        Sleep::ready()
    }

    fn sleep_blocking(&self, _: Duration) {}
}

/// Makes a call that fails and tells how many attempts it made: by itself 2.
fn fail() -> u32 {
    let policy = Retry::on::<&str>()
        .attempts(2)
        .no_timeout()
        .timer(Timer::custom(&Still));
    let mut made = 0;
    let result = policy.call(|| {
        made += 1;
        Err::<(), _>("down")
    });
    assert_eq!(result, Err("down"));
    made
}

/// Makes the statics, so that the orders of that are not tried too.
fn begin() {
    set_active(true);
    instrument::reset_hooks();
    all_is_usual();
}

/// All is as it was at the start.
#[track_caller]
fn all_is_usual() {
    assert_eq!(overrides(), 0, "something is left on, or was left twice");
    assert!(is_active() && !testing::is_testing());
    assert_eq!(instrument::hooks().len(), 2, "the log and the metrics");
}

fn join(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    for thread in threads {
        thread.join().unwrap();
    }
}

/// Fault: a counter that changes after the lock is released; a lock that is released between reading and writing.
#[test]
fn switches_that_meet_leave_nothing_on() {
    every_order(|| {
        begin();
        join([
            thread::spawn(|| {
                set_active(false);
                assert!(!is_active());
                set_active(true);
                assert!(overrides() <= 1);
            }),
            thread::spawn(|| {
                testing::set_testing(Some(Testing::attempts(3)));
                testing::set_testing(None);
                assert!(overrides() <= 1);
            }),
        ]);
        all_is_usual();
    });
}

/// Fault: switching off that is not counted.
#[test]
fn a_call_sees_the_switches_that_were_set_before_it() {
    every_order(|| {
        begin();
        let is_off = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_off);
        join([
            thread::spawn(move || {
                set_active(false);
                told.store(true, Ordering::SeqCst);
            }),
            thread::spawn(move || {
                let before = is_off.load(Ordering::SeqCst);
                let made = fail();
                assert!(made == 1 || made == 2 && !before, "{made} attempts");
            }),
        ]);
        assert_eq!((fail(), overrides()), (1, 1));
        set_active(true);
        all_is_usual();
    });
}

/// Fault: an end of testing mode that switches retries on.
#[test]
fn a_switch_that_others_set_and_reset_meanwhile_stays_in_force() {
    many_orders(4_000, || {
        begin();
        set_active(false);
        let others = [3, 4].map(|attempts| {
            thread::spawn(move || {
                testing::set_testing(Some(Testing::attempts(attempts)));
                testing::set_testing(None);
            })
        });
        assert_eq!(fail(), 1);
        assert_eq!(fail(), 1);
        join(others);
        set_active(true);
        all_is_usual();
    });
}

/// Fault: a counter that is read and then written.
#[test]
fn a_scope_is_of_its_thread() {
    many_orders(4_000, || {
        begin();
        let in_scopes = [3, 4].map(|attempts| {
            thread::spawn(move || {
                let outer = testing::inactive();
                let inner = testing::scoped(Testing::attempts(attempts));
                assert_eq!(fail(), attempts);
                // In the wrong order.
                drop(outer);
                assert_eq!(fail(), attempts);
                drop(inner);
                let made = fail();
                assert!([1, 2].contains(&made), "{made} attempts");
            })
        });
        let switches = thread::spawn(|| {
            set_active(false);
            assert_eq!(fail(), 1);
            set_active(true);
            assert_eq!(fail(), 2);
        });
        join(in_scopes);
        join([switches]);
        all_is_usual();
    });
}

/// What came to whom, in order: the event, the list and the place in it.
type Heard = Arc<Mutex<Vec<(&'static str, u32, u32)>>>;

/// One of two hooks of a list.
struct Listens {
    heard: Heard,
    list: u32,
    place: u32,
}

impl Listens {
    fn both(list: u32, heard: &Heard) -> [Arc<dyn Hook>; 2] {
        [0, 1].map(|place| {
            let heard = Arc::clone(heard);
            Arc::new(Self { heard, list, place }) as Arc<dyn Hook>
        })
    }

    fn hears(&self, event: &'static str) {
        // Others come in between, which a list must not mind.
        thread::yield_now();
        let mut heard = self.heard.lock().unwrap();
        heard.push((event, self.list, self.place));
    }
}

impl Hook for Listens {
    fn retry_scheduled(&self, _: &RetryDetails<'_>) {
        self.hears("retry");
    }

    fn gave_up(&self, _: &GaveUp<'_>) {
        self.hears("gave up");
    }
}

std::thread_local! {
    /// Where this execution's log goes; all of its threads are one to the system.
    static LOG: RefCell<Option<Heard>> = const { RefCell::new(None) };
}

/// Stands for the list 0: the default hooks, of which the log's is heard.
struct Logger;

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        // Shuttle's own events come here too, if some crate of the build has `tracing` write to `log`.
        if !record.target().starts_with("stamina") {
            return;
        }
        let event = if record.args().to_string().contains("retry_scheduled") {
            "retry"
        } else {
            "gave up"
        };
        LOG.with_borrow(|heard| {
            if let Some(heard) = heard {
                let mut heard = heard.lock().unwrap();
                heard.extend([(event, 0, 0), (event, 0, 1)]);
            }
        });
    }

    fn flush(&self) {}
}

/// Hears the default hooks, and whatever list it is given.
fn listen() -> Heard {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Logger).unwrap();
        log::set_max_level(log::LevelFilter::Warn);
    });
    let heard = Heard::default();
    LOG.set(Some(Arc::clone(&heard)));
    heard
}

/// Both events of a call came to one list each, to the whole of it, and never to an older one again.
#[track_caller]
fn came_to_one_list_each(heard: &Heard) {
    let heard = mem::take(&mut *heard.lock().unwrap());
    let [retry, retry_too, gave_up, gave_up_too] = heard[..] else {
        panic!("{heard:?}")
    };
    let (first, second) = (retry.1, gave_up.1);
    assert_eq!(
        (retry, retry_too),
        (("retry", first, 0), ("retry", first, 1))
    );
    let of_second = (("gave up", second, 0), ("gave up", second, 1));
    assert_eq!((gave_up, gave_up_too), of_second);
    assert!(first <= second, "{heard:?}");
}

/// Fault: a list that is looked up for each hook.
#[test]
fn an_event_comes_to_the_whole_of_one_list() {
    every_order(|| {
        begin();
        let heard = listen();
        instrument::set_hooks(Listens::both(1, &heard));
        let replaces = {
            let list = Listens::both(2, &heard);
            thread::spawn(move || instrument::set_hooks(list))
        };
        assert_eq!(fail(), 2);
        came_to_one_list_each(&heard);
        join([replaces]);
        assert_eq!(fail(), 2);
        assert!(heard.lock().unwrap().iter().all(|(_, list, _)| *list == 2));
        assert_eq!(overrides(), 0, "hooks of the process slow no call down");
        came_to_one_list_each(&heard);
        instrument::reset_hooks();
        all_is_usual();
    });
}

/// Fault: default hooks that look one by one whether they have been replaced meanwhile.
#[test]
fn an_event_comes_to_the_default_hooks_or_to_those_that_replace_them() {
    every_order(|| {
        begin();
        let heard = listen();
        let replaces = {
            let list = Listens::both(1, &heard);
            thread::spawn(move || instrument::set_hooks(list))
        };
        assert_eq!(fail(), 2);
        came_to_one_list_each(&heard);
        join([replaces]);
        instrument::reset_hooks();
        all_is_usual();
    });
    every_order(|| {
        begin();
        let heard = listen();
        instrument::set_hooks(Listens::both(1, &heard));
        let resets = thread::spawn(instrument::reset_hooks);
        assert_eq!(fail(), 2);
        // Here the default hooks come second.
        for (_, list, _) in &mut *heard.lock().unwrap() {
            *list = 1 - *list;
        }
        came_to_one_list_each(&heard);
        join([resets]);
        all_is_usual();
    });
}

/// A hook that is gone for good only after it has replaced the others.
struct Parting {
    parted: Arc<Mutex<u32>>,
    list: Mutex<Option<[Arc<dyn Hook>; 2]>>,
}

impl Hook for Parting {}

impl Drop for Parting {
    fn drop(&mut self) {
        *self.parted.lock().unwrap() += 1;
        if let Some(list) = self.list.lock().unwrap().take() {
            instrument::set_hooks(list);
        }
    }
}

/// Fault: an old list that is dropped under the lock.
#[test]
fn what_is_replaced_is_dropped_once_and_may_replace_again() {
    many_orders(4_000, || {
        begin();
        let heard = listen();
        let parted = Arc::new(Mutex::new(0));
        let parting = |list| Parting {
            parted: Arc::clone(&parted),
            list: Mutex::new(Some(Listens::both(list, &heard))),
        };
        let replaces = [1, 2].map(|list| {
            let parting = parting(list);
            thread::spawn(move || instrument::set_hooks([Arc::new(parting) as Arc<dyn Hook>]))
        });
        let calls = {
            let parting = parting(3);
            thread::spawn(move || {
                let scope = instrument::scoped_hooks([Arc::new(parting) as Arc<dyn Hook>]);
                assert_eq!(fail(), 2);
                drop(scope);
            })
        };
        join(replaces);
        join([calls]);
        // Each parts at the latest here; and what it leaves behind goes next.
        instrument::set_hooks([]);
        instrument::set_hooks([]);
        instrument::reset_hooks();
        assert_eq!(*parted.lock().unwrap(), 3);
        assert_eq!(Arc::strong_count(&heard), 2, "a replaced list is kept");
        all_is_usual();
    });
}

/// Fault: hooks of the process that win over a scope's.
#[test]
fn scoped_hooks_hear_their_thread_only() {
    many_orders(4_000, || {
        begin();
        let heard = listen();
        let replaces = {
            let list = Listens::both(9, &heard);
            thread::spawn(move || {
                instrument::set_hooks(list);
                instrument::reset_hooks();
            })
        };
        let scoped = [1, 2].map(|list| {
            thread::spawn(move || {
                let heard = Heard::default();
                let scope = instrument::scoped_hooks(Listens::both(list, &heard));
                assert_eq!(fail(), 2);
                assert!(heard.lock().unwrap().iter().all(|(_, of, _)| *of == list));
                came_to_one_list_each(&heard);
                drop(scope);
                assert_eq!(Arc::strong_count(&heard), 1);
            })
        });
        join(scoped);
        join([replaces]);
        assert_eq!(*heard.lock().unwrap(), [], "nobody else calls");
        all_is_usual();
    });
}

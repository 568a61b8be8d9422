//! ```sh
//! cargo run --example testing
//! ```
//!
//! Test code that retries: without waits, and without changing it. In your crate these functions are `#[test]`s. They
//! can run at the same time, because each switch holds for its own thread.

use std::time::{Duration, Instant};

use stamina::testing::{self, Testing, VirtualClock};
use stamina::{Retry, Timer, instrument};

/// The code under test. It makes ten attempts, with waits of up to 5 s.
fn load(operation: impl FnMut() -> Result<u32, String>) -> Result<u32, String> {
    Retry::on::<String>().call(operation)
}

fn gives_up_without_waits() {
    let _guard = testing::scoped(Testing::attempts(3));
    let mut attempts = 0;
    let result = load(|| {
        attempts += 1;
        Err("down".to_owned())
    });
    assert_eq!((result, attempts), (Err("down".to_owned()), 3));
}

fn fails_at_once_when_retries_are_off() {
    let _guard = testing::inactive();
    assert_eq!(load(|| Err("down".to_owned())), Err("down".to_owned()));
}

fn recovers_in_silence() {
    let _guard = testing::scoped(Testing::attempts(5));
    let _quiet = instrument::scoped_hooks([]); // no log records, no metrics
    let mut answers = [Err("down".to_owned()), Ok(7)].into_iter();
    assert_eq!(load(|| answers.next().expect("two answers")), Ok(7));
}

fn waits_as_planned_in_virtual_time() {
    static CLOCK: VirtualClock = VirtualClock::new();
    let policy = Retry::on::<&str>().attempts(4).timer(Timer::custom(&CLOCK));
    assert_eq!(policy.call(|| Err::<(), _>("down")), Err("down"));
    for (wait, (shortest, longest)) in CLOCK.waits().into_iter().zip(policy.schedule()) {
        println!("  {wait:.3?} lies between {shortest:?} and {longest:?}");
        assert!((shortest..=longest).contains(&wait));
    }
}

fn main() {
    let started = Instant::now();
    gives_up_without_waits();
    fails_at_once_when_retries_are_off();
    recovers_in_silence();
    waits_as_planned_in_virtual_time();
    println!("Four tests passed in {:.0?}", started.elapsed());
    assert!(started.elapsed() < Duration::from_secs(1));
}

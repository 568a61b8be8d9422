//! `pause`: a retry that was decided on and has not been waited for.

use std::future::IntoFuture;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use crate::support::{ManualClock, Recorder, ms, poll, secs};
use stamina::{Budget, Clock, Retry, StopReason};

struct Stage {
    clock: &'static ManualClock,
    budget: Arc<Budget>,
    policy: Retry<&'static str>,
}

impl Stage {
    fn new() -> Self {
        let (clock, budget) = (ManualClock::new(), Arc::new(Budget::new().floor(5)));
        let policy = Retry::on::<&str>()
            .wait_jitter(Duration::ZERO)
            .attempts(3)
            .shared_budget(Arc::clone(&budget))
            .timer(clock.timer());
        Self {
            clock,
            budget,
            policy,
        }
    }

    #[track_caller]
    fn holds(&self, tokens: f64) {
        let balance = self.budget.balance(self.clock.now());
        assert!((balance - tokens).abs() < 1e-3, "{balance}, not {tokens}");
    }
}

#[test]
fn it_says_how_long_and_counts_only_when_it_is_over() {
    let stage = Stage::new();
    let (recorder, _hooks) = Recorder::here();
    let mut attempts = stage.policy.start();
    let pause = attempts.pause(&"down").unwrap();
    assert_eq!(pause.wait(), ms(100));
    assert!(format!("{pause:?}").contains("100ms"), "{pause:?}");
    // It is reported when it is decided, and its permit is taken but not spent.
    assert_eq!(recorder.short(), ["retry 1"]);
    stage.holds(4.0);
    pause.block();
    assert_eq!(stage.clock.slept(), [ms(100)]);
    assert_eq!((attempts.number(), attempts.waited()), (2, ms(100)));
    stage.holds(4.0);
    let future = attempts.pause(&"down").unwrap().into_future();
    let shown = format!("{future:?}");
    assert!(
        shown.starts_with("PauseFuture") && shown.contains("200ms"),
        "{shown}"
    );
}

#[test]
fn dropped_it_is_undone() {
    let stage = Stage::new();
    let mut attempts = stage.policy.start();
    for _ in 0..10 {
        drop(attempts.pause(&"down").unwrap());
        assert_eq!((attempts.number(), attempts.waited()), (1, Duration::ZERO));
        stage.holds(5.0);
    }
    assert!(stage.clock.slept().is_empty());
    assert_eq!(attempts.stop_reason(), None);
}

#[test]
fn skipped_it_counts_without_a_sleep() {
    let stage = Stage::new();
    let mut attempts = stage.policy.start();
    attempts.pause(&"down").unwrap().skip();
    assert_eq!((attempts.number(), attempts.waited()), (2, ms(100)));
    assert!(stage.clock.slept().is_empty());
    stage.holds(4.0);
    attempts.pause(&"down").unwrap().skip();
    let stopped = attempts.pause(&"down").unwrap_err();
    assert_eq!(stopped, StopReason::AttemptsExhausted);
    stage.holds(3.0);
}

#[test]
fn awaited_it_counts_when_the_sleep_is_over_and_can_be_dropped_before() {
    let stage = Stage::new();
    let mut attempts = stage.policy.start();
    {
        let mut waiting = pin!(attempts.pause(&"down").unwrap().into_future());
        assert!(poll(waiting.as_mut()).is_pending());
        stage.clock.pass(ms(99));
        assert!(poll(waiting.as_mut()).is_pending());
        stage.holds(4.0);
    }
    assert_eq!(attempts.number(), 1);
    stage.holds(5.0);
    {
        let mut waiting = pin!(attempts.pause(&"down").unwrap().into_future());
        assert!(poll(waiting.as_mut()).is_pending());
        stage.clock.pass(ms(100));
        assert!(poll(waiting.as_mut()).is_ready());
    }
    assert_eq!((attempts.number(), attempts.waited()), (2, ms(100)));
    stage.holds(4.0);
}

#[test]
fn a_thread_can_wait_in_its_own_way() {
    // A worker that stops at once if it is told to, and keeps the last error.
    let (stop, told) = std::sync::mpsc::channel::<()>();
    let stage = Stage::new();
    let policy = stage.policy.clone().no_timeout().fixed(secs(3600));
    let mut attempts = policy.start();
    stop.send(()).unwrap();
    let pause = attempts.pause(&"down").unwrap();
    assert_eq!(told.recv_timeout(pause.wait()), Ok(()));
    drop(pause);
    assert_eq!(attempts.number(), 1);
    stage.holds(5.0);
}

//! What can be made of a policy: another error type, its waits as an iterator, a call in a struct.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{ManualClock, Recorder, ms, secs};
use stamina::{Attempts, Budget, Retry, Settings, StopReason};

#[test]
fn for_error_keeps_all_that_does_not_mention_the_error() {
    let clock = ManualClock::new();
    let budget = Arc::new(Budget::new().floor(9));
    let original = Retry::on::<&str>()
        .attempts(3)
        .timeout(secs(9))
        .wait_initial(ms(5))
        .wait_max(ms(50))
        .reset_after(secs(60))
        .shared_budget(Arc::clone(&budget))
        .named("both")
        .timer(clock.timer())
        .seed(7)
        .quiet()
        .outermost_only()
        .when(|_| false)
        .describe(|_, _| panic!("it mentions the error"))
        .on_retry(|_, _| panic!("it mentions the error"))
        .attempt_timeout(secs(1), || "slow");
    let other = original.for_error::<u8>();
    let expected = Settings {
        attempt_timeout: None,
        ..original.settings()
    };
    assert_eq!((other.settings(), other.name()), (expected, Some("both")));
    assert!(std::ptr::eq(
        other.get_budget().unwrap(),
        &raw const *budget
    ));
    // The waits of the same seed, without the other's predicate and hook.
    let drawn = |attempts: &mut Attempts<'_, u8>| attempts.decide(&1);
    let first = drawn(&mut other.start()).unwrap();
    assert_eq!(
        drawn(
            &mut Retry::on::<u8>()
                .wait_initial(ms(5))
                .wait_max(ms(50))
                .start()
                .seeded(7)
        ),
        Ok(first)
    );
    let (recorder, _hooks) = Recorder::here();
    let report = other.report(|| Err::<(), _>(1));
    assert_eq!((report.attempts, clock.slept().len()), (3, 2));
    assert!(recorder.take().is_empty(), "quiet");
    // A session of a minute is healthy, and a nested call stops.
    let mut attempts = other.start();
    clock.pass(secs(60));
    assert!(attempts.decide(&1).is_ok());
    other
        .call(|| {
            assert_eq!(other.start().decide(&1), Err(StopReason::Nested));
            Ok(())
        })
        .unwrap();
}

#[test]
fn delays_are_drawn_within_the_schedule_and_end_with_the_attempts() {
    let policy = Retry::on::<()>().attempts(6);
    let mut seen = Vec::new();
    for _ in 0..200 {
        let delays: Vec<_> = policy.delays().collect();
        assert_eq!(delays.len(), 5);
        for (delay, (shortest, longest)) in delays.iter().zip(policy.schedule()) {
            assert!(shortest <= *delay && *delay <= longest, "{delay:?}");
        }
        seen.push(delays[0]);
    }
    // They spread.
    let (min, max) = (seen.iter().min().unwrap(), seen.iter().max().unwrap());
    assert!(*min < ms(150) && *max > ms(1050), "{min:?} {max:?}");

    let mut delays = policy.delays();
    assert_eq!(delays.size_hint(), (5, Some(5)));
    delays.by_ref().take(5).for_each(drop);
    assert_eq!((delays.next(), delays.next()), (None, None));
    delays.reset();
    assert_eq!(delays.count(), 5);
    // As the calls of the same seed have them; the deadline is not theirs.
    let seeded = policy.clone().seed(3).timeout(Duration::ZERO);
    let endless = policy.clone().seed(3).no_timeout();
    let mut attempts = endless.start();
    let decided: Vec<_> = std::iter::from_fn(|| attempts.decide(&()).ok()).collect();
    assert_eq!(seeded.delays().collect::<Vec<_>>(), decided);
    // It owns what it needs, and has no end without a limit.
    let mut owned = Retry::on::<()>().unlimited_attempts().fixed(ms(7)).delays();
    assert_eq!(owned.nth(100_000), Some(ms(7)));
    let mut last = Retry::on::<()>().attempts(1).delays();
    assert_eq!(last.next(), None);
}

/// A client that keeps its retry state over several requests, and whose policy came from a file.
struct Download {
    attempts: Attempts<'static, &'static str>,
    offset: u32,
}

impl Download {
    fn read(
        &mut self,
        mut fetch: impl FnMut(u32) -> Result<u32, &'static str>,
    ) -> Result<u32, &'static str> {
        loop {
            match fetch(self.offset) {
                Ok(read) => {
                    self.offset += read;
                    return Ok(self.attempts.succeed(read));
                }
                Err(error) => self.attempts.again(error)?,
            }
        }
    }
}

#[test]
fn a_struct_can_own_its_attempts() {
    fn movable<T: Send + Sync + 'static>(value: T) -> T {
        value
    }
    let clock = ManualClock::new();
    let policy = Retry::on::<&str>().attempts(2).timer(clock.timer());
    let mut download = movable(Download {
        attempts: policy.into_attempts(),
        offset: 0,
    });
    let mut down = false;
    for _ in 0..10 {
        // Each second request fails: progress begins anew, so ten of them are no outage.
        let fetch = |_| {
            down = !down;
            if down { Err("hiccup") } else { Ok(9) }
        };
        assert_eq!(download.read(fetch), Ok(9));
        clock.pass(secs(60));
    }
    assert_eq!(download.offset, 90);
    assert_eq!(download.read(|_| Err("down")), Err("down"));
    assert_eq!(
        download.attempts.stop_reason(),
        Some(StopReason::AttemptsExhausted)
    );
}

#[test]
fn the_time_that_remains_is_for_the_operations_own_timeout() {
    let clock = ManualClock::new();
    let policy = Retry::on::<&str>().timeout(secs(10)).timer(clock.timer());
    let mut attempts = policy.start();
    assert_eq!(attempts.remaining(), Some(secs(10)));
    clock.pass(secs(4));
    attempts.pause(&"down").unwrap().skip();
    assert_eq!(attempts.remaining(), Some(secs(6)));
    clock.pass(secs(60));
    assert_eq!(attempts.remaining(), Some(Duration::ZERO));
    assert_eq!(policy.resume(2, secs(7)).remaining(), Some(secs(3)));
    assert_eq!(policy.clone().no_timeout().start().remaining(), None);
    let _testing = stamina::testing::scoped(stamina::testing::Testing::attempts(2));
    assert_eq!(policy.start().remaining(), None);
}

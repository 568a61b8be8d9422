//! Two threads that call without pause while hooks and switches change underneath.
//!
//! Two seconds in the ordinary run; `STAMINA_SOAK_SECONDS=600 cargo test --release --test soak -- --nocapture` for
//! longer. One test only: the switches are the process's.
//!
//! Alone in its process: it changes hooks and switches of the process without pause.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use stamina::instrument::{self, GaveUp, Hook, Recovered, RetryDetails};
use stamina::testing::{self, Testing, VirtualClock};
use stamina::{Budget, Clock, Retry, Sleep, StopReason, Timer};

/// Time stands still, so that nothing waits and the budget's balance is a plain sum.
struct Still;

impl Clock for Still {
    fn now(&self) -> Instant {
        static FIRST: VirtualClock = VirtualClock::new();
        FIRST.now()
    }

    fn sleep(&self, _: Duration) -> Sleep {
        Sleep::ready()
    }

    fn sleep_blocking(&self, _: Duration) {}
}

static BUDGET: Budget = Budget::new().floor(10).ratio(0.5);
static POLICY: Retry<u64> = Retry::on::<u64>()
    .attempts(4)
    .timer(Timer::custom(&Still))
    .budget(&BUDGET);

static RETRIES: AtomicU64 = AtomicU64::new(0);
static SUCCESSES: AtomicU64 = AtomicU64::new(0);
/// Successes of retries: each may refund a token.
static RECOVERIES: AtomicU64 = AtomicU64::new(0);
static CALLS: AtomicU64 = AtomicU64::new(0);
static TOLD: AtomicU64 = AtomicU64::new(0);

struct Counts;

impl Hook for Counts {
    fn retry_scheduled(&self, _: &RetryDetails<'_>) {
        TOLD.fetch_add(1, Ordering::Relaxed);
    }
    fn gave_up(&self, details: &GaveUp<'_>) {
        assert!(details.attempts >= 1);
    }
    fn recovered(&self, details: &Recovered<'_>) {
        assert!(details.attempts > 1);
    }
}

/// Hooks come and go with their last reference, on whichever thread that is.
struct Guarded(Arc<AtomicU64>);

impl Hook for Guarded {}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
        // A hook's drop may use the switches itself.
        assert!(instrument::hooks().len() < 3);
    }
}

/// One call that fails `failures` times and then succeeds.
fn call(failures: u32) {
    let mut made = 0;
    let report = POLICY.report(|| {
        made += 1;
        if made <= failures {
            Err(u64::from(made))
        } else {
            Ok(made)
        }
    });
    CALLS.fetch_add(1, Ordering::Relaxed);
    assert_eq!(report.attempts, made);
    assert!(made <= 4);
    match (report.result, report.stop_reason) {
        (Ok(last), None) => assert_eq!(last, failures + 1),
        (Err(error), Some(reason)) => {
            assert_eq!(error, u64::from(made), "the last error");
            assert_ne!(reason, StopReason::NotRetryable);
            assert!(
                made == 4
                    || matches!(
                        reason,
                        StopReason::Inactive
                            | StopReason::BudgetExhausted
                            | StopReason::AttemptsExhausted
                    )
            );
        }
        other => panic!("{other:?}"),
    }
}

/// The same under a budget that is alone: what it allows is counted. `normal()` beats whatever the process switches.
fn counted(failures: u32) {
    let _normal = testing::normal();
    let mut made = 0_u64;
    let report = COUNTED.report(|| {
        made += 1;
        if made <= u64::from(failures) {
            Err(made)
        } else {
            Ok(made)
        }
    });
    RETRIES.fetch_add(made - 1, Ordering::Relaxed);
    SUCCESSES.fetch_add(u64::from(report.result.is_ok()), Ordering::Relaxed);
    RECOVERIES.fetch_add(
        u64::from(report.result.is_ok() && made > 1),
        Ordering::Relaxed,
    );
}

static ALONE: Budget = Budget::new().floor(10).ratio(0.5);
static COUNTED: Retry<u64> = Retry::on::<u64>()
    .attempts(4)
    .timer(Timer::custom(&Still))
    .budget(&ALONE);

#[test]
fn nothing_breaks_while_hooks_and_switches_change_underneath() {
    let seconds = std::env::var("STAMINA_SOAK_SECONDS")
        .map_or(2, |seconds| seconds.parse().expect("a number"));
    let stop = AtomicBool::new(false);
    let (made, dropped) = (AtomicU64::new(0), Arc::new(AtomicU64::new(0)));
    let mut changes = 0_u64;
    instrument::set_hooks([Arc::new(Counts) as Arc<dyn Hook>]);

    std::thread::scope(|scope| {
        for worker in 0..2_u32 {
            let stop = &stop;
            scope.spawn(move || {
                let mut number = worker;
                while !stop.load(Ordering::Relaxed) {
                    call(number % 6);
                    counted(number % 5);
                    if number % 7 == 0 {
                        let _scope = testing::scoped(Testing::attempts(2));
                        let _hooks = instrument::scoped_hooks([]);
                        let report = POLICY.report(|| Err::<(), _>(7));
                        assert_eq!((report.attempts, report.result), (2, Err(7)));
                    }
                    number = number.wrapping_add(1);
                }
            });
        }
        let until = Instant::now() + Duration::from_secs(seconds);
        while Instant::now() < until {
            changes += 1;
            match changes % 6 {
                0 => stamina::set_active(false),
                1 => testing::set_testing(Some(Testing::attempts(3).capped())),
                2 => stamina::set_active(true),
                3 => testing::set_testing(None),
                4 => {
                    made.fetch_add(1, Ordering::Relaxed);
                    let guarded = Guarded(Arc::clone(&dropped));
                    instrument::set_hooks([Arc::new(Counts) as Arc<dyn Hook>, Arc::new(guarded)]);
                }
                _ => instrument::reset_hooks(),
            }
            std::thread::yield_now();
        }
        stop.store(true, Ordering::Relaxed);
    });
    stamina::set_active(true);
    testing::set_testing(None);
    instrument::reset_hooks();

    assert!(stamina::is_active() && !testing::is_testing());
    assert_eq!(
        dropped.load(Ordering::Relaxed),
        made.load(Ordering::Relaxed),
        "each replaced hook is dropped once"
    );
    let (retries, successes, recoveries) = (
        RETRIES.load(Ordering::Relaxed),
        SUCCESSES.load(Ordering::Relaxed),
        RECOVERIES.load(Ordering::Relaxed),
    );
    // Never overspent, and nothing lost: what is left is what was put in and not taken, and at most one token of each
    // recovery.
    assert!(
        retries * 2 <= 20 + successes + 2 * recoveries,
        "{retries} retries for {successes} successes"
    );
    let left = ALONE.balance(Still.now());
    #[allow(
        clippy::cast_precision_loss,
        reason = "counts of a few minutes are exact"
    )]
    let (least, refunds) = (
        10.0 + 0.5 * successes as f64 - retries as f64,
        recoveries as f64,
    );
    assert!(
        0.0 <= left && least - 0.01 < left && left < least + refunds + 0.01,
        "{left} left, at least {least}, refunds {refunds}"
    );
    assert!(CALLS.load(Ordering::Relaxed) > 0 && changes > 6);
    println!(
        "{} calls, {retries} retries counted, {} told, {changes} changes",
        CALLS.load(Ordering::Relaxed) * 2,
        TOLD.load(Ordering::Relaxed),
    );
}

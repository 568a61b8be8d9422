//! ```sh
//! cargo run --example budget
//! ```
//!
//! Retries hide small failures and make big ones bigger: with three attempts per call, a service that is down gets three
//! times its load. A budget allows retries only while most calls succeed. Make one for each dependency, and share it
//! between all its callers. Time is virtual here, so nothing really waits.

use stamina::testing::VirtualClock;
use stamina::{Budget, Retry, StopReason, Timer};

static CLOCK: VirtualClock = VirtualClock::new();
static CARELESS: Retry<&str> = Retry::on::<&str>().attempts(3).timer(Timer::custom(&CLOCK));

/// One for each dependency.
static PAYMENTS: Budget = Budget::new();

/// Makes 1,000 calls to a service that fails `percent` of all attempts: attempts and successes.
fn traffic(policy: &Retry<&'static str>, percent: u32) -> (u32, u32) {
    let (mut attempts, mut successes, mut dice) = (0, 0, 0);
    for _ in 0..1000 {
        let result = policy.call(|| {
            attempts += 1;
            dice = (dice + 37) % 100;
            if dice < percent { Err("down") } else { Ok(()) }
        });
        successes += u32::from(result.is_ok());
    }
    (attempts, successes)
}

fn main() {
    let careful = CARELESS.clone().budget(&PAYMENTS);
    println!("1,000 calls with up to 3 attempts:         no budget            a budget");
    for percent in [1, 10, 100] {
        let (without, with) = (traffic(&CARELESS, percent), traffic(&careful, percent));
        println!(
            "{percent:>3} % of attempts fail    {:>5} attempts, {:>4} ok {:>5} attempts, {:>4} ok",
            without.0, without.1, with.0, with.1
        );
        if percent == 100 {
            assert_eq!(without.0, 3000, "three times the load");
            assert!(with.0 < 1100, "hardly more than the load");
        } else {
            assert_eq!(with, without, "retries are free while most calls succeed");
        }
    }

    let report = careful.report(|| Err::<(), _>("down"));
    println!("Now a call ends at once: {:?}", report.stop_reason);
    assert_eq!(report.stop_reason, Some(StopReason::BudgetExhausted));
    assert_eq!(report.attempts, 1);
}

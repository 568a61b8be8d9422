//! ```sh
//! cargo run --example budget
//! ```
//!
//! Retries hide small failures and make large ones larger: three attempts each are three times the load for a service
//! that is down. A budget, one for each dependency and shared by all its callers, lets retries through only as long as
//! most calls succeed. Time is virtual here: you need not wait.

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
            assert_eq!(without.0, 3000, "the service gets three times its load");
            assert!(with.0 < 1100, "it gets hardly more than its load");
        } else {
            assert_eq!(with, without, "where most calls succeed, retries are free");
        }
    }

    let report = careful.report(|| Err::<(), _>("down"));
    println!("Now a call ends at once: {:?}", report.stop_reason);
    assert_eq!(report.stop_reason, Some(StopReason::BudgetExhausted));
    assert_eq!(report.attempts, 1);
}

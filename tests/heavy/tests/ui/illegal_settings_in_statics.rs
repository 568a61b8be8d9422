use stamina::testing::Testing;
use stamina::{Budget, Budgets, Retry, Settings};
use std::time::Duration;

static ATTEMPTS: Retry<()> = Retry::on::<()>().attempts(0);
static BASE: Retry<()> = Retry::on::<()>().wait_exp_base(0.5);
static NOT_A_NUMBER: Retry<()> = Retry::on::<()>().wait_exp_base(f64::NAN);
static INFINITE: Retry<()> = Retry::on::<()>().wait_exp_base(f64::INFINITY);
static SETTINGS: Retry<()> = Retry::on::<()>().with_settings(Settings {
    attempts: Some(0),
    ..Settings::DEFAULT
});
static RATIO: Budget = Budget::new().ratio(1.5);
static DECAY: Budget = Budget::new().decay(Duration::ZERO);
static FLOOR: Budget = Budget::new().floor(1_000_001);
static EARNED_AFTER: Budget = Budget::new().earned_after(Duration::ZERO);
static KIND: Budgets = Budgets::of_kind(Budget::new().ratio(0.0));
const TESTING: Testing = Testing::attempts(0);

fn main() {
    let _ = TESTING;
}

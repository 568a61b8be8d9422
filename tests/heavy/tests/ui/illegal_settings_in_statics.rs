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
static ATTEMPT_TIMEOUT: Retry<()> = Retry::on::<()>().with_settings(Settings {
    attempt_timeout: Some(Duration::ZERO),
    ..Settings::DEFAULT
});
static NO_ERROR: Retry<()> = Retry::on::<()>().with_settings(Settings {
    attempt_timeout: Some(Duration::from_secs(1)),
    ..Settings::DEFAULT
});
static SETTER: Retry<()> = Retry::on::<()>().attempt_timeout(Duration::ZERO, || ());
static RESET_AFTER: Retry<()> = Retry::on::<()>().reset_after(Duration::ZERO);
static RATIO: Budget = Budget::new().ratio(1.5);
static DECAY: Budget = Budget::new().decay(Duration::ZERO);
static FLOOR: Budget = Budget::new().floor(1_000_001);
static EARNED_AFTER: Budget = Budget::new().earned_after(Duration::ZERO);
static NO_SLOT: Budgets<0> = Budgets::new();
static KIND: Budgets = Budgets::of_kind(Budget::new().ratio(0.0));
const TESTING: Testing = Testing::attempts(0);

fn main() {
    let _ = TESTING;
}

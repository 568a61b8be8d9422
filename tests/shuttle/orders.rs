//! The orders in which threads can meet.

use shuttle::scheduler::{DfsScheduler, PctScheduler};
use shuttle::{Config, Runner};

fn config() -> Config {
    let mut config = Config::new();
    // That shuttle takes Relaxed for SeqCst: each file of tests says why that leaves nothing out. And that it drops
    // statics at the end of an execution: none of the library's does anything then.
    config.silence_warnings = true;
    config
}

/// All of them.
pub(crate) fn every_order(check: impl Fn() + Send + Sync + 'static) {
    let orders = Runner::new(DfsScheduler::new(None, false), config()).run(check);
    println!("{orders} orders");
}

/// Of a great many the ones with up to three changes of thread at the worst moments, so many times: the same at each run.
#[allow(dead_code, reason = "only where every order would take too long")]
pub(crate) fn many_orders(times: usize, check: impl Fn() + Send + Sync + 'static) {
    let orders = PctScheduler::new_from_seed(0x5EED, 4, times);
    Runner::new(orders, config()).run(check);
}

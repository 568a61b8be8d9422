#![deny(unused_must_use)]

use stamina::testing::{self, Testing, VirtualClock};
use stamina::{Budget, Retry, Timer, instrument};

fn main() {
    let policy = Retry::on::<String>();
    policy.clone().attempts(3);
    policy.clone().when(|_| true);
    policy.clone().named("name");
    policy.call_async(|| async { Ok(1) });
    policy.report_async(|| async { Ok(1) });
    policy.call_async(|| async { Ok(1) }).attempt_timeout(std::time::Duration::ZERO, String::new);
    policy.call_async_with(&mut 1, async |_| Ok(1));
    policy.wrap(|()| Ok(1));
    policy.call(|| Ok(1));
    policy.report(|| Ok(1));
    policy.start();
    policy.start().again(String::new());
    policy.start().decide(&String::new());
    policy.schedule();
    testing::scoped(Testing::attempts(1));
    testing::inactive();
    testing::normal();
    instrument::scoped_hooks([]);
    instrument::hooks();
    Budget::new();
    Timer::futures_timer();
    VirtualClock::new();
    stamina::is_active();
}

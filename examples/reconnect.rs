//! ```sh
//! cargo run --example reconnect
//! ```
//!
//! Keep a connection open. A session that was healthy for a while and then drops is not a failed attempt to connect:
//! with `reset_after` its end starts the call anew, with the first wait and the whole timeout. Time is virtual here, so
//! the hours pass at once.

use std::future::{Future, ready};
use std::time::Duration;

use stamina::testing::VirtualClock;
use stamina::{Retry, Timer};

static CLOCK: VirtualClock = VirtualClock::new();

/// Gives up after ten attempts, or a minute, without a session of 30 s.
static LINK: Retry<&str> = Retry::on::<&str>()
    .reset_after(Duration::from_secs(30))
    .timeout(Duration::from_secs(60))
    .timer(Timer::custom(&CLOCK));

/// How long each session lasts, in seconds. 0: no connection.
const SESSIONS: [u64; 8] = [0, 3600, 0, 0, 7200, 40, 0, 1800];

/// One session, from connecting to its end. `Ok` would mean that we are done for good.
fn session(number: usize) -> impl Future<Output = Result<(), &'static str>> {
    // After the last one the server is gone.
    let lasts = SESSIONS.get(number).copied().unwrap_or_default();
    CLOCK.advance(Duration::from_secs(lasts));
    println!(
        "{:>9.1?}: session {number} lasted {lasts} s",
        CLOCK.elapsed()
    );
    ready(Err(if lasts == 0 { "refused" } else { "dropped" }))
}

fn main() {
    let mut numbers = 0..;
    let link = LINK.call_async(|| session(numbers.next().unwrap_or_default()));
    let result = futures::executor::block_on(link);

    println!("  => {result:?}");
    assert_eq!(result, Err("refused"));
    // Ten attempts from the last healthy session on, its end included.
    assert_eq!(numbers.next(), Some(SESSIONS.len() + 9));
    assert!(CLOCK.elapsed() > Duration::from_secs(SESSIONS.iter().sum()));
    // After a healthy session the waits begin anew.
    assert!(CLOCK.waits()[1] <= Duration::from_millis(1100));
}

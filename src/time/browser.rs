//! Time from a JavaScript host, on `wasm32-unknown-unknown`: `performance.now()` and `setTimeout`.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

pub use web_time::Instant;

use super::{Sleep, system_now};

/// Not `Send`, because what waits for JavaScript is not.
pub(super) type Boxed = Pin<Box<dyn Future<Output = ()>>>;

/// The longest timeout of `setTimeout`, which fires at once for a longer one.
const LONGEST: Duration = Duration::from_millis((1 << 31) - 1);

/// A wait by `setTimeout`.
pub(super) struct Delay {
    /// `None` if the clock does not reach that far.
    until: Option<Instant>,
    timeout: futures_timer::Delay,
}

impl Future for Delay {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(Pin::new(&mut self.timeout).poll(cx));
            let left = self.until.map_or(Duration::MAX, |until| {
                until.saturating_duration_since(system_now())
            });
            if left.is_zero() {
                return Poll::Ready(());
            }
            self.timeout = timeout(left);
        }
    }
}

pub(super) fn sleep(duration: Duration) -> Sleep {
    Sleep::host(Delay {
        until: system_now().checked_add(duration),
        timeout: timeout(duration),
    })
}

/// At most `LONGEST`. Rounded up to whole milliseconds, because futures-timer rounds down.
fn timeout(duration: Duration) -> futures_timer::Delay {
    let rounded_up = duration.saturating_add(Duration::from_nanos(999_999));
    futures_timer::Delay::new(rounded_up.min(LONGEST))
}

pub(super) fn sleep_blocking(duration: Duration) {
    panic!(
        "stamina: can't block for {duration:?}: a thread can't sleep on wasm32-unknown-unknown; \
         use an async call, or a `Timer::custom` whose `Clock` can block"
    );
}

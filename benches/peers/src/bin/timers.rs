//! What the timers themselves cost, without tasks: many waits that end within 40 ms of each other.
//!
//! `timers <futures-timer|coarse|tokio> <waits>` prints, a box and a reading of the clock for each
//! wait included: CPU ns to make and poll a wait; CPU ns for each until all have ended; how late
//! they ended in us (half of them, 99 of 100, the last); bytes each; CPU ns to make, poll and drop
//! one more while they wait.

use std::fs;
use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Builder;
use tokio::sync::Notify;

// The library's own sources: a wait by itself is not part of its interface.
#[path = "../../../../src/sync.rs"]
#[allow(unused_imports, unused_macros, reason = "a part is enough here")]
mod sync;
#[path = "../../../../src/time/mod.rs"]
#[allow(dead_code, reason = "a part is enough here")]
mod time;

use sync::{AtomicU64, Ordering};
use time::Timer;

const WINDOW: Duration = Duration::from_millis(40);
/// Few waits are measured again and again.
const ROUNDS: usize = 40;
const MANY: usize = 10_000;
const CANCELLED: u32 = 1_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, waits] = arguments.as_slice() else {
        panic!("usage: timers <futures-timer|coarse|tokio> <waits>");
    };
    let waits = waits.parse().expect("a number of waits");
    let park = |_: &Notify| thread::park();
    let measured = match name.as_str() {
        "futures-timer" => measure(waits, |wait| Timer::futures_timer().sleep(wait), park),
        "coarse" => measure(waits, |wait| Timer::coarse().sleep(wait), park),
        "tokio" => {
            let runtime = Builder::new_current_thread().enable_time().build();
            let runtime = runtime.expect("a runtime with a timer alone can be built");
            let _entered = runtime.enter();
            let park = |ended: &Notify| runtime.block_on(ended.notified());
            measure(waits, tokio::time::sleep, park)
        }
        _ => panic!("no such timer"),
    };
    println!(
        "{}",
        measured.map(|number| format!("{number:.0}")).join(" ")
    );
}

/// `park` may return before all have ended.
fn measure<S: Future<Output = ()>>(
    waits: usize,
    sleep: impl Fn(Duration) -> S,
    park: impl Fn(&Notify),
) -> [f64; 7] {
    let rounds = if waits < MANY { ROUNDS } else { 1 };
    // Threads are there before the measurement.
    round(1, &sleep, &park);
    let mut sums = [0.0; 4];
    let mut late = Vec::new();
    for _ in 0..rounds {
        let (numbers, lates) = round(waits, &sleep, &park);
        for (sum, number) in sums.iter_mut().zip(numbers) {
            *sum += number / rounds as f64;
        }
        late.extend(lates);
    }
    late.sort_unstable();
    let [make, end, bytes, cancel] = sums;
    let late = |part: usize| late[(late.len() - 1) * part / 100] as f64;
    [make, end, late(50), late(99), late(100), bytes, cancel]
}

fn round<S: Future<Output = ()>>(
    waits: usize,
    sleep: &impl Fn(Duration) -> S,
    park: &impl Fn(&Notify),
) -> ([f64; 4], Vec<u64>) {
    // Time enough to make them all before the first ends.
    let first = Instant::now() + Duration::from_micros(50_000 + 4 * waits as u64);
    let left = Arc::new(Left {
        waits: AtomicU64::new(waits as u64),
        ended: Notify::new(),
        parked: thread::current(),
    });
    let slots: Vec<Arc<Slot>> = (0..waits)
        .map(|_| {
            Arc::new(Slot {
                due: first + WINDOW.mul_f64(fastrand::f64()),
                late: AtomicU64::new(0),
                left: Arc::clone(&left),
            })
        })
        .collect();
    let mut sleeps: Vec<Pin<Box<S>>> = Vec::with_capacity(waits);
    let (memory, cpu) = (resident(), cpu_nanos());
    for slot in &slots {
        let waker = Waker::from(Arc::clone(slot));
        let mut sleep = Box::pin(sleep(slot.due.saturating_duration_since(Instant::now())));
        let polled = sleep.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending(), "made too late");
        sleeps.push(sleep);
    }
    let make = (cpu_nanos() - cpu) / waits as f64;
    let bytes = resident().saturating_sub(memory) as f64 / waits as f64;

    let cpu = cpu_nanos();
    for _ in 0..CANCELLED {
        let mut sleep = Box::pin(sleep(Duration::from_millis(500)));
        let polled = sleep.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(black_box(polled).is_pending());
    }
    let cancel = (cpu_nanos() - cpu) / f64::from(CANCELLED);

    assert!(Instant::now() < first, "made too late");
    let cpu = cpu_nanos();
    while left.waits.load(Ordering::Acquire) > 0 {
        park(&left.ended);
    }
    let end = (cpu_nanos() - cpu) / waits as f64;
    for sleep in &mut sleeps {
        let polled = sleep.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_ready(), "woken before its end");
    }
    let late = slots.iter().map(|slot| slot.late.load(Ordering::Relaxed));
    ([make, end, bytes, cancel], late.collect())
}

/// What waits, in the place of a task.
struct Slot {
    due: Instant,
    late: AtomicU64,
    left: Arc<Left>,
}

struct Left {
    waits: AtomicU64,
    ended: Notify,
    parked: Thread,
}

impl Wake for Slot {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let now = Instant::now();
        assert!(self.due <= now, "a wait ended early");
        let late = (now - self.due).as_micros() as u64;
        self.late.store(late, Ordering::Relaxed);
        if self.left.waits.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.left.ended.notify_one();
            self.left.parked.unpark();
        }
    }
}

/// Of all threads.
fn cpu_nanos() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// Bytes of memory in use.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("this is Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: Option<u64> = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok());
    kib.expect("the line is there") * 1024
}

//! Very many tasks at once: each fails twice, with waits of 10 - 50 ms. One configuration in one
//! process, so that the peak of its memory is its own.
//!
//! `scale <hand|stamina|deadline> <tokio|futures-timer|coarse> <current|multi> <tasks>` prints
//! `<wall seconds> <CPU seconds> <peak bytes per task>`. With the feature `scale-tokio`, `scale sizes` prints the sizes of
//! the futures around tokio's sleep.

use std::fs;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_timer::Delay;
use stamina::{Retry, Timer};
use stamina_peers::operation::{Failure, Outcome};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;

const ATTEMPTS: u32 = 10;
const WAIT_MIN: Duration = Duration::from_millis(10);
const JITTER: Duration = Duration::from_millis(40);

/// Waits of 10 - 50 ms.
const POLICY: Retry<Failure> = Retry::on::<Failure>()
    .attempts(ATTEMPTS)
    .no_timeout()
    .wait_initial(WAIT_MIN)
    .wait_exp_base(1.0)
    .wait_jitter(JITTER)
    .wait_max(Duration::from_millis(50));
#[cfg(feature = "scale-tokio")]
static ON_TOKIO: Retry<Failure> = POLICY.timer(Timer::tokio());
#[cfg(feature = "scale-tokio")]
static ON_TOKIO_DEADLINE: Retry<Failure> = POLICY
    .timer(Timer::tokio())
    .timeout(Duration::from_secs(600));
static ON_DEFAULT: Retry<Failure> = POLICY;
static ON_COARSE: Retry<Failure> = POLICY.timer(Timer::coarse());

/// An attempt of 64 bytes.
struct Attempt {
    fails: bool,
    _state: [u64; 7],
}

impl Future for Attempt {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Outcome> {
        Poll::Ready(if self.fails {
            Err(Failure { code: 1 })
        } else {
            Ok(1)
        })
    }
}

/// Fails twice, then succeeds.
fn operation() -> impl FnMut() -> Attempt {
    let mut made = 0u32;
    move || {
        made += 1;
        Attempt {
            fails: made <= 2,
            _state: [0; 7],
        }
    }
}

/// The loop by hand, without a deadline.
async fn by_hand<S: Future<Output = ()>>(sleep: impl Fn(Duration) -> S) -> Outcome {
    let mut attempt = operation();
    let mut number = 1;
    loop {
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) if number == ATTEMPTS => return Err(error),
            Err(_) => {
                let jitter = Duration::from_nanos(fastrand::u64(0..=JITTER.as_nanos() as u64));
                sleep(WAIT_MIN + jitter).await;
            }
        }
        number += 1;
    }
}

struct Left {
    tasks: AtomicUsize,
    none: Notify,
}

async fn all<F: Future<Output = Outcome> + Send + 'static>(tasks: usize, call: impl Fn() -> F) {
    let left = Arc::new(Left {
        tasks: AtomicUsize::new(tasks),
        none: Notify::new(),
    });
    for _ in 0..tasks {
        let (left, call) = (Arc::clone(&left), call());
        tokio::spawn(async move {
            assert!(call.await.is_ok());
            if left.tasks.fetch_sub(1, Ordering::AcqRel) == 1 {
                left.none.notify_one();
            }
        });
    }
    left.none.notified().await;
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    #[cfg(feature = "scale-tokio")]
    if arguments == ["sizes"] {
        for size in stamina_peers::sizes::sizes_on_tokio() {
            println!("{}: {} {}", size.who, size.plain, size.deadline);
        }
        return;
    }
    let [who, sleeper, flavor, tasks] = arguments.as_slice() else {
        panic!(
            "usage: scale <hand|stamina|deadline> <tokio|futures-timer|coarse> <current|multi> <tasks>"
        );
    };
    let tasks: usize = tasks.parse().expect("a number of tasks");
    let runtime = runtime(flavor);
    // Threads, thread-locals and the timer's wheel are there before the measurement.
    run(&runtime, who, sleeper, 100);

    let (memory, cpu, start) = (status("VmRSS:"), cpu_seconds(), Instant::now());
    run(&runtime, who, sleeper, tasks);
    let (wall, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let bytes = status("VmHWM:").saturating_sub(memory) * 1024 / tasks as u64;
    println!("{wall:.3} {cpu:.2} {bytes}");
}

fn run(runtime: &Runtime, who: &str, sleeper: &str, tasks: usize) {
    match (who, sleeper) {
        ("hand", "tokio") => runtime.block_on(all(tasks, || by_hand(tokio::time::sleep))),
        // `Timer::coarse()` is not to be had by hand.
        ("hand", "futures-timer" | "coarse") => {
            runtime.block_on(all(tasks, || by_hand(Delay::new)))
        }
        #[cfg(feature = "scale-tokio")]
        ("stamina", "tokio") => runtime.block_on(all(tasks, || ON_TOKIO.call_async(operation()))),
        #[cfg(feature = "scale-tokio")]
        ("deadline", "tokio") => {
            runtime.block_on(all(tasks, || ON_TOKIO_DEADLINE.call_async(operation())));
        }
        ("stamina", "futures-timer") => {
            runtime.block_on(all(tasks, || ON_DEFAULT.call_async(operation())))
        }
        ("stamina", "coarse") => runtime.block_on(all(tasks, || ON_COARSE.call_async(operation()))),
        _ => panic!("no such configuration"),
    }
}

fn runtime(flavor: &str) -> Runtime {
    let mut builder = match flavor {
        "current" => Builder::new_current_thread(),
        "multi" => Builder::new_multi_thread(),
        _ => panic!("current or multi"),
    };
    builder
        .enable_time()
        .build()
        .expect("a runtime with a timer alone can be built")
}

/// A line of `/proc/self/status`, in KiB.
fn status(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("this is Linux");
    status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok())
        .expect("the line is there")
}

/// User and system time of all threads, in hundredths.
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("this is Linux");
    let after_name = stat
        .rsplit_once(')')
        .expect("the name stands in brackets")
        .1;
    let ticks: u64 = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    ticks as f64 / 100.0
}

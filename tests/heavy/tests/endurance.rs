//! Memory and threads stay the same, however often a call reconnects and however many calls there are.
//!
//! A hundredth of it in the ordinary run. A million reconnects and ten million calls on each timer:
//!
//! ```sh
//! STAMINA_ENDURANCE=100 cargo test --release -p stamina-heavy-tests --test endurance -- --nocapture
//! ```
#![cfg(target_os = "linux")]

use std::fs;
use std::time::{Duration, Instant};

use futures::future::join_all;
use stamina::{Budget, Retry, Timer};

const TASKS: u64 = 500;
const RECONNECTS: u64 = 10_000;
const CALLS: u64 = 100_000;

#[derive(Debug, PartialEq)]
struct Dropped;

/// What the process takes.
#[derive(Clone, Copy, Debug)]
struct Usage {
    resident_kb: u64,
    threads: u64,
}

impl Usage {
    fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let number = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        Self {
            resident_kb: number("VmRSS:"),
            threads: number("Threads:"),
        }
    }
}

/// A connection that works for a moment, which is all that the policy asks of a healthy one.
fn session() {
    let began = Instant::now();
    while Instant::now() == began {}
}

/// One call in which each attempt is a healthy connection that drops in the end.
async fn reconnects_in_one_call(policy: &Retry<Dropped>, sessions: u64) -> u64 {
    let mut held = 0;
    let call = policy.call_async(|| {
        session();
        held += 1;
        std::future::ready(if held > sessions {
            Ok(held)
        } else {
            Err(Dropped)
        })
    });
    call.await.expect("a healthy session starts the call anew") - 1
}

/// The same with a loop of the caller's own, which notes each connection as a success.
async fn reconnects_in_a_loop(policy: &Retry<Dropped>, sessions: u64) -> u64 {
    let mut attempts = policy.start();
    for _ in 0..sessions {
        attempts.succeed(());
        session();
        let again = attempts.again_async(Dropped).await;
        again.expect("the next failure after a success begins a new call");
    }
    sessions
}

async fn reconnect(timer: Timer, reconnects: u64) {
    // Without `reset_after` and `succeed` this would be two reconnects for each task.
    let policy = Retry::on::<Dropped>()
        .attempts(3)
        .fixed(Duration::from_millis(1))
        .reset_after(Duration::from_nanos(1))
        .timer(timer);
    let sessions = reconnects / TASKS;
    let one_call = join_all((0..TASKS / 2).map(|_| reconnects_in_one_call(&policy, sessions)));
    let own_loop = join_all((0..TASKS / 2).map(|_| reconnects_in_a_loop(&policy, sessions)));
    let (one_call, own_loop) = futures::future::join(one_call, own_loop).await;
    let made: u64 = one_call.iter().chain(&own_loop).sum();
    assert_eq!(made, reconnects);
}

/// Calls of which each tenth fails once, blocking and async in turn.
async fn call(timer: Timer, calls: u64) {
    static BUDGET: Budget = Budget::new();
    let policy = Retry::on::<Dropped>()
        .attempts(2)
        .fixed(Duration::ZERO)
        .attempt_timeout(Duration::from_secs(30), || Dropped)
        .budget(&BUDGET)
        .timer(timer);
    let mut attempts = 0;
    for number in 0..calls {
        let mut fails = number % 10 == 9;
        let mut attempt = || {
            attempts += 1;
            if std::mem::take(&mut fails) {
                Err(Dropped)
            } else {
                Ok(number)
            }
        };
        let result = if number % 2 == 0 {
            policy.call(attempt)
        } else {
            policy.call_async(|| std::future::ready(attempt())).await
        };
        assert_eq!(result, Ok(number));
    }
    assert_eq!(attempts, calls + calls / 10);
}

/// Runs a tenth, then the rest, and compares what the process takes.
async fn stays_flat(name: &str, count: u64, run: impl AsyncFn(u64)) {
    let started = Instant::now();
    run(count / 10).await;
    let early = Usage::now();
    run(count - count / 10).await;
    let late = Usage::now();
    println!(
        "{name}: {count} in {:.1} s; resident {} kB after a tenth, {} kB at the end; {} threads",
        started.elapsed().as_secs_f64(),
        early.resident_kb,
        late.resident_kb,
        late.threads
    );
    assert!(
        late.resident_kb <= early.resident_kb + 1024,
        "{early:?} {late:?}"
    );
    assert_eq!(late.threads, early.threads);
}

#[test]
fn memory_and_threads_stay_flat() {
    let times: u64 = std::env::var("STAMINA_ENDURANCE").map_or(1, |times| {
        times.parse().expect("STAMINA_ENDURANCE is a number")
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        for timer in [Timer::futures_timer(), Timer::tokio()] {
            let name = format!("{timer:?}, reconnects");
            stays_flat(&name, RECONNECTS * times, |count| reconnect(timer, count)).await;
            let name = format!("{timer:?}, calls");
            stays_flat(&name, CALLS * times, |count| call(timer, count)).await;
        }
    });
}

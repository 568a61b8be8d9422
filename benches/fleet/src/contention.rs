//! Writers that contend for one versioned row: the simulator of "Exponential Backoff And Jitter" (AWS Architecture
//! Blog).
//!
//! A client reads the version and writes with it; the server takes the write if the version still matches, else the
//! client backs off and begins again.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use fastrand::Rng;
use stamina::{Attempts, Retry};

const BASE: f64 = 5.0;
const CAP: f64 = 2000.0;

/// How a client backs off.
#[derive(Clone, Debug)]
pub(crate) enum Backoff {
    /// By a policy of ours, each client with a seed of its own.
    Policy(Retry<()>),
    /// By a policy of ours with a seed, which all clients share.
    OneSeed(Retry<()>),
    /// Half of the exponential, and a random part of the other half.
    Equal,
    /// Jitter on top of the exponential, and the sum cut at the cap, where no jitter is left. Python's stamina does so.
    CutAtTheCap,
    /// Random between the base and three times the wait before.
    Decorrelated,
}

/// What it took until all had written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// Writes that the server received.
    pub(crate) calls: f64,
    /// When all was over, in milliseconds.
    pub(crate) time: f64,
}

/// A client's backoff under way.
enum Waiting<'a> {
    Policy(Attempts<'a, ()>),
    Equal { failures: i32 },
    Decorrelated { last: f64 },
    CutAtTheCap { failures: i32 },
}

impl Waiting<'_> {
    /// The next wait, in milliseconds.
    fn next(&mut self, random: &mut Rng) -> f64 {
        match self {
            Self::Policy(attempts) => attempts
                .decide(&())
                .map_or(f64::INFINITY, |wait| wait.as_secs_f64() * 1e3),
            Self::Equal { failures } => {
                *failures += 1;
                let half = (BASE * 2_f64.powi(*failures)).min(CAP) / 2.0;
                half + random.f64() * half
            }
            Self::CutAtTheCap { failures } => {
                *failures += 1;
                (BASE * 2_f64.powi(*failures) + random.f64() * 10.0 * BASE).min(CAP)
            }
            Self::Decorrelated { last } => {
                *last = (BASE + random.f64() * (*last * 3.0 - BASE)).min(CAP);
                *last
            }
        }
    }
}

impl Backoff {
    fn start(&self, seed: u64) -> Waiting<'_> {
        match self {
            Self::OneSeed(policy) => Waiting::Policy(policy.start()),
            Self::Policy(policy) => Waiting::Policy(policy.start().seeded(seed)),
            Self::Equal => Waiting::Equal { failures: 0 },
            Self::CutAtTheCap => Waiting::CutAtTheCap { failures: 0 },
            Self::Decorrelated => Waiting::Decorrelated { last: BASE },
        }
    }

    /// A policy of the simulator's base and cap, with as many attempts as it takes.
    pub(crate) fn policy() -> Retry<()> {
        Retry::on::<()>()
            .unlimited_attempts()
            .no_timeout()
            .wait_initial(Duration::from_millis(10))
            .wait_max(Duration::from_secs(2))
            .wait_jitter(Duration::ZERO)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Message {
    Read,
    Version(u64),
    Write(u64),
    Refused,
    Accepted,
}

/// A leg of |Normal(10, 2)| ms, by Box and Muller; in nanoseconds.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "not negative, and short"
)]
fn leg(random: &mut Rng) -> u64 {
    let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
    let normal = radius * (std::f64::consts::TAU * random.f64()).cos();
    ((10.0 + 2.0 * normal).abs() * 1e6) as u64
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float to int cast saturates"
)]
#[allow(clippy::cast_precision_loss, reason = "the counts are small")]
pub(crate) fn run(backoff: &Backoff, clients: usize, seed: u64) -> Cost {
    let mut random = Rng::with_seed(seed);
    let mut waiting: Vec<Waiting<'_>> = (0..clients)
        .map(|_| backoff.start(random.u64(..)))
        .collect();
    let mut events = BinaryHeap::new();
    for client in 0..clients {
        events.push(Reverse((leg(&mut random), client, Message::Read)));
    }
    let (mut version, mut calls, mut end) = (0, 0_u64, 0);
    while let Some(Reverse((at, client, message))) = events.pop() {
        end = at;
        let mut after = |wait: u64, message| events.push(Reverse((at + wait, client, message)));
        match message {
            Message::Read => after(leg(&mut random), Message::Version(version)),
            Message::Version(read) => after(leg(&mut random), Message::Write(read)),
            Message::Write(read) => {
                calls += 1;
                let answer = if read == version {
                    version += 1;
                    Message::Accepted
                } else {
                    Message::Refused
                };
                after(leg(&mut random), answer);
            }
            Message::Refused => {
                let wait = (waiting[client].next(&mut random) * 1e6) as u64;
                after(wait + leg(&mut random), Message::Read);
            }
            Message::Accepted => {}
        }
    }
    Cost {
        calls: calls as f64,
        time: end as f64 / 1e6,
    }
}

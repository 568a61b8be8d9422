//! The simulation: events in the order of their virtual time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;

use super::clock;
use super::outcome::{Outcome, Phase, Second};
use super::{Conditions, Fleet};
use crate::budget::Budget;
use crate::time::nanos;
use crate::{Attempts, Retry, instrument, testing};

/// How long calls may go on after the last phase, in nanoseconds.
const REST: u64 = 300_000_000_000;

/// Spreads the seeds of the attempts of one call (the golden ratio).
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// A call under way.
struct Call {
    /// Its own randomness: the same call of the same fleet has the same luck under every policy.
    seed: u64,
    start: u64,
    /// When the attempt under way was sent.
    sent: u64,
    client: u32,
    /// Attempts made before the one under way.
    made: u32,
    phase: usize,
}

/// What the luck of an attempt is asked for: the way to the server, or the way back.
const THERE: u64 = 0;
const BACK: u64 = 1;

impl Call {
    /// The luck of the attempt under way.
    fn luck(&self, way: u64) -> Rng {
        Rng::with_seed(self.seed ^ u64::from(self.made).wrapping_mul(SPREAD) ^ way)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A request reaches the server.
    Request,
    /// A request reaches the server whose client has given up already.
    Abandoned,
    /// A client learns that an attempt has succeeded.
    Success,
    /// A client learns, or assumes, that an attempt has failed.
    Failure,
}

/// Where requests go.
enum Server {
    /// Answers each at once, however many there are.
    Boundless,
    /// When each of its workers is free, soonest first. All requests take equally long and are served in their order,
    /// so the workers take turns, and no queue need be kept.
    Workers {
        free: VecDeque<u64>,
        service_time: u64,
        client_timeout: u64,
    },
}

struct Simulation<'a, E> {
    fleet: &'a Fleet<E>,
    /// The user's policy, with the budget of whichever client is before the judge.
    policy: Retry<E>,
    /// Of each client, from its first call on; empty if the policy has none.
    budgets: Vec<Option<Arc<Budget>>>,
    /// The policy's own, as the pattern of the clients'.
    budget: Option<Budget>,
    server: Server,
    /// The end of each phase.
    ends: Vec<u64>,
    calls: Vec<Call>,
    /// Places in `calls` whose call has ended.
    vacant: Vec<usize>,
    events: BinaryHeap<Reverse<(u64, u64, usize, Event)>>,
    /// Numbers the events, so that those at one time come in the order in which they were caused.
    caused: u64,
    arrivals: Rng,
    horizon: u64,
    outcome: Outcome,
}

pub(super) fn run<E: Debug>(fleet: &Fleet<E>) -> Outcome {
    // The simulated calls are none of the process's: neither its switches nor its hooks may see them.
    let _hooks = instrument::scoped_hooks([]);
    let _mode = testing::normal();
    let mut simulation = Simulation::new(fleet);
    let mut arrival = simulation.next_arrival(0);
    loop {
        let event = simulation.events.peek().map(|Reverse((at, ..))| *at);
        match (arrival, event) {
            (Some(at), event) if event.is_none_or(|event| at <= event) => {
                simulation.arrive(at);
                arrival = simulation.next_arrival(at);
            }
            (_, Some(at)) if at < simulation.horizon => simulation.next_event(),
            _ => break,
        }
    }
    simulation.finish()
}

impl<'a, E: Debug> Simulation<'a, E> {
    fn new(fleet: &'a Fleet<E>) -> Self {
        let policy = fleet.policy.clone().timer(clock::timer()).quiet();
        let policy = policy.on_retry(|_, _| {});
        let budget = policy.get_budget().map(Budget::fresh);
        let clients = usize::try_from(fleet.clients).unwrap_or(usize::MAX);
        let (mut ends, mut phases, mut start) = (Vec::new(), Vec::new(), 0_u64);
        for phase in &fleet.phases {
            let end = start.saturating_add(nanos(phase.length));
            phases.push(Phase::new(
                start,
                end,
                phase.failure,
                phase.load,
                phase.cut_off,
            ));
            ends.push(end);
            start = end;
        }
        let server = match fleet.server {
            None => Server::Boundless,
            Some(server) => Server::Workers {
                free: (0..server.workers).map(|_| 0).collect(),
                service_time: nanos(server.service_time),
                client_timeout: nanos(server.client_timeout),
            },
        };
        Self {
            fleet,
            policy,
            budgets: vec![None; if budget.is_some() { clients } else { 0 }],
            budget,
            server,
            ends,
            calls: Vec::new(),
            vacant: Vec::new(),
            events: BinaryHeap::new(),
            caused: 0,
            arrivals: Rng::with_seed(fleet.seed),
            horizon: start.saturating_add(REST),
            outcome: Outcome {
                phases,
                seconds: Vec::new(),
            },
        }
    }

    /// The phase at a time; the last one's conditions stay.
    fn phase_at(&self, at: u64) -> usize {
        let phase = self.ends.partition_point(|end| *end <= at);
        phase.min(self.ends.len().saturating_sub(1))
    }

    fn conditions(&self, at: u64) -> &Conditions {
        &self.fleet.phases[self.phase_at(at)]
    }

    /// What a reply that arrives at this time says.
    fn reply(&self, back: u64, luck: &mut Rng) -> Event {
        if luck.f64() < self.conditions(back).failure {
            Event::Failure
        } else {
            Event::Success
        }
    }

    /// When the next call begins: after an exponential gap by the rate of each phase it reaches into.
    fn next_arrival(&mut self, after: u64) -> Option<u64> {
        let mut from = after;
        loop {
            let phase = self.ends.partition_point(|end| *end <= from);
            let end = *self.ends.get(phase)?;
            let rate = self.fleet.rate * self.fleet.phases[phase].load;
            let at = from.saturating_add(exponential(&mut self.arrivals, 1e9 / rate));
            if at < end {
                return Some(at);
            }
            from = end;
        }
    }

    fn arrive(&mut self, at: u64) {
        let phase = self.phase_at(at);
        let call = Call {
            client: self.arrivals.u32(0..self.fleet.clients),
            seed: self.arrivals.u64(..),
            start: at,
            sent: at,
            made: 0,
            phase,
        };
        let place = self.vacant.pop().unwrap_or(self.calls.len());
        match self.calls.get_mut(place) {
            Some(vacant) => *vacant = call,
            None => self.calls.push(call),
        }
        increase(&mut self.outcome.phases[phase].calls);
        increase(&mut self.second(at).calls);
        self.send(place, at);
    }

    fn second(&mut self, at: u64) -> &mut Second {
        let second = usize::try_from(at / 1_000_000_000).unwrap_or(usize::MAX);
        let seconds = &mut self.outcome.seconds;
        if seconds.len() <= second {
            seconds.resize(second.saturating_add(1), Second::default());
        }
        &mut seconds[second]
    }

    /// Sends the next attempt of a call.
    fn send(&mut self, place: usize, at: u64) {
        let call = &mut self.calls[place];
        call.sent = at;
        let mut luck = call.luck(THERE);
        increase(&mut self.outcome.phases[call.phase].attempts);
        increase(&mut self.second(at).attempts);
        let latency = self.fleet.latency;
        let there = self.deliver(at.saturating_add(exponential(&mut luck, latency)));
        match self.server {
            Server::Boundless => {
                let back = self.deliver(there.saturating_add(exponential(&mut luck, latency)));
                let reply = self.reply(back, &mut luck);
                self.cause(back, place, reply);
            }
            Server::Workers { client_timeout, .. } => {
                let patience = at.saturating_add(client_timeout);
                if there <= patience {
                    self.cause(there, place, Event::Request);
                } else {
                    self.cause(patience, place, Event::Failure);
                    self.cause(there, place, Event::Abandoned);
                }
            }
        }
    }

    /// When a message arrives that would arrive then if the network did not hold it.
    fn deliver(&self, at: u64) -> u64 {
        let mut at = at;
        while let Some(phase) = self.ends.iter().position(|end| at < *end) {
            if !self.fleet.phases[phase].cut_off {
                break;
            }
            at = self.ends[phase];
        }
        at
    }

    fn cause(&mut self, at: u64, place: usize, event: Event) {
        self.events.push(Reverse((at, self.caused, place, event)));
        self.caused = self.caused.saturating_add(1);
    }

    fn next_event(&mut self) {
        if let Some(Reverse((at, _, place, event))) = self.events.pop() {
            match event {
                Event::Request => self.serve(place, at),
                Event::Abandoned => {
                    self.work(at);
                }
                Event::Success => self.succeed(place, at),
                Event::Failure => self.fail(place, at),
            }
        }
    }

    /// The server does the work for a request that reaches it; says when that is done.
    fn work(&mut self, at: u64) -> u64 {
        let Server::Workers {
            free, service_time, ..
        } = &mut self.server
        else {
            return at;
        };
        let begin = free.pop_front().unwrap_or(at).max(at);
        let done = begin.saturating_add(*service_time);
        free.push_back(done);
        done
    }

    /// A request reaches the server: it is served in its turn, also when nobody waits for the reply by then.
    fn serve(&mut self, place: usize, at: u64) {
        let done = self.work(at);
        let Server::Workers { client_timeout, .. } = self.server else {
            return;
        };
        let call = &self.calls[place];
        let patience = call.sent.saturating_add(client_timeout);
        let mut luck = call.luck(BACK);
        let back = self.deliver(done.saturating_add(exponential(&mut luck, self.fleet.latency)));
        let reply = self.reply(back, &mut luck);
        if back > patience {
            self.cause(patience, place, Event::Failure);
        } else {
            self.cause(back, place, reply);
        }
    }

    fn succeed(&mut self, place: usize, at: u64) {
        let mut attempts = self.resume(place);
        clock::set(at);
        attempts.succeed(());
        let (start, phase) = (self.calls[place].start, self.calls[place].phase);
        increase(&mut self.outcome.phases[phase].succeeded);
        increase(&mut self.second(start).succeeded);
        increase(&mut self.second(at).goodput);
        self.end(place, at);
    }

    fn fail(&mut self, place: usize, at: u64) {
        let fleet = self.fleet;
        let mut attempts = self.resume(place);
        clock::set(at);
        let decided = attempts.decide(&fleet.error);
        let phase = self.calls[place].phase;
        match decided {
            Err(reason) => {
                self.outcome.phases[phase].stop(reason);
                self.end(place, at);
            }
            Ok(wait) => {
                let next = at.saturating_add(nanos(wait));
                self.outcome.phases[phase].waits.add(wait);
                let call = &mut self.calls[place];
                call.made = call.made.saturating_add(1);
                // What would come after the end is left undone, and its call unfinished.
                if next < self.horizon {
                    self.send(place, next);
                } else {
                    increase(&mut self.outcome.phases[phase].unfinished);
                    self.vacant.push(place);
                }
            }
        }
    }

    /// The call as its client has it: the user's policy and the client's budget, begun when the call began.
    fn resume(&mut self, place: usize) -> Attempts<'_, E> {
        let call = &self.calls[place];
        if let Some(budget) = &self.budget {
            let client = usize::try_from(call.client).unwrap_or(usize::MAX);
            let own = self.budgets[client].get_or_insert_with(|| Arc::new(budget.fresh()));
            self.policy.set_budget(own);
        }
        clock::set(call.start);
        let attempts = self.policy.resume(call.made, Duration::ZERO);
        // A policy with a seed of its own sends its clients in step, and so it shall be seen.
        if self.policy.config.seed.is_some() {
            attempts
        } else {
            attempts.seeded(!call.seed)
        }
    }

    fn end(&mut self, place: usize, at: u64) {
        let call = &self.calls[place];
        let took = Duration::from_nanos(at.saturating_sub(call.start));
        self.outcome.phases[call.phase].took.add(took);
        self.vacant.push(place);
    }

    /// The calls that are left over, and when each phase recovered.
    fn finish(mut self) -> Outcome {
        for Reverse((_, _, place, event)) in std::mem::take(&mut self.events) {
            if event == Event::Abandoned {
                continue;
            }
            let phase = self.calls[place].phase;
            increase(&mut self.outcome.phases[phase].unfinished);
        }
        self.outcome.reckon()
    }
}

fn increase(count: &mut u64) {
    *count = count.saturating_add(1);
}

/// An exponentially distributed time of this mean, in nanoseconds.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float to int cast saturates"
)]
fn exponential(luck: &mut Rng, mean: f64) -> u64 {
    // 1 - [0, 1) is never 0; an infinite mean (a load of 0) times 0 is NaN, which must not become "at once".
    let time = -(1.0 - luck.f64()).ln() * mean;
    if time.is_nan() { u64::MAX } else { time as u64 }
}

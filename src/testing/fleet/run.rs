//! The simulation: events in the order of their virtual time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;

use super::call::{BACK, Call, HUNG, THERE, exponential};
use super::outcome::{Outcome, Phase, Second};
use super::server::Workers;
use super::{Conditions, Fleet, clock, seam};
use crate::time::nanos;
use crate::{Attempts, Budget, Retry};

/// How long calls may continue after the last phase, in nanoseconds.
const REST: u64 = 300_000_000_000;

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

struct Simulation<'a, E> {
    fleet: &'a Fleet<E>,
    policy: Retry<E>,
    /// Whether all calls have the same jitter.
    has_seed: bool,
    /// Of each client, from its first call on; empty if the policy has none.
    budgets: Vec<Option<Arc<Budget>>>,
    /// The policy's own, whose settings the clients' have.
    budget: Option<Budget>,
    /// `None` answers every request at once.
    server: Option<Workers>,
    /// The end of each phase.
    ends: Vec<u64>,
    calls: Vec<Call>,
    /// Places in `calls` whose call has ended, to be used again.
    vacant: Vec<usize>,
    events: BinaryHeap<Reverse<(u64, u64, usize, Event)>>,
    /// Numbers the events, so that those at one time come in the order in which they were caused.
    caused: u64,
    arrivals: Rng,
    horizon: u64,
    outcome: Outcome,
}

pub(super) fn run<E: Debug>(fleet: &Fleet<E>) -> Outcome {
    let _isolated = seam::isolate();
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
        let policy = seam::prepare(&fleet.policy);
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
        Self {
            fleet,
            has_seed: seam::has_seed(&policy),
            policy,
            budgets: vec![None; if budget.is_some() { clients } else { 0 }],
            budget,
            server: fleet.server.as_ref().map(Workers::new),
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
        let (mut random, mut hangs) = (call.random(THERE), call.random(HUNG));
        increase(&mut self.outcome.phases[call.phase].attempts);
        increase(&mut self.second(at).attempts);
        let leg = exponential(&mut random, self.fleet.latency);
        let there = self.deliver(at.saturating_add(leg));
        let Some(server) = &self.server else {
            return self.reply(place, there, &mut random);
        };
        let give_up = at.saturating_add(server.client_timeout);
        if hangs.f64() < server.hung_share {
            let done = there.saturating_add(server.hung_time);
            self.reply(place, done, &mut random);
        } else if there <= give_up {
            self.cause(there, place, Event::Request);
        } else {
            self.cause(give_up, place, Event::Failure);
            self.cause(there, place, Event::Abandoned);
        }
    }

    /// The server replies at a time: the client learns of it, unless it gives up before.
    fn reply(&mut self, place: usize, done: u64, random: &mut Rng) {
        let back = self.deliver(done.saturating_add(exponential(random, self.fleet.latency)));
        let fails = random.f64() < self.conditions(back).failure;
        self.arrive_back(place, back, fails);
    }

    fn arrive_back(&mut self, place: usize, back: u64, fails: bool) {
        let sent = self.calls[place].sent;
        let server = self.server.as_ref();
        let give_up = server.map_or(u64::MAX, |server| {
            sent.saturating_add(server.client_timeout)
        });
        let event = if fails || back > give_up {
            Event::Failure
        } else {
            Event::Success
        };
        self.cause(back.min(give_up), place, event);
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
                    // The server does not know that the client has given up.
                    self.server.as_mut().and_then(|server| server.accept(at));
                }
                Event::Success => self.succeed(place, at),
                Event::Failure => self.fail(place, at),
            }
        }
    }

    /// A request reaches the server.
    fn serve(&mut self, place: usize, at: u64) {
        let done = self.server.as_mut().and_then(|server| server.accept(at));
        let mut random = self.calls[place].random(BACK);
        if let Some(done) = done {
            return self.reply(place, done, &mut random);
        }
        let leg = exponential(&mut random, self.fleet.latency);
        let back = self.deliver(at.saturating_add(leg));
        self.arrive_back(place, back, true);
    }

    fn succeed(&mut self, place: usize, at: u64) {
        self.after_attempt(place, at, |attempts| attempts.succeed(()));
        let (start, phase) = (self.calls[place].start, self.calls[place].phase);
        increase(&mut self.outcome.phases[phase].succeeded);
        increase(&mut self.second(start).succeeded);
        increase(&mut self.second(at).goodput);
        self.end(place, at);
    }

    fn fail(&mut self, place: usize, at: u64) {
        let fleet = self.fleet;
        let decided = self.after_attempt(place, at, |attempts| attempts.decide(&fleet.error));
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
                call.refuse_endless(at);
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

    /// The attempt under way has ended: `decide` gets the call under the user's policy and with the client's budget.
    fn after_attempt<T>(
        &mut self,
        place: usize,
        at: u64,
        decide: impl FnOnce(&mut Attempts<'_, E>) -> T,
    ) -> T {
        let call = &self.calls[place];
        let with_budget = self.budget.as_ref().map(|budget| {
            let client = usize::try_from(call.client).unwrap_or(usize::MAX);
            let own = self.budgets[client].get_or_insert_with(|| Arc::new(budget.fresh()));
            self.policy.clone().shared_budget(Arc::clone(own))
        });
        let policy = with_budget.as_ref().unwrap_or(&self.policy);
        // The attempt began when it was sent: so its own time is known, and that of the whole call.
        clock::set(call.sent);
        let before = Duration::from_nanos(call.sent.saturating_sub(call.start));
        let mut attempts = policy.resume(call.made, before);
        // A policy with a seed of its own sends its clients in step, and the simulation shows that.
        if !self.has_seed {
            attempts = attempts.seeded(!call.seed);
        }
        clock::set(at);
        decide(&mut attempts)
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
        self.outcome.with_recoveries()
    }
}

fn increase(count: &mut u64) {
    *count = count.saturating_add(1);
}

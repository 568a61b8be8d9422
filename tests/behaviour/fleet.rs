//! A fleet in virtual time: the models, and the numbers of a safe budget, which no change may spoil.
#![cfg(feature = "fleet")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::float_cmp, reason = "these shares are exact")]
#![allow(clippy::cast_precision_loss, reason = "these counts are small")]
#![allow(clippy::arithmetic_side_effects, reason = "an overflow shall panic")]
#![allow(
    clippy::disallowed_methods,
    reason = "a budget is asked what it has now"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stamina::instrument::{self, GaveUp, Hook, Recovered, RetryDetails};
use stamina::testing::fleet::{Fleet, Outcome, Server};
use stamina::testing::{self, Testing};
use stamina::{Budget, Decision, Retry, StopReason};

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Three attempts, full jitter from [0, 0.1 s] and [0, 0.2 s].
fn three() -> Retry<&'static str> {
    Retry::on::<&str>().attempts(3).full_jitter()
}

fn budgeted(ratio: f64) -> Retry<&'static str> {
    three().shared_budget(Arc::new(Budget::new().ratio(ratio)))
}

#[track_caller]
fn near(what: &str, value: f64, reference: f64, noise: f64, outcome: &Outcome) {
    assert!(
        (value - reference).abs() <= noise,
        "{what} is {value}, but should be {reference} +- {noise}\n{outcome}"
    );
}

/// A minute at 1 %, then a minute at `failure`: a thousand calls a second.
fn a_minute_of(failure: f64, policy: &Retry<&'static str>, clients: u32) -> Outcome {
    Fleet::of(policy, "down")
        .clients(clients)
        .rate(1000.0)
        .latency(ms(10))
        .seed(1)
        .phase(secs(60), 0.01)
        .phase(secs(60), failure)
        .run()
}

/// 93 % load on 30 workers; from 60 s to 70 s the network holds everything.
fn cut_off(policy: &Retry<&'static str>, clients: u32, rate: f64, seed: u64) -> Outcome {
    Fleet::of(policy, "timed out")
        .clients(clients)
        .rate(rate)
        .seed(seed)
        .server(Server::new())
        .phase(secs(60), 0.0)
        .cut_off(secs(10))
        .phase(secs(350), 0.0)
        .run()
}

// What a budget is for. The references were measured with an independent implementation.

#[test]
fn in_an_outage_a_budget_keeps_the_load_what_it_was() {
    for (clients, reference, noise) in [(1, 1.03, 0.01), (100, 1.032, 0.01), (1000, 1.054, 0.01)] {
        let outcome = a_minute_of(1.0, &budgeted(0.2), clients);
        let phase = &outcome.phases[1];
        near(
            "amplification",
            phase.amplification(),
            reference,
            noise,
            &outcome,
        );
        assert_eq!(
            phase.succeeded
                + phase.stopped(StopReason::BudgetExhausted)
                + phase.stopped(StopReason::AttemptsExhausted),
            phase.calls
        );
    }
}

#[test]
fn in_an_outage_no_budget_makes_three_of_each_call() {
    let outcome = a_minute_of(1.0, &three(), 100);
    near(
        "amplification",
        outcome.phases[1].amplification(),
        3.0,
        0.0,
        &outcome,
    );
}

#[test]
fn the_floor_of_many_clients_is_a_limit_of_the_budget() {
    // A thousand clients of 0.1 calls a second: as ten thousand of a thousand calls a second.
    let outcome = Fleet::of(&budgeted(0.2), "down")
        .clients(1000)
        .rate(100.0)
        .phase(secs(60), 0.01)
        .phase(secs(60), 1.0)
        .run();
    near(
        "amplification",
        outcome.phases[1].amplification(),
        1.332,
        0.02,
        &outcome,
    );
}

#[test]
fn small_failures_are_hidden_as_well_as_without_a_budget() {
    for (clients, least) in [(1, 0.9985), (100, 0.9985), (1000, 0.9983)] {
        let outcome = a_minute_of(0.1, &budgeted(0.2), clients);
        assert!(outcome.phases[1].success() >= least, "{outcome}");
    }
    let outcome = a_minute_of(0.1, &three(), 100);
    near(
        "success",
        outcome.phases[1].success(),
        0.999,
        0.0005,
        &outcome,
    );
}

#[test]
fn a_blip_of_half_a_second_is_hidden_as_well_as_without_a_budget() {
    let hidden = |policy: &Retry<&'static str>, clients| {
        let (mut calls, mut succeeded) = (0.0, 0.0);
        for seed in 0..8 {
            let outcome = Fleet::of(policy, "down")
                .clients(clients)
                .rate(1000.0)
                .seed(seed)
                .phase(secs(20), 0.01)
                .phase(ms(500), 1.0)
                .phase(secs(1), 0.01)
                .run();
            calls += outcome.phases[1].calls as f64;
            succeeded += outcome.phases[1].succeeded as f64;
        }
        succeeded / calls
    };
    let outcome = a_minute_of(0.0, &three(), 1);
    near(
        "no retry",
        hidden(&three().attempts(1), 100),
        0.042,
        0.01,
        &outcome,
    );
    near("no budget", hidden(&three(), 100), 0.419, 0.02, &outcome);
    near("1 client", hidden(&budgeted(0.2), 1), 0.408, 0.02, &outcome);
    near(
        "100 clients",
        hidden(&budgeted(0.2), 100),
        0.401,
        0.02,
        &outcome,
    );
    near(
        "1,000 clients",
        hidden(&budgeted(0.2), 1000),
        0.364,
        0.02,
        &outcome,
    );
}

/// Mean seconds until a fleet at 93 % load has recovered from ten seconds without a network.
fn recovery(policy: &Retry<&'static str>, clients: u32) -> f64 {
    let seeds = 3;
    let recoveries = (0..seeds).map(|seed| {
        let outcome = cut_off(policy, clients, 280.0, seed);
        let recovery = outcome.phases[2].recovery;
        recovery
            .unwrap_or_else(|| panic!("stuck\n{outcome}"))
            .as_secs_f64()
    });
    recoveries.sum::<f64>() / seeds as f64
}

#[test]
fn with_a_budget_an_overloaded_server_recovers() {
    // One run varies by 8 s or so; three of them by 5 s; and the bounds are three to four times that.
    for (clients, reference, bound) in [(10, 146.0, 20.0), (1000, 216.0, 25.0)] {
        let measured = recovery(&budgeted(0.2), clients);
        assert!(
            (measured - reference).abs() < bound,
            "{clients} clients: {measured} s"
        );
    }
}

#[test]
fn a_large_fleet_recovers_if_slow_failures_must_be_earned() {
    let budget = Budget::new().earned_after(ms(500));
    let earned = three().shared_budget(Arc::new(budget));
    let measured = recovery(&earned, 3000);
    assert!((measured - 125.0).abs() < 20.0, "{measured} s");
    // A client's timeout is 1 s: a later limit makes no difference.
    let budget = Budget::new().earned_after(ms(1_001));
    let late = three().shared_budget(Arc::new(budget));
    let outcome = Fleet::of(&late, "timed out")
        .clients(3000)
        .rate(280.0)
        .server(Server::new())
        .phase(secs(20), 0.0)
        .cut_off(secs(10))
        .phase(secs(180), 0.0)
        .run();
    assert!(!outcome.recovers_within(secs(170)), "{outcome}");
}

#[test]
fn with_a_bounded_queue_every_policy_recovers_at_once() {
    let recovery = |server| {
        let outcome = Fleet::of(&three(), "timed out")
            .rate(280.0)
            .server(server)
            .phase(secs(20), 0.0)
            .cut_off(secs(10))
            .phase(secs(100), 0.0)
            .run();
        outcome.phases[2].recovery
    };
    assert_eq!(recovery(Server::new()), None);
    // Those who wait for 150 requests wait for half of their timeout.
    let after = recovery(Server::new().queue(150));
    assert!(after.is_some_and(|after| after <= secs(3)), "{after:?}");
}

#[test]
fn a_bounded_queue_rejects_what_finds_it_full() {
    let outcome = |queue: u32| {
        let policy = Retry::on::<&str>().attempts(1);
        let outcome = Fleet::of(&policy, "rejected")
            .rate(1000.0)
            .latency(Duration::ZERO)
            .server(Server::new().workers(1).service_time(ms(100)).queue(queue))
            .phase(secs(60), 0.0)
            .run();
        let phase = &outcome.phases[0];
        (phase.succeeded, phase.took.longest())
    };
    // A worker that is never idle serves ten a second, and nobody waits for more than the queue and the own service.
    for queue in [1, 3, 7] {
        let (succeeded, longest) = outcome(queue);
        assert!(
            (595..=601 + u64::from(queue)).contains(&succeeded),
            "{succeeded}"
        );
        let most = ms(100) * (queue + 1);
        assert!(longest <= most && longest > most - ms(10), "{longest:?}");
    }
    // Without a queue the worker is idle until the next request.
    let (succeeded, longest) = outcome(0);
    assert!((580..=600).contains(&succeeded), "{succeeded}");
    assert_eq!(longest, ms(100));
}

#[test]
fn hung_attempts_take_their_time_and_no_worker() {
    let outcome = |share, time| {
        let policy = Retry::on::<&str>().attempts(1);
        let server = Server::new().workers(30).service_time(ms(10));
        let outcome = Fleet::of(&policy, "timed out")
            .rate(100.0)
            .latency(Duration::ZERO)
            .server(server.hung(share, time))
            .phase(secs(100), 0.0)
            .run();
        outcome.phases[0].clone()
    };
    let all_in_time = outcome(0.1, ms(900));
    assert!(all_in_time.success() > 0.999);
    // The others don't wait for them.
    assert!(all_in_time.took.quantile(0.85) < ms(11));
    assert_eq!(all_in_time.took.longest(), ms(900));
    let tenth_fails = outcome(0.1, secs(60));
    assert!((0.885..0.915).contains(&tenth_fails.success()));
    assert_eq!(tenth_fails.took.longest(), secs(1));
    assert!(outcome(1.0, secs(60)).succeeded == 0);
}

#[test]
fn recovers_within_is_about_the_last_phase() {
    let outcome = cut_off(&three().attempts(1), 10, 280.0, 1);
    let recovery = outcome.phases[2].recovery.unwrap();
    assert!(recovery > secs(60));
    assert!(outcome.recovers_within(recovery));
    assert!(!outcome.recovers_within(recovery - secs(1)));
    let stuck = cut_off(&three(), 10, 280.0, 1);
    assert!(!stuck.recovers_within(Duration::MAX));
}

#[test]
fn a_call_that_time_does_not_reach_is_refused() {
    let hot = Retry::on::<&str>()
        .unlimited_attempts()
        .waits(|_| Duration::ZERO)
        .wait_jitter(Duration::ZERO);
    let fleet = Fleet::of(&hot, "down")
        .rate(1.0)
        .latency(Duration::ZERO)
        .phase(secs(10), 1.0);
    refused(
        "stamina: a call of a `Fleet` has made 1000000 attempts in 0 s of simulated time; give the policy waits or fewer \
         `attempts`, or the fleet a `latency`",
        || fleet.run(),
    );
    // Latency lets the deadline come.
    assert_eq!(fleet.clone().latency(ms(100)).run().phases[0].unfinished, 0);
    let few = Fleet::of(&hot.clone().attempts(1000), "down").latency(Duration::ZERO);
    assert_eq!(
        few.phase(secs(1), 1.0).run().phases[0].amplification(),
        1000.0
    );
}

#[test]
fn a_call_around_it_does_not_change_its_outcome() {
    let policy = three().outermost_only();
    let run = || {
        let fleet = Fleet::of(&policy, "down").rate(50.0);
        fleet.phase(secs(10), 1.0).run()
    };
    let alone = run();
    assert_eq!(alone.phases[0].amplification(), 3.0);
    let outer = Retry::on::<&str>();
    assert_eq!(outer.call(|| Ok(run())), Ok(alone.clone()));
    let inside = futures::executor::block_on(outer.call_async(|| async { Ok(run()) }));
    assert_eq!(inside, Ok(alone));
    // And what comes after it inside of the call is still inside.
    let mut attempts = 0;
    let _ = outer.call(|| {
        let _ = run();
        policy
            .call(|| {
                attempts += 1;
                Err::<(), _>("down")
            })
            .or(Ok::<(), &str>(()))
    });
    assert_eq!(attempts, 1);
}

#[test]
fn without_retries_it_recovers_too_and_without_a_budget_it_never_does() {
    let measured = recovery(&three().attempts(1), 10);
    assert!((measured - 127.0).abs() < 15.0, "{measured} s");

    let outcome = cut_off(&three(), 10, 280.0, 1);
    assert_eq!(outcome.phases[2].recovery, None, "{outcome}");
    assert!(outcome.phases[0].success() > 0.99, "{outcome}");
    assert!(outcome.phases[2].success() < 0.05, "{outcome}");
}

#[test]
fn one_immediate_retry_does_as_the_paper_says() {
    let policy = Retry::on::<&str>()
        .attempts(2)
        .wait_initial(Duration::ZERO)
        .wait_jitter(Duration::ZERO);
    assert!(cut_off(&policy, 10, 140.0, 1).phases[2].recovery.is_some());
    assert_eq!(cut_off(&policy, 10, 200.0, 1).phases[2].recovery, None);
    assert_eq!(cut_off(&policy, 10, 280.0, 1).phases[2].recovery, None);
}

// The models.

#[test]
fn every_call_is_accounted_for() {
    let policy = budgeted(0.2).timeout(ms(120));
    for outcome in [
        a_minute_of(0.5, &policy, 3),
        cut_off(&policy.timeout(secs(2)), 3, 280.0, 5),
    ] {
        for phase in &outcome.phases {
            let reasons = [
                StopReason::NotRetryable,
                StopReason::AttemptsExhausted,
                StopReason::TimedOut,
                StopReason::BudgetExhausted,
            ];
            let stopped: u64 = reasons.iter().map(|reason| phase.stopped(*reason)).sum();
            assert_eq!(phase.succeeded + stopped, phase.calls, "{outcome}");
            assert_eq!(phase.unfinished, 0, "{outcome}");
            assert_eq!(phase.took.count(), phase.calls);
            assert_eq!(phase.waits.count(), phase.attempts - phase.calls);
            assert_eq!(phase.stopped(StopReason::Inactive), 0);
        }
        assert!(
            outcome
                .phases
                .iter()
                .any(|phase| phase.stopped(StopReason::TimedOut) > 0)
        );
        let sum =
            |of: fn(&testing::fleet::Second) -> u64| outcome.seconds.iter().map(of).sum::<u64>();
        let phases =
            |of: fn(&testing::fleet::Phase) -> u64| outcome.phases.iter().map(of).sum::<u64>();
        assert_eq!(sum(|second| second.calls), phases(|phase| phase.calls));
        assert_eq!(
            sum(|second| second.attempts),
            phases(|phase| phase.attempts)
        );
        assert_eq!(
            sum(|second| second.succeeded),
            phases(|phase| phase.succeeded)
        );
        assert_eq!(
            sum(|second| second.goodput),
            phases(|phase| phase.succeeded)
        );
    }
}

#[test]
fn arrivals_are_a_poisson_process() {
    let outcome = Fleet::of(&three(), "down")
        .rate(100.0)
        .phase(secs(400), 0.0)
        .run();
    let calls = outcome.seconds[..400]
        .iter()
        .map(|second| second.calls as f64);
    let mean = calls.clone().sum::<f64>() / 400.0;
    let variance = calls.map(|calls| (calls - mean).powi(2)).sum::<f64>() / 400.0;
    assert!((98.0..102.0).contains(&mean), "{mean}");
    assert!((75.0..125.0).contains(&variance), "{variance}");
}

#[test]
fn policies_meet_the_same_arrivals_and_the_same_luck() {
    let (without, with) = (
        a_minute_of(0.3, &three(), 10),
        a_minute_of(0.3, &budgeted(0.2), 10),
    );
    for (a, b) in without.seconds.iter().zip(&with.seconds) {
        assert_eq!(a.calls, b.calls);
        assert!(a.succeeded >= b.succeeded);
    }
}

#[test]
fn the_outcome_belongs_to_the_seed() {
    let run = |seed| cut_off(&budgeted(0.2), 10, 280.0, seed);
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn the_deadline_counts_simulated_time() {
    // A lone attempt takes 100 ms or longer, so the second failure is at 200 ms or later: past the deadline.
    let policy = Retry::on::<&str>()
        .wait_initial(Duration::ZERO)
        .wait_jitter(Duration::ZERO)
        .timeout(ms(200));
    let outcome = Fleet::of(&policy, "down")
        .rate(1.0)
        .latency(Duration::ZERO)
        .server(Server::new())
        .phase(secs(60), 1.0)
        .run();
    let phase = &outcome.phases[0];
    assert_eq!(phase.amplification(), 2.0, "{outcome}");
    assert_eq!(
        phase.stopped(StopReason::TimedOut),
        phase.calls,
        "{outcome}"
    );
    assert_eq!(phase.took.longest(), ms(200));
}

#[test]
fn the_predicate_and_its_hint_are_heeded() {
    let hint = Retry::on::<&str>()
        .attempts(2)
        .wait_jitter(secs(2))
        .when(|_: &&str| Decision::RetryAfter(secs(7)));
    let outcome = Fleet::of(&hint, "busy").phase(secs(10), 1.0).run();
    let waits = &outcome.phases[0].waits;
    assert!(
        waits.quantile(0.0) >= secs(7) && waits.longest() <= secs(9),
        "{waits:?}"
    );
    assert!(
        (7.8..8.2).contains(&waits.mean().as_secs_f64()),
        "{waits:?}"
    );

    let permanent = three().when(|_: &&str| false);
    let outcome = Fleet::of(&permanent, "forbidden")
        .phase(secs(10), 1.0)
        .run();
    let phase = &outcome.phases[0];
    assert_eq!(phase.stopped(StopReason::NotRetryable), phase.calls);
    assert_eq!(phase.amplification(), 1.0);
}

#[test]
fn calls_without_a_limit_are_left_unfinished_in_the_end() {
    let policy = three().unlimited_attempts().no_timeout();
    let outcome = Fleet::of(&policy, "down")
        .rate(5.0)
        .phase(secs(5), 1.0)
        .run();
    let phase = &outcome.phases[0];
    assert_eq!(phase.unfinished, phase.calls, "{outcome}");
    assert_eq!(outcome.seconds.len(), 305);
    assert!(
        outcome
            .to_string()
            .contains(&format!("unfinished {}", phase.calls))
    );

    // A wait of years is not sat out either.
    let policy = Retry::on::<&str>()
        .no_timeout()
        .when(|_: &&str| Duration::MAX);
    let outcome = Fleet::of(&policy, "down")
        .rate(5.0)
        .phase(secs(5), 1.0)
        .run();
    assert_eq!(outcome.phases[0].unfinished, outcome.phases[0].calls);
}

#[test]
fn what_is_under_way_in_the_end_is_unfinished() {
    // Messages of a day: none is back within the five minutes after the last phase, whether anybody waits for it or not.
    let slow = Fleet::of(&three(), "down").latency(secs(86_400));
    let patient = Server::new().client_timeout(secs(1 << 30));
    for fleet in [slow.clone(), slow.server(patient)] {
        let outcome = fleet.phase(secs(5), 0.0).run();
        let phase = &outcome.phases[0];
        let ended = phase.succeeded + phase.stopped(StopReason::AttemptsExhausted);
        assert_eq!(phase.calls, ended + phase.unfinished, "{outcome}");
        assert!(ended < phase.calls / 50, "{outcome}");
        assert!(outcome.seconds.len() <= 305, "{outcome}");
    }
}

#[test]
fn a_reply_in_the_last_moment_counts() {
    let server = Server::new().service_time(ms(100));
    let share_served = |patience| {
        let outcome = Fleet::of(&three(), "timed out")
            .rate(5.0)
            .latency(Duration::ZERO)
            .server(server.client_timeout(patience))
            .phase(secs(60), 0.0)
            .run();
        outcome.phases[0].success()
    };
    assert_eq!(share_served(ms(100)), 1.0);
    assert_eq!(share_served(Duration::from_nanos(99_999_999)), 0.0);
}

#[test]
fn a_surge_brings_more_calls_and_none_at_a_load_of_zero() {
    let outcome = Fleet::of(&three(), "down")
        .phase(secs(20), 0.0)
        .surge(secs(20), 3.0)
        .surge(secs(20), 0.0)
        .phase(secs(20), 0.0)
        .run();
    let calls = outcome
        .phases
        .iter()
        .map(|phase| phase.calls)
        .collect::<Vec<_>>();
    assert!((1800..2200).contains(&calls[0]), "{calls:?}");
    assert!((5700..6300).contains(&calls[1]), "{calls:?}");
    assert_eq!(calls[2], 0);
    assert!((1800..2200).contains(&calls[3]), "{calls:?}");
    assert_eq!(outcome.phases[2].recovery, None);
    assert_eq!(outcome.phases[2].success(), 1.0);
}

#[test]
fn while_cut_off_nothing_arrives_and_then_all_does_at_once() {
    let fleet = Fleet::of(&three().attempts(1), "timed out")
        .rate(20.0)
        .server(Server::new().client_timeout(secs(100)))
        .phase(secs(20), 0.0)
        .cut_off(secs(10))
        .phase(secs(20), 0.0);
    let outcome = fleet.run();
    let goodput = |second: usize| outcome.seconds[second].goodput;
    assert_eq!((20..30).map(goodput).sum::<u64>(), 0, "{outcome}");
    assert!(goodput(30) > 200, "{outcome}");
    assert_eq!(outcome.phases[1].success(), 1.0);

    // Who gives up after a second learns of it after a second, not when the messages arrive.
    let outcome = fleet.server(Server::new()).run();
    assert!(outcome.phases[1].took.longest() <= secs(1), "{outcome}");
    assert!(
        (0.85..0.95).contains(&(1.0 - outcome.phases[1].success())),
        "{outcome}"
    );
}

#[test]
fn a_server_serves_as_many_as_it_has_workers() {
    let outcome = Fleet::of(&three().attempts(1), "timed out")
        .rate(50.0)
        .latency(Duration::ZERO)
        .server(Server::new().workers(3).client_timeout(secs(1000)))
        .phase(secs(60), 0.0)
        .run();
    // 3 every 100 ms, whatever is asked.
    assert!(
        outcome.seconds[10..60]
            .iter()
            .all(|second| second.goodput == 30),
        "{outcome}"
    );
    // 20 a second too many for 60 s, of 30 a second: the last wait some 40 s.
    assert!(
        (35.0..45.0).contains(&outcome.phases[0].took.longest().as_secs_f64()),
        "{outcome}"
    );
    // One alone takes the service time.
    assert!(outcome.phases[0].took.quantile(0.0) >= ms(100));
}

// What a simulation must not do.

#[derive(Default)]
struct Count(AtomicU32);

impl Hook for Count {
    fn retry_scheduled(&self, _: &RetryDetails<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    fn gave_up(&self, _: &GaveUp<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    fn recovered(&self, _: &Recovered<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn it_is_silent() {
    let (hook, own) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let seen = own.clone();
    let policy = budgeted(0.2).on_retry(move |_, details| seen.retry_scheduled(details));
    let _hooks = instrument::scoped_hooks([hook.clone() as Arc<dyn Hook>]);
    let outcome = a_minute_of(0.5, &policy, 10);
    assert!(outcome.phases[1].waits.count() > 1000);
    assert_eq!(hook.0.load(Ordering::Relaxed), 0);
    assert_eq!(own.0.load(Ordering::Relaxed), 0);

    // The policy itself still has its hook, and the thread its scope.
    let _testing = testing::scoped(Testing::attempts(2));
    let _ = policy.call(|| Err::<(), _>("down"));
    assert_eq!(own.0.load(Ordering::Relaxed), 1);
    assert_eq!(hook.0.load(Ordering::Relaxed), 2);
}

#[test]
fn switches_of_the_test_around_it_do_not_reach_it() {
    let run = || {
        let fleet = Fleet::of(&three(), "down").seed(3);
        fleet.phase(secs(10), 0.5).run()
    };
    let plain = run();
    {
        let _off = testing::inactive();
        assert_eq!(run(), plain);
    }
    let _testing = testing::scoped(Testing::attempts(7));
    assert_eq!(run(), plain);
    assert!(testing::is_testing());
}

#[test]
fn it_leaves_the_policys_budget_alone() {
    static BUDGET: Budget = Budget::new();
    let policy = three().budget(&BUDGET);
    let outcome = a_minute_of(1.0, &policy, 10);
    assert!(outcome.phases[1].stopped(StopReason::BudgetExhausted) > 0);
    let before = BUDGET.balance(std::time::Instant::now());
    assert!((before - 2.0).abs() < f64::EPSILON, "{before}");
    assert!(std::ptr::eq(
        policy.get_budget().unwrap(),
        &raw const BUDGET
    ));
}

#[test]
fn a_policy_with_a_seed_of_its_own_shows_its_herd() {
    let distinct = |policy: Retry<&'static str>| {
        let policy = policy.attempts(2);
        let outcome = Fleet::of(&policy, "down").phase(secs(20), 1.0).run();
        let waits = &outcome.phases[0].waits;
        waits.longest() > waits.mean()
    };
    assert!(distinct(three()));
    assert!(!distinct(three().seed(5)));
}

#[test]
fn waits_are_spread_over_all_their_range() {
    let outcome = a_minute_of(1.0, &three().attempts(2), 1000);
    let waits = &outcome.phases[1].waits;
    assert!(
        (49.0..51.0).contains(&(waits.mean().as_secs_f64() * 1e3)),
        "{waits:?}"
    );
    for tenth in 1..=9 {
        let share = f64::from(tenth) / 10.0;
        let wait = waits.quantile(share).as_secs_f64() * 10.0;
        assert!((wait - share).abs() < 0.035, "{share}: {wait}");
    }
}

#[test]
fn the_table_has_a_row_for_each_phase() {
    let outcome = a_minute_of(1.0, &three(), 100);
    let table = outcome.to_string();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 3, "{table}");
    assert!(
        lines[0].starts_with("phase") && lines[0].contains("success"),
        "{table}"
    );
    for cell in ["2", "60", "100.0 %", "x3.00", "0.00 %", "never"] {
        assert!(lines[2].contains(cell), "{cell}: {table}");
    }
    let shown = format!("{:?}", outcome.phases[1].waits);
    let count = format!("Spread {{ count: {}", outcome.phases[1].waits.count());
    assert!(shown.starts_with(&count), "{shown}");
    let exhausted = outcome.phases[1].stopped(StopReason::AttemptsExhausted);
    assert!(
        lines[2].contains(&format!("attempts_exhausted {exhausted}")),
        "{table}"
    );
    assert!(lines[1].contains("0 s"), "{table}");
    let healthy = Fleet::of(&three(), "down").clients(10).phase(secs(1), 0.0);
    let table = healthy.run().to_string();
    let last = table.lines().last().unwrap();
    assert!(
        last.contains("100.00 %") && last.ends_with("  -"),
        "{table}"
    );
}

#[test]
fn a_second_that_a_phase_only_begins_is_its_own_too() {
    let outcome = Fleet::of(&three(), "down")
        .clients(10)
        .rate(1000.0)
        .phase(ms(500), 0.0)
        .run();
    assert_eq!(outcome.phases[0].recovery, Some(Duration::ZERO));
}

#[test]
fn the_predicate_may_panic_and_leaves_nothing_behind() {
    let policy = three().when(|_: &&str| -> bool { panic!("the predicate") });
    let run = AssertUnwindSafe(|| Fleet::of(&policy, "down").phase(secs(1), 1.0).run());
    assert!(catch_unwind(run).is_err());
    assert!(!testing::is_testing() && stamina::is_active());
    assert!(!instrument::hooks().is_empty() || !cfg!(any(feature = "log", feature = "metrics")));
}

// Nonsense.

#[track_caller]
fn refused<T>(expected: &str, nonsense: impl FnOnce() -> T) {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock();
    let panic = catch_unwind(AssertUnwindSafe(|| drop(nonsense()))).unwrap_err();
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    assert_eq!(message, Some(expected));
}

#[test]
fn nonsense_is_refused_by_name_value_and_range() {
    let fleet = || Fleet::of(&three(), "down");
    refused(
        "stamina: `clients` of a `Fleet` is 0, but must be at least 1",
        || fleet().clients(0),
    );
    for (rate, shown) in [
        (0.0, "0"),
        (-1.0, "-1"),
        (f64::NAN, "NaN"),
        (2e9, "2000000000"),
    ] {
        refused(
            &format!(
                "stamina: `rate` of a `Fleet` is {shown}, but must be greater than 0 and at most 1e9 (calls a second of the whole fleet)"
            ),
            || fleet().rate(rate),
        );
    }
    for (failure, shown) in [(-0.1, "-0.1"), (1.5, "1.5"), (f64::NAN, "NaN")] {
        refused(
            &format!(
                "stamina: the `failure` probability of a phase is {shown}, but must be at least 0 and at most 1 (0.01 is one attempt in a hundred)"
            ),
            || fleet().phase(secs(1), failure),
        );
    }
    for (load, shown) in [(-1.0, "-1"), (2e6, "2000000"), (f64::NAN, "NaN")] {
        refused(
            &format!(
                "stamina: the `load` of a surge is {shown}, but must be at least 0 and at most 1e6 (2 is twice the rate)"
            ),
            || fleet().surge(secs(1), load),
        );
    }
    for (share, shown) in [(-0.1, "-0.1"), (1.5, "1.5"), (f64::NAN, "NaN")] {
        refused(
            &format!(
                "stamina: the `share` of a `Server`'s hung attempts is {shown}, but must be at least 0 and at most 1 (0.1 is one attempt in ten)"
            ),
            || Server::new().hung(share, secs(1)),
        );
    }
    // The ends of the ranges are legal.
    for share in [0.0, 1.0] {
        let _ = Server::new().hung(share, secs(1));
        drop(fleet().phase(secs(1), share));
    }
    for load in [0.0, 1e6] {
        drop(fleet().surge(secs(1), load));
    }
    drop(fleet().rate(1e9));
    refused(
        "stamina: the `length` of a phase is 0 s, but must be longer than 0 and at most a year",
        || fleet().cut_off(Duration::ZERO),
    );
    refused(
        "stamina: the `length` of a phase is 31536001 s, but must be longer than 0 and at most a year",
        || fleet().phase(secs(365 * 24 * 3600 + 1), 0.0),
    );
    drop(fleet().phase(secs(31_536_000), 0.0));
    refused(
        "stamina: a `Fleet` has no phases, but needs one: `.phase(length, failure)`",
        || fleet().run(),
    );
    refused(
        "stamina: a `Fleet` has a `cut_off`, but no `server`, whose `client_timeout` it needs",
        || fleet().cut_off(secs(1)).run(),
    );
    refused(
        "stamina: `workers` of a `Server` is 0, but must be at least 1",
        || Server::new().workers(0),
    );
    refused(
        "stamina: `service_time` of a `Server` is 0, but must be longer (leave the server out for one without limit)",
        || Server::new().service_time(Duration::ZERO),
    );
    refused(
        "stamina: `client_timeout` of a `Server` is 0, but must be longer",
        || Server::new().client_timeout(Duration::ZERO),
    );
}

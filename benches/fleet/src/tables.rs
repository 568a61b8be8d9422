//! The reference tables: what was measured here next to what an independent implementation gave.

use std::sync::Arc;
use std::time::Duration;

use stamina::testing::fleet::{Fleet, Server};
use stamina::{Budget, Retry};

use crate::contention::{self, Backoff};
use crate::{Down, parallel};

pub(crate) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Three attempts, full jitter from [0, 0.1 s] and [0, 0.2 s].
pub(crate) fn three() -> Retry<Down> {
    Retry::on::<Down>().attempts(3).full_jitter()
}

fn budgeted(ratio: f64) -> Retry<Down> {
    three().shared_budget(Arc::new(Budget::new().ratio(ratio)))
}

fn joined(values: impl IntoIterator<Item = String>) -> String {
    values.into_iter().collect::<Vec<_>>().join(" / ")
}

fn row(policy: &str, measured: &str, reference: &str) {
    println!("  {policy:<30}{measured:<48}{reference}");
}

fn head(title: &str, clients: &[u32], reference: &str) {
    println!("\n{title}");
    let clients = joined(clients.iter().map(ToString::to_string));
    row("policy", &format!("measured, clients {clients}"), reference);
}

pub(crate) fn mean(values: &[f64]) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "few values")]
    {
        values.iter().sum::<f64>() / values.len() as f64
    }
}

/// The standard error of the mean.
pub(crate) fn error(values: &[f64]) -> f64 {
    let mean = mean(values);
    #[allow(clippy::cast_precision_loss, reason = "few values")]
    let count = values.len() as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / (count - 1.0) / count).sqrt()
}

/// Table A: what a total outage makes of the load, and how small failures are hidden.
pub(crate) fn amplification(clients: &[u32]) {
    let rows = [
        ("one attempt", three().attempts(1), ["", "", "4.2"]),
        ("no budget", three(), ["3.00", "99.90", "41.9"]),
        (
            "budget of 20 %, floor 2",
            budgeted(0.2),
            [
                "1.03 / 1.03 / 1.05 / 1.33 (1/100/1,000/10,000)",
                "99.90 / 99.90 / 99.88 / 99.85",
                "40.8 / 40.1 / 36.4 (1/100/1,000)",
            ],
        ),
        ("budget of 10 %, floor 2", budgeted(0.1), ["", "", ""]),
    ];
    let jobs: Vec<(&Retry<Down>, u32)> = rows
        .iter()
        .flat_map(|(_, policy, _)| clients.iter().map(move |clients| (policy, *clients)))
        .collect();
    let results = parallel::run("table A", &jobs, |(policy, clients)| {
        let fleet = || {
            Fleet::of(policy, "down")
                .clients(*clients)
                .rate(1000.0)
                .seed(1)
        };
        let minute = |failure| fleet().phase(secs(60), 0.01).phase(secs(60), failure).run();
        let (mut calls, mut fine) = (0, 0);
        for seed in 0..16 {
            let blip = fleet()
                .seed(seed)
                .phase(secs(60), 0.01)
                .phase(Duration::from_millis(500), 1.0);
            let blip = blip.phase(secs(1), 0.01).run();
            calls += blip.phases[1].calls;
            fine += blip.phases[1].succeeded;
        }
        #[allow(clippy::cast_precision_loss, reason = "small counts")]
        let blip = fine as f64 / calls as f64 * 100.0;
        [
            format!("{:.2}", minute(1.0).phases[1].amplification()),
            format!("{:.2}", minute(0.1).phases[1].success() * 100.0),
            format!("{blip:.1}"),
        ]
    });
    let titles = [
        "A. Attempts for each call in a minute of total outage (1,000 calls a second)",
        "A. Success in a minute in which 10 % of the attempts fail, in % (unlimited retries: 99.90)",
        "A. Success of the calls of half a second of total outage, in % (16 seeds)",
    ];
    for (part, title) in titles.iter().enumerate() {
        head(title, clients, "reference");
        for ((name, _, references), results) in rows.iter().zip(results.chunks(clients.len())) {
            row(
                name,
                &joined(results.iter().map(|result| result[part].clone())),
                references[part],
            );
        }
    }
    println!(
        "  Reference of others, clients 1/100/1,000/10,000 in total outage: Finagle, Linkerd 1.21 / 2.20 / 3.00 / 3.00,"
    );
    println!(
        "  Envoy 1.07 / 2.61 / 3.00 / 3.00, AWS SDK 2.1 1.00 / 1.06 / 1.59 / 3.00, gRPC 1.00 / 1.01 / 1.05 / 1.50."
    );
}

/// Table B: does a fleet recover from ten seconds without a network?
pub(crate) fn recovery(clients: &[u32], seeds: u64) {
    let once = three().attempts(2).wait_initial(Duration::ZERO);
    let rows = [
        ("one attempt", three().attempts(1), 280.0, "127"),
        ("no budget", three(), 280.0, "stuck"),
        (
            "budget of 20 %, floor 2",
            budgeted(0.2),
            280.0,
            "153 / 146 / 151 / 216 (1/10/100/1,000)",
        ),
        ("budget of 10 %, floor 2", budgeted(0.1), 280.0, ""),
        (
            "one immediate retry, 140/s",
            once.clone(),
            140.0,
            "recovers",
        ),
        ("one immediate retry, 200/s", once.clone(), 200.0, "stuck"),
        ("one immediate retry, 280/s", once, 280.0, "stuck"),
    ];
    // A fleet of ten thousand is not in the reference, and without a budget the number of clients makes no difference.
    let clients: Vec<u32> = clients
        .iter()
        .copied()
        .filter(|clients| *clients <= 1000)
        .collect();
    let mut jobs = Vec::new();
    for (_, policy, rate, _) in &rows {
        let seeds = if *rate < 280.0 { seeds.min(4) } else { seeds };
        for clients in &clients {
            jobs.extend((0..seeds).map(|seed| (policy, *clients, *rate, seed)));
        }
    }
    let results = parallel::run("table B", &jobs, |(policy, clients, rate, seed)| {
        let fleet = Fleet::of(policy, "timed out")
            .clients(*clients)
            .rate(*rate)
            .seed(*seed);
        let fleet = fleet
            .server(Server::new())
            .phase(secs(60), 0.0)
            .cut_off(secs(10));
        fleet.phase(secs(630), 0.0).run().phases[2].recovery
    });
    head(
        &format!(
            "B. Seconds until a fleet has recovered from 10 s without a network (300/s served, 280/s asked for, {seeds} seeds)"
        ),
        &clients,
        "reference",
    );
    for (name, policy, rate, reference) in &rows {
        let measured = joined(clients.iter().map(|clients| {
            let of_row = |job: &&(&Retry<Down>, u32, f64, u64)| {
                std::ptr::eq(job.0, policy) && job.1 == *clients && (job.2 - rate).abs() < 0.5
            };
            let runs: Vec<Option<Duration>> = jobs
                .iter()
                .zip(&results)
                .filter(|(job, _)| of_row(job))
                .map(|(_, result)| *result)
                .collect();
            let times: Vec<f64> = runs.iter().flatten().map(Duration::as_secs_f64).collect();
            match runs.len() - times.len() {
                0 if times.len() == 1 => format!("{:.0}", mean(&times)),
                0 => format!("{:.0} +- {:.0}", mean(&times), error(&times)),
                stuck if stuck == runs.len() => "stuck".to_owned(),
                stuck => format!("{:.0}, {stuck} of {} stuck", mean(&times), runs.len()),
            }
        }));
        row(name, &measured, reference);
    }
    println!(
        "  Reference of others: Finagle, Envoy and a 10 % ratio stuck; AWS SDK 2.1 123 / 142 / 306 / stuck, gRPC 124 / 125 / 147 / 290."
    );
}

/// Table C: what writers that contend for a row cost.
pub(crate) fn contention(runs: u64) {
    let rows = [
        (
            "none",
            Backoff::Policy(Backoff::policy().wait_initial(Duration::ZERO)),
            "2,423 / 2,029",
        ),
        (
            "exponential, no jitter",
            Backoff::Policy(Backoff::policy()),
            "1,858 / 63,177",
        ),
        ("equal jitter", Backoff::Equal, "812 / 6,672"),
        (
            "full jitter",
            Backoff::Policy(Backoff::policy().full_jitter()),
            "796 +- 0.5 / 4,887 +- 34",
        ),
        ("decorrelated jitter", Backoff::Decorrelated, "999 / 4,622"),
        (
            "additive jitter of 50 ms",
            Backoff::Policy(Backoff::policy().wait_jitter(Duration::from_millis(50))),
            "-",
        ),
        (
            "the same, cut at the cap",
            Backoff::CutAtTheCap,
            "978 / 29,919 (Python's stamina)",
        ),
        (
            "full jitter, one seed for all",
            Backoff::OneSeed(Backoff::policy().full_jitter().seed(1)),
            "1,863 calls",
        ),
    ];
    let jobs: Vec<(&Backoff, u64)> = rows
        .iter()
        .flat_map(|(_, backoff, _)| (0..runs).map(move |seed| (backoff, seed)))
        .collect();
    let costs = parallel::run("table C", &jobs, |(backoff, seed)| {
        contention::run(backoff, 100, *seed)
    });
    println!("\nC. A hundred writers contend for one row (mean of {runs} runs)");
    row("backoff", "calls / ms until all have written", "reference");
    let runs = usize::try_from(runs).unwrap_or(usize::MAX);
    for ((name, _, reference), costs) in rows.iter().zip(costs.chunks(runs)) {
        let calls: Vec<f64> = costs.iter().map(|cost| cost.calls).collect();
        let times: Vec<f64> = costs.iter().map(|cost| cost.time).collect();
        let cell = |values: &[f64], places| {
            format!("{:.*} +- {:.*}", 0, mean(values), places, error(values))
        };
        row(
            name,
            &format!("{} / {}", cell(&calls, 1), cell(&times, 0)),
            reference,
        );
    }
}

/// Table D: how many waits are exactly at the cap.
pub(crate) fn at_the_cap() {
    let policies = [
        ("defaults", Retry::on::<()>()),
        ("full jitter", Retry::on::<()>().full_jitter()),
        (
            "jitter as wide as the cap",
            Retry::on::<()>().wait_jitter(secs(5)),
        ),
    ];
    let calls = 10_000;
    println!(
        "\nD. Share of waits exactly at the cap of 5 s, the most of retries 1 to 40 ({calls} calls)"
    );
    row("policy", "measured", "reference");
    for (name, policy) in policies {
        let policy = policy.attempts(41).no_timeout();
        let mut at_the_cap = [0_u32; 40];
        for seed in 0..calls {
            let mut attempts = policy.start().seeded(seed);
            for count in &mut at_the_cap {
                if attempts.decide(&()) == Ok(secs(5)) {
                    *count += 1;
                }
            }
        }
        #[allow(clippy::cast_precision_loss, reason = "a small count")]
        let most = f64::from(at_the_cap.into_iter().max().unwrap_or(0)) / calls as f64;
        row(name, &format!("{:.2} %", most * 100.0), "0 %");
    }
}

/// Table E: what the settings of a budget do.
pub(crate) fn settings(clients: &[u32], seeds: u64) {
    let budget = Budget::new;
    let rows = [
        ("no budget", None),
        ("ratio 0.2, decay 10 s, floor 2", Some(budget())),
        ("ratio 0.05", Some(budget().ratio(0.05))),
        ("ratio 0.1", Some(budget().ratio(0.1))),
        ("ratio 0.5", Some(budget().ratio(0.5))),
        ("ratio 1", Some(budget().ratio(1.0))),
        ("decay 1 s", Some(budget().decay(secs(1)))),
        ("decay 60 s", Some(budget().decay(secs(60)))),
        ("floor 0", Some(budget().floor(0))),
        ("floor 1", Some(budget().floor(1))),
        ("floor 3", Some(budget().floor(3))),
        ("floor 10", Some(budget().floor(10))),
        ("floor 100", Some(budget().floor(100))),
    ];
    let policies: Vec<(&str, Retry<Down>)> = rows
        .into_iter()
        .map(|(name, budget)| match budget {
            None => (name, three()),
            Some(budget) => (name, three().shared_budget(Arc::new(budget))),
        })
        .collect();
    for &clients in clients {
        let results = parallel::run("table E", &policies, |(_, policy)| {
            let fleet = |rate: f64| Fleet::of(policy, "down").clients(clients).rate(rate);
            let minute = |failure| {
                fleet(1000.0)
                    .seed(1)
                    .phase(secs(60), 0.01)
                    .phase(secs(60), failure)
                    .run()
            };
            let recoveries: Vec<Option<f64>> = (0..seeds)
                .map(|seed| {
                    let fleet = fleet(280.0).seed(seed).server(Server::new());
                    let fleet = fleet
                        .phase(secs(60), 0.0)
                        .cut_off(secs(10))
                        .phase(secs(630), 0.0);
                    fleet.run().phases[2]
                        .recovery
                        .map(|after| after.as_secs_f64())
                })
                .collect();
            let times: Vec<f64> = recoveries.iter().flatten().copied().collect();
            let recovery = match recoveries.len() - times.len() {
                0 => format!("{:.0} s", mean(&times)),
                stuck => format!("{stuck} of {} stuck", recoveries.len()),
            };
            [
                format!("x{:.2}", minute(1.0).phases[1].amplification()),
                format!("{:.1} %", minute(0.1).phases[1].success() * 100.0),
                format!("{:.1} %", minute(0.3).phases[1].success() * 100.0),
                recovery,
            ]
        });
        println!(
            "\nE. What the settings of a budget do: {clients} clients, tables A and B ({seeds} seeds)"
        );
        println!(
            "  {:<32}{:>10}{:>16}{:>16}  recovery",
            "budget", "in outage", "10 % failing", "30 % failing"
        );
        for ((name, _), [outage, few, many, recovery]) in policies.iter().zip(&results) {
            println!("  {name:<32}{outage:>10}{few:>16}{many:>16}  {recovery}");
        }
    }
}

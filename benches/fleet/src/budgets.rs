//! Table F: what a budget does for fleets of all sizes, next to the reference.

use std::sync::Arc;
use std::time::Duration;

use stamina::testing::fleet::{Fleet, Outcome, Phase, Server};
use stamina::{Budget, Retry};

use crate::tables::{error, mean, secs, three};
use crate::{Down, parallel};

/// What is measured in one run: a number, or `None` if the fleet never recovers.
type Measure = fn(&Retry<Down>, clients: u32, seed: u64) -> Option<f64>;

struct Row {
    title: &'static str,
    measure: Measure,
    places: usize,
    /// Whether it varies so much that it needs all seeds; the others get a sixth of them.
    all_seeds: bool,
    /// For the default budget.
    reference: &'static str,
}

const ROWS: [Row; 14] = [
    row(
        "outage: attempts per call",
        |p, c, s| Some(minute(p, c, s, 1.0).amplification()),
        3,
        "1.030 (1) / 1.032 (100) / 1.054 (1k) / 1.332 (10k)",
    ),
    row(
        "10 % fail: success, %",
        |p, c, s| success(&minute(p, c, s, 0.1)),
        2,
        "99.90 / 99.90 (100) / 99.88 (1k) / 99.85 (10k)",
    ),
    row(
        "30 % fail: attempts per call",
        |p, c, s| Some(minute(p, c, s, 0.3).amplification()),
        2,
        "1.26 (1) / 1.31 (1k) / 1.35 (10k)",
    ),
    row(
        "30 % fail: success, %",
        |p, c, s| success(&minute(p, c, s, 0.3)),
        1,
        "88 (1) / 92 (1k) / 94 (10k)",
    ),
    row(
        "50 % fail: attempts per call",
        |p, c, s| Some(minute(p, c, s, 0.5).amplification()),
        2,
        "1.22 (1) / 1.27 (1k) / 1.47 (10k)",
    ),
    row(
        "50 % fail: success, %",
        |p, c, s| success(&minute(p, c, s, 0.5)),
        1,
        "61 (1) / 64 (1k) / 74 (10k)",
    ),
    row(
        "5 s up, 5 s down: attempts per call",
        flapping,
        2,
        "1.10 (1) / 1.14 (1k) / 1.33 (10k)",
    ),
    row(
        "10 % of attempts hang: success, %",
        hung,
        1,
        "99.9; earned_after: 96.0 (1k), 90.5 (3k), 90.0 (10k)",
    ),
    row(
        "cold start, 10 % fail: success, %",
        cold_start,
        2,
        "99.90 (a first call)",
    ),
    row(
        "blip after an idle hour: success, %",
        |p, c, s| blip(p, c, s, true),
        1,
        "",
    ),
    Row {
        all_seeds: true,
        ..row(
            "blip of 0.5 s: success, %",
            |p, c, s| blip(p, c, s, false),
            1,
            "40.8 (1) / 40.1 (100) / 36.4 (1k)",
        )
    },
    row(
        "blip, ten attempts, default waits: success, %",
        ten_attempts,
        1,
        // Of a second implementation. The first one's 77 to 91 is not what its model gives: the second retry nearly
        // always comes after the blip.
        "100 (1) / 100 (100) / 98.3 (1k) / 99.0 (10k)",
    ),
    Row {
        all_seeds: true,
        ..row(
            "recovery, s",
            |p, c, s| recovery(p, c, s, Server::new()),
            0,
            "153 (1) / 146 (10) / 151 (100) / 216 (1k) / stuck",
        )
    },
    row(
        "recovery with a queue of 150, s",
        |p, c, s| recovery(p, c, s, Server::new().queue(150)),
        1,
        "0 - 2",
    ),
];

const fn row(title: &'static str, measure: Measure, places: usize, reference: &'static str) -> Row {
    Row {
        title,
        measure,
        places,
        all_seeds: false,
        reference,
    }
}

fn fleet(policy: &Retry<Down>, clients: u32, seed: u64) -> Fleet<Down> {
    let fleet = Fleet::of(policy, "down").clients(clients).rate(1000.0);
    fleet.seed(seed)
}

/// A minute in which so many attempts fail, after one at 1 %.
fn minute(policy: &Retry<Down>, clients: u32, seed: u64, failure: f64) -> Phase {
    let fleet = fleet(policy, clients, seed).phase(secs(60), 0.01);
    last(fleet.phase(secs(60), failure).run())
}

fn last(mut outcome: Outcome) -> Phase {
    outcome.phases.pop().expect("a fleet has a phase")
}

#[allow(clippy::unnecessary_wraps, reason = "as all measures")]
fn success(phase: &Phase) -> Option<f64> {
    Some(phase.success() * 100.0)
}

#[allow(clippy::unnecessary_wraps, reason = "as all measures")]
fn flapping(policy: &Retry<Down>, clients: u32, seed: u64) -> Option<f64> {
    let mut fleet = fleet(policy, clients, seed).phase(secs(60), 0.01);
    for _ in 0..6 {
        fleet = fleet.phase(secs(5), 1.0).phase(secs(5), 0.01);
    }
    let outcome = fleet.run();
    let phases = &outcome.phases[1..];
    let sum = |count: fn(&Phase) -> u64| phases.iter().map(count).sum::<u64>();
    #[allow(clippy::cast_precision_loss, reason = "small counts")]
    Some(sum(|phase| phase.attempts) as f64 / sum(|phase| phase.calls) as f64)
}

fn hung(policy: &Retry<Down>, clients: u32, seed: u64) -> Option<f64> {
    // Enough workers: nothing waits for anything but the replica that hangs.
    let server = Server::new()
        .workers(1000)
        .service_time(Duration::from_millis(1));
    let fleet = fleet(policy, clients, seed).server(server.hung(0.1, secs(1)));
    success(&last(fleet.phase(secs(60), 0.0).phase(secs(60), 0.0).run()))
}

fn cold_start(policy: &Retry<Down>, clients: u32, seed: u64) -> Option<f64> {
    success(&last(
        fleet(policy, clients, seed).phase(secs(1), 0.1).run(),
    ))
}

fn blip(policy: &Retry<Down>, clients: u32, seed: u64, idle: bool) -> Option<f64> {
    let mut fleet = fleet(policy, clients, seed).phase(secs(60), 0.01);
    if idle {
        fleet = fleet.surge(secs(3600), 0.0);
    }
    let fleet = fleet.phase(Duration::from_millis(500), 1.0);
    let mut phases = fleet.phase(secs(1), 0.01).run().phases;
    phases.pop();
    success(&phases.pop().expect("the blip"))
}

fn ten_attempts(policy: &Retry<Down>, clients: u32, seed: u64) -> Option<f64> {
    // With one attempt it is the row without retries.
    let attempts = if policy.settings().attempts == Some(1) {
        1
    } else {
        10
    };
    let defaults = stamina::Settings {
        attempts: Some(attempts),
        ..stamina::Settings::DEFAULT
    };
    blip(
        &policy.clone().with_settings(defaults),
        clients,
        seed,
        false,
    )
}

fn recovery(policy: &Retry<Down>, clients: u32, seed: u64, server: Server) -> Option<f64> {
    let fleet = fleet(policy, clients, seed).rate(280.0).server(server);
    let fleet = fleet.phase(secs(60), 0.0).cut_off(secs(10));
    let recovery = last(fleet.phase(secs(630), 0.0).run()).recovery;
    recovery.map(|after| after.as_secs_f64())
}

fn policies() -> Vec<(&'static str, Retry<Down>)> {
    let budget = |budget: Budget| three().shared_budget(Arc::new(budget));
    let half = Duration::from_millis(500);
    vec![
        ("no retries", three().attempts(1)),
        ("default budget", budget(Budget::new())),
        (
            "earned_after(500 ms)",
            budget(Budget::new().earned_after(half)),
        ),
        ("floor(1)", budget(Budget::new().floor(1))),
    ]
}

/// For each floor: attempts per call in an outage, and success in % if 10 % of attempts fail; 10,000 rare callers.
pub(crate) fn floors() -> Vec<(u32, f64, f64)> {
    parallel::run("floors", &[0, 1, 2, 3], |floor| {
        let budget = Budget::new().floor(*floor);
        let policy = three().shared_budget(Arc::new(budget));
        let outage = minute(&policy, 10_000, 1, 1.0).amplification();
        (
            *floor,
            outage,
            minute(&policy, 10_000, 1, 0.1).success() * 100.0,
        )
    })
}

/// What a client gets that sees one failure at a time, by the number of retries it makes blindly.
pub(crate) fn limit() -> Vec<(f64, f64)> {
    let at = |retries: f64| {
        // The third attempt is the last.
        let success = 90.0 + 9.0 * retries.min(1.0) + 0.9 * (retries - 1.0).clamp(0.0, 1.0);
        (1.0 + retries / 6.0, success)
    };
    (0..=30)
        .map(|tenths| at(f64::from(tenths) / 10.0))
        .collect()
}

/// Prints the table, or the rows whose title contains `title`: mean and standard error for each number of clients.
pub(crate) fn print(clients: &[u32], seeds: u64, title: &str) {
    let policies = policies();
    println!(
        "\nF. A budget in fleets of all sizes (recovery and blip: {seeds} seeds, else {})",
        seeds.div_ceil(6)
    );
    for row in ROWS.iter().filter(|row| row.title.contains(title)) {
        let seeds = if row.all_seeds {
            seeds
        } else {
            seeds.div_ceil(6)
        };
        let mut jobs = Vec::new();
        for (_, policy) in &policies {
            for clients in clients {
                jobs.extend((0..seeds).map(|seed| (policy, *clients, seed)));
            }
        }
        let runs = parallel::run(row.title, &jobs, |(policy, clients, seed)| {
            (row.measure)(policy, *clients, *seed)
        });
        println!(
            "\n  {}   [default budget, reference: {}]",
            row.title, row.reference
        );
        print!("  {:<22}", "clients");
        for clients in clients {
            print!("{clients:>18}");
        }
        println!();
        let per_cell = usize::try_from(seeds).unwrap_or(usize::MAX);
        for ((name, _), cells) in policies.iter().zip(runs.chunks(per_cell * clients.len())) {
            print!("  {name:<22}");
            for runs in cells.chunks(per_cell) {
                print!("{:>18}", cell(runs, row.places));
            }
            println!();
        }
    }
}

fn cell(runs: &[Option<f64>], places: usize) -> String {
    let values: Vec<f64> = runs.iter().flatten().copied().collect();
    match runs.len() - values.len() {
        0 if values.len() == 1 => format!("{:.places$}", mean(&values)),
        0 => format!(
            "{:.places$} +- {:.*}",
            mean(&values),
            places + 1,
            error(&values)
        ),
        stuck if stuck == runs.len() => "stuck".to_owned(),
        stuck => format!("{stuck} of {} stuck", runs.len()),
    }
}

//! Shows on a simulated fleet of clients what a retry policy does to a failing or overloaded server.
//!
//! ```text
//! cargo run --release -p stamina-fleet -- overload     does an overloaded server come back?
//! cargo run --release -p stamina-fleet -- outage       what does an outage make of the load?
//! cargo run --release -p stamina-fleet -- waits        do clients that failed together come back together?
//! cargo run --release -p stamina-fleet -- limits       what can a budget not give a fleet of rare callers?
//! cargo run --release -p stamina-fleet -- tables       the reference tables
//! ```

mod arguments;
mod budgets;
mod charts;
mod contention;
mod herd;
mod parallel;
mod tables;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use stamina::testing::fleet::{Fleet, Outcome};
use stamina::{Budget, Retry};

use arguments::{Arguments, Command, Limits, Outage, Overload, PolicyArguments, Tables, Waits};
use charts::Panel;

/// What a simulated attempt fails with.
pub(crate) type Down = &'static str;

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Outage(arguments) => outage(&arguments),
        Command::Overload(arguments) => overload(&arguments),
        Command::Waits(arguments) => waits(&arguments),
        Command::Limits(arguments) => limits(&arguments),
        Command::Tables(arguments) => {
            tables(&arguments);
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the same fleet without and with the budget.
fn both(
    policy: &Retry<Down>,
    budget: Budget,
    fleet: impl Fn(&Retry<Down>) -> Fleet<Down> + Sync,
) -> [Outcome; 2] {
    let with = policy.clone().shared_budget(Arc::new(budget));
    let policies = [policy.clone(), with];
    let mut outcomes =
        parallel::run("simulating", &policies, |policy| fleet(policy).run()).into_iter();
    let mut next = || outcomes.next().expect("one outcome for each policy");
    [next(), next()]
}

fn outage(arguments: &Outage) -> Result<(), Box<dyn Error>> {
    let policy = arguments.policy.policy();
    let [without, with] = both(&policy, arguments.policy.budget(), |policy| {
        let fleet = arguments.fleet.apply(Fleet::of(policy, "down"));
        let fleet = phase(fleet, arguments.before, arguments.hiccups);
        let fleet = phase(fleet, arguments.length, arguments.failure);
        phase(fleet, arguments.after, arguments.hiccups)
    });
    print(
        &arguments.fleet.to_string(),
        &arguments.policy,
        &without,
        &with,
    );
    let path = arguments.out.join("outage.svg");
    let calls = arguments.fleet.rate;
    let panels = [
        Panel::of("Without a budget", &without),
        Panel::of("With a budget", &with),
    ];
    charts::load(&path, &panels, ("calls that begin", calls), end(&without))?;
    written(&path);
    Ok(())
}

fn overload(arguments: &Overload) -> Result<(), Box<dyn Error>> {
    let policy = arguments.policy.policy();
    let [without, with] = both(&policy, arguments.policy.budget(), |policy| {
        let fleet = arguments.fleet.apply(Fleet::of(policy, "timed out"));
        let fleet = phase(fleet.server(arguments.server()), arguments.before, 0.0);
        let fleet = match arguments.cut_off {
            Duration::ZERO => fleet,
            cut_off => fleet.cut_off(cut_off),
        };
        phase(fleet, arguments.after, 0.0)
    });
    print(
        &format!("{}, server {:.0}/s", arguments.fleet, arguments.capacity()),
        &arguments.policy,
        &without,
        &with,
    );
    let path = arguments.out.join("overload.svg");
    let panels = [
        Panel::of("Without a budget", &without),
        Panel::of("With a budget", &with),
    ];
    charts::load(
        &path,
        &panels,
        ("what the server can serve", arguments.capacity()),
        end(&without),
    )?;
    written(&path);
    Ok(())
}

fn phase(fleet: Fleet<Down>, length: Duration, failure: f64) -> Fleet<Down> {
    if length.is_zero() {
        return fleet;
    }
    fleet.phase(length, failure)
}

/// The end of the last phase, in seconds.
fn end(outcome: &Outcome) -> f64 {
    outcome
        .phases
        .last()
        .map_or(0.0, |phase| (phase.start + phase.length).as_secs_f64())
}

fn waits(arguments: &Waits) -> Result<(), Box<dyn Error>> {
    let policy = arguments.policy.policy();
    let with = herd::requests(&policy, arguments.clients, arguments.seed);
    let without = herd::requests(
        &herd::without_jitter(&policy),
        arguments.clients,
        arguments.seed,
    );
    println!(
        "{} clients fail together; their retries, at most in any 100 ms",
        arguments.clients
    );
    println!("without jitter  {:>8}", herd::peak(&without));
    println!("with jitter     {:>8}", herd::peak(&with));
    let path = arguments.out.join("waits.svg");
    charts::herd(
        &path,
        [("Without jitter", &without), ("With jitter", &with)],
    )?;
    written(&path);
    Ok(())
}

fn limits(arguments: &Limits) -> Result<(), Box<dyn Error>> {
    let floors = budgets::floors();
    println!("10,000 clients, 1,000 calls/s");
    println!("floor  attempts per call in an outage  success at 10 % failing");
    for (floor, outage, success) in &floors {
        println!("{floor:>5}{outage:>32.3}{success:>23.2} %");
    }
    let path = arguments.out.join("limits.svg");
    charts::limits(&path, &budgets::limit(), &floors)?;
    written(&path);
    Ok(())
}

fn tables(arguments: &Tables) {
    let wanted = |table: &str| {
        arguments.only.is_empty()
            || arguments
                .only
                .iter()
                .any(|only| only.eq_ignore_ascii_case(table))
    };
    if wanted("a") {
        tables::amplification(&arguments.clients);
    }
    if wanted("b") {
        tables::recovery(&arguments.clients, arguments.seeds);
    }
    if wanted("c") {
        tables::contention(arguments.seeds.saturating_mul(200).div_ceil(64));
    }
    if wanted("d") {
        tables::at_the_cap();
    }
    if wanted("e") {
        tables::settings(&arguments.clients, arguments.seeds.div_ceil(8));
    }
    if wanted("f") {
        budgets::print(&arguments.clients, arguments.seeds, &arguments.rows);
    }
}

fn print(fleet: &str, policy: &PolicyArguments, without: &Outcome, with: &Outcome) {
    println!("{fleet}\n{policy}");
    println!("\nwithout a budget\n{without}");
    println!("with a budget ({})\n{with}", policy.describe_budget());
}

fn written(path: &Path) {
    println!("chart: {}", path.display());
}

//! Allocations of every case, and the sizes of the futures.

use std::process::Command;

use stamina_peers::allocations;
use stamina_peers::case::{ALONE, Case, SCENARIOS, TOKIO_RETRY2, WHO, find};
use stamina_peers::operation::Operation;
use stamina_peers::sizes::sizes;

use crate::page::Table;
use crate::programs::{build, output};

pub fn section() -> Result<String, String> {
    let mut table = Table::new([
        "future of a 64-byte operation, bytes",
        "no deadline",
        "deadline",
    ]);
    for size in sizes() {
        table.row([
            size.who.to_owned(),
            size.plain.to_string(),
            size.deadline.to_string(),
        ]);
    }
    // With the feature `tokio` every future has room for tokio's sleep, so that is a program of its own.
    let program = build(
        "scale",
        &["--no-default-features", "--features", "scale-tokio"],
    )?;
    for line in output(Command::new(program).arg("sizes"))?.lines() {
        let (who, sizes) = line.split_once(": ").ok_or("sizes are not understood")?;
        let (plain, deadline) = sizes.split_once(' ').ok_or("sizes are not understood")?;
        table.row([&format!("{who}, tokio's sleep"), plain, deadline]);
    }
    let bytes = table.finish();

    let who: Vec<&str> = WHO.into_iter().filter(|who| *who != ALONE).collect();
    let mut table = Table::new(["allocations of one call"].iter().chain(&who));
    // A recorder is for the whole process, so those that need one come last.
    let (with_recorder, without): (Vec<_>, Vec<_>) = SCENARIOS
        .into_iter()
        .partition(|scenario| scenario.needs_recorder());
    let mut installed = false;
    for scenario in without.into_iter().chain(with_recorder) {
        if scenario.needs_recorder() && !installed {
            stamina_peers::install_recorder();
            installed = true;
        }
        let counts = who.iter().map(|who| {
            find(scenario.id, who).map_or("-".to_owned(), |case| count(case).to_string())
        });
        table.row([scenario.title.to_owned()].into_iter().chain(counts));
    }
    Ok([bytes, table.finish()].join("\n"))
}

fn count(case: Case) -> u64 {
    let _runtime = (case.who == TOKIO_RETRY2).then(stamina_peers::enter_paused_runtime);
    let run = || (case.run)(&Operation::failing(case.scenario.failures));
    // The first call of a thread may set things up.
    let _ = run();
    allocations::count(|| {
        let _ = run();
    })
}

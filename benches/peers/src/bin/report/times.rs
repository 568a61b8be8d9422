//! The time of every case: criterion's medians.

use std::fs;

use stamina_peers::case::{ALONE, PLAIN, SCENARIOS, WHO, find};

use crate::page::{Table, ratio};
use crate::programs::{cargo, target};

pub fn section() -> Result<String, String> {
    let status = cargo()
        .args(["bench", "--package", "stamina-peers", "--bench", "time"])
        .stdout(std::process::Stdio::null())
        .status()
        .map_err(|error| format!("cargo bench: {error}"))?;
    if !status.success() {
        return Err("cargo bench failed".to_owned());
    }
    Ok([table("sync")?, table("async")?].join("\n"))
}

fn table(kind: &str) -> Result<String, String> {
    let scenarios: Vec<_> = SCENARIOS
        .iter()
        .filter(|scenario| scenario.id.starts_with(kind))
        .collect();
    let who: Vec<&str> = WHO
        .into_iter()
        .filter(|who| {
            scenarios
                .iter()
                .any(|scenario| find(scenario.id, who).is_some())
        })
        .collect();
    let mut table = Table::new([kind].iter().chain(&who));
    for scenario in scenarios {
        let plain = median(scenario.id, PLAIN)?;
        let title = scenario
            .title
            .strip_prefix(&format!("{kind}, "))
            .unwrap_or(scenario.title);
        let mut cells = vec![title.to_owned()];
        for who in &who {
            cells.push(match find(scenario.id, who) {
                None => "-".to_owned(),
                Some(_) => {
                    let time = median(scenario.id, who)?;
                    if *who == PLAIN || *who == ALONE {
                        format!("{time:.1}")
                    } else {
                        format!("{time:.1} ({})", ratio(time, plain))
                    }
                }
            });
        }
        table.row(cells);
    }
    Ok(table.finish())
}

/// Nanoseconds.
fn median(scenario: &str, who: &str) -> Result<f64, String> {
    let path = target()
        .join("criterion")
        .join(scenario)
        .join(who)
        .join("new/estimates.json");
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    text.split_once("\"median\"")
        .and_then(|(_, rest)| rest.split_once("\"point_estimate\":"))
        .and_then(|(_, rest)| rest.split_once(','))
        .and_then(|(number, _)| number.trim().parse().ok())
        .ok_or_else(|| format!("no median in {}", path.display()))
}

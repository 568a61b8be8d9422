//! What the numbers were measured on.

use std::fs;
use std::process::Command;

use crate::programs::output;

pub fn section() -> Result<String, String> {
    let rustc = output(Command::new("rustc").arg("--version"))?;
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").map_err(|error| error.to_string())?;
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .and_then(|rest| rest.split_once(':'))
        .map_or("an unnamed processor", |(_, name)| name.trim());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let versions = versions()?;
    Ok(format!(
        "Measured with {} (release profile as Cargo has it) on {cores} cores of {model}, a virtual machine. The crates: {versions}.",
        rustc.trim()
    ))
}

/// The versions of the crates compared, from the lock file.
fn versions() -> Result<String, String> {
    let lock =
        fs::read_to_string(crate::page::path("Cargo.lock")).map_err(|error| error.to_string())?;
    let version = |name: &str| {
        lock.split("[[package]]")
            .find(|package| package.contains(&format!("name = \"{name}\"\n")))
            .and_then(|package| package.split_once("version = \""))
            .and_then(|(_, rest)| rest.split_once('"'))
            .map_or_else(
                || name.to_owned(),
                |(version, _)| format!("{name} {version}"),
            )
    };
    let names = [
        "backon",
        "backoff",
        "retry",
        "tokio-retry2",
        "tower",
        "relentless",
        "mettle",
        "tokio",
    ];
    Ok(names.map(version).join(", "))
}

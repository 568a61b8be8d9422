//! Instructions, counted by callgrind.
//!
//! Driven directly, not through a harness: the gates need nothing but `valgrind` this way, where
//! `gungraun` needs its runner installed besides, from source, in the same version (90 s on two
//! cores), and compares a case with its own past, not with another case of the same run.

use std::path::Path;
use std::process::Command;

/// Counts instructions with one program.
#[derive(Debug)]
pub struct Counter<'a> {
    program: &'a Path,
    frame: u64,
}

impl<'a> Counter<'a> {
    /// `program` is the binary `case`. Says why not, when counting is not possible here.
    ///
    /// # Errors
    /// When there is no valgrind, or it cannot run the program.
    pub fn new(program: &'a Path) -> Result<Self, String> {
        if Command::new("valgrind").arg("--version").output().is_err() {
            return Err("valgrind is not installed".to_owned());
        }
        let frame = run(program, &["nothing"])?;
        Ok(Self { program, frame })
    }

    /// Instructions of one call, above an empty function called in the same way.
    ///
    /// # Errors
    /// When the case fails or the output is not understood.
    pub fn count(&self, scenario: &str, who: &str) -> Result<u64, String> {
        Ok(run(self.program, &[scenario, who])?.saturating_sub(self.frame))
    }
}

fn run(program: &Path, arguments: &[&str]) -> Result<u64, String> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .args(["--collect-atstart=no", "--toggle-collect=case::measured"])
        .arg(program)
        .args(arguments)
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{arguments:?} failed:\n{text}"));
    }
    text.lines()
        .find_map(|line| line.split_once("Collected :"))
        .and_then(|(_, count)| count.trim().parse().ok())
        .ok_or_else(|| format!("no count for {arguments:?}:\n{text}"))
}

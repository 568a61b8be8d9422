//! The other programs that a measurement needs.

use std::path::PathBuf;
use std::process::Command;

/// Builds one of this package's binaries in release and says where it is.
pub fn build(name: &str, features: &[&str]) -> Result<PathBuf, String> {
    let output = cargo()
        .args([
            "build",
            "--release",
            "--package",
            "stamina-peers",
            "--bin",
            name,
        ])
        .args(features)
        .output()
        .map_err(|error| format!("cargo: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(target().join("release").join(name))
}

pub fn cargo() -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

/// The target directory this program was built into.
pub fn target() -> PathBuf {
    let program = std::env::current_exe().expect("this program has a path");
    program
        .ancestors()
        .nth(2)
        .expect("target/release/report")
        .to_path_buf()
}

/// Standard output of a command that has to succeed.
pub fn output(command: &mut Command) -> Result<String, String> {
    let output = command
        .output()
        .map_err(|error| format!("{command:?}: {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "{command:?}:\n{}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

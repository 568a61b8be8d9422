//! What a user sees when a call is wrong: the compiler's messages, word for word.

use std::process::Command;

/// The compiler whose words are written down in `ui/`. Others put some of them differently.
///
/// To write them down anew: `TRYBUILD=overwrite cargo test -p stamina-heavy-tests --test ui`.
const COMPILER: &str = "rustc 1.95.";

#[test]
fn messages() {
    let version = Command::new("rustc").arg("--version").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    if !version.starts_with(COMPILER) {
        println!("skipped: the messages are those of {COMPILER}*, this is {version}");
        return;
    }
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}

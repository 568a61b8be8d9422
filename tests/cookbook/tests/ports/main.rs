//! The retry parts of three well-known shapes of client, written with the library (`src/`) and by hand (`by_hand/`): the same
//! scripts hold for both, and the library's are shorter.

#![allow(
    clippy::single_match_else,
    reason = "the two versions shall differ in their retries alone"
)]

mod by_hand;
mod middleware;
mod storage;
mod stream;

/// Lines of code: neither blank nor comment.
fn lines(source: &str) -> usize {
    let code = |line: &&str| !line.is_empty() && !line.starts_with("//");
    let shown = source.split("#[cfg(test)]").next().unwrap();
    shown.lines().map(str::trim).filter(code).count()
}

#[test]
fn no_port_is_longer_than_what_one_would_write_by_hand() {
    macro_rules! ports {
        ($($port:literal),+) => {[$((
            $port,
            lines(include_str!(concat!("../../src/", $port, ".rs"))),
            lines(include_str!(concat!("by_hand/", $port, ".rs"))),
        )),+]};
    }
    for (port, library, by_hand) in ports!["middleware", "stream", "storage"] {
        println!("{port}: {library} lines, by hand {by_hand}");
        assert!(
            library < by_hand,
            "{port}: {library} lines, by hand {by_hand}"
        );
    }
}

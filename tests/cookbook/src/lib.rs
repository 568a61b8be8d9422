//! The functions of docs/cookbook.md that need other crates.
//!
//! The page quotes the part of each file above its tests; a test here holds the two to each other.

#![allow(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::must_use_candidate,
    reason = "the page explains; what it quotes shall be short"
)]

pub mod redis;
pub mod reqwest;
pub mod sqlx;
pub mod tonic;

#[cfg(test)]
mod page {
    /// What a file shows: its lines above the tests, without the first ones, which speak of the file.
    fn shown(source: &str) -> String {
        source
            .split("#[cfg(test)]")
            .next()
            .unwrap()
            .lines()
            .skip_while(|line| line.starts_with("//!") || line.is_empty())
            .collect::<Vec<_>>()
            .join("\n")
            .trim_end()
            .to_owned()
    }

    #[test]
    fn quotes_these_files_to_the_letter() {
        let page = include_str!("../../../docs/cookbook.md");
        // `rs`: code for the reader, which the doctests of `stamina` leave to this crate.
        let quoted: Vec<_> = page
            .split("```rs\n")
            .skip(1)
            .map(|block| block.split("\n```").next().unwrap().to_owned())
            .collect();
        let files = [
            include_str!("reqwest.rs"),
            include_str!("sqlx.rs"),
            include_str!("redis.rs"),
            include_str!("tonic.rs"),
        ];
        assert_eq!(quoted, files.map(shown));
    }
}

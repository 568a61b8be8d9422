//! The code in docs/cookbook.md and docs/instrumentation.md that needs other crates.
//!
//! The pages quote the part of each file above its tests; tests here hold the two to each other.

#![allow(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::must_use_candidate,
    reason = "the page explains; what it quotes shall be short"
)]

pub mod exporter;
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

    /// The blocks that a page marks with `rs`: code for the reader, which the doctests of `stamina` leave to this crate.
    fn quoted(page: &str) -> Vec<String> {
        page.split("```rs\n")
            .skip(1)
            .map(|block| block.split("\n```").next().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn the_cookbook_quotes_these_files_to_the_letter() {
        let files = [
            include_str!("reqwest.rs"),
            include_str!("sqlx.rs"),
            include_str!("redis.rs"),
            include_str!("tonic.rs"),
        ];
        let page = include_str!("../../../docs/cookbook.md");
        assert_eq!(quoted(page), files.map(shown));
    }

    #[test]
    fn the_page_on_instrumentation_quotes_the_exporter() {
        let page = include_str!("../../../docs/instrumentation.md");
        assert_eq!(quoted(page), [shown(include_str!("exporter.rs"))]);
    }
}

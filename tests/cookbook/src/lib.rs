//! The code in docs/cookbook_*.md and docs/instrumentation.md that needs other crates.
//!
//! The pages quote the part of each file above its tests; tests here hold the two to each other.

#![allow(
    missing_debug_implementations,
    missing_docs,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::single_match_else,
    clippy::unused_async,
    reason = "the page explains; what it quotes shall be short"
)]

pub mod async_trait;
pub mod exporter;
#[cfg(test)]
mod grpc;
pub mod middleware;
pub mod redis;
pub mod reqwest;
pub mod shutdown;
pub mod sqlx;
pub mod storage;
pub mod stream;
pub mod tonic;
pub mod wire;

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

    /// Asserts that a page quotes these files of this crate, in this order, and nothing else.
    macro_rules! quotes {
        ($page:literal: $($file:literal),+) => {
            let page = include_str!(concat!("../../../docs/", $page));
            assert_eq!(quoted(page), [$(shown(include_str!($file))),+], $page);
        };
    }

    #[test]
    fn the_pages_quote_these_files_to_the_letter() {
        quotes!("cookbook_loops.md": "stream.rs", "shutdown.rs");
        quotes!("cookbook_clients.md": "async_trait.rs", "storage.rs", "wire.rs");
        quotes!("cookbook_crates.md": "reqwest.rs", "middleware.rs", "sqlx.rs", "redis.rs", "tonic.rs");
    }

    #[test]
    fn the_page_on_instrumentation_quotes_the_exporter() {
        let page = include_str!("../../../docs/instrumentation.md");
        assert!(quoted(page).contains(&shown(include_str!("exporter.rs"))));
    }
}

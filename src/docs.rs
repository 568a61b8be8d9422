//! The pages of `docs/` in the repository.
//!
//! | page | what for |
//! |---|---|
//! | [`tutorial`] | learn it step by step |
//! | [`cookbook`]: [`loops`](cookbook_loops), [`clients`](cookbook_clients), [`crates`](cookbook_crates), [`closures`](cookbook_closures) | recipes |
//! | [`motivation`] | why retry, why wait, why at random, why a budget |
//! | [`testing`] | test code that retries |
//! | [`instrumentation`], [`operations`] | logs, metrics, traces; a dashboard and alerts |
//! | [`safety`] | what a budget does, and how to size it |
//! | [`job_queue`] | retries that outlive the process |
//! | [`wasm`] | in a browser |
//! | [`migrating`] | from other libraries |
//! | [`performance`], [`reliability`] | what it costs; what is proved |
//! | [`design`] | a map of the code, and why it is so |
//! | [`changelog`] | what has changed |
//!
//! Pictures and other files are in the repository only.

// Only for documentation, which includes doctests: so the code of each page is compiled and run.
#![cfg(any(doc, doctest))]

/// A page. `if`: the feature that its code needs.
macro_rules! page {
    ($name:ident, $file:literal $(, if $feature:literal)?) => {
        $(#[cfg(any(not(doctest), feature = $feature))])?
        #[doc = include_str!($file)]
        #[cfg_attr(not(doctest), doc = include_str!("docs/links.html"))]
        pub mod $name {}
    };
}

page!(changelog, "../docs/changelog.md");
page!(cookbook, "../docs/cookbook.md");
page!(cookbook_clients, "../docs/cookbook_clients.md", if "tokio");
page!(cookbook_closures, "../docs/cookbook_closures.md");
page!(cookbook_crates, "../docs/cookbook_crates.md");
page!(cookbook_loops, "../docs/cookbook_loops.md", if "tokio");
page!(design, "../docs/design.md");
page!(instrumentation, "../docs/instrumentation.md");
page!(job_queue, "../docs/job_queue.md");
page!(migrating, "../docs/migrating.md");
page!(motivation, "../docs/motivation.md");
page!(operations, "../docs/operations.md");
page!(performance, "../docs/performance.md");
page!(reliability, "../docs/reliability.md");
page!(safety, "../docs/safety.md", if "fleet");
page!(testing, "../docs/testing.md", if "tokio");
page!(tutorial, "../docs/tutorial.md");
page!(wasm, "../docs/wasm.md");

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

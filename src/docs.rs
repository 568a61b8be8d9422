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

/// A page. Pages link each other by reference (`[safety]`), and define these references for readers of the files. The
/// first definition of a reference counts, so here they lead to the modules. (Not in doctests, whose line numbers are then
/// those of the file.)
macro_rules! page {
    ($name:ident, $file:literal) => {
        page!($name, $file, not(doctest), doctest);
    };
    // `needs`: what the code of the page needs to be compiled.
    ($name:ident, $file:literal, $($needs:meta),+) => {
        #[cfg_attr(not(doctest), doc = "
[changelog]: crate::docs::changelog
[clients]: crate::docs::cookbook_clients
[closures]: crate::docs::cookbook_closures
[cookbook]: crate::docs::cookbook
[crates]: crate::docs::cookbook_crates
[design]: crate::docs::design
[instrumentation]: crate::docs::instrumentation
[job queue]: crate::docs::job_queue
[loops]: crate::docs::cookbook_loops
[migrating]: crate::docs::migrating
[motivation]: crate::docs::motivation
[operations]: crate::docs::operations
[performance]: crate::docs::performance
[reliability]: crate::docs::reliability
[safety]: crate::docs::safety
[testing]: crate::docs::testing
[tutorial]: crate::docs::tutorial
[WebAssembly]: crate::docs::wasm
")]
        #[cfg_attr(any($($needs),+), doc = include_str!($file))]
        pub mod $name {}
    };
}

page!(changelog, "../docs/changelog.md");
page!(cookbook, "../docs/cookbook.md");
page!(
    cookbook_clients,
    "../docs/cookbook_clients.md",
    not(doctest),
    feature = "tokio"
);
page!(cookbook_closures, "../docs/cookbook_closures.md");
page!(cookbook_crates, "../docs/cookbook_crates.md");
page!(
    cookbook_loops,
    "../docs/cookbook_loops.md",
    not(doctest),
    feature = "tokio"
);
page!(design, "../docs/design.md");
page!(instrumentation, "../docs/instrumentation.md");
page!(job_queue, "../docs/job_queue.md");
page!(migrating, "../docs/migrating.md");
page!(motivation, "../docs/motivation.md");
page!(operations, "../docs/operations.md");
page!(performance, "../docs/performance.md");
page!(reliability, "../docs/reliability.md");
page!(safety, "../docs/safety.md", not(doctest), feature = "fleet");
page!(
    testing,
    "../docs/testing.md",
    not(doctest),
    feature = "tokio"
);
page!(tutorial, "../docs/tutorial.md");
page!(wasm, "../docs/wasm.md");

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

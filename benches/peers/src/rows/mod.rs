//! One file for each crate compared: its settings, and a function for every scenario it can run.

pub mod hand;
pub mod ours;

#[cfg(feature = "peers")]
pub mod backoff;
#[cfg(feature = "peers")]
pub mod backon;
#[cfg(feature = "peers")]
pub mod mettle;
#[cfg(feature = "peers")]
pub mod relentless;
#[cfg(feature = "peers")]
pub mod retry;
#[cfg(feature = "peers")]
pub mod tokio_retry2;
#[cfg(feature = "peers")]
pub mod tower;

use crate::case::Case;

/// Every case there is.
#[must_use]
pub fn cases() -> Vec<Case> {
    [hand::CASES, ours::CASES]
        .into_iter()
        .chain(peers())
        .flatten()
        .copied()
        .collect()
}

#[cfg(feature = "peers")]
fn peers() -> [&'static [Case]; 7] {
    [
        backon::CASES,
        backoff::CASES,
        retry::CASES,
        tokio_retry2::CASES,
        tower::CASES,
        relentless::CASES,
        mettle::CASES,
    ]
}

#[cfg(not(feature = "peers"))]
fn peers() -> [&'static [Case]; 0] {
    []
}

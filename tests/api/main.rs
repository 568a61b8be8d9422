//! What callers write: signatures, settings, predicates, the shapes of calls.

#[path = "../support/mod.rs"]
mod support;

mod bad_input;
mod contract;
mod http;
mod policy;
mod serde;
mod shapes;
mod values;
mod when;

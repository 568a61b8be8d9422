//! Random policies and scripts, played through every driver, and an independent model of what has to happen.
//!
//! `rules.rs` and `bucket.rs` are the model: they are written from the documentation and share nothing with the library.
//! `bytes.rs` reads a script, `drivers.rs` plays it, `trace.rs` records what is seen, `stage.rs` is the clock.

mod bucket;
mod bytes;
mod call;
mod drivers;
mod play;
mod rules;
mod stage;
mod trace;

pub(crate) use self::play::play;
#[allow(unused_imports, reason = "the fuzzer does not ask for it")]
pub(crate) use self::rules::Spread;
pub(crate) use self::stage::STAGES;

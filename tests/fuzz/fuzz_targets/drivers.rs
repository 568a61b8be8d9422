//! Policies and scripts through every driver, against the model: the same as `tests/model.rs`, with coverage to lead it.
#![no_main]

#[path = "../../model/mod.rs"]
mod model;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| model::play(bytes, &model::STAGES[0]));

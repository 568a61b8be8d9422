//! Policies and scripts through every driver, against the model: the same as `tests/model.rs`, with coverage to lead it.
#![no_main]

#[path = "../../model/play.rs"]
mod play;
#[path = "../../model/rules.rs"]
mod rules;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| play::play(bytes, &play::STAGES[0]));

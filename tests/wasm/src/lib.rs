//! stamina on `wasm32-unknown-unknown`: `tests/host.rs` runs in node and in a browser. `.ci/run wasm` has the toolchain.

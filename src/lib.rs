//! Retries for production Rust.

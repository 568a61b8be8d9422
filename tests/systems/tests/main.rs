//! One binary for all systems; see the crate's own documentation.

mod cookbook;
mod dogstatsd;
mod grpc;
mod http;
mod jobs;
mod kills;
mod postgres;
mod prometheus;
mod redis;

//! The pages of `docs/`, so that their code is compiled and run with the other doctests.

#![cfg(doctest)]

#[cfg(feature = "tokio")]
#[doc = include_str!("../docs/cookbook/clients.md")]
mod cookbook_clients {}
#[doc = include_str!("../docs/cookbook/closures.md")]
mod cookbook_closures {}
#[cfg(feature = "tokio")]
#[doc = include_str!("../docs/cookbook/loops.md")]
mod cookbook_loops {}
#[doc = include_str!("../docs/design.md")]
mod design {}
#[doc = include_str!("../docs/instrumentation.md")]
mod instrumentation {}
#[doc = include_str!("../docs/job_queue.md")]
mod job_queue {}
#[doc = include_str!("../docs/migrating.md")]
mod migrating {}
#[doc = include_str!("../docs/motivation.md")]
mod motivation {}
#[doc = include_str!("../docs/operations.md")]
mod operations {}
#[doc = include_str!("../README.md")]
mod readme {}
#[doc = include_str!("../docs/reliability.md")]
mod reliability {}
#[cfg(feature = "fleet")]
#[doc = include_str!("../docs/safety.md")]
mod safety {}
#[cfg(feature = "tokio")]
#[doc = include_str!("../docs/testing.md")]
mod testing {}
#[doc = include_str!("../docs/tutorial.md")]
mod tutorial {}
#[doc = include_str!("../docs/wasm.md")]
mod wasm {}

//! What can be read: the rooms of the source, the pages, the manifest, the public API.

#![allow(clippy::unchecked_time_subtraction, reason = "a test may panic")]

mod layout;
mod operations;
mod pages;
mod picture;
mod public_api;
mod readme;

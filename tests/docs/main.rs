//! What can be read: the rooms of the source, the pages, the manifest, the public API.

mod layout;
mod operations;
mod pages;
mod picture;
mod public_api;
mod readme;

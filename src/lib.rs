//! haul: one command line for the Files APIs of AI platforms.
//!
//! The library serves the binary and its tests; it is not a public API.

pub mod emulator;
pub mod error;
pub mod filter;
pub mod http;
pub mod model;
pub mod progress;
pub mod providers;
pub mod secret;
pub mod store;
pub mod ui;

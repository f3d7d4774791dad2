//! What tests share: the sandbox that the program runs in, servers to talk to, and connections to them.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod connection;
pub mod emulated;
pub mod filters;
pub mod generated;
pub mod raw;
pub mod rig;
pub mod sandbox;
pub mod script;
pub mod served;
pub mod server;
pub mod socket;
#[cfg(unix)]
pub mod terminal;

//! What tests share: the sandbox that the program runs in, programs that run beside a test, servers to talk to, and connections to them.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod connection;
pub mod emulated;
pub mod filters;
pub mod generated;
pub mod process;
pub mod raw;
pub mod rig;
pub mod sandbox;
pub mod script;
pub mod served;
pub mod server;
pub mod socket;
#[cfg(unix)]
pub mod terminal;

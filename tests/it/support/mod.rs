//! Shared test support: the sandbox for running the program, background processes, servers and connections to them.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod connection;
pub mod emulator;
pub mod filters;
pub mod generated;
pub mod naive;
pub mod process;
pub mod proxy;
pub mod raw;
pub mod rig;
pub mod s3;
pub mod sandbox;
pub mod server;
#[cfg(unix)]
pub mod terminal;
pub mod tls;

use haul::model::Clock;
use jiff::Timestamp;

/// A fixed clock.
pub fn clock(time: &str) -> Clock {
    Clock(Some(time.parse().unwrap()))
}

/// A fixed clock at a Unix time.
pub fn clock_at(seconds: i64) -> Clock {
    Clock(Some(Timestamp::from_second(seconds).unwrap()))
}

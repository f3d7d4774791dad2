//! Transfers against emulated platforms that misbehave: what is sent, and what is there afterwards, is counted at the
//! server.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod downloads;
#[cfg(unix)]
mod kills;
mod platform;
#[cfg(unix)]
mod reports;
mod uploads;

//! Transfers against emulated platforms that misbehave: what is sent, and what is there afterwards, is counted at the
//! server.

mod downloads;
#[cfg(unix)]
mod kills;
mod platform;
#[cfg(unix)]
mod reports;
mod uploads;

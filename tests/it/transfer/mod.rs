//! Transfers against emulated platforms with faults. The tests count the requests and the stored files at the
//! server.

mod downloads;
#[cfg(unix)]
mod kills;
mod parts;
mod platform;
#[cfg(unix)]
mod reports;
mod uploads;

//! Tokens and profiles for users and CI jobs, without a keyring; `bus.rs` has the tests with one.

#[cfg(target_os = "linux")]
mod bus;
mod canary;
mod config;
mod keyring;
mod login;
mod order;
mod profile;
mod support;

//! Tokens and profiles, as a user and a CI job meet them. No keyring is needed: see `bus.rs` for those.

#[cfg(target_os = "linux")]
mod bus;
mod canary;
mod config;
mod keyring;
mod login;
mod order;
mod profile;
mod support;

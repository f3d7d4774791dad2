//! Tokens and profiles, as a user and a CI job meet them. No keyring is needed: see `bus.rs` for those.

mod canary;
mod config;
mod keyring;
mod login;
mod order;
mod profile;
mod support;

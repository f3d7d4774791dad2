//! Tokens and profiles, as a user and a CI job meet them. No keyring is needed: see `keyring.rs` for those.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "auth/canary.rs"]
mod canary;
#[path = "auth/config.rs"]
mod config;
#[path = "auth/keyring.rs"]
mod keyring;
#[path = "auth/login.rs"]
mod login;
#[path = "auth/order.rs"]
mod order;
#[path = "auth/profile.rs"]
mod profile;
#[path = "auth/support.rs"]
mod support;

//! Tests of the library, the program and the emulators. They need no network, no account and no fixed port.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails, its helpers too")]
#![allow(clippy::print_stdout, reason = "what a test counts is worth reading")]

mod auth;
#[cfg(unix)]
mod cli;
mod conformance;
mod emulator;
mod filter;
mod find;
mod http;
#[cfg(unix)]
mod objects;
mod platforms;
#[cfg(unix)]
mod project;
mod serve;
#[cfg(unix)]
mod shared;
mod store;
mod support;
mod transfer;
mod wire;

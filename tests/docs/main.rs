//! Generated files and documents match the code, and the commands in the documents' `console` blocks run.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a panic fails the test, in helpers as well")]

#[path = "../it/support/mod.rs"]
mod support;

mod documents;
mod generated;
mod pictures;
mod platforms;
mod speed;

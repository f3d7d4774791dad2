//! Generated files and documents are what the code would write, and every command in them runs.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails, its helpers too")]

#[path = "../it/support/mod.rs"]
mod support;

mod documents;
mod generated;
mod pictures;
mod platforms;

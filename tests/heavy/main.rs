//! Faults, hostile servers, soak, and properties. What takes long is ignored by default; `.ci/run` runs it.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails, its helpers too")]
#![allow(clippy::print_stdout, reason = "what a test counts is worth reading")]

#[path = "../it/platforms/mod.rs"]
mod platforms;
#[path = "../it/support/mod.rs"]
mod support;

mod faults;
mod hostile;
mod properties;
mod soak;

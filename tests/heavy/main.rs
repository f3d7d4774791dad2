//! Fault injection, hostile servers, soak runs and properties. Slow tests are ignored by default; `.ci/run` runs them.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a panic fails the test, in helpers as well")]
#![allow(clippy::print_stdout, reason = "the tests print their counts")]

#[path = "../it/platforms/mod.rs"]
mod platforms;
#[path = "../it/support/mod.rs"]
mod support;

mod again;
mod faults;
mod hostile;
mod properties;
mod soak;

//! The store, as one process and as several see it, and as a killed one leaves it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stdout, reason = "what a test counts is worth reading")]

mod changes;
mod crash;
mod damage;
mod files;
mod listing;
mod processes;
mod support;

//! The fault matrix: every emulated dialect with requests of its own, every verb, every fault. Each cell runs the
//! program against the emulator through a proxy that injects the fault into the verb's main request, and checks the
//! exit code, the message, the requests, the stored files and the local files.
//!
//! The requests of each platform are in `tests/it/platforms`, the faults in `catalog`, the expected outcomes in
//! `expected`. `FAULTS=WORD cargo test --test heavy faults` runs the cells whose names contain the word.

mod catalog;
mod cell;
mod checks;
mod expected;
mod matrix;
mod proxy;
pub mod reply;
mod site;
mod verbs;

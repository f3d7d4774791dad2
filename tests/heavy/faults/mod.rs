//! Everything that can go wrong between the program and a platform, as a matrix: every provider of the registry, every
//! verb, every fault. Each cell runs the program against the emulator through a proxy that spoils the request which does
//! what the verb is for, and looks at the exit code, the message, the requests, the files stored and the bytes on the disk.
//!
//! The requests of each platform are in `tests/it/platforms`, the faults in `trouble`, what must come of them in
//! `expected`. `FAULTS=WORD cargo test --test heavy faults` runs the cells that have the word in their name.
mod cell;
mod expected;
mod judge;
mod matrix;
mod proxy;
mod reply;
mod site;
mod trouble;
mod verbs;

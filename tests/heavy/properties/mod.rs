//! Property tests of the library's public functions. Those of private functions are unit tests in modules named
//! `properties`.
//!
//! `HAUL_TEST_PROPERTY_SECONDS=60 cargo test --release --lib --test heavy properties -- --nocapture` checks each for a
//! minute and prints the number of inputs.

mod filter;
mod holds;
mod meaning;
mod names;
mod words;

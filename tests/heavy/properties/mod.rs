//! What holds of every input, through what the library shows; properties of what it hides are unit tests named
//! `properties` beside the code.
//!
//! `HAUL_PROPERTY_SECONDS=60 cargo test --release --lib --test heavy properties -- --nocapture` checks each for a
//! minute and prints the number of its inputs.

mod filter;
mod holds;
mod meaning;
mod names;
mod words;

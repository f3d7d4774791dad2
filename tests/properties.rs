//! What holds of every input, through what the library shows; properties of what it hides are unit tests named
//! `properties` beside the code.
//!
//! `HAUL_PROPERTY_SECONDS=60 cargo test --release --lib --test properties properties -- --nocapture` checks each for a
//! minute and prints the number of its inputs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "properties/filter.rs"]
mod filter_properties;
#[path = "properties/holds.rs"]
mod holds;
#[path = "properties/meaning.rs"]
mod meaning_properties;
#[path = "filter/naive.rs"]
mod naive;
#[path = "properties/names.rs"]
mod names_properties;
#[path = "filter/support.rs"]
#[allow(dead_code, reason = "the filter's own tests use the rest")]
mod support;
#[path = "properties/words.rs"]
mod words_properties;

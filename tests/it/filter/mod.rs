//! The filter language: its meaning and its errors. Properties of all filters are tested in
//! `tests/heavy/properties/`.

mod errors;
mod meaning;
mod xai;

//! The filter language: what it means and how it is refused; what holds of every filter is in `tests/heavy/properties/`.

mod errors;
mod meaning;
mod xai;

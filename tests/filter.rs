//! The filter language: what it means and how it is refused; what holds of every filter is in `tests/properties/`.

#[path = "filter/errors.rs"]
mod errors;
#[path = "filter/meaning.rs"]
mod meaning;
#[path = "filter/support.rs"]
mod support;
#[path = "filter/xai.rs"]
mod xai;

//! The filter language: what it means, how it is refused, and what holds of every filter.

#[path = "filter/errors.rs"]
mod errors;
#[path = "filter/meaning.rs"]
mod meaning;
#[path = "filter/properties.rs"]
mod properties;
#[path = "filter/support.rs"]
mod support;
#[path = "filter/xai.rs"]
mod xai;

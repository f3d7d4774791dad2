//! One verb, one file: its arguments, help and behaviour.

pub mod completions;
pub mod get;
pub mod info;
pub mod link;
pub mod ls;
pub mod meta;
pub mod providers;
pub mod rm;
pub mod serve;
pub mod upload;

mod batch;
mod confirm;
mod select;

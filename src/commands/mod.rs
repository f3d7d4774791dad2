//! The commands. Each public module defines the arguments, help and behavior of one command.

pub mod auth;
pub mod cat;
pub mod completions;
pub mod config;
pub mod cp;
pub mod du;
pub mod gc;
pub mod get;
pub mod help;
pub mod info;
pub mod link;
pub mod lint;
pub mod local;
pub mod ls;
pub mod meta;
pub mod profile;
pub mod providers;
pub mod reference;
pub mod rm;
pub mod serve;
pub mod skill;
pub mod sync;
pub mod upload;

mod batch;
mod confirm;
mod jsonl;
mod media;
mod planned;
mod report;
mod select;
mod sources;

//! Perplexity.

use super::Platform;
use super::openai::{VENDOR, commands};
use crate::support::rig::Case;

const V1: Case = Case::of("perplexity", "v1");

pub const PLATFORM: Platform = Platform {
    name: "perplexity",
    cases: &[V1],
    commands: commands!("perplexity", V1, get: 0, "CONTENT"),
    ..VENDOR
};

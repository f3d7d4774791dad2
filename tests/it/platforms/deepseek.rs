//! DeepSeek.

use super::Platform;
use super::openai::{VENDOR, commands};
use crate::support::rig::Case;

const V1: Case = Case::of("deepseek", "v1");

pub const PLATFORM: Platform = Platform {
    name: "deepseek",
    cases: &[V1],
    commands: commands!("deepseek", V1, get: 5, "deepseek cannot download an uploaded file"),
    ..VENDOR
};

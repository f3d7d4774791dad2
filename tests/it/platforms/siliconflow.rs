//! SiliconFlow.

use super::Platform;
use super::openai::{VENDOR, commands};
use crate::support::rig::Case;

const V1: Case = Case::of("siliconflow", "v1");

pub const PLATFORM: Platform = Platform {
    name: "siliconflow",
    cases: &[V1],
    commands: commands!("siliconflow", V1, get: 0, "CONTENT"),
    ..VENDOR
};

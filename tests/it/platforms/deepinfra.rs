//! DeepInfra.

use super::Platform;
use super::openai::{VENDOR, commands};
use crate::support::rig::Case;

const V1: Case = Case::of("deepinfra", "v1");

pub const PLATFORM: Platform = Platform {
    name: "deepinfra",
    cases: &[V1],
    commands: commands!("deepinfra", V1, get: 0, "CONTENT"),
    ..VENDOR
};

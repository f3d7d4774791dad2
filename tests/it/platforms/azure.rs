//! Azure OpenAI.

use super::Platform;
use super::openai::{VENDOR, commands};
use crate::support::rig::Case;

const V1: Case = Case::of("azure", "v1");

pub const PLATFORM: Platform = Platform {
    name: "azure",
    cases: &[V1],
    commands: commands!("azure", V1, get: 5, "Not allowed to download files of purpose: user_data"),
    ..VENDOR
};

//! DashScope.

use super::Platform;
use super::openai::{VENDOR, commands};
use crate::support::rig::Case;

const V1: Case = Case::of("dashscope", "v1");

pub const PLATFORM: Platform = Platform {
    name: "dashscope",
    cases: &[V1],
    commands: commands!("dashscope", V1, get: 5, "Not allowed to download files of purpose: file-extract"),
    ..VENDOR
};

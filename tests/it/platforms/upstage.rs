//! Upstage.

use super::Platform;
use super::openai::{VENDOR, commands};
use crate::support::rig::Case;

const V1: Case = Case::of("upstage", "v1");

pub const PLATFORM: Platform = Platform {
    name: "upstage",
    cases: &[V1],
    commands: commands!("upstage", V1, get: 5, "Not allowed to download files of purpose: user_data"),
    ..VENDOR
};

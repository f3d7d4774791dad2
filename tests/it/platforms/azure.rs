//! Azure OpenAI.

use super::openai::{PARTS, VENDOR, commands};
use super::{Facts, Parts, Platform};
use crate::support::rig::Case;

const V1: Case = Case::of("azure", "v1");

pub const PLATFORM: Platform = Platform {
    name: "azure",
    cases: &[V1],
    facts: Facts { parts: Some(Parts { purpose: Some("assistants"), ..PARTS }), ..Facts::USUAL },
    commands: commands!("azure", V1, get: 5, "Not allowed to download files of purpose: user_data",
        (V1, "upload up.txt --set via=uploads", 1, "azure documents these purposes for multipart uploads"),
        (V1, "upload up.txt --set via=uploads --purpose vision", 0, "up.txt")
    ),
    ..VENDOR
};

//! OpenRouter.

use super::Platform;
use super::openai::{VENDOR, commands};
use super::records::Records;
use crate::support::rig::Case;

const V1: Case = Case::of("openrouter", "v1");

pub const PLATFORM: Platform = Platform {
    name: "openrouter",
    cases: &[V1],
    commands: commands!("openrouter", V1, get: 5, "to try anyway: `--force`",
        (V1, "get @ --force -o -", 5, "Not allowed to download"),
        (V1, "upload up.txt --purpose p", 5, "openrouter does not support purposes")),
    records: Records { show: |_, file| file.downloadable = Some(false), ..Records::PLAIN },
    ..VENDOR
};

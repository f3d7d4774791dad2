//! Moonshot AI.

use super::Platform;
use super::openai::{VENDOR, commands};
use super::records::Records;
use crate::support::rig::Case;

const V1: Case = Case::of("moonshot", "v1");

pub const PLATFORM: Platform = Platform {
    name: "moonshot",
    cases: &[V1],
    commands: commands!("moonshot", V1, get: 0, "The text of doc.pdf"),
    records: Records { show: |_, file| file.status = Some("ok".to_owned()), ..Records::PLAIN },
    ..VENDOR
};

//! Volcengine Ark.

use super::Platform;
use super::openai::{VENDOR, commands};
use super::records::Records;
use crate::support::rig::Case;

const V1: Case = Case::of("ark", "v1");

pub const PLATFORM: Platform = Platform {
    name: "ark",
    cases: &[V1],
    commands: commands!("ark", V1, get: 5, "Not allowed to download files of purpose: user_data"),
    records: Records { show: |_, file| file.status = Some("active".to_owned()), ..Records::PLAIN },
    ..VENDOR
};

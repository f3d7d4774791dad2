//! Zhipu.

use super::Platform;
use super::openai::{VENDOR, commands};
use crate::support::rig::Case;

const V1: Case = Case::of("zhipu", "v1");

pub const PLATFORM: Platform =
    Platform { name: "zhipu", cases: &[V1], commands: commands!("zhipu", V1, get: 0, "CONTENT"), ..VENDOR };

//! Novita.

use super::Platform;
use super::openai::{VENDOR, commands};
use crate::support::rig::Case;

const V1: Case = Case::of("novita", "v1");

pub const PLATFORM: Platform =
    Platform { name: "novita", cases: &[V1], commands: commands!("novita", V1, get: 0, "CONTENT"), ..VENDOR };

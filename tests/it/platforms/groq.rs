//! Groq.

use super::Platform;
use super::openai::{VENDOR, commands};
use crate::support::rig::Case;

const V1: Case = Case::of("groq", "v1");

pub const PLATFORM: Platform =
    Platform { name: "groq", cases: &[V1], commands: commands!("groq", V1, get: 0, "CONTENT"), ..VENDOR };

//! Google Cloud Storage. `haul serve` does not emulate it.

use super::{NOT_EMULATED, Platform};

pub const PLATFORM: Platform = Platform {
    name: "gcs",
    no_case: &[("xml", "no emulator has its XML API")],
    no_column: &[("xml", "no emulator has its XML API")],
    wire: Err("its format is XML; no emulator has its XML API"),
    ..NOT_EMULATED
};

//! Google Cloud Storage. `haul serve` does not emulate it.

use super::records::Records;
use super::{Facts, Platform};

pub const PLATFORM: Platform = Platform {
    name: "gcs",
    cases: &[],
    limited_cases: &[],
    no_case: &[("xml", "no emulator has its XML API")],
    facts: Facts { signs_links: true, ..Facts::USUAL },
    commands: &[],
    records: Records::PLAIN,
    own_filters: &[],
    unstated: &[],
    columns: &[],
    no_column: &[("xml", "no emulator has its XML API")],
    exceptions: &[],
    wire: Err("its format is XML; no emulator has its XML API"),
    listings: &[],
    extreme_quirks: &[],
    soak: Err("it runs on the emulator, which does not have this platform"),
};

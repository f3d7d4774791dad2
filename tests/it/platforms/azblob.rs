//! Azure Blob Storage. `haul serve` does not emulate it.

use super::records::Records;
use super::{Facts, Platform};

pub const PLATFORM: Platform = Platform {
    name: "azblob",
    cases: &[],
    limited_cases: &[],
    no_case: &[("blob", "tests/objects.sh runs it against azurite")],
    facts: Facts { signs_links: true, ..Facts::USUAL },
    commands: &[],
    records: Records::PLAIN,
    own_filters: &[],
    unstated: &[],
    columns: &[],
    no_column: &[("blob", "tests/objects.sh runs it against azurite")],
    exceptions: &[],
    wire: Err("its format is XML; tests/objects.sh runs it against azurite"),
    listings: &[],
    extreme_quirks: &[],
    soak: Err("it runs on the emulator, which does not have this platform"),
};

//! Azure Blob Storage. `haul serve` does not emulate it.

use super::{NOT_EMULATED, Platform};

pub const PLATFORM: Platform = Platform {
    name: "azblob",
    no_case: &[("blob", "tests/objects.sh runs it against azurite")],
    no_column: &[("blob", "tests/objects.sh runs it against azurite")],
    wire: Err("its format is XML; tests/objects.sh runs it against azurite"),
    ..NOT_EMULATED
};

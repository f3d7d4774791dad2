//! Amazon S3. `haul serve` does not emulate it; the tests have their own server.

use super::{NOT_EMULATED, Platform};
use crate::support::rig::Case;

pub const S3: Case = Case { set: &[("bucket", "bucket")], ..Case::of("s3", "s3") };

pub const PLATFORM: Platform = Platform {
    name: "s3",
    no_case: &[("s3", "the conformance suite and tests/it/objects run on the server of the tests")],
    no_column: &[(
        "s3",
        "tests/it/objects has the errors of the service, and tests/objects.sh runs real servers",
    )],
    wire: Err("its format is XML; tests/it/objects has the errors of the service"),
    ..NOT_EMULATED
};

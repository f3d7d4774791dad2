//! The emulated LlamaCloud, over real sockets.

#![allow(clippy::unwrap_used)] // A test fails by panicking, its helpers too.

mod raw;
#[path = "emulator_llamacloud/support.rs"]
mod support;

#[path = "emulator_llamacloud/at_once.rs"]
mod at_once;
#[path = "emulator_llamacloud/beta.rs"]
mod beta;
#[path = "emulator_llamacloud/bucket.rs"]
mod bucket;
#[path = "emulator_llamacloud/captured.rs"]
mod captured;
#[path = "emulator_llamacloud/legacy.rs"]
mod legacy;
#[path = "emulator_llamacloud/listing.rs"]
mod listing;
#[path = "emulator_llamacloud/quirks.rs"]
mod quirks;

//! The emulator's core with a platform of this test's own, over real sockets.

#![allow(clippy::unwrap_used)] // A test fails by panicking, its helpers too.

mod raw;
#[path = "emulator_core/support.rs"]
mod support;

#[path = "emulator_core/faults.rs"]
mod faults;
#[path = "emulator_core/forms.rs"]
mod forms;
#[cfg(target_os = "linux")]
#[path = "emulator_core/memory.rs"]
mod memory;
#[path = "emulator_core/serving.rs"]
mod serving;

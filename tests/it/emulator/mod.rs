//! The emulator's core with a platform of this test's own, over real sockets.

mod support;

mod faults;
mod forms;
#[cfg(target_os = "linux")]
mod memory;
mod serving;

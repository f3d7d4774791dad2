//! The emulator's core with a platform of this test's own, over real sockets.

#[path = "emulator_core/support.rs"]
mod support;

#[path = "emulator_core/faults.rs"]
mod faults;
#[path = "emulator_core/forms.rs"]
mod forms;
#[path = "emulator_core/serving.rs"]
mod serving;

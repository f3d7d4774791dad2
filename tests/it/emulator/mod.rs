//! The emulator's core with an example platform, and each emulated platform, over real sockets.

mod support;

mod faults;
mod forms;
mod gemini;
mod limits;
#[cfg(target_os = "linux")]
mod memory;
mod openai;
mod serving;
mod uploads;
mod vector_stores;

mod activeloop;
mod llamacloud;
mod metorial;
mod mistral;
mod replicate;
mod together;
mod xai;

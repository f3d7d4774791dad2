//! The `haul` binary. All code is in the library.

fn main() -> std::process::ExitCode {
    haul::run(std::env::args_os())
}

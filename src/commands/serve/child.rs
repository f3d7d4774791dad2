//! The command that `haul serve` runs, and the signals that end both.

use std::ffi::OsString;
use std::process::ExitStatus;

use crate::error::{Error, Result};

/// Runs the command and returns its exit status. It gets Ctrl-C from the terminal; a second Ctrl-C or SIGTERM kills it.
pub(super) async fn run(
    program: &OsString,
    arguments: &[OsString],
    variables: Vec<(&'static str, String)>,
) -> Result<u8> {
    let failed = |error: std::io::Error| {
        Error::failed(format!("{}: cannot be run", program.display())).caused_by(error)
    };
    let mut command = tokio::process::Command::new(program);
    let mut child = command.args(arguments).envs(variables).kill_on_drop(true).spawn().map_err(failed)?;
    let mut interrupts = 0;
    loop {
        tokio::select! {
            status = child.wait() => return status.map(exit_code).map_err(failed),
            _ = tokio::signal::ctrl_c() => {
                interrupts += 1;
                if interrupts > 1 {
                    child.start_kill().map_err(failed)?;
                }
            }
            () = terminated() => child.start_kill().map_err(failed)?,
        }
    }
}

/// The exit status as in a shell: 128 plus the number of a signal.
fn exit_code(status: ExitStatus) -> u8 {
    #[cfg(unix)]
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    #[cfg(not(unix))]
    let signal = None;
    let code = status.code().or_else(|| signal.map(|signal: i32| 128 + signal)).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

/// Waits for Ctrl-C or SIGTERM.
pub(super) async fn asked_to_stop() {
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated() => {}
    }
}

/// Waits for SIGTERM.
async fn terminated() {
    #[cfg(unix)]
    if let Ok(mut signal) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        signal.recv().await;
        return;
    }
    std::future::pending::<()>().await;
}

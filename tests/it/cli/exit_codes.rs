//! Reaches every exit code.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use haul::error::{Kind, Signal};
use rustix::process;

use crate::platforms::remote;
use crate::support::sandbox::{HAUL, Run, Sandbox};

/// A run that ends with this kind. The exhaustive match makes a missing kind a compile error.
fn reached(kind: Kind) -> Run {
    let env = Sandbox::with_files(&["a.txt"]);
    let with_fault = |fault: &str| {
        let serve = ["serve", "--ephemeral", "--only", remote().name, "--fault", fault, "--"];
        env.haul(serve.into_iter().chain([HAUL, "ls", "-p", remote().name, "--retries", "0"]))
    };
    match kind {
        Kind::Failed => env.haul(["get", "a.txt"]),
        Kind::Usage => env.haul(["get"]),
        Kind::NotFound => env.haul(["get", "nope"]),
        Kind::Auth => env.haul(["ls", "-p", remote().name]),
        Kind::Unsupported => env.haul(["link", "a.txt", "--expires", "1h"]),
        Kind::RateLimited => with_fault("429"),
        Kind::Unreachable => with_fault("reset"),
        Kind::Platform => with_fault("fail"),
        Kind::Mismatch => {
            let blob = env.blob();
            fs::set_permissions(&blob, fs::Permissions::from_mode(0o644)).unwrap();
            fs::write(blob, "other").unwrap();
            env.haul(["get", "a.txt", "-o", "b.txt"])
        }
        Kind::OutOfDate => env.haul(["sync", ".", "local:", "--check"]),
        // The platform returns no checksum, and the ledger is off.
        Kind::Conflict => {
            let upload =
                format!("HAUL_LEDGER=off {HAUL} upload -q -p xai a.txt --compare stored --if-exists");
            let script = format!("{upload} upload && {upload} skip");
            env.haul(["serve", "--ephemeral", "--only", "xai", "--", "sh", "-c", &script])
        }
        Kind::Interrupted(signal) => {
            // A platform that accepts the request and never responds.
            let platform = TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("http://{}", platform.local_addr().unwrap());
            let mut command = env.interruptible();
            command
                .args(["ls", "-p", remote().name, "--base-url", &url])
                .env("HAUL_TOKEN", "a-token-of-tests");
            let process = env.spawn(&mut command);
            let _asked = platform.accept().unwrap();
            process.signal(match signal {
                Signal::Interrupt => process::Signal::INT,
                Signal::Terminate => process::Signal::TERM,
                Signal::Hangup => process::Signal::HUP,
            });
            process.end()
        }
        Kind::ClosedPipe => env.shell("set -o pipefail; haul providers --json | true"),
    }
}

#[test]
fn each_exit_code_is_reached() {
    for kind in Kind::ALL.into_iter().chain([Kind::ClosedPipe]) {
        let run = reached(kind);
        assert_eq!(run.status, i32::from(kind.exit_code()), "{kind:?}\n{run}");
    }
}

//! `haul serve` as a separate process, and a sandbox that is configured for all of its platforms.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::hostile::world::checked;
use crate::platforms::served;
use crate::support::process::ServeProcess;
use crate::support::sandbox::{Run, Sandbox};

/// The process ends when this is dropped.
pub struct Served {
    pub env: Sandbox,
    /// `HOST:PORT`
    pub address: String,
    process: ServeProcess,
}

impl Served {
    /// Serves all platforms with these options of `serve`. The sandbox uses `platform`.
    pub fn start(platform: &str, options: &[&str]) -> Self {
        // The real clock on both sides, because lost uploads are found by their time.
        Self::start_at(None, platform, options)
    }

    /// Like `start`, but with this `HAUL_NOW` for the server, if any.
    pub fn start_at(now: Option<&str>, platform: &str, options: &[&str]) -> Self {
        let mut env = Sandbox::new().with_real_clock();
        let server = now.into_iter().fold(env.clone(), |server, now| server.with_var("HAUL_NOW", now));
        let process = ServeProcess::start(&server, [&["--ephemeral"], options].concat());
        let address = process.address().to_owned();
        for (name, value) in process.variables() {
            env.set(&name, &value);
        }
        // No variables of official clients exist for these platforms.
        for (platform, _) in served().filter(|(platform, _)| platform.spec().base_url_variables.is_empty()) {
            let name = format!("HAUL_PROFILE_{}_BASE_URL", platform.name.to_uppercase());
            env.set(&name, &process.base(platform.name));
        }
        env.set("HAUL_PROFILE", platform);
        // The emulator lists a new file at once.
        env.set("HAUL_APPEARS_WITHIN", "100ms");
        Self { env, address, process }
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.env.command();
        command.args(arguments);
        command
    }

    pub fn haul(&self, arguments: &[&str]) -> Run {
        checked(&format!("{arguments:?}"), self.env.run(&mut self.command(arguments)))
    }

    /// The names of the stored files, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.haul(&["ls", "--print0"]).ok().stdout().split_terminator('\0').map(str::to_owned).collect();
        names.sort();
        names
    }

    /// The content of each file, by id.
    pub fn contents(&self) -> Vec<Vec<u8>> {
        let ids = self.haul(&["ls", "--ids"]).ok().lines();
        ids.iter().map(|id| self.haul(&["get", &format!("id:{id}"), "-o", "-"]).ok().out).collect()
    }

    /// Waits up to five seconds for `least` requests with this method, and returns their number.
    pub fn requests(&self, method: &str, least: usize) -> usize {
        let begun = Instant::now();
        loop {
            let found = self.process.requests().iter().filter(|request| request["method"] == method).count();
            if found >= least || begun.elapsed() > Duration::from_secs(5) {
                return found;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

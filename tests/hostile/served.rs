//! `haul serve` as a program of its own, and a sealed box whose platforms are all there.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{HAUL, Run, TestEnv};
use crate::world::sane;

/// Ends with the test.
pub struct Served {
    pub env: TestEnv,
    /// `HOST:PORT`
    pub address: String,
    log: PathBuf,
    child: Child,
}

impl Served {
    /// All platforms, with these options of `serve`; the box uses `platform`.
    pub fn start(platform: &str, options: &[&str]) -> Self {
        // The real clock on both sides: what was lost is found by its time.
        Self::start_at(None, platform, options)
    }

    /// The same by another clock.
    pub fn start_at(now: Option<&str>, platform: &str, options: &[&str]) -> Self {
        let mut env = TestEnv::new();
        let log = env.root().join("requests.jsonl");
        let mut command = env.program(HAUL);
        command.env_remove("HAUL_NOW").env("HAUL_HOME", env.root().join("server"));
        command.envs(now.map(|now| ("HAUL_NOW", now)));
        command.args(["serve", "--listen", "127.0.0.1:0", "--ephemeral", "--log"]).arg(&log).args(options);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let address = lines.next().unwrap().trim_start_matches("http://").to_owned();
        for line in lines {
            let (name, value) = line.strip_prefix("export ").unwrap().split_once('=').unwrap();
            env.set(name, value.trim_matches('\''));
            if name == "XAI_API_KEY" {
                break;
            }
        }
        env.set("ACTIVELOOP_BASE_URL", &format!("http://{address}/activeloop"));
        env.set("HAUL_PROFILE_ACTIVELOOP_BASE_URL", &format!("http://{address}/activeloop"));
        env.set("HAUL_PROFILE", platform);
        Self { env, address, log, child }
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.env.command();
        command.env_remove("HAUL_NOW").args(arguments);
        command
    }

    pub fn haul(&self, arguments: &[&str]) -> Run {
        sane(&format!("{arguments:?}"), self.env.run(&mut self.command(arguments)))
    }

    /// The names of what is there, sorted.
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

    /// How many requests of that method came so far, once there are so many at least.
    pub fn requests(&self, method: &str, least: usize) -> usize {
        let begun = Instant::now();
        loop {
            let text = fs::read_to_string(&self.log).unwrap_or_default();
            let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let found = lines.filter(|line| line["method"] == method).count();
            if found >= least || begun.elapsed() > Duration::from_secs(5) {
                return found;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

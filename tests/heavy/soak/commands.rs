//! One command of the program: run in a bounded time, killed if asked, its rows read.

use std::fs;
use std::io::{Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::soak::server::Server;
use crate::soak::totals::Totals;

/// No command takes so long, whatever the server does.
const LIMIT: Duration = Duration::from_mins(5);

/// What all commands have in common.
pub struct Commands {
    home: PathBuf,
    variables: Vec<(String, String)>,
    pub totals: Totals,
    pub seed: u64,
}

/// What came of one.
pub struct Ran {
    /// None where it was killed.
    pub code: Option<i32>,
    pub out: Vec<u8>,
    pub err: String,
}

impl Ran {
    /// The rows of `--jsonl`. A kill may have torn the last one.
    pub fn rows(&self) -> Vec<Value> {
        self.out.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
    }

    pub fn succeeded(&self) -> bool {
        self.code == Some(0)
    }
}

impl Commands {
    pub fn new(home: &Path, server: &Server, seed: u64) -> Self {
        fs::create_dir_all(home.join("tmp")).unwrap();
        Self { home: home.to_owned(), variables: server.variables(), totals: Totals::default(), seed }
    }

    /// The same commands, sent to another server.
    pub fn redirect(&self, server: &Server) -> Self {
        Self {
            home: self.home.clone(),
            variables: server.variables(),
            totals: Totals::default(),
            seed: self.seed,
        }
    }

    /// A folder of one's own.
    pub fn folder(&self, name: &str) -> PathBuf {
        let folder = self.home.join("work").join(name);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// Runs a command to its end, or kills it after some time.
    pub fn run(&self, arguments: &[String], kill_after: Option<Duration>) -> Ran {
        self.run_allowing(arguments, kill_after, &[])
    }

    /// The same where exit codes are allowed that no fault of the server leads to.
    pub fn run_allowing(&self, arguments: &[String], kill_after: Option<Duration>, allowed: &[i32]) -> Ran {
        let (mut out, mut err) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_haul"));
        command.env_clear().env("HAUL_HOME", &self.home).env("TMPDIR", self.home.join("tmp"));
        command.envs(self.variables.iter().map(|(name, value)| (name, value))).args(arguments);
        command.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(err.try_clone().unwrap());
        let (mut child, begun) = (command.spawn().unwrap(), Instant::now());
        let code = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status.code().unwrap_or(-1));
            }
            let elapsed = begun.elapsed();
            let late = elapsed > LIMIT;
            if late || kill_after.is_some_and(|time| elapsed > time) {
                child.kill().unwrap();
                child.wait().unwrap();
                break None;
            }
            thread::sleep(Duration::from_millis(if elapsed < Duration::from_millis(50) { 1 } else { 5 }));
        };
        let (mut ran, mut said) = (Ran { code, out: Vec::new(), err: String::new() }, Vec::new());
        out.rewind().unwrap();
        out.read_to_end(&mut ran.out).unwrap();
        err.rewind().unwrap();
        err.read_to_end(&mut said).unwrap();
        ran.err = String::from_utf8_lossy(&said).into_owned();
        self.judge(arguments, &ran, kill_after.is_some(), allowed);
        ran
    }

    /// A command may fail for what the server did, but not otherwise, and never by a panic or by hanging.
    fn judge(&self, arguments: &[String], ran: &Ran, killed: bool, allowed: &[i32]) {
        let verb = &arguments[0];
        match ran.code {
            Some(0) => self.totals.note(format!("{verb}: exit 0"), 1),
            Some(code) if allowed.contains(&code) => self.totals.note(format!("{verb}: exit {code}"), 1),
            Some(code @ (1 | 6..=9)) => self.totals.note(format!("{verb}: exit {code}, run again"), 1),
            None if killed => {
                self.totals.kills.fetch_add(1, Ordering::Relaxed);
                self.totals.note(format!("{verb}: killed"), 1);
            }
            None => self.totals.differ(&format!("{arguments:?} hung\n{}", ran.err)),
            Some(code) => self.totals.differ(&format!("{arguments:?} ended with {code}\n{}", ran.err)),
        }
        if ran.err.contains("panicked") {
            self.totals.differ(&format!("{arguments:?} panicked\n{}", ran.err));
        }
        for words in ["an earlier run had sent it", ": reused ", ": replaced, now "] {
            let count = ran.err.matches(words).count() as u64;
            self.totals.note(format!("files of which it said: {}", words.trim_matches([':', ' '])), count);
        }
    }
}

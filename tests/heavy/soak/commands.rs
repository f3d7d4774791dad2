//! Runs single commands. Each is killed after the given time, or otherwise at a time limit, which counts as a hang.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::soak::server::Server;
use crate::soak::totals::Totals;
use crate::support::sandbox::{Run, Sandbox};

/// The time limit of a command, far beyond what any fault causes.
const LIMIT: Duration = Duration::from_mins(5);

/// The settings and totals that all commands share.
pub struct Commands {
    env: Sandbox,
    pub totals: Totals,
    pub seed: u64,
}

impl Commands {
    pub fn new(env: &Sandbox, server: &Server, seed: u64) -> Self {
        let temporary = env.root().join("tmp");
        fs::create_dir_all(&temporary).unwrap();
        let env = server.profiles(env).with_var("TMPDIR", temporary.to_str().unwrap());
        Self { env, totals: Totals::default(), seed }
    }

    /// The same commands, sent to another server.
    pub fn redirect(&self, server: &Server) -> Self {
        Self { env: server.profiles(&self.env), totals: Totals::default(), seed: self.seed }
    }

    /// A folder for one command.
    pub fn folder(&self, name: &str) -> PathBuf {
        let folder = self.env.work().join(name);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// Runs a command, and kills it after this time, if any.
    pub fn run(&self, arguments: &[String], kill_after: Option<Duration>) -> Run {
        self.run_allowing(arguments, kill_after, &[])
    }

    /// The same, with more permitted exit codes.
    pub fn run_allowing(&self, arguments: &[String], kill_after: Option<Duration>, allowed: &[i32]) -> Run {
        let run = self.env.run_within(kill_after.unwrap_or(LIMIT), "", self.env.command().args(arguments));
        self.check(arguments, &run, kill_after.is_some(), allowed);
        run
    }

    /// A command may fail only with an exit code for faults of the server, and must neither panic nor hang.
    fn check(&self, arguments: &[String], run: &Run, killed: bool, allowed: &[i32]) {
        let (verb, err) = (&arguments[0], run.stderr());
        match run.status {
            0 => self.totals.note(format!("{verb}: exit 0"), 1),
            code if allowed.contains(&code) => self.totals.note(format!("{verb}: exit {code}"), 1),
            code @ (1 | 6..=9) => self.totals.note(format!("{verb}: exit {code}, run again"), 1),
            _ if run.is_killed() && killed => {
                self.totals.kills.fetch_add(1, Ordering::Relaxed);
                self.totals.note(format!("{verb}: killed"), 1);
            }
            _ if run.is_killed() => self.totals.report(&format!("{arguments:?} hung\n{err}")),
            code => self.totals.report(&format!("{arguments:?} exited with {code}\n{err}")),
        }
        if err.contains("panicked") {
            self.totals.report(&format!("{arguments:?} panicked\n{err}"));
        }
        for message in
            ["already uploaded by an earlier run", ": reused ", ": replaced, now ", ": content replaced"]
        {
            let count = err.matches(message).count() as u64;
            self.totals.note(format!("files reported as: {}", message.trim_matches([':', ' '])), count);
        }
    }
}

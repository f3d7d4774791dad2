//! One command of the program: run in a bounded time, killed if asked, its rows read.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::soak::server::Server;
use crate::soak::totals::Totals;
use crate::support::sandbox::{Run, Sandbox};

/// No command takes so long, whatever the server does.
const LIMIT: Duration = Duration::from_mins(5);

/// What all commands have in common.
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

    /// A folder of one's own.
    pub fn folder(&self, name: &str) -> PathBuf {
        let folder = self.env.work().join(name);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// Runs a command to its end, or kills it after some time.
    pub fn run(&self, arguments: &[String], kill_after: Option<Duration>) -> Run {
        self.run_allowing(arguments, kill_after, &[])
    }

    /// The same where exit codes are allowed that no fault of the server leads to.
    pub fn run_allowing(&self, arguments: &[String], kill_after: Option<Duration>, allowed: &[i32]) -> Run {
        let ran = self.env.run_within(kill_after.unwrap_or(LIMIT), "", self.env.command().args(arguments));
        self.judge(arguments, &ran, kill_after.is_some(), allowed);
        ran
    }

    /// A command may fail for what the server did, but not otherwise, and never by a panic or by hanging.
    fn judge(&self, arguments: &[String], ran: &Run, killed: bool, allowed: &[i32]) {
        let (verb, err) = (&arguments[0], ran.stderr());
        match ran.status {
            0 => self.totals.note(format!("{verb}: exit 0"), 1),
            code if allowed.contains(&code) => self.totals.note(format!("{verb}: exit {code}"), 1),
            code @ (1 | 6..=9) => self.totals.note(format!("{verb}: exit {code}, run again"), 1),
            _ if ran.is_killed() && killed => {
                self.totals.kills.fetch_add(1, Ordering::Relaxed);
                self.totals.note(format!("{verb}: killed"), 1);
            }
            _ if ran.is_killed() => self.totals.differ(&format!("{arguments:?} hung\n{err}")),
            code => self.totals.differ(&format!("{arguments:?} ended with {code}\n{err}")),
        }
        if err.contains("panicked") {
            self.totals.differ(&format!("{arguments:?} panicked\n{err}"));
        }
        for words in ["already uploaded by an earlier run", ": reused ", ": replaced, now "] {
            let count = err.matches(words).count() as u64;
            self.totals.note(format!("files of which it said: {}", words.trim_matches([':', ' '])), count);
        }
    }
}

//! The sandbox for running the program.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use haul::model::File;
use serde_json::Value;

use crate::support::rig::Case;

/// The path of the program.
pub const HAUL: &str = env!("CARGO_BIN_EXE_haul");

/// The time limit of a run. Only a hanging program reaches it.
pub const LIMIT: Duration = Duration::from_mins(2);

/// The exit status of a run that SIGKILL ended.
const KILLED: i32 = 128 + 9;

/// A temporary home, a temporary working directory and a separate environment. The clock is fixed and advances by a
/// second with each command, so that the order and the times of files are the same in each run. A clone shares the
/// directories and the clock.
#[derive(Clone)]
pub struct Sandbox {
    root: PathBuf,
    home: PathBuf,
    work: PathBuf,
    /// `None` for real time.
    clock: Option<Arc<AtomicU32>>,
    variables: Vec<(String, String)>,
    _temporary: Option<Arc<tempfile::TempDir>>,
}

/// The exit status and the output of a run. `Display` shows the status, stdout and stderr, with values that vary
/// between runs replaced by placeholders in brackets.
pub struct Run {
    /// The exit status, or 128 plus the signal that ended the process.
    pub status: i32,
    pub out: Vec<u8>,
    pub err: Vec<u8>,
    root: PathBuf,
}

impl Sandbox {
    pub fn new() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path().to_owned();
        let (home, work) = (root.join("home"), root.join("work"));
        fs::create_dir(&home).unwrap();
        fs::create_dir(&work).unwrap();
        let clock = Some(Arc::default());
        Self { root, home, work, clock, variables: Vec::new(), _temporary: Some(Arc::new(temporary)) }
    }

    /// A sandbox whose home and working directory are this folder, which is not deleted.
    pub fn in_folder(folder: PathBuf) -> Self {
        let (home, work) = (folder.clone(), folder.clone());
        let clock = Some(Arc::default());
        Self { root: folder, home, work, clock, variables: Vec::new(), _temporary: None }
    }

    /// A sandbox with these files in the working directory and in the store. The content of each is its name.
    pub fn with_files(names: &[&str]) -> Self {
        let env = Self::new();
        for name in names {
            env.write(name, name);
            env.haul(["upload", "--", name]).ok();
        }
        env
    }

    /// The same sandbox in real time, for servers.
    pub fn with_real_clock(self) -> Self {
        Self { clock: None, ..self }
    }

    /// The same sandbox with this environment variable.
    pub fn with_var(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    /// The same sandbox with this config file, readable only by its owner.
    pub fn with_config(self, text: &str) -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.config_path();
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        self
    }

    /// Sets an environment variable for all later commands.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Makes a platform at this URL the default for all later commands.
    pub fn use_platform(&mut self, case: &Case, base_url: &str, token: &str) {
        self.set("HAUL_PROFILE", case.provider);
        self.set_profile("HAUL", case, base_url, token);
    }

    /// Adds a profile for a platform at this URL.
    pub fn add_profile(&mut self, name: &str, case: &Case, base_url: &str, token: &str) {
        let prefix = format!("HAUL_PROFILE_{}", name.to_uppercase());
        self.set(&format!("{prefix}_PROVIDER"), case.provider);
        self.set_profile(&prefix, case, base_url, token);
    }

    fn set_profile(&mut self, prefix: &str, case: &Case, base_url: &str, token: &str) {
        self.set(&format!("{prefix}_DIALECT"), case.dialect);
        // The emulator lists a new file at once.
        self.set(&format!("{prefix}_APPEARS_WITHIN"), "100ms");
        // The local store has no URL.
        if !case.spec().base_url.is_empty() {
            self.set(&format!("{prefix}_BASE_URL"), base_url);
            self.set(&format!("{prefix}_TOKEN"), token);
        }
        if case.spec().upload_base_url.is_some() {
            self.set(&format!("{prefix}_UPLOAD_BASE_URL"), base_url);
        }
        for (key, value) in case.set.iter().chain(case.secrets) {
            self.set(&format!("{prefix}_SET_{}", key.to_uppercase()), value);
        }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn home(&self) -> PathBuf {
        self.home.clone()
    }

    pub fn work(&self) -> PathBuf {
        self.work.clone()
    }

    pub fn store(&self) -> PathBuf {
        self.home.join("data/store")
    }

    pub fn config_path(&self) -> PathBuf {
        self.home.join("config.toml")
    }

    /// The config file; empty if it does not exist.
    pub fn config_text(&self) -> String {
        fs::read_to_string(self.config_path()).unwrap_or_default()
    }

    /// Writes a file below the working directory.
    pub fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.work().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.work().join(name)).unwrap()
    }

    /// The names in the working directory.
    pub fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.work()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// All files in the sandbox with their content.
    pub fn contents(&self) -> Vec<(PathBuf, String)> {
        fn walk(folder: &Path, into: &mut Vec<(PathBuf, String)>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, into);
                } else {
                    let bytes = fs::read(&path).unwrap_or_default();
                    into.push((path, String::from_utf8_lossy(&bytes).into_owned()));
                }
            }
        }
        let mut files = Vec::new();
        walk(&self.root, &mut files);
        files
    }

    /// Any program in the sandbox's environment.
    pub fn program(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("HAUL_HOME", &self.home)
            .env("HOME", &self.home)
            .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
            .env("TMPDIR", &self.root)
            .current_dir(&self.work)
            .stdin(Stdio::null());
        if let Some(clock) = &self.clock {
            let seconds = clock.fetch_add(1, Ordering::Relaxed);
            command.env("HAUL_NOW", format!("2026-03-01T12:{:02}:{:02}Z", seconds / 60, seconds % 60));
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The program in the sandbox's environment.
    pub fn command(&self) -> Command {
        self.program(HAUL)
    }

    /// The program with the default effect of each signal. A background job of a shell script ignores SIGINT, and so do
    /// its children.
    pub fn interruptible(&self) -> Command {
        let mut command = self.program("env");
        command.args(["--default-signal", HAUL]);
        command
    }

    #[must_use = "look at it in a snapshot, or assert `ok()`"]
    #[track_caller]
    pub fn haul<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Run {
        self.run(self.command().args(arguments))
    }

    /// Runs the program with this input on stdin.
    #[must_use = "look at it in a snapshot, or assert `ok()`"]
    #[track_caller]
    pub fn haul_reading<A: AsRef<OsStr>>(
        &self,
        input: impl AsRef<[u8]>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Run {
        self.run_reading(input, self.command().args(arguments))
    }

    /// Runs the program with the words of this line as arguments.
    #[must_use = "look at it in a snapshot, or assert `ok()`"]
    #[track_caller]
    pub fn line(&self, line: &str) -> Run {
        self.haul(line.split_whitespace())
    }

    /// Like [`line`](Self::line), with this input on stdin.
    #[must_use = "look at it in a snapshot, or assert `ok()`"]
    #[track_caller]
    pub fn line_reading(&self, input: &str, line: &str) -> Run {
        self.haul_reading(input, line.split_whitespace())
    }

    /// A command that runs a line of bash. `haul` is the program.
    pub fn bash(&self, line: &str) -> Command {
        let mut command = self.program("bash");
        command.args(["-c", &script(line)]);
        command
    }

    /// Runs a line of bash. `haul` is the program.
    #[must_use = "look at it in a snapshot, or assert `ok()`"]
    #[track_caller]
    pub fn shell(&self, line: &str) -> Run {
        self.run(&mut self.bash(line))
    }

    /// Runs a command with an empty stdin.
    #[must_use = "look at it in a snapshot, or assert `ok()`"]
    #[track_caller]
    pub fn run(&self, command: &mut Command) -> Run {
        self.run_reading("", command)
    }

    /// Runs a command with this input on stdin.
    #[must_use = "look at it in a snapshot, or assert `ok()`"]
    #[track_caller]
    pub fn run_reading(&self, input: impl AsRef<[u8]>, command: &mut Command) -> Run {
        let begun = Instant::now();
        let run = self.run_within(LIMIT, input, command);
        assert!(!run.is_killed() || begun.elapsed() < LIMIT, "it took longer than {LIMIT:?}\n{run}");
        run
    }

    /// Like [`run_reading`](Self::run_reading), with another time limit. A program that exceeds it is killed.
    #[must_use = "look at its status"]
    #[track_caller]
    pub fn run_within(&self, limit: Duration, input: impl AsRef<[u8]>, command: &mut Command) -> Run {
        let command = std::mem::replace(command, Command::new(""));
        let shown = format!("{command:?}");
        let mut command = assert_cmd::Command::from_std(command);
        command.timeout(limit).write_stdin(input.as_ref());
        let (sender, output) = mpsc::channel();
        thread::spawn(move || sender.send(command.output()));
        // Children of a killed program may keep its output open.
        let output = output.recv_timeout(limit + Duration::from_secs(10));
        let output = output.unwrap_or_else(|_| panic!("a child process is hanging: {shown}"));
        let output = output.unwrap_or_else(|error| panic!("{error}: {shown}"));
        self.run_of(output.status, output.stdout, output.stderr)
    }

    /// The run of a finished program.
    pub fn run_of(&self, status: ExitStatus, out: Vec<u8>, err: Vec<u8>) -> Run {
        use std::os::unix::process::ExitStatusExt as _;
        let status = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap();
        Run { status, out, err, root: self.root.clone() }
    }

    /// A command that runs haul as an unprivileged user, which must have access to the sandbox.
    pub fn unprivileged(&self, arguments: &[&str]) -> Command {
        let is_root = rustix::process::geteuid().is_root();
        if !is_root {
            let mut command = self.command();
            command.args(arguments);
            return command;
        }
        let mut command = self.program("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", HAUL]).args(arguments);
        command
    }

    /// Makes everything in the sandbox accessible to all users.
    pub fn open_to_all(&self) {
        self.run(self.program("chmod").args(["-R", "a+rwX"]).arg(self.root())).ok();
    }

    /// The path of the store's only blob.
    pub fn blob(&self) -> PathBuf {
        let mut folders = fs::read_dir(self.store().join("blobs")).unwrap();
        let mut blobs = fs::read_dir(folders.next().unwrap().unwrap().path()).unwrap();
        blobs.next().unwrap().unwrap().path()
    }

    /// The ids of the files in the store, newest first.
    pub fn ids(&self) -> Vec<String> {
        self.haul(["ls", "--ids"]).ok().lines()
    }
}

/// A shell script. `haul` is the program.
pub fn script(line: &str) -> String {
    format!("haul() {{ '{HAUL}' \"$@\"; }}; {line}")
}

impl Run {
    /// Checks that the run succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.status, 0, "{self}");
        self
    }

    /// Checks that the run failed with this status.
    #[track_caller]
    pub fn fails(self, status: i32) -> Self {
        assert_eq!(self.status, status, "{self}");
        self
    }

    /// Checks that stderr contains this text.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stderr().contains(text), "{text:?} is not in stderr: {self}");
        self
    }

    pub fn succeeded(&self) -> bool {
        self.status == 0
    }

    /// Whether SIGKILL ended the run.
    pub fn is_killed(&self) -> bool {
        self.status == KILLED
    }

    #[track_caller]
    pub fn stdout(&self) -> String {
        self.text(&self.out)
    }

    #[track_caller]
    pub fn stderr(&self) -> String {
        self.text(&self.err)
    }

    #[track_caller]
    pub fn lines(&self) -> Vec<String> {
        self.stdout().lines().map(str::to_owned).collect()
    }

    /// The same run with sorted lines, for commands that print several files in any order.
    pub fn sorted(mut self) -> Self {
        for stream in [&mut self.out, &mut self.err] {
            let mut lines: Vec<&[u8]> = stream.split_inclusive(|byte| *byte == b'\n').collect();
            lines.sort_unstable();
            *stream = lines.concat();
        }
        self
    }

    /// The output of `--json`. Checks that stdout is one array and that stderr holds only objects, one per line.
    #[track_caller]
    pub fn json(&self) -> Vec<Value> {
        self.errors();
        match serde_json::from_slice(&self.out) {
            Ok(Value::Array(rows)) => rows,
            other => panic!("{other:?}\n{self}"),
        }
    }

    /// The output of `--jsonl`.
    #[track_caller]
    pub fn jsonl(&self) -> Vec<Value> {
        self.errors();
        self.lines().iter().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    /// The output of `--jsonl` before a kill, which may have cut the last line.
    pub fn rows(&self) -> Vec<Value> {
        self.out.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
    }

    /// The files that `--jsonl` printed in a successful run.
    #[track_caller]
    pub fn files(&self) -> Vec<File> {
        assert_eq!(self.status, 0, "{self}");
        self.lines().iter().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    /// The error objects on stderr.
    #[track_caller]
    pub fn errors(&self) -> Vec<Value> {
        let lines = self.stderr();
        let objects = lines.lines().map(serde_json::from_str);
        objects.map(|object| object.unwrap_or_else(|error| panic!("{error}\n{self}"))).collect()
    }

    #[track_caller]
    fn text(&self, stream: &[u8]) -> String {
        match str::from_utf8(stream) {
            Ok(text) => text.to_owned(),
            // The kill may have split a character.
            Err(_) if self.is_killed() => String::from_utf8_lossy(stream).into_owned(),
            Err(error) => panic!("{error}: {self}"),
        }
    }

    fn shown(&self, stream: &[u8]) -> String {
        let text = String::from_utf8_lossy(stream).replace(&*self.root.to_string_lossy(), "[box]");
        let mut shown = String::with_capacity(text.len());
        for c in without_ids(&text).chars() {
            match c {
                '\u{1b}' => shown.push('␛'),
                '\n' | '\t' => shown.push(c),
                // Characters that a snapshot cannot show.
                c if c.is_control() || c == '\u{202e}' => {
                    shown.push_str(&c.escape_unicode().to_string());
                }
                c => shown.push(c),
            }
        }
        shown
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {}", self.status)?;
        for (name, stream) in [("out", &self.out), ("err", &self.err)] {
            if !stream.is_empty() {
                write!(f, "\n--- {name}\n{}", self.shown(stream).trim_end_matches('\n'))?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Replaces ids with `[id]` and link ids with `[link]`, padded to the same width so that tables stay aligned.
fn without_ids(text: &str) -> String {
    let is_digit = |c: char| c.is_ascii_digit() || c.is_ascii_lowercase();
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_digit) {
        let (before, word) = rest.split_at(start);
        let end = word.find(|c| !is_digit(c)).unwrap_or(word.len());
        shown.push_str(before);
        let (word, after) = word.split_at(end);
        match word.len() {
            16 if word.starts_with("1kjm") => shown.push_str("[id]............"),
            32 if word.bytes().any(|byte| byte.is_ascii_digit()) => {
                shown.push_str("[link]..........................");
            }
            _ => shown.push_str(word),
        }
        rest = after;
    }
    shown + rest
}

/// Compares a run with an inline snapshot.
#[macro_export]
macro_rules! check {
    ($run:expr, @$snapshot:literal) => {
        insta::assert_snapshot!($run.to_string(), @$snapshot)
    };
}

//! The sealed box that each test runs the program in.

use std::cell::Cell;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// A temporary home and a temporary folder to work in; nothing of the real environment. The clock is fixed and goes on
/// by a second with each command, so that the order of files and their times are the same in each run.
pub struct TestEnv {
    root: tempfile::TempDir,
    clock: Cell<u32>,
    variables: Vec<(String, String)>,
}

/// How a run ended and what it wrote. Shown, it is status, stdout and stderr together, with what differs from run to
/// run put into brackets.
pub struct Run {
    /// The exit status; 128 and the signal where one ended it.
    pub status: i32,
    pub out: Vec<u8>,
    pub err: Vec<u8>,
    root: PathBuf,
}

impl TestEnv {
    pub fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("home")).unwrap();
        fs::create_dir(root.path().join("work")).unwrap();
        Self { root, clock: Cell::new(0), variables: Vec::new() }
    }

    /// One with these files in the folder and in the store, each with its own name as content.
    pub fn with_files(names: &[&str]) -> Self {
        let env = Self::new();
        for name in names {
            env.write(name, name);
            env.haul(["upload", "--", name]).ok();
        }
        env
    }

    /// Sets a variable for all commands that follow.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    pub fn root(&self) -> &Path {
        self.root.path()
    }

    pub fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    pub fn work(&self) -> PathBuf {
        self.root.path().join("work")
    }

    pub fn store(&self) -> PathBuf {
        self.home().join("data/store")
    }

    /// Writes a file below the folder that commands run in.
    pub fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.work().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.work().join(name)).unwrap()
    }

    /// The names of what is in the folder that commands run in.
    pub fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.work()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// Another program in the box.
    pub fn program(&self, program: &str) -> Command {
        let seconds = self.clock.replace(self.clock.get() + 1);
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("HAUL_HOME", self.home())
            .env("HAUL_NOW", format!("2026-03-01T12:{:02}:{:02}Z", seconds / 60, seconds % 60))
            .env("HOME", self.home())
            .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
            .env("TMPDIR", self.root())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(self.work())
            .stdin(Stdio::null());
        command
    }

    pub fn command(&self) -> Command {
        self.program(HAUL)
    }

    #[must_use = "look at it in a snapshot, or assert `ok()`"]
    pub fn haul<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Run {
        self.run(self.command().args(arguments))
    }

    /// Runs it with this on stdin.
    #[must_use = "look at it in a snapshot, or assert `ok()`"]
    pub fn haul_reading<A: AsRef<OsStr>>(
        &self,
        input: impl AsRef<[u8]>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Run {
        let mut command = self.command();
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // Whoever fails early reads nothing.
        let _ = child.stdin.take().unwrap().write_all(input.as_ref());
        self.run_of(&child.wait_with_output().unwrap())
    }

    /// A shell line; `haul` is the program.
    #[must_use = "look at it in a snapshot, or assert `ok()`"]
    pub fn shell(&self, line: &str) -> Run {
        let mut command = self.program("bash");
        self.run(command.arg("-c").arg(format!("haul() {{ '{HAUL}' \"$@\"; }}; {line}")))
    }

    #[must_use = "look at it in a snapshot, or assert `ok()`"]
    pub fn run(&self, command: &mut Command) -> Run {
        self.run_of(&command.output().unwrap())
    }

    /// Waits for the end of a program that was started in the box.
    pub fn ended(&self, child: Child) -> Run {
        self.run_of(&child.wait_with_output().unwrap())
    }

    fn run_of(&self, output: &std::process::Output) -> Run {
        use std::os::unix::process::ExitStatusExt as _;
        let signal = || output.status.signal().map(|signal| 128 + signal);
        let status = output.status.code().or_else(signal).unwrap();
        Run { status, out: output.stdout.clone(), err: output.stderr.clone(), root: self.root().to_owned() }
    }

    /// Makes a run of what a terminal showed.
    pub fn run_on_screen(&self, status: i32, screen: Vec<u8>, err: Vec<u8>) -> Run {
        Run { status, out: screen, err, root: self.root().to_owned() }
    }

    /// haul as a user with no rights of its own; what is in the box so far is opened to it.
    pub fn nobody(&self, arguments: &[&str]) -> Command {
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

    /// Lets everybody at all that is in the box.
    pub fn open_to_all(&self) {
        self.run(self.program("chmod").args(["-R", "a+rwX"]).arg(self.root())).ok();
    }

    /// The content of the store's only file.
    pub fn blob(&self) -> PathBuf {
        let mut folders = fs::read_dir(self.store().join("blobs")).unwrap();
        let mut blobs = fs::read_dir(folders.next().unwrap().unwrap().path()).unwrap();
        blobs.next().unwrap().unwrap().path()
    }

    /// The ids of the files in the store, the newest first.
    pub fn ids(&self) -> Vec<String> {
        self.haul(["ls", "--ids"]).ok().lines()
    }
}

/// The binary.
pub const HAUL: &str = env!("CARGO_BIN_EXE_haul");

impl Run {
    /// It went well.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.status, 0, "{self}");
        self
    }

    /// It ended with this status.
    #[track_caller]
    pub fn fails(self, status: i32) -> Self {
        assert_eq!(self.status, status, "{self}");
        self
    }

    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }

    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.err).into_owned()
    }

    pub fn lines(&self) -> Vec<String> {
        self.stdout().lines().map(str::to_owned).collect()
    }

    /// The same with its lines sorted, where files of one command may come in any order.
    pub fn sorted(mut self) -> Self {
        for stream in [&mut self.out, &mut self.err] {
            let mut lines: Vec<&[u8]> = stream.split_inclusive(|byte| *byte == b'\n').collect();
            lines.sort_unstable();
            *stream = lines.concat();
        }
        self
    }

    /// What `--json` printed: one array on stdout, and nothing but objects, one a line, on stderr.
    #[track_caller]
    pub fn json(&self) -> Vec<Value> {
        self.errors();
        match serde_json::from_slice(&self.out) {
            Ok(Value::Array(rows)) => rows,
            other => panic!("{other:?}\n{self}"),
        }
    }

    /// What `--jsonl` printed.
    #[track_caller]
    pub fn jsonl(&self) -> Vec<Value> {
        self.errors();
        self.lines().iter().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    /// The objects on stderr.
    #[track_caller]
    pub fn errors(&self) -> Vec<Value> {
        let lines = self.stderr();
        let objects = lines.lines().map(serde_json::from_str);
        objects.map(|object| object.unwrap_or_else(|error| panic!("{error}\n{self}"))).collect()
    }

    fn shown(&self, stream: &[u8]) -> String {
        let text = String::from_utf8_lossy(stream).replace(&*self.root.to_string_lossy(), "[box]");
        let mut shown = String::with_capacity(text.len());
        for c in without_ids(&text).chars() {
            match c {
                '\u{1b}' => shown.push('␛'),
                '\n' | '\t' => shown.push(c),
                // What a snapshot cannot show.
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

/// Puts `[id]` in the place of ids and `[link]` in that of links' ids, of the same width, so that tables stay aligned.
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

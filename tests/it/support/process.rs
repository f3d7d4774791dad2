//! Programs that run in the background of a test.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use haul::emulator::PLATFORMS;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::sandbox::{LIMIT, Run, Sandbox};

/// A running program. It is killed when dropped.
pub struct Process {
    child: Child,
    out: File,
    err: File,
    sandbox: Sandbox,
}

impl Sandbox {
    /// Starts a command without waiting for it.
    pub fn spawn(&self, command: &mut Command) -> Process {
        self.spawn_with(command, None, None)
    }

    /// Like [`spawn`](Self::spawn), with stdout or stderr redirected; redirected streams are not part of the run.
    pub fn spawn_with(&self, command: &mut Command, out: Option<Stdio>, err: Option<Stdio>) -> Process {
        let files = [tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap()];
        let [out_file, err_file] = files.each_ref().map(|file| Stdio::from(file.try_clone().unwrap()));
        command.stdout(out.unwrap_or(out_file)).stderr(err.unwrap_or(err_file));
        let child = command.spawn().unwrap_or_else(|error| panic!("{error}: {command:?}"));
        let [out, err] = files;
        Process { child, out, err, sandbox: self.clone() }
    }

    /// Runs a command and measures its peak memory. It is killed at the time limit.
    pub fn measure(&self, command: &mut Command) -> (Run, Peak) {
        let mut peak = Peak::default();
        let run = self.watch(command, |id| {
            peak.resident = memory(id, "VmHWM:").unwrap_or(peak.resident);
            peak.data = memory(id, "RssAnon:").unwrap_or(0).max(peak.data);
        });
        (run, peak)
    }

    /// Runs a command and calls `look` with its process id until it exits. It is killed at the time limit.
    pub fn watch(&self, command: &mut Command, look: impl FnMut(u32)) -> Run {
        let mut process = self.spawn(command);
        let status = process.wait(LIMIT, look);
        process.run(status)
    }
}

impl Process {
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Sends SIGINT, like Ctrl-C.
    pub fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// Waits for the process to exit.
    #[track_caller]
    pub fn end(mut self) -> Run {
        self.end_in_time()
    }

    #[track_caller]
    fn end_in_time(&mut self) -> Run {
        let begun = Instant::now();
        let status = self.wait(LIMIT, |_| {});
        let run = self.run(status);
        assert!(!run.is_killed() || begun.elapsed() < LIMIT, "it took longer than {LIMIT:?}\n{run}");
        run
    }

    /// Waits up to `limit` for the process to exit, then kills it.
    pub fn end_within(mut self, limit: Duration) -> Run {
        let status = self.wait(limit, |_| {});
        self.run(status)
    }

    fn wait(&mut self, limit: Duration, mut look: impl FnMut(u32)) -> ExitStatus {
        let begun = Instant::now();
        while begun.elapsed() < limit {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            look(self.child.id());
            thread::sleep(Duration::from_millis(1));
        }
        let _ = self.child.kill();
        self.child.wait().unwrap()
    }

    fn run(&self, status: ExitStatus) -> Run {
        self.sandbox.run_of(status, content(&self.out), content(&self.err))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The content of a file that another process may still write to. Both share the file position, so it must not move.
fn content(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

/// The peak memory of a process so far, in KiB.
pub fn peak_memory(process: u32) -> Option<u64> {
    memory(process, "VmHWM:")
}

/// The peak memory of a process, in KiB.
#[derive(Clone, Copy, Default)]
pub struct Peak {
    /// All memory, including code. Differs between two runs by several MiB, because the page cache determines how much
    /// of the code is mapped at once.
    pub resident: u64,
    /// Without file-backed pages, so that two runs can be compared.
    pub data: u64,
}

/// A field of `/proc/PID/status`, in KiB.
fn memory(process: u32, field: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// The number of bytes that a process has read so far.
pub fn read_bytes(process: u32) -> Option<u64> {
    let counts = fs::read_to_string(format!("/proc/{process}/io")).ok()?;
    counts.lines().find_map(|line| line.strip_prefix("rchar: "))?.parse().ok()
}

/// A `haul serve` process. It is killed when dropped.
pub struct ServeProcess {
    process: Process,
    /// The first line of its output.
    pub line: String,
    /// `http://HOST:PORT`
    pub url: String,
    log: PathBuf,
}

impl ServeProcess {
    /// Starts it on a free port with these options, JSON output and a request log.
    pub fn start<A: AsRef<OsStr>>(sandbox: &Sandbox, options: impl IntoIterator<Item = A>) -> Self {
        let log = sandbox.root().join("requests.jsonl");
        let mut command = sandbox.command();
        command.args(["serve", "--listen", "127.0.0.1:0", "--json", "--log"]).arg(&log).args(options);
        Self { log, ..Self::of(sandbox, &mut command) }
    }

    /// Starts a server with any command.
    pub fn of(sandbox: &Sandbox, command: &mut Command) -> Self {
        let mut process = sandbox.spawn(command);
        let begun = Instant::now();
        let line = loop {
            if let Some((line, _)) = String::from_utf8(content(&process.out)).unwrap().split_once('\n') {
                break line.to_owned();
            }
            let ended = process.child.try_wait().unwrap();
            assert!(
                ended.is_none() && begun.elapsed() < LIMIT,
                "no address: {}",
                process.end_within(Duration::ZERO)
            );
            thread::sleep(Duration::from_millis(1));
        };
        let object: Option<Value> = serde_json::from_str(&line).ok();
        let url = object.map_or(line.clone(), |object| object["url"].as_str().unwrap().to_owned());
        assert!(url.starts_with("http://"), "{line}");
        Self { process, line, url, log: PathBuf::new() }
    }

    /// `HOST:PORT`
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// The environment variables for the official clients.
    pub fn variables(&self) -> Vec<(String, String)> {
        let object: Value = serde_json::from_str(&self.line).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        object["env"].as_object().unwrap().iter().map(|(name, value)| (name.clone(), text(value))).collect()
    }

    /// The base URL of a platform.
    pub fn base(&self, platform: &str) -> String {
        let path = PLATFORMS.iter().find(|known| known.name == platform).unwrap().base_path;
        format!("{}/{platform}{path}", self.url)
    }

    /// The requests logged so far.
    pub fn requests(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// The text written to stderr so far.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&content(&self.process.err)).into_owned()
    }

    /// Waits for the process to exit.
    #[track_caller]
    pub fn ended(&mut self) -> Run {
        self.process.end_in_time()
    }

    /// Stops it with this signal.
    #[track_caller]
    pub fn stop(&mut self, signal: Signal) -> Run {
        self.process.signal(signal);
        self.process.end_in_time()
    }
}

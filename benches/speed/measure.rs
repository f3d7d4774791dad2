//! Measures the wall time, CPU time and peak memory of a program.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Clock ticks per second, the unit of CPU time in `/proc`.
const TICKS: f64 = 100.0;

/// The cost of one round.
#[derive(Clone, Copy)]
pub struct Sample {
    /// Seconds.
    pub wall: f64,
    /// Seconds of user and system time, in steps of 10 ms.
    pub cpu: f64,
    /// MiB; 0 if unknown, as for shell pipelines and for processes that exit before the first sample.
    pub peak: f64,
}

/// A command line.
#[derive(Clone)]
pub struct Program {
    pub path: PathBuf,
    pub arguments: Vec<OsString>,
    pub variables: Vec<(&'static str, OsString)>,
    /// The number of runs per round, large for programs that take milliseconds.
    pub times: u32,
    pub timing: Timing,
    /// The server process that is measured for CPU time and memory instead of the program, if any.
    pub server: Option<u32>,
}

/// The end of the measured time.
#[derive(Clone, Copy, PartialEq)]
pub enum Timing {
    UntilExit,
    UntilFirstLine,
}

impl Program {
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }

    /// Runs the program `times` times, each after `before`, and returns the cost of one run.
    pub fn run(&self, before: &dyn Fn()) -> Sample {
        let mut wall = Duration::ZERO;
        let peak = Arc::new(AtomicU64::new(0));
        let mut cpu = 0.0;
        for _ in 0..self.times {
            before();
            let cpu_before = self.cpu();
            let mut command = Command::new(&self.path);
            command.args(&self.arguments).env_clear().envs(self.variables.iter().cloned());
            command.stdin(Stdio::null()).stdout(match self.timing {
                Timing::UntilExit => Stdio::null(),
                Timing::UntilFirstLine => Stdio::piped(),
            });
            let start = Instant::now();
            let mut child =
                command.spawn().unwrap_or_else(|error| panic!("{}: {error}", self.path.display()));
            let finished = Arc::new(AtomicBool::new(false));
            let watch = watch(self.server.unwrap_or(child.id()), Arc::clone(&finished), Arc::clone(&peak));
            wall += self.wait(&mut child, start);
            finished.store(true, Ordering::Relaxed);
            watch.join().unwrap();
            cpu += self.cpu() - cpu_before;
        }
        let times = f64::from(self.times);
        // The memory of a shell excludes that of its commands.
        let known = self.path.as_os_str() != "sh";
        #[allow(clippy::cast_precision_loss, reason = "memory is far below 2^52 KiB")]
        let peak = if known { peak.load(Ordering::Relaxed) as f64 / 1024.0 } else { 0.0 };
        Sample { wall: wall.as_secs_f64() / times, cpu: cpu / times, peak }
    }

    fn wait(&self, child: &mut Child, start: Instant) -> Duration {
        let first = child.stdout.take().map(|stdout| {
            let mut line = Vec::new();
            BufReader::new(stdout).read_until(b'\n', &mut line).unwrap();
            start.elapsed()
        });
        let status = child.wait().unwrap();
        assert!(status.success(), "{} {:?}: {status}", self.path.display(), self.arguments);
        first.unwrap_or_else(|| start.elapsed())
    }

    fn cpu(&self) -> f64 {
        self.server.map_or_else(|| ticks("self", 13), |id| ticks(&id.to_string(), 11))
    }
}

/// Samples a process's peak memory until `finished` is set. A process that exits before the first sample has none.
fn watch(id: u32, finished: Arc<AtomicBool>, peak: Arc<AtomicU64>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        while !finished.load(Ordering::Relaxed) {
            let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0);
            peak.fetch_max(kib, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(2));
        }
    })
}

/// The sum of two adjacent fields of `/proc/ID/stat`, user and system time in seconds: of the process at index 11, of its
/// terminated children at index 13.
fn ticks(id: &str, from: usize) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    // The name in parentheses may contain spaces, so indices count from its end.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks = |index: usize| fields[index].parse::<f64>().unwrap();
    (ticks(from) + ticks(from + 1)) / TICKS
}

/// The median of each figure.
pub fn median(samples: &[Sample]) -> Sample {
    let middle = |figure: fn(&Sample) -> f64| {
        let mut all: Vec<f64> = samples.iter().map(figure).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    Sample { wall: middle(|it| it.wall), cpu: middle(|it| it.cpu), peak: middle(|it| it.peak) }
}

//! One program run once or many times: wall time, CPU time, peak memory.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The kernel's clock ticks a second, as `/proc` counts CPU time.
const TICKS: f64 = 100.0;

/// What one round cost.
#[derive(Clone, Copy)]
pub struct Sample {
    /// Seconds.
    pub wall: f64,
    /// Seconds of user and system time, to a hundredth.
    pub cpu: f64,
    /// MiB; 0 where it is not known: of several processes together, and of one that was over too soon.
    pub peak: f64,
}

/// A command line.
#[derive(Clone)]
pub struct Program {
    pub path: PathBuf,
    pub arguments: Vec<OsString>,
    pub variables: Vec<(&'static str, OsString)>,
    /// How often a round runs it: what takes milliseconds is done often.
    pub times: u32,
    pub ends: Ends,
    /// The process whose CPU time and memory count instead of the program's own: a server that it talks to.
    pub server: Option<u32>,
}

/// When the clock stops.
#[derive(Clone, Copy, PartialEq)]
pub enum Ends {
    WithTheProgram,
    WithItsFirstLine,
}

impl Program {
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }

    /// Runs it so many times, `before` before each, and gives the cost of one run.
    pub fn run(&self, before: &dyn Fn()) -> Sample {
        let mut wall = Duration::ZERO;
        let peak = Arc::new(AtomicU64::new(0));
        let mut cpu = 0.0;
        for _ in 0..self.times {
            before();
            let cpu_before = self.cpu();
            let mut command = Command::new(&self.path);
            command.args(&self.arguments).env_clear().envs(self.variables.iter().cloned());
            command.stdin(Stdio::null()).stdout(match self.ends {
                Ends::WithTheProgram => Stdio::null(),
                Ends::WithItsFirstLine => Stdio::piped(),
            });
            let begun = Instant::now();
            let mut child =
                command.spawn().unwrap_or_else(|error| panic!("{}: {error}", self.path.display()));
            let over = Arc::new(AtomicBool::new(false));
            let watch = watch(self.server.unwrap_or(child.id()), Arc::clone(&over), Arc::clone(&peak));
            wall += self.wait(&mut child, begun);
            over.store(true, Ordering::Relaxed);
            watch.join().unwrap();
            cpu += self.cpu() - cpu_before;
        }
        let times = f64::from(self.times);
        // A shell's own memory says nothing of what it runs.
        let known = self.path.as_os_str() != "sh";
        #[allow(clippy::cast_precision_loss, reason = "memory is far below 2^52 KiB")]
        let peak = if known { peak.load(Ordering::Relaxed) as f64 / 1024.0 } else { 0.0 };
        Sample { wall: wall.as_secs_f64() / times, cpu: cpu / times, peak }
    }

    fn wait(&self, child: &mut Child, begun: Instant) -> Duration {
        let first = child.stdout.take().map(|stdout| {
            let mut line = Vec::new();
            BufReader::new(stdout).read_until(b'\n', &mut line).unwrap();
            begun.elapsed()
        });
        let status = child.wait().unwrap();
        assert!(status.success(), "{} {:?}: {status}", self.path.display(), self.arguments);
        first.unwrap_or_else(|| begun.elapsed())
    }

    fn cpu(&self) -> f64 {
        self.server.map_or_else(|| ticks("self", 13), |id| ticks(&id.to_string(), 11))
    }
}

/// Looks at a process's peak memory until it is over. A program that ends within a look has none to show.
fn watch(id: u32, over: Arc<AtomicBool>, peak: Arc<AtomicU64>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        while !over.load(Ordering::Relaxed) {
            let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0);
            peak.fetch_max(kib, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(2));
        }
    })
}

/// Two neighbouring times of `/proc/ID/stat` together, in seconds: user and system time of the process itself stand from
/// 11 on, those of its children that have ended from 13 on.
fn ticks(id: &str, from: usize) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    // The name in parentheses may hold blanks: count from its end.
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

//! One program run once or many times: wall time, CPU time, peak memory.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
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
    /// MiB.
    pub peak: f64,
}

/// Medians, each by itself.
pub type Figures = Sample;

/// A command line.
pub struct Program {
    pub path: PathBuf,
    pub arguments: Vec<OsString>,
    pub variables: Vec<(&'static str, OsString)>,
}

impl Program {
    /// Runs it so many times, `before` before each, and gives the cost of one run.
    pub fn run(&self, times: u32, before: &dyn Fn()) -> Sample {
        let mut wall = Duration::ZERO;
        let peak = Arc::new(AtomicU64::new(0));
        let cpu = children_cpu();
        for _ in 0..times {
            before();
            let mut command = Command::new(&self.path);
            command.args(&self.arguments).env_clear().envs(self.variables.iter().cloned());
            command.stdin(Stdio::null()).stdout(Stdio::null());
            let begun = Instant::now();
            let mut child = command.spawn().unwrap();
            let over = Arc::new(AtomicBool::new(false));
            let watch = watch(child.id(), Arc::clone(&over), Arc::clone(&peak));
            let status = child.wait().unwrap();
            wall += begun.elapsed();
            over.store(true, Ordering::Relaxed);
            watch.join().unwrap();
            assert!(status.success(), "{} {:?}: {status}", self.path.display(), self.arguments.first());
        }
        let times = f64::from(times);
        #[allow(clippy::cast_precision_loss, reason = "memory is far below 2^52 KiB")]
        let peak = peak.load(Ordering::Relaxed) as f64 / 1024.0;
        Sample { wall: wall.as_secs_f64() / times, cpu: (children_cpu() - cpu) / times, peak }
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

/// CPU time of all children that have ended, in seconds.
fn children_cpu() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    // The name in parentheses may hold blanks: count from its end. 16 and 17 are user and system time of children.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks = |index: usize| fields[index].parse::<f64>().unwrap();
    (ticks(13) + ticks(14)) / TICKS
}

/// The median of each figure.
pub fn median(samples: &[Sample]) -> Figures {
    let middle = |figure: fn(&Sample) -> f64| {
        let mut all: Vec<f64> = samples.iter().map(figure).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    Sample { wall: middle(|it| it.wall), cpu: middle(|it| it.cpu), peak: middle(|it| it.peak) }
}

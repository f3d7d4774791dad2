//! What was done, and what was wrong.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Default)]
pub struct Totals {
    /// One a file, or one a listing.
    pub operations: AtomicU64,
    done: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
    processes: Mutex<BTreeMap<String, u64>>,
    pub kills: AtomicU64,
    pub differences: Mutex<Vec<String>>,
}

impl Totals {
    pub fn count(&self, verb: &'static str, platform: &'static str, files: usize) {
        *self.done.lock().unwrap().entry((verb, platform)).or_default() += files as u64;
        self.operations.fetch_add(files as u64, Ordering::Relaxed);
    }

    /// Notes something about a process that is worth a number.
    pub fn note(&self, what: impl Into<String>, times: u64) {
        if times > 0 {
            *self.processes.lock().unwrap().entry(what.into()).or_default() += times;
        }
    }

    #[allow(clippy::print_stderr, reason = "a long soak tells at once what it has found")]
    pub fn differ(&self, what: &str) {
        // What it says first is enough to find the rest.
        let what: String = what.chars().take(1500).collect();
        eprintln!("DIFFERENCE: {what}");
        self.differences.lock().unwrap().push(what);
    }

    pub fn table(&self) -> String {
        let done = self.done.lock().unwrap();
        let mut text = format!("operations: {}\n", self.operations.load(Ordering::Relaxed));
        for ((verb, platform), count) in done.iter() {
            let _ = writeln!(text, "  {verb:12} {platform:12} {count:8}");
        }
        text.push_str("processes:\n");
        for (what, count) in self.processes.lock().unwrap().iter() {
            let _ = writeln!(text, "  {what:50} {count:8}");
        }
        text
    }
}

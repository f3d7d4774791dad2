//! Counts of operations, and the differences from the expected results.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Default)]
pub struct Totals {
    /// The number of processed files and of listings.
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

    /// Adds to the count of this message about processes.
    pub fn note(&self, message: impl Into<String>, times: u64) {
        if times > 0 {
            *self.processes.lock().unwrap().entry(message.into()).or_default() += times;
        }
    }

    #[allow(clippy::print_stderr, reason = "a long run prints differences as it finds them")]
    pub fn report(&self, message: &str) {
        // The start of a message suffices.
        let message: String = message.chars().take(1500).collect();
        eprintln!("DIFFERENCE: {message}");
        self.differences.lock().unwrap().push(message);
    }

    pub fn table(&self) -> String {
        let done = self.done.lock().unwrap();
        let mut text = format!("operations: {}\n", self.operations.load(Ordering::Relaxed));
        for ((verb, platform), count) in done.iter() {
            let _ = writeln!(text, "  {verb:12} {platform:12} {count:8}");
        }
        text.push_str("processes:\n");
        for (message, count) in self.processes.lock().unwrap().iter() {
            let _ = writeln!(text, "  {message:50} {count:8}");
        }
        text
    }
}

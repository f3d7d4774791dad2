//! An emulated xAI that records its requests, and ways to connect to it.

use std::io::Read as _;
use std::ops::Deref;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use haul::http::Policy;
use haul::model::{File, FileId};
use haul::providers::{Provider, find};
use haul::store;
use serde_json::Value;

use crate::support::connection::Profile;
use crate::support::emulator::{Emulator, Setup, TOKEN};
use crate::support::rig::Case;
use crate::support::sandbox::Sandbox;

/// A served platform. It stops when dropped.
pub struct Platform {
    emulator: Emulator,
    dialect: &'static str,
    log: Mutex<Vec<Request>>,
}

impl Deref for Platform {
    type Target = Emulator;

    fn deref(&self) -> &Emulator {
        &self.emulator
    }
}

/// A request as the platform received it.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// `None` if there was no response.
    pub status: Option<u64>,
    pub received: u64,
    pub sent: u64,
}

impl Platform {
    /// Speaks the currently documented dialect of xAI: no checksums.
    pub fn start(faults: &[&str]) -> Self {
        Self::speaking("openai", faults)
    }

    /// Speaks the older documented dialect of xAI: BLAKE3 checksums.
    pub fn with_checksums(faults: &[&str]) -> Self {
        Self::speaking("gateway", faults)
    }

    fn speaking(dialect: &'static str, faults: &[&str]) -> Self {
        let emulator = Emulator::start(&Setup {
            platform: "xai",
            dialect: Some(dialect),
            alone: true,
            quirks: &["xai.ranges"],
            faults,
            token: Some(TOKEN),
            ..Setup::DEFAULT
        });
        Self { emulator, dialect, log: Mutex::default() }
    }

    /// A provider without noticeable pauses.
    pub fn provider(&self) -> Arc<dyn Provider> {
        provider_at(&self.root, self.dialect)
    }

    /// A sandbox that uses this platform.
    pub fn sandbox(&self) -> Sandbox {
        let mut env = Sandbox::new().with_real_clock();
        env.use_platform(&Case::of("xai", self.dialect), &format!("http://{}/v1", self.address), TOKEN);
        env
    }

    /// All requests so far with this method whose path ends with `end`. Waits until there are at least `least`.
    pub fn requests(&self, method: &str, end: &str, least: usize) -> Vec<Request> {
        let begun = Instant::now();
        loop {
            let mut log = self.log.lock().unwrap();
            log.extend(self.emulator.log().iter().map(Request::read));
            let path = |request: &Request| request.path.split('?').next().unwrap_or_default().ends_with(end);
            let found: Vec<_> =
                log.iter().filter(|request| request.method == method && path(request)).cloned().collect();
            drop(log);
            if found.len() >= least || begun.elapsed() > Duration::from_secs(5) {
                return found;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// All attempts at uploads.
    pub fn posts(&self, least: usize) -> Vec<Request> {
        self.requests("POST", "/v1/files", least)
    }

    /// All attempts at downloads.
    pub fn fetches(&self, least: usize) -> Vec<Request> {
        self.requests("GET", "/content", least)
    }

    /// The stored files by name.
    pub fn stored(&self) -> Vec<File> {
        let listing = store::Listing { limit: 100_000, ..store::Listing::default() };
        let mut files = self.store.list("xai", &listing).unwrap();
        files.sort_by(|a, b| a.name.cmp(&b.name));
        files
    }

    pub fn names(&self) -> Vec<String> {
        self.stored().into_iter().map(|file| file.name).collect()
    }

    pub fn content(&self, id: &FileId) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.store.get("xai", id).unwrap().1.read_to_end(&mut bytes).unwrap();
        bytes
    }
}

impl Request {
    fn read(line: &Value) -> Self {
        Self {
            method: line["method"].as_str().unwrap().to_owned(),
            path: line["path"].as_str().unwrap().to_owned(),
            status: line["status"].as_u64(),
            received: line["bytes_in"].as_u64().unwrap(),
            sent: line["bytes_out"].as_u64().unwrap(),
        }
    }
}

/// A provider of the platform at this origin.
pub fn provider_at(root: &str, dialect: &str) -> Arc<dyn Provider> {
    // On a busy machine a response may take seconds.
    provider_within(root, dialect, Duration::from_secs(30))
}

/// A provider that gives up on a request after receiving no byte for this time.
pub fn provider_within(root: &str, dialect: &str, timeout: Duration) -> Arc<dyn Provider> {
    let policy = Policy {
        attempts: 3,
        elapsed: Duration::from_secs(20),
        base: Duration::from_millis(2),
        cap: Duration::from_millis(5),
    };
    let profile = Profile {
        name: "xai",
        token: Some(TOKEN),
        dialect,
        policy,
        timeout,
        data: &std::env::temp_dir(),
        ..Profile::new(find("xai").unwrap(), &format!("{root}/v1").parse().unwrap())
    };
    Arc::from(profile.open().unwrap())
}

/// Reproducible bytes that look random.
pub fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..size.div_ceil(8)).flat_map(|_| next().to_le_bytes()).take(size).collect()
}

//! An emulated xAI that remembers what it was asked, and the ways to reach it.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use haul::emulator::{Faults, Options, serve};
use haul::http::{Client, Config, Policy};
use haul::model::{Clock, File, FileId};
use haul::providers::{Connection, Provider, find};
use haul::secret::Secret;
use haul::store::{self, Store};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};
use url::Url;

use crate::support::rig::Case;
use crate::support::sandbox::Sandbox;

const TOKEN: &str = "xai-a-token-of-tests";

/// A platform that is served; stops when it is dropped.
pub struct Platform {
    pub address: SocketAddr,
    pub store: Store,
    dialect: &'static str,
    log: Arc<Mutex<Vec<Request>>>,
    _stop: oneshot::Sender<()>,
    _home: TempDir,
}

/// A request as the platform saw it.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// None where there was no answer.
    pub status: Option<u64>,
    pub received: u64,
    pub sent: u64,
}

impl Platform {
    /// One that speaks as xAI documents today: no checksums.
    pub fn start(faults: &[&str]) -> Self {
        Self::speaking("openai", faults)
    }

    /// One that speaks as xAI documented before: it states BLAKE3.
    pub fn stating_checksums(faults: &[&str]) -> Self {
        Self::speaking("gateway", faults)
    }

    fn speaking(dialect: &'static str, faults: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(home.path(), store::Options { ephemeral: true, ..store::Options::default() })
            .unwrap();
        let (sender, mut lines) = mpsc::unbounded_channel::<String>();
        let mut options = Options { log: Some(sender), ..Options::default() };
        options.set_only("xai").unwrap();
        options.set_dialect(&format!("xai={dialect}")).unwrap();
        options.set_quirk("xai.ranges").unwrap();
        options.token = Some(Secret::new(TOKEN));
        let faults = Faults::parse(faults.iter().copied()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let log = Arc::<Mutex<Vec<Request>>>::default();
        let (served, noted) = (store.clone(), Arc::clone(&log));
        thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.spawn(async move {
                while let Some(line) = lines.recv().await {
                    noted.lock().unwrap().push(Request::read(&line));
                }
            });
            let serving = serve(listener, served, options, faults, async {
                let _ = stopped.await;
            });
            runtime.block_on(serving).unwrap();
        });
        Self { address, store, dialect, log, _stop: stop, _home: home }
    }

    /// A provider whose pauses no test notices.
    pub fn provider(&self) -> Arc<dyn Provider> {
        provider_at(self.address, self.dialect)
    }

    /// A sandbox that uses this platform.
    pub fn sandbox(&self) -> Sandbox {
        let mut env = Sandbox::new().with_real_clock();
        env.use_platform(&Case::of("xai", self.dialect), &format!("http://{}/v1", self.address), TOKEN);
        env
    }

    /// All requests so far of that method whose path has this end; waits until the log has caught up with `least`.
    pub fn requests(&self, method: &str, end: &str, least: usize) -> Vec<Request> {
        let begun = Instant::now();
        loop {
            let all = self.log.lock().unwrap().clone();
            let path = |request: &Request| request.path.split('?').next().unwrap_or_default().ends_with(end);
            let found: Vec<_> =
                all.into_iter().filter(|request| request.method == method && path(request)).collect();
            if found.len() >= least || begun.elapsed() > Duration::from_secs(5) {
                return found;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The uploads that were tried.
    pub fn posts(&self, least: usize) -> Vec<Request> {
        self.requests("POST", "/v1/files", least)
    }

    /// The downloads that were tried.
    pub fn fetches(&self, least: usize) -> Vec<Request> {
        self.requests("GET", "/content", least)
    }

    /// What is there, by name.
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
    fn read(line: &str) -> Self {
        let line: Value = serde_json::from_str(line).unwrap();
        Self {
            method: line["method"].as_str().unwrap().to_owned(),
            path: line["path"].as_str().unwrap().to_owned(),
            status: line["status"].as_u64(),
            received: line["bytes_in"].as_u64().unwrap(),
            sent: line["bytes_out"].as_u64().unwrap(),
        }
    }
}

pub fn provider_at(address: SocketAddr, dialect: &str) -> Arc<dyn Provider> {
    let base_url = Url::parse(&format!("http://{address}/v1")).unwrap();
    let http = Client::new(Config {
        platform: "xai",
        own: vec![base_url.clone()],
        token: Some(Secret::new(TOKEN)),
        token_hints: Vec::new(),
        timeout: Duration::from_secs(2),
        policy: Policy {
            attempts: 3,
            elapsed: Duration::from_secs(20),
            base: Duration::from_millis(2),
            cap: Duration::from_millis(5),
        },
        cacert: None,
        insecure_http: false,
        rate: None,
        headers: Vec::new(),
        read_problem: find("xai").unwrap().read_problem,
    });
    let connection = Connection {
        profile: "xai".into(),
        upload_base_url: base_url.clone(),
        base_url,
        dialect: dialect.into(),
        set: BTreeMap::new(),
        secrets: BTreeMap::new(),
        http,
        clock: Clock::default(),
        data: std::env::temp_dir(),
        warn: haul::model::Warn::default(),
    };
    Arc::from((find("xai").unwrap().open)(connection).unwrap())
}

/// Bytes that look random and are the same each time.
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

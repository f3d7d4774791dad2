//! Servers that share a store are killed under load, and the database is stopped and started again. Run by tests/shared.sh.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use haul::model::{Clock, Warn};
use haul::store::Listing;
use rustix::process::Signal;

use crate::store::place::SharedPlace;
use crate::store::support::sha256;
use crate::support::emulator::AUTH;
use crate::support::process::ServeProcess;
use crate::support::raw::{Answer, FORM, form, request};
use crate::support::sandbox::Sandbox;

const CLIENTS: u64 = 16;
const KILLS: usize = 40;
/// The minimum number of uploads that are acknowledged between two kills.
const UPLOADS: u64 = 10;

/// The state of a file, as its client knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No response, or an error, arrived.
    Unknown,
    /// The upload was acknowledged.
    Stored,
    /// The deletion was acknowledged.
    Deleted,
}

struct Upload {
    sha256: String,
    id: Option<String>,
    state: State,
}

/// The state that the clients know, and their counts.
#[derive(Default)]
struct Load {
    servers: RwLock<Vec<SocketAddr>>,
    files: Mutex<BTreeMap<String, Upload>>,
    is_over: AtomicBool,
    uploads: AtomicU64,
    bytes: AtomicU64,
    reads: AtomicU64,
    deletions: AtomicU64,
    failures: AtomicU64,
}

/// Mostly small content; one in fifty is sent to the bucket in parts.
fn content(random: &mut Rng) -> Vec<u8> {
    let size = match random.usize(..50) {
        0 => 8_500_000 + random.usize(..1_000_000),
        1..10 => random.usize(..400_000),
        _ => random.usize(..20_000),
    };
    let mut content = vec![0; size];
    random.fill(&mut content);
    content
}

impl Load {
    /// Sends a request to any server.
    fn ask(
        &self,
        random: &mut Rng,
        method: &str,
        path: &str,
        headers: &[&str],
        body: &[u8],
    ) -> io::Result<Answer> {
        let server = {
            let servers = self.servers.read().unwrap();
            servers[random.usize(..servers.len())]
        };
        let mut stream = TcpStream::connect_timeout(&server, Duration::from_secs(5))?;
        stream.set_read_timeout(Some(Duration::from_mins(2)))?;
        stream.set_write_timeout(Some(Duration::from_mins(2)))?;
        let headers: Vec<&str> =
            [AUTH, "Connection: close"].into_iter().chain(headers.iter().copied()).collect();
        stream.write_all(&request(server, method, path, &headers, body))?;
        Answer::read(&mut stream, false)
    }

    fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        thread::sleep(Duration::from_millis(20));
    }

    fn upload(&self, random: &mut Rng, name: &str) {
        let content = content(random);
        let upload = Upload { sha256: sha256(&content), id: None, state: State::Unknown };
        self.files.lock().unwrap().insert(name.to_owned(), upload);
        let file = format!("name=\"file\"; filename=\"{name}\"");
        let body = form(&[("name=\"purpose\"", b"assistants"), (&file, &content)]);
        match self.ask(random, "POST", "/xai/v1/files", &[FORM], &body) {
            Ok(answer) if answer.status == 200 && answer.whole => {
                let id = answer.json()["id"].as_str().unwrap().to_owned();
                let mut files = self.files.lock().unwrap();
                let upload = files.get_mut(name).unwrap();
                (upload.id, upload.state) = (Some(id), State::Stored);
                self.uploads.fetch_add(1, Ordering::Relaxed);
                self.bytes.fetch_add(content.len() as u64, Ordering::Relaxed);
            }
            _ => self.failed(),
        }
    }

    /// Reads a file that this client has stored.
    fn read(&self, random: &mut Rng, name: &str) {
        let (id, expected) = {
            let files = self.files.lock().unwrap();
            (files[name].id.clone().unwrap(), files[name].sha256.clone())
        };
        match self.ask(random, "GET", &format!("/xai/v1/files/{id}/content"), &[], b"") {
            Ok(answer) if answer.status == 200 && answer.whole => {
                assert_eq!(sha256(&answer.body), expected, "wrong bytes in {name}");
                self.reads.fetch_add(1, Ordering::Relaxed);
            }
            Ok(answer) if answer.status == 404 => panic!("{name} is lost: {answer:?}"),
            _ => self.failed(),
        }
    }

    fn delete(&self, random: &mut Rng, name: &str) {
        let id = self.files.lock().unwrap()[name].id.clone().unwrap();
        let deleted = self.ask(random, "DELETE", &format!("/xai/v1/files/{id}"), &[], b"");
        let is_deleted = matches!(&deleted, Ok(answer) if answer.status == 200);
        let state = if is_deleted { State::Deleted } else { State::Unknown };
        self.files.lock().unwrap().get_mut(name).unwrap().state = state;
        if is_deleted {
            self.deletions.fetch_add(1, Ordering::Relaxed);
        } else {
            self.failed();
        }
    }

    fn client(&self, number: u64) {
        let mut random = Rng::with_seed(number);
        let mut mine: Vec<String> = Vec::new();
        for n in 0.. {
            if self.is_over.load(Ordering::Relaxed) {
                return;
            }
            let any = |random: &mut Rng| random.usize(..mine.len().max(1));
            match random.usize(..10) {
                0..2 if !mine.is_empty() => {
                    let name = mine.swap_remove(any(&mut random));
                    self.delete(&mut random, &name);
                }
                2..5 if !mine.is_empty() => {
                    let name = mine[any(&mut random)].clone();
                    self.read(&mut random, &name);
                }
                _ => {
                    let name = format!("{number}-{n}.bin");
                    self.upload(&mut random, &name);
                    if self.files.lock().unwrap()[&name].state == State::Stored {
                        mine.push(name);
                    }
                }
            }
        }
    }

    /// Waits until this many further uploads have been acknowledged.
    fn wait(&self, uploads: u64) {
        let end = Instant::now() + Duration::from_mins(3);
        let goal = self.uploads.load(Ordering::Relaxed) + uploads;
        while self.uploads.load(Ordering::Relaxed) < goal {
            assert!(Instant::now() < end, "no uploads for three minutes");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn start(sandbox: &Sandbox, place: &SharedPlace) -> ServeProcess {
    ServeProcess::start(sandbox, place.flags())
}

/// Stops or starts the database with the command in `HAUL_TEST_DATABASE`.
fn database(command: &str, action: &str) {
    let status = Command::new("sh").args(["-c", &format!("{command} {action}")]).status().unwrap();
    assert!(status.success(), "{command} {action}");
}

#[test]
#[ignore = "takes minutes, and needs a database and a bucket"]
fn killed_servers_lose_nothing() {
    let place = SharedPlace::new().unwrap();
    let mut sandbox = Sandbox::new().with_real_clock();
    for (name, value) in std::env::vars() {
        if name.starts_with("AWS_") || name == "PGPASSWORD" {
            sandbox.set(&name, &value);
        }
    }
    let begun = Instant::now();
    let load = Load::default();
    let mut servers = [start(&sandbox, &place), start(&sandbox, &place)];
    let address = |server: &ServeProcess| server.address().parse::<SocketAddr>().unwrap();
    *load.servers.write().unwrap() = servers.iter().map(address).collect();
    let mut random = Rng::with_seed(0);
    thread::scope(|scope| {
        let clients: Vec<_> = (1..=CLIENTS)
            .map(|number| {
                scope.spawn({
                    let load = &load;
                    move || load.client(number)
                })
            })
            .collect();
        let check = || {
            for kill in 0..KILLS {
                load.wait(UPLOADS);
                thread::sleep(Duration::from_millis(random.u64(..100)));
                let which = random.usize(..2);
                assert!(servers[which].stop(Signal::KILL).is_killed());
                // The other one takes over until the next one has started.
                load.servers.write().unwrap()[which] = address(&servers[1 - which]);
                servers[which] = start(&sandbox, &place);
                load.servers.write().unwrap()[which] = address(&servers[which]);
                if kill == KILLS / 2
                    && let Ok(command) = std::env::var("HAUL_TEST_DATABASE")
                {
                    load.wait(UPLOADS);
                    database(&command, "stop");
                    thread::sleep(Duration::from_secs(2));
                    let failures = load.failures.load(Ordering::Relaxed);
                    database(&command, "start");
                    load.wait(UPLOADS);
                    println!("the database was stopped and started: {failures} failed requests until then");
                }
            }
            load.wait(UPLOADS);
        };
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check));
        load.is_over.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().unwrap();
        }
        outcome.unwrap();
    });
    // Some requests may be in progress in the servers.
    drop(servers);
    let before = place.objects();
    place.collect();
    let store = place.open(Clock::default(), Warn::default());
    let mut known = load.files.into_inner().unwrap();
    let stored = store.list("xai", &Listing::default()).unwrap();
    let mut unacknowledged = 0;
    for file in &stored {
        let upload =
            known.remove(&file.name).unwrap_or_else(|| panic!("{} is unknown or there twice", file.name));
        assert_ne!(upload.state, State::Deleted, "{} is back", file.name);
        unacknowledged += u32::from(upload.id.is_none());
        let mut content = Vec::new();
        store.get("xai", &file.id).unwrap().1.copy_to(&mut content).unwrap();
        assert_eq!(sha256(&content), upload.sha256, "wrong bytes in {}", file.name);
    }
    let lost: Vec<_> = known.iter().filter(|(_, upload)| upload.state == State::Stored).collect();
    assert!(
        lost.is_empty(),
        "acknowledged files are lost: {:?}",
        lost.iter().map(|(name, _)| name).collect::<Vec<_>>()
    );
    assert!(place.is_tidy());
    assert_eq!(place.objects(), stored.len());
    println!(
        "{KILLS} kills in {} s, {CLIENTS} clients: {} uploads ({} MB), {} reads and {} deletions acknowledged, {} requests \
         failed; {} files at the end, {unacknowledged} of them from unacknowledged requests; {} blobs collected; nothing lost",
        begun.elapsed().as_secs(),
        load.uploads.into_inner(),
        load.bytes.into_inner() / 1_000_000,
        load.reads.into_inner(),
        load.deletions.into_inner(),
        load.failures.into_inner(),
        stored.len(),
        before - stored.len(),
    );
}

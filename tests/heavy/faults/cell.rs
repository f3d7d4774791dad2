//! One cell of the matrix: one run of the program with one fault, and the checks of its effects.

use std::fs;
use std::sync::LazyLock;

use haul::model::NewFile;
use tokio::net::TcpSocket;

use crate::faults::catalog::{Endpoint, Fault, Needs};
use crate::faults::proxy::{Plan, Proxy};
use crate::faults::site::{Site, files};
use crate::faults::verbs::{Target, Verb, arguments};
use crate::platforms::faults::Expected;
use crate::support::sandbox::Sandbox;

/// The size of an existing file: large enough that an interrupted download resumes instead of restarting.
const EXISTING_SIZE: usize = 300_000;
/// The size of an uploaded file: small enough to fit into the socket buffers.
const SENT_SIZE: usize = 40_000;
/// The size of an uploaded file that exceeds the socket buffers.
const LARGE_SIZE: usize = 24 << 20;
/// The contents of the existing, the small uploaded and the large uploaded file.
static CONTENTS: LazyLock<[Vec<u8>; 3]> =
    LazyLock::new(|| [noise(1, EXISTING_SIZE), noise(2, SENT_SIZE), vec![0; LARGE_SIZE]]);

/// One cell of the matrix.
#[derive(Clone, Copy)]
pub struct Cell {
    /// A unique number, part of the name of its file.
    pub number: usize,
    pub verb: Verb,
    pub fault: &'static Fault,
    pub target: Target,
    pub expected: Expected,
    /// Whether an ordinary run includes it.
    pub ordinary: bool,
}

impl Cell {
    /// Runs the cell. Returns the peak memory of the program in KiB, or an error that lists every failed check.
    pub fn run(&self, site: &Site) -> Result<u64, String> {
        let mut env = Sandbox::new().with_real_clock();
        let work = env.work();
        let name = format!("cell-{}.pdf", self.number);
        let [existing, small, large] = &*CONTENTS;
        let new = if self.fault.needs == Needs::Large { large } else { small };
        // Some platforms store equal content only once, and all cells of a column share one emulator.
        let (existing, new) = (&self.own(existing), &self.own(new));

        let ahead = if let Endpoint::Clock(seconds) = self.fault.endpoint { seconds } else { 0 };
        let plan = Plan {
            method: self.target.method,
            path: self.target.path,
            inject: self.fault.inject,
            times: self.fault.times,
            ahead,
        };
        let proxy = Proxy::start(site.address, site.foreign.addresses, plan);
        let base = site.rig.served.base(site.column.case.provider);
        let path = base.trim_start_matches(&site.rig.served.root).to_owned();
        let through = format!("http://{}{path}", proxy.address);
        // Stays bound during the run, so that no other process can listen on this port.
        let closed_port = TcpSocket::new_v4().unwrap();
        closed_port.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let base = match self.fault.endpoint {
            Endpoint::UnknownHost => format!("http://files.invalid{path}"),
            Endpoint::ClosedPort => format!("http://{}{path}", closed_port.local_addr().unwrap()),
            Endpoint::Platform | Endpoint::Clock(_) => through.clone(),
        };
        let id = self.prepare(site, &mut env, &through, &name, existing, new);
        let before = files(&work);
        let record = site.stored(&name).into_iter().next().map(|(file, _)| file);
        proxy.arm();

        let mut arguments = arguments(site.column, self.verb, &name, &id);
        if self.fault.endpoint == Endpoint::UnknownHost {
            arguments.push("--insecure-http".to_owned());
        }
        // A busy machine can take a minute to store a large file.
        let timeout = if self.fault.needs == Needs::ShortTimeout { "2s" } else { "5m" };
        arguments.extend(["--timeout", timeout].map(str::to_owned));
        if self.number.is_multiple_of(3) {
            arguments.push("-vvv".to_owned());
        }
        let (run, peak) = site.run(&mut env, &base, &arguments);

        let mut failures = Vec::new();
        self.check_run(site, &run, peak, existing, &mut failures);
        self.check_requests(&proxy, &mut failures);
        self.check_disk(&before, &files(&work), &name, existing, &mut failures);
        self.check_platform(site, &name, &id, record.as_ref(), (existing, new), &mut failures);
        for (file, _) in site.stored(&name) {
            let _ = site.rig.served.store.delete(site.column.case.provider, &file.id);
        }
        if failures.is_empty() {
            return Ok(peak);
        }
        let requests: Vec<String> =
            proxy.requests().iter().map(|it| format!("{} {}", it.method, it.path)).collect();
        Err(format!(
            "{} · {} · {}:\n  {}\n  status {}, requests {requests:?}\n  {}",
            site.column.name,
            self.verb.name(),
            self.fault.name,
            failures.join("\n  "),
            run.status,
            run.stderr()
                .lines()
                .skip_while(|line| !line.starts_with("error"))
                .collect::<Vec<_>>()
                .join("\n  "),
        ))
    }

    /// Content that no other cell has.
    fn own(&self, content: &[u8]) -> Vec<u8> {
        let mut own = content.to_vec();
        own[..8].copy_from_slice(&(self.number as u64).to_le_bytes());
        own
    }

    /// Creates the files that exist before the run, locally and on the platform. Returns the id of the platform's file,
    /// or an empty string without one.
    fn prepare(
        &self,
        site: &Site,
        env: &mut Sandbox,
        base: &str,
        name: &str,
        existing: &[u8],
        new: &[u8],
    ) -> String {
        let work = env.work();
        if self.verb == Verb::Skip {
            // Uploaded by the program, so that it can compare the content even if the platform returns no checksum.
            fs::write(work.join(name), existing).unwrap();
            site.run(env, base, &arguments(site.column, Verb::Skip, name, "")).0.ok();
            return site.stored(name)[0].0.id.to_string();
        }
        if self.verb.sends() {
            fs::write(work.join(name), new).unwrap();
        }
        if !self.verb.requires_existing_file() {
            return String::new();
        }
        // A content type that every platform accepts and creates links for.
        let content_type = "application/pdf".to_owned();
        let file = NewFile { content_type, ..NewFile::from_bytes(name, existing.to_vec()) };
        let file = site.rig.upload(&file).unwrap();
        if self.verb == Verb::Revoke {
            site.rig.run(site.rig.provider.link(&file.id, None)).unwrap();
        }
        file.id.to_string()
    }
}

/// Pseudorandom bytes, the same for equal seeds.
fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..size.div_ceil(8)).flat_map(|_| next().to_le_bytes()).take(size).collect()
}

//! One cell: the program is run once, against a platform where one thing goes wrong, and everything is looked at.

use std::fs;
use std::sync::LazyLock;

use haul::model::NewFile;
use tokio::net::TcpSocket;

use crate::faults::proxy::{Plan, Proxy};
use crate::faults::site::{Site, files};
use crate::faults::trouble::{Fault, Needs, Place};
use crate::faults::verbs::{Target, Verb, arguments};
use crate::platforms::faults::Expected;
use crate::support::sandbox::Sandbox;

/// Bytes of a file that is there before: too many to be downloaded anew when it breaks.
const THERE: usize = 300_000;
/// Bytes of a file that is sent: few enough to leave in one piece.
const SENT: usize = 40_000;
/// Bytes of one that cannot have left whole when the other side has read little.
const LARGE: usize = 24 << 20;
/// The contents: of what is there, of what is sent, of what is sent and large.
static CONTENTS: LazyLock<[Vec<u8>; 3]> = LazyLock::new(|| [noise(1, THERE), noise(2, SENT), vec![0; LARGE]]);

/// One cell of the matrix.
#[derive(Clone, Copy)]
pub struct Cell {
    /// Its number: names its file.
    pub number: usize,
    pub verb: Verb,
    pub fault: &'static Fault,
    pub target: Target,
    pub expected: Expected,
    /// Whether an ordinary run has it.
    pub ordinary: bool,
}

impl Cell {
    /// Runs it. Returns the most memory that the program took, in KiB; the error tells all that is not as it must be.
    pub fn run(&self, site: &Site) -> Result<u64, String> {
        let mut env = Sandbox::new().with_real_clock();
        let work = env.work();
        let name = format!("cell-{}.pdf", self.number);
        let [there, small, large] = &*CONTENTS;
        let new = if self.fault.needs == Needs::Large { large } else { small };

        let ahead = if let Place::Clock(seconds) = self.fault.place { seconds } else { 0 };
        let plan = Plan {
            method: self.target.method,
            path: self.target.path,
            inject: self.fault.inject,
            times: self.fault.times,
            ahead,
        };
        let proxy = Proxy::start(site.address, site.elsewhere.addresses, plan);
        let base = site.rig.served.base(site.column.case.provider);
        let path = base.trim_start_matches(&site.rig.served.root).to_owned();
        let through = format!("http://{}{path}", proxy.address);
        // Held as long as the program runs, so that nobody else begins to listen there.
        let silent = TcpSocket::new_v4().unwrap();
        silent.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let base = match self.fault.place {
            Place::NoSuchHost => format!("http://files.invalid{path}"),
            Place::NobodyListens => format!("http://{}{path}", silent.local_addr().unwrap()),
            Place::Platform | Place::Clock(_) => through.clone(),
        };
        let id = self.prepare(site, &mut env, &through, &name, there, new);
        let before = files(&work);
        let record = site.stored(&name).into_iter().next().map(|(file, _)| file);
        proxy.spoil();

        let mut arguments = arguments(site.column, self.verb, &name, &id);
        if self.fault.place == Place::NoSuchHost {
            arguments.push("--insecure-http".to_owned());
        }
        if self.fault.needs == Needs::Impatience {
            arguments.extend(["--timeout".to_owned(), "2s".to_owned()]);
        }
        if self.number.is_multiple_of(3) {
            arguments.push("-vvv".to_owned());
        }
        let (run, peak) = site.run(&mut env, &base, &arguments);

        let mut wrong = Vec::new();
        self.judge_run(site, &run, peak, there, &mut wrong);
        self.judge_requests(&proxy, &mut wrong);
        self.judge_disk(&before, &files(&work), &name, there, &mut wrong);
        self.judge_platform(site, &name, &id, record.as_ref(), (there, new), &mut wrong);
        for (file, _) in site.stored(&name) {
            let _ = site.rig.served.store.delete(site.column.case.provider, &file.id);
        }
        if wrong.is_empty() {
            return Ok(peak);
        }
        let asked: Vec<String> =
            proxy.asked().iter().map(|it| format!("{} {}", it.method, it.path)).collect();
        Err(format!(
            "{} · {} · {}:\n  {}\n  status {}, asked {asked:?}\n  {}",
            site.column.name,
            self.verb.name(),
            self.fault.name,
            wrong.join("\n  "),
            run.status,
            run.stderr()
                .lines()
                .skip_while(|line| !line.starts_with("error"))
                .collect::<Vec<_>>()
                .join("\n  "),
        ))
    }

    /// What is there before the run, here and there. Returns the file's id, if it has one.
    fn prepare(
        &self,
        site: &Site,
        env: &mut Sandbox,
        base: &str,
        name: &str,
        there: &[u8],
        new: &[u8],
    ) -> String {
        let work = env.work();
        if self.verb == Verb::Skip {
            // Sent from here, so that it can be compared where the platform states no checksum.
            fs::write(work.join(name), there).unwrap();
            site.run(env, base, &arguments(site.column, Verb::Skip, name, "")).0.ok();
            return site.stored(name)[0].0.id.to_string();
        }
        if self.verb.sends() {
            fs::write(work.join(name), new).unwrap();
        }
        if !self.verb.finds_a_file() {
            return String::new();
        }
        // A kind that every platform takes, and makes links to.
        let content_type = "application/pdf".to_owned();
        let file = NewFile { content_type, ..NewFile::from_bytes(name, there.to_vec()) };
        let file = site.rig.upload(&file).unwrap();
        if self.verb == Verb::Revoke {
            site.rig.run(site.rig.provider.link(&file.id, None)).unwrap();
        }
        file.id.to_string()
    }
}

/// Bytes that look random and are the same each time.
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

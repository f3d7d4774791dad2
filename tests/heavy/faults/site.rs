//! A platform that is served, and runs of the program against it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use haul::filter::Filter;
use haul::model::{File, FileId};
use haul::providers::{Op, supports};
use haul::store;

use crate::faults::proxy::Elsewhere;
use crate::faults::verbs::{Column, TOKEN};
use crate::support::rig::Rig;

/// A run that takes longer hangs.
const HANG: Duration = Duration::from_mins(2);

/// A platform that is served for all cells of its column.
pub struct Site {
    pub column: &'static Column,
    pub rig: Rig,
    pub elsewhere: Elsewhere,
    pub address: SocketAddr,
}

/// How a run ended.
pub struct Run {
    pub exit: Option<i32>,
    pub out: Vec<u8>,
    pub err: String,
    /// The most memory that it took, in KiB.
    pub peak: u64,
}

impl Site {
    pub fn start(column: &'static Column) -> Self {
        let rig = Rig::new(column.case);
        let address = rig.served.root.trim_start_matches("http://").parse().unwrap();
        Self { column, rig, elsewhere: Elsewhere::start(), address }
    }

    /// What cells of this platform have sent elsewhere: never the token, never more than a question. Tells how often.
    pub fn kept_its_token(&self) -> Result<usize, String> {
        let heard = self.elsewhere.heard();
        let is_bad = |head: &&String| {
            let lower = head.to_lowercase();
            lower.contains(TOKEN) || lower.contains("authorization") || !head.starts_with("GET ")
        };
        match heard.iter().find(is_bad) {
            Some(bad) => Err(format!("{}: this went elsewhere: {bad}", self.column.name)),
            None => Ok(heard.len()),
        }
    }

    /// What is stored under a name: each file with its content.
    pub fn stored(&self, name: &str) -> Vec<(File, Vec<u8>)> {
        let space = self.column.case.provider;
        let listing = store::Listing { filter: Some(Filter::name_is(name)), ..store::Listing::default() };
        let mut files = self.rig.served.store.list(space, &listing).unwrap();
        if self.column.name == "metorial presigned" {
            // What was begun and not ended is no file there, and ends after a day.
            files.retain(|file| self.rig.stat(&file.id).is_ok());
        }
        let content = |file: File| {
            let mut bytes = Vec::new();
            self.rig.served.store.get(space, &file.id).unwrap().1.read_to_end(&mut bytes).unwrap();
            (file, bytes)
        };
        files.into_iter().map(content).collect()
    }

    /// How many links a file has, where the platform tells.
    pub fn links(&self, id: &str) -> Option<usize> {
        let listed = supports(self.rig.can(), Op::Links);
        let links = |id: &str| self.rig.run(self.rig.provider.links(&FileId::from(id)));
        listed.then(|| links(id).map_or(0, |links| links.len()))
    }

    pub fn command(&self, home: &Path, base: &str, arguments: &[String]) -> Command {
        let case = &self.column.case;
        let mut command = Command::new(env!("CARGO_BIN_EXE_haul"));
        command
            .env_clear()
            .env("HAUL_HOME", home.join("home"))
            .env("HAUL_PROFILE", case.provider)
            .env("HAUL_TOKEN", TOKEN)
            .env("HAUL_BASE_URL", base)
            .env("HAUL_DIALECT", case.dialect)
            .env("TMPDIR", home)
            .envs(case.set.iter().chain(case.secrets).map(|(key, value)| (set_variable(key), *value)))
            .current_dir(home.join("work"))
            .args(["--retries", "1"])
            .args(arguments)
            .stdin(Stdio::null());
        if case.spec().upload_base_url.is_some() {
            command.env("HAUL_UPLOAD_BASE_URL", base);
        }
        command
    }
}

fn set_variable(key: &str) -> String {
    format!("HAUL_SET_{}", key.to_uppercase())
}

impl Run {
    pub fn of(mut command: Command, folder: &Path) -> Self {
        let (out, err) = (folder.join("out"), folder.join("err"));
        command.stdout(fs::File::create(&out).unwrap()).stderr(fs::File::create(&err).unwrap());
        let mut child = command.spawn().unwrap();
        let begun = Instant::now();
        let mut peak = 0;
        let exit = loop {
            if let Some(ended) = child.try_wait().unwrap() {
                break ended.code();
            }
            peak = memory(&child).unwrap_or(peak);
            if begun.elapsed() > HANG {
                child.kill().unwrap();
                child.wait().unwrap();
                break None;
            }
            thread::sleep(Duration::from_millis(4));
        };
        let err = String::from_utf8_lossy(&fs::read(err).unwrap()).into_owned();
        Self { exit, out: fs::read(out).unwrap(), err, peak }
    }
}

/// The most memory that a process has taken, in KiB.
fn memory(child: &Child) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// The files of a folder with their content.
pub fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

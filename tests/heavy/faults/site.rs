//! The emulator of a column, and runs of the program against it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::Path;

use haul::filter::Filter;
use haul::model::{File, FileId};
use haul::providers::{Op, supports};
use haul::store;

use crate::faults::proxy::ForeignServers;
use crate::faults::verbs::{Column, Requests, TOKEN};
use crate::support::rig::Rig;
use crate::support::sandbox::{Run, Sandbox};

/// An emulated platform that all cells of a column share.
pub struct Site {
    pub column: &'static Column,
    pub rig: Rig,
    pub foreign: ForeignServers,
    pub address: SocketAddr,
}

impl Site {
    pub fn start(column: &'static Column) -> Self {
        let rig = Rig::new(column.case);
        let address = rig.served.root.trim_start_matches("http://").parse().unwrap();
        Self { column, rig, foreign: ForeignServers::start(), address }
    }

    /// Checks the requests to the foreign servers: only GET, and without the token. Returns their number.
    pub fn check_foreign_requests(&self) -> Result<usize, String> {
        let heads = self.foreign.heads();
        let is_bad = |head: &&String| {
            let lower = head.to_lowercase();
            lower.contains(TOKEN) || lower.contains("authorization") || !head.starts_with("GET ")
        };
        match heads.iter().find(is_bad) {
            Some(bad) => Err(format!("{}: a foreign server received: {bad}", self.column.name)),
            None => Ok(heads.len()),
        }
    }

    /// The stored files with this name, each with its content.
    pub fn stored(&self, name: &str) -> Vec<(File, Vec<u8>)> {
        let space = self.column.case.provider;
        let listing = store::Listing { filter: Some(Filter::name_is(name)), ..store::Listing::default() };
        let mut files = self.rig.served.store.list(space, &listing).unwrap();
        if matches!(self.column.requests, Requests::Route { keeps_begun: true, .. }) {
            // The record of an unfinished upload is not a file.
            files.retain(|file| self.rig.stat(&file.id).is_ok());
        }
        let content = |file: File| {
            let mut bytes = Vec::new();
            self.rig.served.store.get(space, &file.id).unwrap().1.read_to_end(&mut bytes).unwrap();
            (file, bytes)
        };
        files.into_iter().map(content).collect()
    }

    /// The number of links of a file, if the platform lists them.
    pub fn links(&self, id: &str) -> Option<usize> {
        let listed = supports(self.rig.can(), Op::Links);
        let links = |id: &str| self.rig.run(self.rig.provider.links(&FileId::from(id)));
        listed.then(|| links(id).map_or(0, |links| links.len()))
    }

    /// Runs the program against the platform at this URL. Returns the run and its peak memory in KiB.
    pub fn run(&self, env: &mut Sandbox, base: &str, arguments: &[String]) -> (Run, u64) {
        env.use_platform(&self.column.case, base, TOKEN);
        let (run, peak) = env.measure(env.command().args(["--retries", "1"]).args(arguments));
        (run, peak.resident)
    }
}

/// The files of a folder with their contents.
pub fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

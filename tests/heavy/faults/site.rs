//! A platform that is served, and runs of the program on it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::Path;

use haul::filter::Filter;
use haul::model::{File, FileId};
use haul::providers::{Op, supports};
use haul::store;

use crate::faults::proxy::Elsewhere;
use crate::faults::verbs::{Column, Requests, TOKEN};
use crate::support::rig::Rig;
use crate::support::sandbox::{Run, Sandbox};

/// A platform that is served for all cells of its column.
pub struct Site {
    pub column: &'static Column,
    pub rig: Rig,
    pub elsewhere: Elsewhere,
    pub address: SocketAddr,
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

    /// How many links a file has, where the platform tells.
    pub fn links(&self, id: &str) -> Option<usize> {
        let listed = supports(self.rig.can(), Op::Links);
        let links = |id: &str| self.rig.run(self.rig.provider.links(&FileId::from(id)));
        listed.then(|| links(id).map_or(0, |links| links.len()))
    }

    /// Runs the program on the platform at this URL; the most memory that it took, in KiB, too.
    pub fn run(&self, env: &mut Sandbox, base: &str, arguments: &[String]) -> (Run, u64) {
        env.use_platform(&self.column.case, base, TOKEN);
        env.measure(env.command().args(["--retries", "1"]).args(arguments))
    }
}

/// The files of a folder with their content.
pub fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

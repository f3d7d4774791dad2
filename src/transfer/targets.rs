//! Detects uploads within one command that would replace each other.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::options::IfExists;
use crate::files;
use crate::model::{hash_of, hash_of_name};
use crate::providers::{Overwrites, Provider};

/// The targets of a command's uploads, each with its source. Both are stored as hashes, 16 bytes per file, to limit
/// memory use for large folders.
pub struct Targets<'a> {
    provider: &'a dyn Provider,
    if_exists: IfExists,
    sources: HashMap<u64, u64>,
}

/// The result of claiming the targets of an upload.
#[derive(Debug, PartialEq, Eq)]
pub enum Claim {
    /// No other upload has these targets.
    Own,
    /// The same file has already been claimed under this name.
    Repeated,
    /// Another file has the same target and would be replaced.
    Shared {
        /// The hash that identifies the target.
        target: u64,
        /// The place that would be overwritten, unless the target is the name.
        place: Option<Overwrites>,
    },
}

impl<'a> Targets<'a> {
    /// Creates an empty set of targets for uploads to `provider`.
    pub fn new(provider: &'a dyn Provider, if_exists: IfExists) -> Self {
        Self { provider, if_exists, sources: HashMap::new() }
    }

    /// Whether two files can have the same target.
    pub fn may_be_shared(&self) -> bool {
        self.of("name").next().is_some()
    }

    /// The [hashes](hash_of_name) of the claimed names; empty if several files may share a name.
    pub fn names(&self) -> HashSet<u64> {
        if self.if_exists == IfExists::Upload {
            HashSet::new()
        } else {
            self.sources.keys().copied().collect()
        }
    }

    /// Claims the targets of the file at `path`, to be uploaded as `name`.
    pub fn claim(&mut self, path: &Path, name: &str) -> Claim {
        let source = hash_of(&files::absolute(path));
        let mut is_repeated = false;
        for (target, place) in self.of(name) {
            match self.sources.entry(target) {
                Entry::Vacant(vacant) => drop(vacant.insert(source)),
                Entry::Occupied(taken) if *taken.get() != source => return Claim::Shared { target, place },
                Entry::Occupied(_) => is_repeated |= place.is_none(),
            }
        }
        if is_repeated { Claim::Repeated } else { Claim::Own }
    }

    /// Whether a file with this name has the target with this hash.
    pub fn includes(&self, name: &str, target: u64) -> bool {
        self.of(name).any(|(other, _)| other == target)
    }

    /// The targets of a file: its name, unless several files may share it, and the place that the platform would
    /// overwrite.
    fn of(&self, name: &str) -> impl Iterator<Item = (u64, Option<Overwrites>)> + use<> {
        // Equivalent Unicode forms are the same name.
        let by_name = (self.if_exists != IfExists::Upload).then(|| (hash_of_name(name), None));
        let by_place = self.provider.overwrites(name).map(|place| (hash_of(&place.place), Some(place)));
        by_name.into_iter().chain(by_place)
    }
}

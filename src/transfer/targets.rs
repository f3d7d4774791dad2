//! Which uploads of one command would take each other's place.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;

use unicode_normalization::UnicodeNormalization as _;

use super::upload::IfExists;
use crate::model::hash_of;
use crate::providers::{Overwrites, Provider};

/// The targets of one command's uploads and where each comes from. Both are kept as hashes, 16 bytes a file, so that a
/// folder may have any number of files.
pub struct Targets<'a> {
    provider: &'a dyn Provider,
    if_exists: IfExists,
    sources: HashMap<u64, u64>,
}

/// Whether an upload has a target of its own.
#[derive(Debug, PartialEq, Eq)]
pub enum Claim {
    /// It has.
    Own,
    /// The same file was named before, under the same name.
    Repeated,
    /// Another file has the same name, or goes to the same place and would be replaced there.
    Shared {
        /// The hash that identifies the target.
        target: u64,
        /// The place, if it is not the name.
        place: Option<Overwrites>,
    },
}

impl<'a> Targets<'a> {
    /// No targets yet, of uploads to `provider`.
    pub fn new(provider: &'a dyn Provider, if_exists: IfExists) -> Self {
        Self { provider, if_exists, sources: HashMap::new() }
    }

    /// Whether two files can have one target at all.
    pub fn may_be_shared(&self) -> bool {
        self.of("name").next().is_some()
    }

    /// Claims the targets of the file at `path` that is to be called `name`.
    pub fn claim(&mut self, path: &Path, name: &str) -> Claim {
        let source = hash_of(&std::path::absolute(path).as_deref().unwrap_or(path));
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

    /// Whether a file of this name goes to the target that this hash identifies.
    pub fn includes(&self, name: &str, target: u64) -> bool {
        self.of(name).any(|(other, _)| other == target)
    }

    /// The targets of a file: its name, unless two files may have it, and the place that the settings name.
    fn of(&self, name: &str) -> impl Iterator<Item = (u64, Option<Overwrites>)> + use<> {
        let by_name = (self.if_exists != IfExists::Upload).then(|| {
            let mut hasher = DefaultHasher::new();
            // Names that look the same are looked up as the same.
            name.nfc().for_each(|c| c.hash(&mut hasher));
            (hasher.finish(), None)
        });
        let by_place = self.provider.overwrites(name).map(|place| (hash_of(&place.place), Some(place)));
        by_name.into_iter().chain(by_place)
    }
}

//! The files that a worker expects, according to the reports of its commands.

use std::collections::BTreeMap;

use haul::providers::{Op, supports};
use serde_json::Value;

use crate::platforms::all;
use crate::platforms::soak::Soak;
use crate::soak::random::noise;
use crate::support::rig::Case;

/// The platforms in the soak test, including `local`.
pub fn platforms() -> impl Iterator<Item = (&'static str, &'static Soak)> {
    all().filter_map(|platform| Some((platform.name, platform.soak.as_ref().ok()?)))
}

/// The case of each platform that a seed selects.
pub fn cases(mut seed: u64) -> Vec<Case> {
    let choose = |(_, soak): (&str, &'static Soak)| {
        let count = soak.cases.len() as u64;
        let chosen = seed % count;
        seed /= count;
        soak.cases[usize::try_from(chosen).unwrap()]
    };
    let mut cases: Vec<Case> = platforms().collect::<Vec<_>>().into_iter().rev().map(choose).collect();
    cases.reverse();
    cases
}

/// Whether a platform supports an operation in this case.
pub fn can(case: &Case, op: Op) -> bool {
    let lacks = case.facts().lacks.iter().any(|(wire, lacked, _)| case.wire == Some(wire) && *lacked == op);
    supports(case.can(), op) && !lacks
}

/// An expected file.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredFile {
    pub name: String,
    /// The seed of its content.
    pub seed: u64,
    pub size: u64,
    /// The metadata in the last report.
    pub metadata: Value,
}

impl StoredFile {
    pub fn content(&self) -> Vec<u8> {
        noise(self.seed, self.size)
    }

    pub fn has_content_of(&self, other: &Self) -> bool {
        self.size == other.size && (self.seed == other.seed || self.size == 0)
    }
}

/// Files by id.
pub type Files = BTreeMap<String, StoredFile>;

/// Files by platform.
pub type Expectation = BTreeMap<&'static str, Files>;

/// The text of a row's field.
pub fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap_or_default()
}

/// The first difference between a row and the expected file, if any.
pub fn contradiction(row: &Value, stored: &StoredFile) -> Option<String> {
    if text(row, "name") != stored.name {
        return Some(format!("its name is {}, not {}", row["name"], stored.name));
    }
    if row["size"].as_u64().is_some_and(|size| size != stored.size) {
        return Some(format!("its size is {}, not {}", row["size"], stored.size));
    }
    if row["metadata"] != stored.metadata {
        return Some(format!("its metadata is {}, not {}", row["metadata"], stored.metadata));
    }
    let stated = row["checksums"]["blake3"].as_str();
    if stated.is_some_and(|stated| stated != blake3::hash(&stored.content()).to_hex().as_str()) {
        return Some("its checksum differs".to_owned());
    }
    None
}

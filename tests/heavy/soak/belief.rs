//! What a worker believes to be there: what the commands it ran have reported.

use std::collections::BTreeMap;

use haul::providers::{Op, supports};
use serde_json::Value;

use crate::platforms::all;
use crate::platforms::soak::Soak;
use crate::soak::random::noise;
use crate::support::rig::Case;

/// The platforms in the soak test, `local` included.
pub fn platforms() -> impl Iterator<Item = (&'static str, &'static Soak)> {
    all().filter_map(|platform| Some((platform.name, platform.soak.as_ref().ok()?)))
}

/// How a seed serves them.
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

/// Whether the platform supports an operation as it is served.
pub fn can(case: &Case, op: Op) -> bool {
    let lacks = case.facts().lacks.iter().any(|(wire, lacked, _)| case.wire == Some(wire) && *lacked == op);
    supports(case.can(), op) && !lacks
}

/// A file that should be there.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    pub name: String,
    /// What its content is made from.
    pub seed: u64,
    pub size: u64,
    /// As it was last reported.
    pub metadata: Value,
}

impl Kept {
    pub fn content(&self) -> Vec<u8> {
        noise(self.seed, self.size)
    }

    pub fn has_content_of(&self, other: &Self) -> bool {
        self.size == other.size && (self.seed == other.seed || self.size == 0)
    }
}

/// By id.
pub type Files = BTreeMap<String, Kept>;

/// By platform.
pub type Belief = BTreeMap<&'static str, Files>;

/// The text of a row's field.
pub fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap_or_default()
}

/// What a row says of a file that is not as believed, if anything.
pub fn contradiction(row: &Value, kept: &Kept) -> Option<String> {
    if text(row, "name") != kept.name {
        return Some(format!("its name is {}, not {}", row["name"], kept.name));
    }
    if row["size"].as_u64().is_some_and(|size| size != kept.size) {
        return Some(format!("its size is {}, not {}", row["size"], kept.size));
    }
    if row["metadata"] != kept.metadata {
        return Some(format!("its metadata is {}, not {}", row["metadata"], kept.metadata));
    }
    let stated = row["checksums"]["blake3"].as_str();
    if stated.is_some_and(|stated| stated != blake3::hash(&kept.content()).to_hex().as_str()) {
        return Some("its checksum is another".to_owned());
    }
    None
}

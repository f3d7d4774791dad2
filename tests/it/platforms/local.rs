//! The embedded store.

use super::records::Records;
use super::soak::Soak;
use super::wire::Dialect;
use super::{Facts, Platform};
use crate::support::rig::Case;

pub const STORE: Case = Case::of("local", "store");
pub const SERVED: Case = Case::of("local", "served");

pub const PLATFORM: Platform = Platform {
    name: "local",
    cases: &[STORE, SERVED],
    limited_cases: &[],
    no_case: &[],
    facts: Facts::USUAL,
    commands: &[
        (STORE, "upload up.txt --metadata a=b --expires 24h --purpose p", 0, "up.txt"),
        (STORE, "ls --ids", 0, "@"),
        (STORE, "info @", 0, "doc.pdf"),
        (STORE, "get @ -o -", 0, "CONTENT"),
        (
            STORE,
            "meta set @ a=b --name n.txt --type text/plain --path p --jsonl",
            0,
            "\"metadata\":{\"a\":\"b\"}",
        ),
        (STORE, "upload up.txt --to @ --ids", 0, "@"),
        (STORE, "link @", 0, "file://"),
        (STORE, "link @ --expires 1h", 5, "local does not support a lifetime for a link"),
        (STORE, "rm @", 0, "@"),
    ],
    records: Records::PLAIN,
    own_filters: &[],
    unstated: &[],
    columns: &[],
    no_column: &[
        ("store", "no network is used; failing disks are tested in tests/it/store and tests/heavy/hostile"),
        ("served", "the same as `store`; haul signs the links itself, without a request"),
    ],
    exceptions: &[],
    wire: Ok(&Dialect { provider: "local", name: "auto", set: &[], links: true, replies: None }),
    listings: &[],
    extreme_quirks: &[],
    soak: Ok(Soak { one_link: true, ..Soak::of(&[STORE]) }),
};

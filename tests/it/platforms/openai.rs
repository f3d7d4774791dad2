//! OpenAI, and the base of the vendors with its API.

use super::faults::{Class, Column, Exception, FETCHES, Requests, Target, Verb, no};
use super::records::Records;
use super::soak::Soak;
use super::wire::{Cursor, Dialect, Fetch, Replies, openai_page};
use super::{Facts, Parts, Platform};
use crate::support::rig::Case;

pub const V1: Case = Case::of("openai", "v1");

const REPLIES: Replies = Replies {
    base: "/v1",
    files: "/v1/files",
    keys: ["id", "filename", "bytes"],
    page: openai_page,
    silent_delete: false,
    cursor: Cursor::LastId,
    fetch: Fetch::Direct,
    content: "content",
    links: "",
    links_apart: None,
    links_page: None,
    processing: None,
};

const WIRE: Dialect =
    Dialect { provider: "openai", name: "v1", set: &[], links: false, replies: Some(REPLIES) };

/// The commands of a vendor. `get` is the status of a download and a part of its output.
macro_rules! commands {
    ($name:literal, $case:expr, get: $status:literal, $says:literal $(, $more:expr)*) => {
        &[
            ($case, "upload up.txt", 0, "up.txt"),
            ($case, "upload up.txt --metadata a=b", 5, concat!($name, " does not support metadata")),
            ($case, "upload up.txt --to @", 5, concat!($name, " cannot replace a file's content")),
            ($case, "ls --ids", 0, "@"),
            ($case, "info @", 0, "doc.pdf"),
            ($case, "get @ -o -", $status, $says),
            ($case, "meta set @ --name n.txt", 5, concat!($name, " cannot change a file's metadata")),
            ($case, "link @", 5, concat!($name, " cannot create a link to a file")),
            ($case, "rm @", 0, "@"),
            $($more),*
        ]
    };
}
pub(crate) use commands;

/// The base of a vendor with the same provider, dialect and requests as OpenAI.
pub const VENDOR: Platform = Platform {
    name: "",
    cases: &[],
    limited_cases: &[],
    no_case: &[],
    facts: Facts::USUAL,
    commands: &[],
    records: Records { show: |_, file| file.status = Some("processed".to_owned()), ..Records::PLAIN },
    own_filters: &[],
    unstated: &[],
    columns: &[],
    no_column: &[("v1", "the requests of openai, by the same provider")],
    exceptions: &[],
    wire: Err("the answers of openai, read by the same provider"),
    listings: &[],
    extreme_quirks: &[],
    soak: Err("the requests of openai, by the same provider"),
};

/// The settings of a multipart upload with parts of 1 MiB.
pub const PARTS: Parts = Parts { set: &[("via", "uploads"), ("part_size", "1")], purpose: None };

pub const PLATFORM: Platform = Platform {
    name: "openai",
    cases: &[V1],
    facts: Facts { parts: Some(PARTS), ..Facts::USUAL },
    commands: commands!(
        "openai", V1, get: 5, "Not allowed to download files of purpose: user_data",
        (V1, "upload up.txt --expires 24h", 0, "up.txt"),
        (V1, "upload up.txt --expires 31d", 5, "openai accepts 1h to 720h for a file"),
        (V1, "upload up.txt --set via=uploads --set md5=true", 0, "up.txt"),
        (V1, "upload up.txt other.txt --together", 5, "openai accepts one file per request"),
        (V1, "ls --filter purpose=user_data --ids", 0, "@")
    ),
    columns: &[Column {
        name: "openai",
        case: Case { quirks: &["openai.ranges", "openai.downloads"], ..V1 },
        requests: Requests::Verbs {
            files: "/openai/v1/files",
            file: "/openai/v1/files/*",
            others: &[
                (FETCHES, Ok(Target::of(Class::Content, "GET", "/openai/v1/files/*/content"))),
                (&[Verb::Presign], Err("the platform serves the content itself, without a link")),
            ],
        },
    }],
    no_column: &[],
    extreme_quirks: &["openai.upload-life=9223372036854775807"],
    exceptions: &[Exception {
        column: "openai",
        verbs: FETCHES,
        faults: &["404", "error of 100 MB"],
        outcome: no(5, "openai does not return the content of *", 1),
        why: "the file exists, and only the platform knows which contents it returns",
    }],
    wire: Ok(&WIRE),
    listings: &[WIRE],
    soak: Ok(Soak::of(&[Case { quirks: &["openai.ranges", "openai.downloads"], ..V1 }])),
    ..VENDOR
};

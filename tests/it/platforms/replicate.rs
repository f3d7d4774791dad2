//! Replicate, without and with the secret that signs links.

use serde_json::json;

use super::faults::{Class, Column, Exception, FETCHES, Requests, Target, Verb, no};
use super::records::Records;
use super::soak::Soak;
use super::wire::{Cursor, Dialect, Fetch, Replies};
use super::{Facts, Platform};
use crate::support::rig::Case;

pub const API: Case = Case { quirks: &["page-size=2"], ..Case::of("replicate", "api") };
pub const SIGNED: Case = Case {
    quirks: &["page-size=2", "signing-secret=s3cret", "owner=acme"],
    set: &[("owner", "acme")],
    secrets: &[("signing_secret", "s3cret")],
    ..Case::of("replicate", "signed")
};

const REPLIES: Replies = Replies {
    base: "/v1",
    files: "/v1/files",
    keys: ["id", "name", "size"],
    page: |items, next| {
        // A cursor is a URL, which may be relative to that of the listing.
        let next = next.map_or("null".to_owned(), |next| json!(format!("?cursor={next}")).to_string());
        format!(r#"{{"previous":null,"next":{next},"results":[{items}]}}"#)
    },
    silent_delete: true,
    cursor: Cursor::Returned,
    fetch: Fetch::Direct,
    content: "download",
    links: "",
    links_apart: None,
    links_page: None,
    processing: None,
};

const WIRE: Dialect = Dialect {
    provider: "replicate",
    name: "auto",
    set: &[("owner", "acme"), ("signing_secret", "s3cret")],
    links: true,
    replies: Some(REPLIES),
};

pub const PLATFORM: Platform = Platform {
    name: "replicate",
    cases: &[API, SIGNED],
    limited_cases: &[],
    no_case: &[],
    facts: Facts { signs_links: true, ..Facts::USUAL },
    commands: &[
        (API, "upload up.txt --metadata a=b", 0, "up.txt"),
        (API, "upload up.txt --expires 24h", 5, "replicate does not support a lifetime for a file"),
        (API, "upload up.txt --purpose p", 5, "replicate does not support purposes"),
        (API, "ls --ids", 0, "@"),
        (API, "info @", 0, "doc.pdf"),
        (API, "get @ -o -", 5, "replicate cannot download an uploaded file"),
        (SIGNED, "get @ -o -", 0, "CONTENT"),
        (API, "meta set @ a=b", 5, "replicate cannot change a file's metadata"),
        (API, "upload up.txt --to @", 5, "replicate cannot replace a file's content"),
        (API, "link @", 5, "replicate cannot create a link to a file"),
        (SIGNED, "link @ --expires 1h", 0, "signature="),
        (API, "rm @", 0, "@"),
    ],
    records: Records {
        show: |case, file| {
            file.downloadable = Some(case.dialect == "signed");
            file.extra.insert("etag".to_owned(), json!(file.checksums.md5));
        },
        ..Records::PLAIN
    },
    own_filters: &[],
    unstated: &[],
    columns: &[Column {
        name: "replicate",
        case: Case { quirks: &["replicate.ranges", "signing-secret=s3cret", "owner=acme"], ..SIGNED },
        requests: Requests::Verbs {
            files: "/replicate/v1/files",
            file: "/replicate/v1/files/*",
            others: &[
                (FETCHES, Ok(Target::anonymous_get(Class::Content, "/replicate/v1/files/*/download"))),
                (&[Verb::Presign, Verb::Link], Err("haul signs the link itself, without a request")),
            ],
        },
    }],
    no_column: &[(
        "api",
        "the same requests as `signed`; unsupported operations are refused before any request",
    )],
    exceptions: &[Exception {
        column: "replicate",
        verbs: FETCHES,
        faults: &["401", "403", "404", "error of 100 MB"],
        outcome: no(3, "*: the link was rejected or has expired, or the file was deleted*", 1),
        why: "the response is the same for an invalid signature, an expired one and a deleted file",
    }],
    wire: Ok(&WIRE),
    listings: &[Dialect { name: "api", set: &[], ..WIRE }, Dialect { name: "signed", ..WIRE }],
    extreme_quirks: &["replicate.page-size=18446744073709551615", "replicate.max-size=18446744073709551615"],
    soak: Ok(Soak {
        faults: &["wrong-bytes=7 GET replicate/v1/files/*/download chance=0.01"],
        ..Soak::of(&[Case {
            quirks: &[
                "replicate.owner=soak",
                "replicate.signing-secret=a-signing-secret-of-tests",
                "replicate.ranges",
                // All workers share one key.
                "replicate.rate-limit=100000000",
            ],
            set: &[("owner", "soak")],
            secrets: &[("signing_secret", "a-signing-secret-of-tests")],
            ..SIGNED
        }])
    }),
};

//! Metorial in its three dialects. The server of `pulsar` deletes nothing.

use super::faults::{
    Class, Column, Exception, FETCHES, Other, Requests, Target, Verb, linked, no, without_file_details,
};
use super::records::Records;
use super::soak::Soak;
use super::wire::{Cursor, Dialect, Fetch, Replies};
use super::{Facts, Platform, Unstated};
use crate::support::rig::Case;

pub const SEED: Case = Case { wire: Some("metorial=seed"), ..Case::of("metorial", "seed") };
pub const PULSAR: Case = Case { wire: Some("metorial=pulsar"), ..Case::of("metorial", "pulsar") };
pub const MAGNETAR: Case = Case { wire: Some("metorial=magnetar"), ..Case::of("metorial", "magnetar") };

/// The same server with the dialect detected.
const fn auto(case: Case) -> Case {
    Case { dialect: "auto", ..case }
}

const FILES: &str = "/metorial/files";
const FILE: &str = "/metorial/files/*";

const FETCH: Other = (FETCHES, Ok(Target::anonymous_get(Class::Content, "/metorial/files/retrieve/*/*")));
const PRESIGN: Other = (&[Verb::Presign], Ok(Target::of(Class::Put, "POST", "/metorial/files/*/links")));
const LINK: Other = (&[Verb::Link], Ok(Target::of(Class::Make, "POST", "/metorial/files/*/links")));
const REVOKE: Other = (&[Verb::Revoke], Ok(Target::of(Class::Delete, "DELETE", "/metorial/files/*/links/*")));

const fn verbs(others: &'static [Other]) -> Requests {
    Requests::Verbs { files: FILES, file: FILE, others }
}

const LATER_KEYS: [&str; 3] = ["id", "file_name", "file_size"];

const REPLIES: Replies = Replies {
    base: "",
    files: "/files",
    keys: ["id", "name", "size"],
    page: |items, next| {
        let more = next.is_some();
        format!(r#"{{"items":[{items}],"pagination":{{"has_more_after":{more},"has_more_before":true}}}}"#)
    },
    silent_delete: false,
    cursor: Cursor::LastId,
    fetch: Fetch::Link,
    content: "",
    links: "links",
    links_apart: None,
    links_page: Some(
        r#"{"items":[{"id":"link_1","url":"http://h/x"}],"pagination":{"has_more_after":true}}"#,
    ),
    processing: None,
};

const WIRE: Dialect =
    Dialect { provider: "metorial", name: "seed", set: &[], links: true, replies: Some(REPLIES) };

pub const PLATFORM: Platform = Platform {
    name: "metorial",
    cases: &[SEED, PULSAR, MAGNETAR, auto(SEED), auto(PULSAR), auto(MAGNETAR)],
    limited_cases: &[],
    no_case: &[],
    facts: Facts {
        metadata_key: "title",
        deleted_status: Some("deleted"),
        never_deletes: &["metorial=pulsar"],
        ..Facts::USUAL
    },
    commands: &[
        (MAGNETAR, "upload up.txt --metadata title=T", 0, "up.txt"),
        (MAGNETAR, "upload up.txt --expires 24h", 5, "metorial does not support a lifetime for a file"),
        (SEED, "upload up.txt --metadata title=T", 5, "metorial does not support metadata"),
        (SEED, "upload up.txt --purpose attachment", 0, "up.txt"),
        (SEED, "ls --ids", 0, "@"),
        (PULSAR, "ls --ids", 0, "@"),
        (MAGNETAR, "ls --ids", 0, "@"),
        (MAGNETAR, "info @", 0, "doc.pdf"),
        (SEED, "get @ -o -", 0, "CONTENT"),
        (PULSAR, "get @ -o -", 0, "CONTENT"),
        (MAGNETAR, "get @ -o -", 0, "CONTENT"),
        (SEED, "meta set @ title=T", 5, "metorial cannot change a file's metadata"),
        (PULSAR, "meta set @ title=T --jsonl", 0, "\"title\":\"T\""),
        (PULSAR, "meta set @ a=b", 5, "metorial does not support the metadata key \"a\""),
        (MAGNETAR, "upload up.txt --to @", 5, "metorial cannot replace a file's content"),
        (SEED, "link @ --expires 1h", 0, "http"),
        (MAGNETAR, "link @ --expires 1h", 0, "http"),
        (MAGNETAR, "link @ --list", 0, ""),
        (SEED, "rm @", 0, "@"),
        (PULSAR, "rm @", 5, "metorial cannot delete a file"),
        (MAGNETAR, "rm @", 0, "@"),
    ],
    records: Records {
        show: |_, file| {
            file.metadata.extend(file.extra.get("title").cloned().map(|title| ("title".to_owned(), title)));
            file.downloadable = Some(true);
        },
        ..Records::PLAIN
    },
    own_filters: &[],
    unstated: &[
        Unstated {
            case: SEED,
            hint: "no dialect of metorial returns it",
            filters: &[],
            options: &[&["--expiring", "24h"]],
        },
        Unstated {
            case: SEED,
            hint: "`-p metorial --wire-dialect magnetar` returns updated_at",
            filters: &[],
            options: &[&["--sort", "updated_at"]],
        },
    ],
    columns: &[
        Column { name: "metorial seed", case: SEED, requests: verbs(&[FETCH, PRESIGN, LINK, REVOKE]) },
        Column {
            name: "metorial pulsar",
            case: PULSAR,
            requests: verbs(&[
                (&[Verb::Replace], Err("it deletes as its last step, and is refused like rm")),
                (&[Verb::Meta], Ok(Target::of(Class::Put, "PATCH", FILE))),
                FETCH,
                PRESIGN,
                LINK,
                REVOKE,
            ]),
        },
        Column {
            name: "metorial magnetar",
            case: MAGNETAR,
            requests: verbs(&[
                (FETCHES, Ok(Target::anonymous_get(Class::Content, "/metorial/files/*/*"))),
                (&[Verb::Presign], Ok(Target::of(Class::Put, "POST", "/metorial/file-links"))),
                (&[Verb::Link], Ok(Target::of(Class::Make, "POST", "/metorial/file-links"))),
                (&[Verb::Revoke], Ok(Target::of(Class::Delete, "DELETE", "/metorial/file-links/*"))),
            ]),
        },
        Column {
            name: "metorial presigned",
            case: Case { set: &[("via", "presigned")], ..MAGNETAR },
            requests: Requests::Route {
                upload: Target::step("PUT", "/metorial/file-uploads/*"),
                keeps_begun: true,
            },
        },
    ],
    no_column: &[],
    exceptions: &[
        Exception {
            column: "metorial",
            verbs: FETCHES,
            faults: &["429 a day", "429 until tomorrow"],
            outcome: linked(6, "metorial returned 429*asked haul to wait 2*try again after 2*", 1),
            why: "no further request is permitted, not even to revoke the link, which expires after 15 minutes",
        },
        Exception {
            column: "metorial",
            verbs: &[Verb::Stdout],
            faults: &["cut", "stalled body"],
            outcome: no(8, "the server restarted the download, and standard output cannot be rewound*", 2),
            why: "its links do not support ranges",
        },
        Exception {
            column: "metorial",
            verbs: &[Verb::Get, Verb::Stdout],
            faults: &["401", "403"],
            outcome: no(8, "metorial returned 40*", 1),
            why: "the link carries no token",
        },
        Exception {
            column: "metorial presigned",
            verbs: &[Verb::Upload],
            faults: &["401", "403"],
            outcome: no(8, "metorial returned 40*", 1),
            why: "the presigned URL carries no token",
        },
        without_file_details("metorial presigned"),
    ],
    wire: Ok(&WIRE),
    listings: &[
        WIRE,
        Dialect { name: "pulsar", replies: Some(Replies { keys: LATER_KEYS, ..REPLIES }), ..WIRE },
        Dialect {
            name: "magnetar",
            replies: Some(Replies { keys: LATER_KEYS, links_apart: Some("/file-links"), ..REPLIES }),
            ..WIRE
        },
    ],
    // Pulsar cannot delete. All workers share one key, so the rate limit is raised.
    extreme_quirks: &[],
    soak: Ok(Soak::of(&[
        Case { quirks: &["metorial.rate-limit=100000000"], ..MAGNETAR },
        Case { quirks: &["metorial.rate-limit=100000000"], ..SEED },
    ])),
};

//! LlamaCloud: the beta endpoints, whose listings contain neither sizes nor times, and the legacy ones.

use serde_json::json;

use super::faults::{
    Class, Column, Exception, FETCHES, Requests, Target, Verb, cannot, no, ok, without_file_details,
};
use super::records::{Records, SOURCE};
use super::soak::Soak;
use super::wire::{Cursor, Dialect, Fetch, Replies};
use super::{Facts, Platform, Unstated};
use crate::support::rig::Case;

pub const BETA: Case = Case::of("llamacloud", "beta");
pub const LEGACY: Case = Case::of("llamacloud", "legacy");

/// The object store that holds the bytes.
const STORE: &str = "/llamacloud/_store/*";

const REPLIES: Replies = Replies {
    base: "",
    files: "/api/v1/beta/files",
    keys: ["id", "name", "file_size"],
    page: |items, next| format!(r#"{{"items":[{items}],"next_page_token":{}}}"#, json!(next)),
    silent_delete: true,
    cursor: Cursor::Returned,
    fetch: Fetch::Presigned,
    content: "content",
    links: "",
    links_apart: None,
    links_page: None,
    processing: None,
};

const WIRE: Dialect =
    Dialect { provider: "llamacloud", name: "beta", set: &[], links: true, replies: Some(REPLIES) };

pub const PLATFORM: Platform = Platform {
    name: "llamacloud",
    cases: &[BETA, Case::of("llamacloud", "auto"), LEGACY],
    limited_cases: &[],
    no_case: &[],
    facts: Facts {
        // Older servers have no route for one file, so haul also looks in the listing.
        hexadecimal_ids: true,
        id_lookups: 2,
        one_request: Some("llamacloud.rate-limit=1/18446744073709551615"),
        lists_sizes_and_times: false,
        ..Facts::USUAL
    },
    commands: &[
        (BETA, "upload up.txt --purpose parse", 0, "up.txt"),
        (BETA, "upload up.txt --metadata a=b", 5, "llamacloud does not support metadata"),
        (LEGACY, "upload up.txt", 0, "up.txt"),
        (BETA, "ls --ids", 0, "@"),
        (LEGACY, "ls --ids", 0, "@"),
        (BETA, "info doc.pdf", 0, "doc.pdf"),
        (LEGACY, "info @", 0, "doc.pdf"),
        (BETA, "info nothing.pdf", 3, "nothing.pdf: no file with this id or name on llamacloud"),
        (BETA, "get @ -o -", 0, "CONTENT"),
        (LEGACY, "get @ -o -", 0, "CONTENT"),
        (BETA, "meta set @ a=b", 5, "llamacloud cannot change a file's metadata"),
        (BETA, "upload up.txt --to @", 5, "llamacloud cannot replace a file's content"),
        (BETA, "link @ --expires 1h", 0, "http"),
        (BETA, "link @ --list", 5, "llamacloud cannot list a file's links"),
        (BETA, "link @ --revoke", 5, "llamacloud cannot revoke a link"),
        (BETA, "rm doc.pdf", 0, "@"),
        (LEGACY, "rm @", 0, "@"),
    ],
    records: Records {
        vary: |_, number, file| {
            if number.is_multiple_of(2) {
                file.extra.insert("data_source_id".to_owned(), SOURCE.into());
            }
        },
        ..Records::PLAIN
    },
    own_filters: &[
        (BETA, "data_source_id = \"11111111-1111-4111-8111-111111111111\"", 0),
        (BETA, "data_source_id = \"11111111-1111-4111-8111-111111111111\" OR name = a", 5),
        (BETA, "external_file_id = x OR name = b", 0),
    ],
    unstated: &[
        Unstated {
            case: BETA,
            hint: "hint: `-p llamacloud --wire-dialect legacy` returns ",
            filters: &[
                "NOT created_at > -30d",
                "created_at != '2024-01-01T00:00:00Z'",
                "NOT size > 10MB",
                "size = null",
                "size != null",
                "size:*",
                "updated_at = null",
                "name:keep AND NOT size > 10MB",
                "name:keep OR created_at < -30d",
                "data_source_id != d",
                "NOT (data_source_id = d OR name:keep)",
                "extra.resource_info = null",
            ],
            options: &[
                &["--since", "1d"],
                &["--filter", "size > 1"],
                &["--sort", "size"],
                &["--sort", "created_at"],
            ],
        },
        Unstated {
            case: BETA,
            hint: "no dialect of llamacloud returns it",
            filters: &[],
            options: &[&["--type", "text"], &["--sort", "content_type"]],
        },
    ],
    columns: &[
        Column {
            name: "llamacloud beta",
            case: BETA,
            requests: Requests::Verbs {
                files: "/llamacloud/api/v1/beta/files",
                file: "/llamacloud/api/v1/beta/files/*",
                others: &[
                    // Not the listing that looks up the id first.
                    (
                        &[Verb::Ls],
                        Ok(Target::of(Class::Read, "GET", "/llamacloud/api/v1/beta/files?!file_ids")),
                    ),
                    (FETCHES, Ok(Target::anonymous_get(Class::Content, STORE))),
                    (
                        &[Verb::Presign, Verb::Link],
                        Ok(Target::of(Class::Read, "GET", "/llamacloud/api/v1/beta/files/*/content")),
                    ),
                ],
            },
        },
        Column {
            name: "llamacloud legacy",
            case: LEGACY,
            requests: Requests::Verbs {
                files: "/llamacloud/api/v1/files",
                file: "/llamacloud/api/v1/files/*",
                others: &[
                    (FETCHES, Ok(Target::anonymous_get(Class::Content, STORE))),
                    (
                        &[Verb::Presign, Verb::Link],
                        Ok(Target::of(Class::Read, "GET", "/llamacloud/api/v1/files/*/content")),
                    ),
                ],
            },
        },
        Column {
            name: "llamacloud presigned",
            case: Case { set: &[("via", "presigned")], ..LEGACY },
            requests: Requests::Route { upload: Target::step("PUT", STORE), keeps_begun: false },
        },
    ],
    no_column: &[],
    exceptions: &[
        Exception {
            column: "llamacloud",
            verbs: FETCHES,
            faults: &["401", "403"],
            outcome: no(8, "llamacloud's object store rejected the presigned URL*", 2),
            why: "the URL is refused, not the token, so haul requests a new URL",
        },
        Exception {
            column: "llamacloud beta",
            verbs: FETCHES,
            faults: &[
                "page though done",
                "cut JSON",
                "empty",
                "wrong type",
                "empty object",
                "shorter than sent",
                "without an end",
                "wrong bytes",
            ],
            outcome: cannot("objects have neither size nor checksum, so wrong content cannot be detected"),
            why: "the beta objects have no size",
        },
        Exception {
            column: "llamacloud beta",
            verbs: FETCHES,
            faults: &["longer than sent", "chunked without an end"],
            outcome: ok(2),
            why: "the objects have no size, so only the server can know that the content is complete",
        },
        Exception {
            column: "llamacloud presigned",
            verbs: &[Verb::Upload],
            faults: &["401", "403"],
            outcome: no(8, "llamacloud's object store rejected the presigned URL*", 1),
            why: "the URL is refused, not the token",
        },
        without_file_details("llamacloud presigned"),
        Exception {
            column: "llamacloud beta",
            verbs: &[Verb::Upload, Verb::Replace],
            faults: &["wrong size stated"],
            outcome: cannot("the objects have no size"),
            why: "the beta objects have no size",
        },
        Exception {
            column: "llamacloud beta",
            verbs: &[Verb::Info],
            faults: &["404"],
            outcome: ok(1),
            why: "older servers have no route for one file, so haul finds the file in the listing",
        },
    ],
    wire: Ok(&WIRE),
    listings: &[
        WIRE,
        Dialect { set: &[("via", "query")], ..WIRE },
        Dialect {
            name: "legacy",
            replies: Some(Replies {
                files: "/api/v1/files",
                page: |items, _| format!("[{items}]"),
                cursor: Cursor::Never,
                ..REPLIES
            }),
            ..WIRE
        },
    ],
    extreme_quirks: &[
        "llamacloud.stale-links=18446744073709551615",
        "llamacloud.rate-limit=1000/18446744073709551615",
        "llamacloud.retention=user_data:9223372036854775807",
    ],
    soak: Ok(Soak::of(&[Case { quirks: &["llamacloud.rate-limit=1000000/1"], ..BETA }])),
};

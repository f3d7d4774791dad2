//! Gemini, whose versions differ only in the path. Only generated files can be downloaded.

use serde_json::json;

use super::faults::{
    Class, Column, Exception, FETCHES, Requests, Target, Verb, cannot, no, ok, without_file_details,
};
use super::records::Records;
use super::soak::Soak;
use super::wire::{Cursor, Dialect, Fetch, Replies};
use super::{Facts, Platform, Unstated};
use crate::support::rig::Case;

pub const V1BETA: Case = Case::of("gemini", "v1beta");
pub const V1: Case = Case::of("gemini", "v1");
/// A server whose uploaded files can be downloaded.
pub const GENERATED: Case = Case { quirks: &["gemini.generated", "gemini.ranges"], ..V1BETA };

const REPLIES: Replies = Replies {
    base: "",
    files: "/v1beta/files",
    keys: ["name", "displayName", "sizeBytes"],
    page: |items, next| {
        let next = next.map_or(String::new(), |next| format!(r#","nextPageToken":{}"#, json!(next)));
        format!(r#"{{"files":[{items}]{next}}}"#)
    },
    silent_delete: false,
    cursor: Cursor::Returned,
    fetch: Fetch::Direct,
    content: ":download",
    links: "",
    links_apart: None,
    links_page: None,
    // The server of the test that uses `processing` expects an upload in one request.
    processing: None,
};

const WIRE: Dialect =
    Dialect { provider: "gemini", name: "v1beta", set: &[], links: false, replies: Some(REPLIES) };

const FILES: &str = "/gemini/v1beta/files";
const FILE: &str = "/gemini/v1beta/files/*";
/// The start of an upload, and its session.
const START: &str = "/gemini/upload/v1beta/files?!upload_id";
const SESSION: &str = "/gemini/upload/v1beta/files?upload_id";

pub const PLATFORM: Platform = Platform {
    name: "gemini",
    cases: &[V1BETA, V1],
    limited_cases: &[],
    no_case: &[],
    facts: Facts {
        processing: Some(Case { quirks: &["gemini.processing=100000"], ..V1BETA }),
        no_quota: r#"{"error":{"code":429,"message":"You exceeded your storage quota.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaMetric":"generativelanguage.googleapis.com/file_storage_bytes"}]}]}}"#,
        ..Facts::USUAL
    },
    commands: &[
        (V1BETA, "upload up.txt", 0, "up.txt"),
        (V1, "upload up.txt --wait", 0, "up.txt"),
        (V1BETA, "upload up.txt --metadata a=b", 5, "gemini does not support metadata"),
        (V1BETA, "upload up.txt --expires 24h", 5, "gemini does not support a lifetime for a file"),
        (V1BETA, "upload up.txt --purpose p", 5, "gemini does not support purposes"),
        (V1BETA, "ls --ids", 0, "@"),
        (V1, "ls --ids", 0, "@"),
        (V1BETA, "info doc.pdf", 0, "doc.pdf"),
        (V1BETA, "info nothing.pdf", 3, "nothing.pdf: no file with this id or name on gemini"),
        (V1BETA, "get @ -o -", 5, "gemini does not allow downloading this file"),
        (V1BETA, "get @ -o - --force", 5, "it returns content only for files that it generated"),
        (GENERATED, "get @ -o -", 0, "CONTENT"),
        (V1BETA, "meta set @ a=b", 5, "gemini cannot change a file's metadata"),
        (V1BETA, "upload up.txt --to @", 5, "gemini cannot replace a file's content"),
        (V1BETA, "link @", 5, "gemini cannot create a link to a file"),
        (V1BETA, "rm doc.pdf", 0, "@"),
        (V1, "rm @", 0, "@"),
    ],
    records: Records {
        show: |case, file| {
            file.status = Some("ACTIVE".to_owned());
            file.downloadable = Some(case.quirks == GENERATED.quirks);
            file.extra.insert("source".to_owned(), "UPLOADED".into());
        },
        ..Records::PLAIN
    },
    own_filters: &[(V1BETA, "source = GENERATED", 0), (V1BETA, "uri = x AND source = UPLOADED", 0)],
    unstated: &[Unstated {
        case: V1BETA,
        hint: "hint: no dialect of gemini returns it; this one returns id, name, size, ",
        filters: &["purpose = null", "path = null", "metadata.author != a"],
        options: &[&["--filter", "purpose:batch"], &["--sort", "path"]],
    }],
    columns: &[
        Column {
            name: "gemini v1beta",
            case: GENERATED,
            requests: Requests::Verbs {
                files: FILES,
                file: FILE,
                others: &[
                    (
                        &[Verb::Upload, Verb::Replace],
                        Ok(Target { anonymous: true, ..Target::of(Class::Send, "POST", SESSION) }),
                    ),
                    (FETCHES, Ok(Target::of(Class::Content, "GET", "/gemini/v1beta/files/*?alt"))),
                    (&[Verb::Presign], Err("the platform serves the content itself, without a link")),
                ],
            },
        },
        Column {
            name: "gemini start",
            case: V1BETA,
            requests: Requests::Route { upload: Target::of(Class::Step, "POST", START), keeps_begun: false },
        },
    ],
    no_column: &[("v1", "the requests of `v1beta` with another path")],
    exceptions: &[
        without_file_details("gemini start"),
        Exception {
            column: "gemini start",
            verbs: &[Verb::Upload],
            faults: &[
                "page though done",
                "cut JSON",
                "empty",
                "wrong type",
                "empty object",
                "shorter than sent",
            ],
            outcome: ok(1),
            why: "the answer is in the headers",
        },
        Exception {
            column: "gemini start",
            verbs: &[Verb::Upload],
            faults: &["page"],
            outcome: no(8, "*", 1),
            why: "an answer without the URL of a session begins no upload",
        },
        Exception {
            column: "gemini start",
            verbs: &[Verb::Upload],
            faults: &["409"],
            outcome: no(1, "{p} returned 409: in use*", 2),
            why: "the chosen id may be that of a file that an earlier attempt has stored",
        },
        Exception {
            column: "gemini v1beta",
            verbs: &[Verb::Upload, Verb::Replace],
            faults: &["401", "403", "404"],
            outcome: no(8, "{p} rejected the upload session*", 1),
            why: "the session is refused, not the key",
        },
        Exception {
            column: "gemini v1beta",
            verbs: &[Verb::Upload, Verb::Replace],
            faults: &["409"],
            outcome: no(1, "{p} returned 409: in use*", 2),
            why: "the session may have received other bytes before, so haul asks it",
        },
        Exception {
            column: "gemini v1beta",
            verbs: &[Verb::Upload, Verb::Replace],
            faults: &["error of 100 MB"],
            outcome: no(1, "{p} rejected the request*", 2),
            why: "the session may have received other bytes before, so haul asks it",
        },
        Exception {
            column: "gemini v1beta",
            verbs: &[Verb::Upload, Verb::Replace],
            faults: &["reset in the body", "half-closed in the body"],
            outcome: ok(4),
            why: "the file is sent in three parts, and one of them again",
        },
        Exception {
            column: "gemini v1beta",
            verbs: FETCHES,
            faults: &["error of 100 MB"],
            outcome: no(5, "{p} does not return *", 1),
            why: "the status of a file that cannot be downloaded",
        },
        Exception {
            column: "gemini v1beta",
            verbs: &[Verb::Ls],
            faults: &["empty object"],
            outcome: ok(1),
            why: "an empty list is an empty object",
        },
        Exception {
            column: "gemini v1beta",
            verbs: &[Verb::Skip],
            faults: &["empty object"],
            outcome: cannot("an empty list is an empty object, so another file is uploaded"),
            why: "an empty list is an empty object",
        },
    ],
    wire: Ok(&WIRE),
    listings: &[
        WIRE,
        Dialect { name: "v1", replies: Some(Replies { files: "/v1/files", ..REPLIES }), ..WIRE },
    ],
    extreme_quirks: &[
        "gemini.granularity=18446744073709551615",
        "gemini.session-life=9223372036854775807",
        "gemini.processing=9223372036854775807",
        "gemini.rate-limit=4294967295",
    ],
    soak: Ok(Soak::of(&[GENERATED])),
};

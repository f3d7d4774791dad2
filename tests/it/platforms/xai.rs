//! xAI: the `openai` and `gateway` dialects, and `auto`.

use haul::error::Kind;
use haul::providers::Op;
use serde_json::json;

use super::faults::{Class, Column, Exception, FETCHES, Other, Requests, Target, Verb, cannot, no, ok};
use super::records::Records;
use super::soak::Soak;
use super::wire::{Cursor, Dialect, Fetch, Replies, openai_page};
use super::{Facts, Platform};
use crate::support::rig::Case;

pub const OPENAI: Case = Case { wire: Some("xai=openai"), ..Case::of("xai", "openai") };
pub const GATEWAY: Case = Case { wire: Some("xai=gateway"), ..Case::of("xai", "gateway") };
pub const AUTO: Case = Case { wire: Some("xai=auto"), ..Case::of("xai", "auto") };

const FILES: &str = "/xai/v1/files";
const FILE: &str = "/xai/v1/files/*";
const FETCH: Other = (FETCHES, Ok(Target::of(Class::Content, "GET", "/xai/v1/files/*/content")));
const PRESIGN: Other = (&[Verb::Presign], Err("the platform serves the content itself, without a link"));
const QUIRKS: &[&str] = &["xai.ranges"];

const REPLIES: Replies = Replies {
    base: "/v1",
    files: "/v1/files",
    keys: ["id", "filename", "bytes"],
    page: |items, next| format!(r#"{{"object":"list","data":[{items}],"pagination_token":{}}}"#, json!(next)),
    silent_delete: false,
    cursor: Cursor::AlwaysReturned,
    fetch: Fetch::Direct,
    content: "content",
    links: "public-url",
    links_apart: None,
    links_page: None,
    processing: Some(|status, why| {
        format!(r#""processing_status":"{status}","processing_error_message":"{why}""#)
    }),
};

const WIRE: Dialect =
    Dialect { provider: "xai", name: "openai", set: &[], links: true, replies: Some(REPLIES) };

pub const PLATFORM: Platform = Platform {
    name: "xai",
    cases: &[OPENAI, GATEWAY, AUTO],
    limited_cases: &[
        Case { dialect: "auto", ..OPENAI },
        Case { dialect: "auto", ..GATEWAY },
        Case { dialect: "gateway", ..AUTO },
    ],
    no_case: &[],
    facts: Facts {
        hexadecimal_ids: true,
        lacks: &[("xai=openai", Op::Annotate, Kind::Unsupported), ("xai=gateway", Op::Link, Kind::NotFound)],
        no_quota: r#"{"code":"resource-exhausted","error":"Your team has either used all available credits or reached its monthly spending limit."}"#,
        ..Facts::USUAL
    },
    commands: &[
        (OPENAI, "upload up.txt --expires 24h", 0, "up.txt"),
        (OPENAI, "upload up.txt --metadata a=b", 5, "xai does not support metadata"),
        (OPENAI, "upload up.txt other.txt --together", 5, "xai accepts one file per request"),
        (GATEWAY, "upload up.txt", 0, "up.txt"),
        (OPENAI, "ls --ids", 0, "@"),
        (GATEWAY, "ls --ids", 0, "@"),
        (OPENAI, "info doc.pdf", 0, "doc.pdf"),
        (GATEWAY, "info @", 0, "doc.pdf"),
        (OPENAI, "info nothing.pdf", 3, "nothing.pdf: no file with this id or name on xai"),
        (OPENAI, "get @ -o -", 0, "CONTENT"),
        (GATEWAY, "get @ -o -", 0, "CONTENT"),
        (OPENAI, "meta set @ --name n.txt", 5, "xai cannot change a file's metadata"),
        (GATEWAY, "meta set @ --name n.txt --type text/plain --path p --jsonl", 0, "\"name\":\"n.txt\""),
        (GATEWAY, "meta set @ a=b", 5, "xai cannot change a file's metadata"),
        (GATEWAY, "upload up.txt --to @ --ids", 0, "@"),
        (OPENAI, "upload up.txt --to @", 5, "xai cannot replace a file's content"),
        (OPENAI, "link @ --expires 1h", 0, "http"),
        (OPENAI, "link @ --list", 0, ""),
        (OPENAI, "link @ --revoke", 3, "the file has no public URL"),
        (GATEWAY, "link @", 0, "http"),
        (GATEWAY, "link @ --expires 1h", 5, "xai does not support a lifetime for a link"),
        (GATEWAY, "link @ --revoke", 5, "xai cannot revoke a link"),
        (OPENAI, "rm doc.pdf", 0, "@"),
        (GATEWAY, "rm @", 0, "@"),
    ],
    records: Records {
        vary: |case, number, file| {
            // The other dialect lists only complete files.
            if case.wire != GATEWAY.wire && case.dialect != "gateway" {
                return;
            }
            match number % 4 {
                1 => {
                    file.status = Some("Failed".to_owned());
                    file.extra.shift_remove("processing_status");
                }
                2 => drop(file.extra.insert("processing_status".to_owned(), "processing".into())),
                _ => {}
            }
        },
        show: |_, file| {
            let uploaded = file.status.clone();
            if uploaded.as_deref() == Some("Complete") {
                file.status = file.extra["processing_status"].as_str().map(str::to_owned);
            } else {
                file.checksums.blake3 = None;
            }
            file.extra.insert("upload_status".to_owned(), json!(uploaded));
        },
        show_links: &["xai=openai"],
    },
    own_filters: &[
        (OPENAI, "user_defined_id = \"abc\"", 0),
        (OPENAI, "user_defined_id = \"abc\" AND size > 0", 0),
        (OPENAI, "NOT user_defined_id = \"abc\" AND size > 0", 5),
        (OPENAI, "user_defined_id != \"abc\"", 5),
        (OPENAI, "user_defined_id = \"abc\" OR metadata.x = 1", 5),
        (OPENAI, "user_defined_id = \"\"", 5),
    ],
    unstated: &[],
    columns: &[
        Column {
            name: "xai openai",
            case: Case { quirks: QUIRKS, ..OPENAI },
            requests: Requests::Verbs {
                files: FILES,
                file: FILE,
                others: &[
                    FETCH,
                    PRESIGN,
                    (&[Verb::Link], Ok(Target::of(Class::Put, "POST", "/xai/v1/files/*/public-url"))),
                    (
                        &[Verb::Revoke],
                        Ok(Target::of(Class::Make, "POST", "/xai/v1/files/*/public-url/revoke")),
                    ),
                ],
            },
        },
        Column {
            name: "xai gateway",
            case: Case { quirks: QUIRKS, ..GATEWAY },
            requests: Requests::Verbs {
                files: FILES,
                file: FILE,
                others: &[
                    FETCH,
                    PRESIGN,
                    (&[Verb::Retire], Err("the content is replaced under its id, so no old file is deleted")),
                    (&[Verb::Replace, Verb::To], Ok(Target::of(Class::Place, "PUT", FILE))),
                    (&[Verb::Meta], Ok(Target::of(Class::Put, "PUT", FILE))),
                    (&[Verb::Link], Ok(Target::of(Class::Put, "POST", "/xai/v1/files:download"))),
                ],
            },
        },
        Column {
            name: "xai chunks",
            case: Case { quirks: QUIRKS, set: &[("via", "chunks")], ..GATEWAY },
            requests: Requests::Route {
                upload: Target::of(Class::Send, "POST", "/xai/v1/files:uploadChunks"),
                keeps_begun: false,
            },
        },
    ],
    no_column: &[("auto", "the same requests as `openai`, or as `gateway` for what `openai` lacks")],
    exceptions: &[
        Exception {
            column: "xai chunks",
            verbs: &[Verb::Upload],
            faults: &["429 a day", "429 until tomorrow"],
            outcome: cannot("no further request is permitted, not even to delete the unfinished upload"),
            why: "a 429 stops every request to the platform",
        },
        Exception {
            column: "xai gateway",
            verbs: &[Verb::Replace],
            faults: &["404"],
            outcome: ok(1),
            why: "the file exists, so this host cannot replace content: a new file is uploaded, and the old one deleted",
        },
        Exception {
            column: "xai gateway",
            verbs: &[Verb::To, Verb::Meta, Verb::Link],
            faults: &["404"],
            outcome: no(5, "xai *", 1),
            why: "the file exists, so the 404 means that this host does not use the dialect",
        },
        Exception {
            column: "xai",
            verbs: &[Verb::Ls],
            faults: &["empty object"],
            outcome: ok(1),
            why: "the gateway's JSON omits empty fields, so this is an empty listing",
        },
        Exception {
            column: "xai",
            verbs: &[Verb::Skip],
            faults: &["empty object"],
            outcome: cannot("an empty listing, as for `ls`, so the file is rightly sent"),
            why: "the gateway's JSON omits empty fields",
        },
    ],
    wire: Ok(&WIRE),
    listings: &[
        WIRE,
        Dialect { name: "auto", ..WIRE },
        Dialect {
            name: "auto",
            replies: Some(Replies { page: openai_page, cursor: Cursor::LastId, ..REPLIES }),
            ..WIRE
        },
        Dialect {
            name: "gateway",
            replies: Some(Replies {
                keys: ["file_id", "name", "size_bytes"],
                page: |items, next| {
                    format!(r#"{{"files":[{items}],"next_token":{}}}"#, json!(next.unwrap_or("")))
                },
                ..REPLIES
            }),
            ..WIRE
        },
    ],
    extreme_quirks: &["xai.upload-limit=18446744073709551615"],
    soak: Ok(Soak {
        one_link: true,
        ..Soak::of(&[
            Case { quirks: QUIRKS, wire: OPENAI.wire, ..AUTO },
            Case { quirks: QUIRKS, wire: GATEWAY.wire, ..AUTO },
        ])
    }),
};

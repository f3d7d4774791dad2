//! Activeloop.

use serde_json::json;

use super::faults::{Class, Column, Exception, FETCHES, Requests, Target, Verb, ok};
use super::records::Records;
use super::soak::Soak;
use super::wire::{Cursor, Dialect, Fetch, Replies, openai_page};
use super::{Facts, Platform, Unstated};
use crate::support::rig::Case;

pub const L0: Case = Case::of("activeloop", "l0");

const REPLIES: Replies = Replies {
    base: "",
    files: "/files",
    keys: ["id", "filename", "bytes"],
    page: |items, next| {
        let last = next.map_or(String::new(), |next| format!(r#","last_id":{}"#, json!(next)));
        format!(r#"{{"object":"list","data":[{items}],"has_more":{}{last}}}"#, next.is_some())
    },
    silent_delete: false,
    cursor: Cursor::Returned,
    fetch: Fetch::Direct,
    content: "content",
    links: "",
    links_apart: None,
    links_page: None,
    processing: None,
};

const WIRE: Dialect =
    Dialect { provider: "activeloop", name: "l0", set: &[], links: false, replies: Some(REPLIES) };

pub const PLATFORM: Platform = Platform {
    name: "activeloop",
    cases: &[L0],
    limited_cases: &[],
    no_case: &[],
    facts: Facts {
        hexadecimal_ids: true,
        unset_refusal: Some("did not remove author, because it only merges metadata"),
        processing: Some(Case { quirks: &["activeloop.index-after=100000"], ..L0 }),
        ..Facts::USUAL
    },
    commands: &[
        (L0, "upload up.txt --metadata a=b --purpose assistants", 0, "up.txt"),
        (L0, "upload up.txt other.txt --together", 0, "other.txt"),
        (L0, "ls --ids", 0, "@"),
        (L0, "info @", 0, "doc.pdf"),
        (L0, "get @ -o -", 0, "CONTENT"),
        (L0, "meta set @ a=b --jsonl", 0, "\"a\":\"b\""),
        (L0, "meta set @ --name n.txt", 5, "activeloop cannot change a file's name"),
        (L0, "upload up.txt --to @", 5, "activeloop cannot replace a file's content"),
        (L0, "link @", 5, "activeloop cannot create a link to a file"),
        (L0, "rm @", 0, "@"),
    ],
    records: Records {
        // The file is indexed a few seconds after the upload, and the platform ignores the requested lifetime.
        show: |_, file| (file.status, file.expires_at) = (Some("indexed".to_owned()), None),
        ..Records::PLAIN
    },
    own_filters: &[],
    unstated: &[Unstated {
        case: L0,
        hint: "hint: no dialect of activeloop returns it; this one returns id, name, size, ",
        filters: &[
            "NOT content_type:text",
            "content_type != a/b",
            "path = null",
            "extra.other != 1",
            "-updated_at:*",
        ],
        options: &[&["--filter", "content_type:text"], &["--type", "text"]],
    }],
    columns: &[Column {
        name: "activeloop",
        case: Case { quirks: &["activeloop.ranges"], ..L0 },
        requests: Requests::Verbs {
            files: "/activeloop/files",
            file: "/activeloop/files/*",
            others: &[
                (FETCHES, Ok(Target::of(Class::Content, "GET", "/activeloop/files/*/content"))),
                (&[Verb::Presign], Err("the platform serves the content itself, without a link")),
                (&[Verb::Meta], Ok(Target::of(Class::Put, "PUT", "/activeloop/files/*/metadata"))),
            ],
        },
    }],
    no_column: &[],
    exceptions: &[Exception {
        column: "activeloop",
        verbs: &[Verb::Meta],
        faults: &["cut JSON", "empty", "wrong type", "empty object", "shorter than sent"],
        outcome: ok(1),
        why: "the response is undocumented, so haul requests the file and checks the key",
    }],
    wire: Ok(&WIRE),
    listings: &[
        WIRE,
        Dialect { replies: Some(Replies { page: openai_page, cursor: Cursor::LastId, ..REPLIES }), ..WIRE },
    ],
    extreme_quirks: &[
        "activeloop.index-after=18446744073709551615",
        "activeloop.upload-limit=18446744073709551615",
    ],
    soak: Ok(Soak::of(&[Case { quirks: &["activeloop.ranges"], ..L0 }])),
};

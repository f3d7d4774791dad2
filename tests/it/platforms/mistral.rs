//! Mistral.

use serde_json::json;

use super::faults::{Class, Column, Exception, FETCHES, Requests, Target, Verb, no, ok};
use super::records::Records;
use super::soak::Soak;
use super::wire::{Cursor, Dialect, Fetch, Replies};
use super::{Facts, Platform, Unstated};
use crate::support::rig::Case;

pub const V1: Case = Case::of("mistral", "v1");
/// Downloads from signed URLs.
pub const URL: Case = Case { set: &[("via", "url")], ..V1 };

const REPLIES: Replies = Replies {
    base: "/v1",
    files: "/v1/files",
    keys: ["id", "filename", "bytes"],
    page: |items, next| {
        let total = if next.is_some() { 1_000_000 } else { 0 };
        format!(r#"{{"data":[{items}],"object":"list","total":{total}}}"#)
    },
    silent_delete: false,
    cursor: Cursor::Numbered,
    fetch: Fetch::Direct,
    content: "content",
    links: "url",
    links_apart: None,
    links_page: None,
    processing: None,
};

const WIRE: Dialect =
    Dialect { provider: "mistral", name: "v1", set: &[], links: true, replies: Some(REPLIES) };

pub const PLATFORM: Platform = Platform {
    name: "mistral",
    cases: &[V1],
    limited_cases: &[],
    no_case: &[],
    facts: Facts { hexadecimal_ids: true, ..Facts::USUAL },
    commands: &[
        (V1, "upload up.txt", 0, "up.txt"),
        (V1, "upload up.txt --expires 48h", 0, "up.txt"),
        (V1, "upload up.txt --expires 90m", 5, "mistral accepts only whole hours for a file, not 1h 30m"),
        (V1, "upload up.txt --expires 30m", 5, "mistral accepts 1h to "),
        (V1, "upload up.txt --purpose ocr", 1, "Invalid file format: Received file with mimetype text/plain"),
        (V1, "upload up.txt --purpose nonsense", 1, "body.purpose: Input should be "),
        (V1, "upload up.txt --metadata a=b", 5, "mistral does not support metadata"),
        (V1, "upload up.txt --name a/b.txt", 5, "mistral removes the part before"),
        (V1, "ls --ids", 0, "@"),
        (V1, "info @", 0, "doc.pdf"),
        (V1, "info doc.pdf", 0, "@"),
        (V1, "info nothing.pdf", 3, "nothing.pdf: no file with this id or name on mistral"),
        (V1, "get @ -o -", 0, "CONTENT"),
        (URL, "get @ -o -", 0, "CONTENT"),
        (V1, "meta set @ a=b", 5, "mistral cannot change a file's metadata"),
        (V1, "upload up.txt --to @", 5, "mistral cannot replace a file's content"),
        (V1, "link @", 0, "http"),
        (V1, "link @ --expires 168h", 0, "http"),
        (V1, "link @ --expires 169h", 5, "mistral accepts 1h to 168h for a link"),
        (V1, "link @ --expires 90m", 5, "mistral accepts only whole hours for a link, not 1h 30m"),
        (V1, "link @ --list", 5, "mistral cannot list a file's links"),
        (V1, "link @ --revoke", 5, "mistral cannot revoke a link"),
        (V1, "rm doc.pdf", 0, "@"),
    ],
    records: Records {
        vary: |_, number, file| {
            if number.is_multiple_of(3) {
                file.extra.insert("source".to_owned(), "mistral".into());
            }
        },
        show: |_, file| {
            let sample = if file.purpose.as_deref() == Some("batch") { "batch_request" } else { "instruct" };
            file.extra.insert("sample_type".to_owned(), sample.into());
            file.extra.entry("source").or_insert_with(|| "upload".into());
            file.extra.insert("object".to_owned(), json!("file"));
        },
        ..Records::PLAIN
    },
    own_filters: &[
        (V1, "source = mistral", 0),
        (V1, "source = mistral OR source = repository", 0),
        (V1, "sample_type = batch_error AND size > 0", 0),
        (V1, "visibility = user", 0),
    ],
    unstated: &[Unstated {
        case: V1,
        hint: "hint: no dialect of mistral returns it; this one returns id, name, size, ",
        filters: &["status != x", "path = null", "extra.other != 1", "NOT updated_at:*"],
        options: &[&["--sort", "updated_at"]],
    }],
    columns: &[Column {
        name: "mistral",
        case: Case { quirks: &["mistral.ranges"], ..V1 },
        requests: Requests::Verbs {
            files: "/mistral/v1/files",
            file: "/mistral/v1/files/*",
            others: &[
                (FETCHES, Ok(Target::of(Class::Content, "GET", "/mistral/v1/files/*/content"))),
                (&[Verb::Presign], Err("the platform serves the content itself, without a link")),
                (&[Verb::Link], Ok(Target::of(Class::Read, "GET", "/mistral/v1/files/*/url"))),
            ],
        },
    }],
    no_column: &[],
    exceptions: &[
        Exception {
            column: "mistral",
            verbs: &[Verb::Info],
            faults: &["404"],
            outcome: ok(1),
            why: "a new file is listed before it can be requested, so haul finds the file in the listing",
        },
        Exception {
            column: "mistral",
            verbs: &[Verb::Get, Verb::Stdout, Verb::Link],
            faults: &["404"],
            outcome: no(3, "{p} returned 404*", 2),
            why: "the file is new, so haul requests it again until it must exist",
        },
    ],
    wire: Ok(&WIRE),
    listings: &[WIRE],
    extreme_quirks: &["mistral.upload-limit=18446744073709551615", "mistral.expiry-unit=days"],
    soak: Ok(Soak::of(&[
        Case { quirks: &["mistral.ranges"], ..V1 },
        Case { quirks: &["mistral.oldest-first"], ..URL },
    ])),
};

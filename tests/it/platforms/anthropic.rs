//! Anthropic in its three dialects. A request header selects the dialect, so one server has all of them.

use serde_json::json;

use super::faults::{Class, Column, FETCHES, Requests, Target, Verb};
use super::records::Records;
use super::soak::Soak;
use super::wire::{Cursor, Dialect, Fetch, Replies};
use super::{Facts, Platform, Unstated};
use crate::support::rig::Case;

pub const GA: Case = Case::of("anthropic", "ga");
pub const V2026: Case = Case::of("anthropic", "2026-10-21");
pub const BETA: Case = Case::of("anthropic", "beta");

/// The same platform with files that can be downloaded, as if tools had created them.
const fn downloadable(case: Case) -> Case {
    Case { quirks: &["anthropic.downloadable=*", "anthropic.ranges"], ..case }
}

const REPLIES: Replies = Replies {
    base: "/v1",
    files: "/v1/files",
    keys: ["id", "filename", "size_bytes"],
    page: |items, next| format!(r#"{{"data":[{items}],"next_page":{}}}"#, json!(next)),
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
    Dialect { provider: "anthropic", name: "ga", set: &[], links: false, replies: Some(REPLIES) };

const REQUESTS: Requests = Requests::Verbs {
    files: "/anthropic/v1/files",
    file: "/anthropic/v1/files/*",
    others: &[
        (FETCHES, Ok(Target::of(Class::Content, "GET", "/anthropic/v1/files/*/content"))),
        (&[Verb::Presign], Err("the platform serves the content itself, without a link")),
    ],
};

pub const PLATFORM: Platform = Platform {
    name: "anthropic",
    cases: &[GA, V2026, BETA],
    limited_cases: &[],
    no_case: &[],
    facts: Facts::USUAL,
    commands: &[
        (GA, "upload up.txt --expires 24h", 0, "up.txt"),
        (GA, "upload up.txt --expires 91d", 5, "anthropic accepts 1h to 2160h for a file"),
        (GA, "upload up.txt --purpose p", 5, "anthropic does not support purposes"),
        (GA, "upload up.txt --metadata a=b", 5, "anthropic does not support metadata"),
        (GA, "upload up.txt --name a:b.txt", 5, "contains ':', which anthropic does not accept"),
        (BETA, "upload up.txt", 0, "up.txt"),
        (BETA, "upload up.txt --expires 24h", 5, "anthropic does not support a lifetime for a file"),
        (BETA, "ls --set workspace_id=wrkspc_1", 5, "workspace_id: not supported by the beta dialect"),
        (V2026, "upload up.txt", 0, "up.txt"),
        (GA, "ls --ids", 0, "@"),
        (V2026, "ls --ids", 0, "@"),
        (BETA, "ls --ids", 0, "@"),
        (GA, "ls --set workspace_id=wrkspc_1", 0, ""),
        (GA, "ls --set auth=basic", 2, "auth: `basic` is not one of x-api-key, bearer"),
        (GA, "ls --set auth=bearer --ids", 0, "@"),
        (GA, "ls --filter extra.scope.id=sesn_none", 0, ""),
        (BETA, "ls --filter extra.scope.id=sesn_none", 0, ""),
        (GA, "info @", 0, "doc.pdf"),
        (GA, "get @ -o -", 5, "anthropic does not allow downloading this file"),
        (GA, "get @ -o - --force", 5, "is not downloadable"),
        (downloadable(GA), "get @ -o -", 0, "CONTENT"),
        (downloadable(V2026), "get @ -o -", 0, "CONTENT"),
        (downloadable(BETA), "get @ -o -", 0, "CONTENT"),
        (GA, "meta set @ a=b", 5, "anthropic cannot change a file's metadata"),
        (GA, "upload up.txt --to @", 5, "anthropic cannot replace a file's content"),
        (GA, "link @", 5, "anthropic cannot create a link to a file"),
        (GA, "rm @", 0, "@"),
        (V2026, "rm @", 0, "@"),
        (BETA, "rm @", 0, "@"),
    ],
    records: Records {
        // A file that a tool has created in a session.
        vary: |_, number, file| {
            if number.is_multiple_of(3) {
                file.downloadable = Some(true);
                let session = format!("sesn_{}", number.is_multiple_of(2));
                file.extra.insert("scope".to_owned(), json!({ "id": session, "type": "session" }));
            }
        },
        show: |_, file| drop(file.extra.insert("type".to_owned(), json!("file"))),
        ..Records::PLAIN
    },
    own_filters: &[],
    unstated: &[
        Unstated {
            case: BETA,
            hint: "`-p anthropic --wire-dialect 2026-10-21` returns expires_at",
            filters: &["NOT expires_at > +30d", "expires_at = null"],
            options: &[&["--expiring", "24h"], &["--sort", "expires_at"]],
        },
        Unstated {
            case: GA,
            hint: "no dialect of anthropic returns it; this one returns id, name, size, ",
            filters: &["NOT checksums.sha256 = aa", "purpose = null", "status != x"],
            options: &[&["--sort", "purpose"]],
        },
    ],
    columns: &[
        Column { name: "anthropic ga", case: downloadable(GA), requests: REQUESTS },
        Column { name: "anthropic beta", case: downloadable(BETA), requests: REQUESTS },
    ],
    no_column: &[("2026-10-21", "the same requests as `ga`, with another version and header of the key")],
    exceptions: &[],
    wire: Ok(&WIRE),
    listings: &[
        WIRE,
        Dialect { name: "2026-10-21", ..WIRE },
        Dialect {
            name: "beta",
            replies: Some(Replies {
                page: |items, next| {
                    let more = next.is_some();
                    format!(r#"{{"data":[{items}],"has_more":{more},"last_id":{}}}"#, json!(next))
                },
                ..REPLIES
            }),
            ..WIRE
        },
    ],
    extreme_quirks: &["anthropic.max-size=18446744073709551615"],
    soak: Ok(Soak::of(&[downloadable(GA)])),
};

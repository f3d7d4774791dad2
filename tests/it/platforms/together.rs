//! Together AI, which stores equal content once.

use serde_json::json;

use super::faults::{
    Class, Column, Exception, FETCHES, Requests, Target, Verb, but, cannot, no, ok, without_file_details,
};
use super::records::Records;
use super::soak::Soak;
use super::wire::{Cursor, Dialect, Fetch, Replies};
use super::{Facts, Platform, Unstated};
use crate::support::rig::Case;

pub const V1: Case = Case::of("together", "v1");
/// Uploads in one form.
pub const FORM: Case = Case { set: &[("via", "form")], ..V1 };
/// Multipart uploads.
pub const PARTS: Case = Case { set: &[("via", "parts")], ..V1 };

const REPLIES: Replies = Replies {
    base: "/v1",
    files: "/v1/files",
    keys: ["id", "filename", "bytes"],
    page: |items, _| format!(r#"{{"data":[{items}]}}"#),
    silent_delete: false,
    cursor: Cursor::Never,
    fetch: Fetch::Direct,
    content: "content",
    links: "",
    links_apart: None,
    links_page: None,
    // The server of the test that uses `processing` expects an upload in one request.
    processing: None,
};

const WIRE: Dialect =
    Dialect { provider: "together", name: "v1", set: &[], links: false, replies: Some(REPLIES) };

/// The last request only begins the check of a file that is stored.
const STORED: &str = "the file is stored before its check is requested";

pub const PLATFORM: Platform = Platform {
    name: "together",
    cases: &[V1],
    limited_cases: &[],
    no_case: &[],
    facts: Facts {
        hexadecimal_ids: true,
        processing: Some(Case { quirks: &["together.processing=100000"], ..V1 }),
        ..Facts::USUAL
    },
    commands: &[
        (V1, "upload up.txt", 0, "up.txt"),
        (FORM, "upload up.txt", 0, "up.txt"),
        (PARTS, "upload up.txt", 0, "up.txt"),
        (V1, "upload up.txt --wait", 0, "up.txt"),
        (V1, "upload up.txt --purpose batch-api", 0, "up.txt"),
        (V1, "upload up.txt --purpose nonsense", 1, "invalid purpose: nonsense"),
        (V1, "upload up.txt --metadata a=b", 5, "together does not support metadata"),
        (V1, "upload up.txt --expires 24h", 5, "together does not support a lifetime for a file"),
        (V1, "upload up.txt --name a/b.txt", 5, "together removes the part before"),
        (V1, "ls --ids", 0, "@"),
        (V1, "info doc.pdf", 0, "@"),
        (V1, "info nothing.pdf", 3, "nothing.pdf: no file with this id or name on together"),
        (V1, "get @ -o -", 0, "CONTENT"),
        (V1, "meta set @ a=b", 5, "together cannot change a file's metadata"),
        (V1, "upload up.txt --to @", 5, "together cannot replace a file's content"),
        (V1, "link @", 5, "together cannot create a link to a file"),
        (V1, "rm doc.pdf", 0, "@"),
    ],
    records: Records {
        show: |_, file| {
            let file_type = file.extra.shift_remove("file_type").unwrap_or_else(|| json!("jsonl"));
            let is_checked = matches!(file.purpose.as_deref(), Some("fine-tune" | "eval"));
            file.status = is_checked.then(|| "COMPLETED".to_owned());
            file.extra.insert("object".to_owned(), json!("file"));
            file.extra.insert("FileType".to_owned(), file_type);
            file.extra.insert("Processed".to_owned(), json!(true));
            if is_checked {
                file.extra.insert("validation_report".to_owned(), json!({ "valid": true }));
            }
        },
        ..Records::PLAIN
    },
    own_filters: &[(V1, "FileType = csv", 0), (V1, "Processed = false AND size > 0", 0)],
    unstated: &[Unstated {
        case: V1,
        hint: "hint: no dialect of together returns it; this one returns id, name, size, ",
        filters: &[
            "content_type != x",
            "path = null",
            "extra.other != 1",
            "NOT updated_at:*",
            "expires_at = null",
        ],
        options: &[&["--sort", "updated_at"], &["--type", "text"]],
    }],
    columns: &[
        Column {
            name: "together v1",
            case: V1,
            requests: Requests::Verbs {
                files: "/together/v1/files",
                file: "/together/v1/files/*",
                others: &[
                    (&[Verb::Upload, Verb::Replace], Ok(Target::step("PUT", "/together/_storage/*"))),
                    (FETCHES, Ok(Target::of(Class::Content, "GET", "/together/v1/files/*/content"))),
                    (&[Verb::Presign], Err("the platform serves the content itself, without a link")),
                ],
            },
        },
        Column {
            name: "together start",
            case: V1,
            requests: Requests::Route {
                upload: Target::of(Class::Step, "POST", "/together/v1/files"),
                keeps_begun: false,
            },
        },
        Column {
            name: "together preprocess",
            case: V1,
            requests: Requests::Route {
                upload: Target::of(Class::Place, "POST", "/together/v1/files/*/preprocess"),
                keeps_begun: false,
            },
        },
        Column {
            name: "together parts",
            case: PARTS,
            requests: Requests::Route {
                upload: Target::step("PUT", "/together/_storage/*/*"),
                keeps_begun: false,
            },
        },
        Column {
            name: "together form",
            case: FORM,
            requests: Requests::Route {
                upload: Target::of(Class::Send, "POST", "/together/v1/files/upload"),
                keeps_begun: false,
            },
        },
    ],
    no_column: &[],
    exceptions: &[
        without_file_details("together start"),
        without_file_details("together parts"),
        Exception {
            column: "together v1",
            verbs: &[Verb::Upload, Verb::Replace],
            faults: &["wrong size stated"],
            outcome: cannot("the response of the storage does not describe the file"),
            why: "the response of the storage does not describe the file",
        },
        Exception {
            column: "together v1",
            verbs: &[Verb::Upload, Verb::Replace],
            faults: &["401"],
            outcome: no(8, "{p}'s storage rejected the upload URL*", 1),
            why: "the URL is refused, not the token",
        },
        Exception {
            column: "together v1",
            verbs: &[Verb::Upload, Verb::Replace],
            faults: &["403"],
            outcome: no(8, "{p}'s storage rejected the upload URL*", 2),
            why: "the URL may have expired, so haul requests a new one",
        },
        Exception {
            column: "together v1",
            verbs: &[Verb::Upload, Verb::Replace],
            faults: &["page though done", "chunked garbage"],
            outcome: ok(1),
            why: "a file with content is listed, so haul finds it",
        },
        Exception {
            column: "together v1",
            verbs: &[Verb::Upload, Verb::Replace],
            faults: &["lost always"],
            outcome: but(7, "{p} at http://127.0.0.1:* closed the connection*", 2),
            why: "a file with content is listed, although its check was not requested",
        },
        Exception {
            column: "together start",
            verbs: &[Verb::Upload],
            faults: &["404"],
            outcome: ok(1),
            why: "the server may have only the upload in one form",
        },
        Exception {
            column: "together start",
            verbs: &[Verb::Upload],
            faults: &["302", "redirect in a loop", "redirect to a file"],
            outcome: no(8, "{p} returned an upload URL that is not an http URL*", 1),
            why: "the answer is a redirect to the storage",
        },
        Exception {
            column: "together start",
            verbs: &[Verb::Upload],
            faults: &["redirect to nowhere"],
            outcome: no(8, "{p} returned no URL for the upload*", 1),
            why: "the answer is a redirect to the storage",
        },
        Exception {
            column: "together start",
            verbs: &[Verb::Upload],
            faults: &["chunked garbage"],
            outcome: no(8, "{p} sent an invalid response*", 1),
            why: "no content was sent, and the registration is not a file yet",
        },
        Exception {
            column: "together start",
            verbs: &[Verb::Upload],
            faults: &["page though done"],
            outcome: no(8, "the response to the upload is HTML or XML, not JSON*", 1),
            why: "no content was sent, and the registration is not a file yet",
        },
        Exception {
            column: "together parts",
            verbs: &[Verb::Upload],
            faults: &["reset in the body", "reset in the body always", "half-closed in the body"],
            outcome: cannot("two parts are sent at a time, and the number of their requests varies"),
            why: "two parts are sent at a time, and the number of their requests varies",
        },
        Exception {
            column: "together parts",
            verbs: &[Verb::Upload],
            faults: &["401", "403"],
            outcome: no(8, "{p}'s storage rejected the upload URL*", 1),
            why: "the URL is refused, not the token",
        },
        Exception {
            column: "together preprocess",
            verbs: &[Verb::Upload],
            faults: &[
                "page though done",
                "chunked garbage",
                "cut JSON",
                "empty",
                "wrong type",
                "empty object",
                "shorter than sent",
            ],
            outcome: ok(1),
            why: STORED,
        },
        Exception {
            column: "together preprocess",
            verbs: &[Verb::Upload],
            faults: &[
                "reset always",
                "reset in the body always",
                "closed always",
                "silent always",
                "slow head always",
                "head without an end",
            ],
            outcome: but(7, "{p} at http://127.0.0.1:*", 2),
            why: STORED,
        },
        Exception {
            column: "together preprocess",
            verbs: &[Verb::Upload],
            faults: &["429 always"],
            outcome: but(6, "{p} returned 429: slow down*", 2),
            why: STORED,
        },
        Exception {
            column: "together preprocess",
            verbs: &[Verb::Upload],
            faults: &["429 a day", "429 until tomorrow", "429 quota"],
            outcome: but(6, "{p} returned 429*", 1),
            why: STORED,
        },
        Exception {
            column: "together preprocess",
            verbs: &[Verb::Upload],
            faults: &["500 always", "502 page", "503 always"],
            outcome: but(8, "{p} returned 50*", 2),
            why: STORED,
        },
        Exception {
            column: "together preprocess",
            verbs: &[Verb::Upload],
            faults: &["501"],
            outcome: but(8, "{p} returned 501*", 1),
            why: STORED,
        },
        Exception {
            column: "together preprocess",
            verbs: &[Verb::Upload],
            faults: &["page"],
            outcome: but(8, "*HTML*", 2),
            why: STORED,
        },
        Exception {
            column: "together preprocess",
            verbs: &[Verb::Upload],
            faults: &["gzip bomb", "without an end"],
            outcome: but(8, "{p} sent a response larger than 64 MiB*", 2),
            why: STORED,
        },
        Exception {
            column: "together preprocess",
            verbs: &[Verb::Upload],
            faults: &["401", "403"],
            outcome: but(4, "{p} returned 40*", 1),
            why: STORED,
        },
        Exception {
            column: "together preprocess",
            verbs: &[Verb::Upload],
            faults: &["404"],
            outcome: but(3, "{p} returned 404*", 1),
            why: STORED,
        },
        Exception {
            column: "together preprocess",
            verbs: &[Verb::Upload],
            faults: &["409", "error of 100 MB"],
            outcome: but(1, "{p} re*", 1),
            why: STORED,
        },
        Exception {
            column: "together preprocess",
            verbs: &[Verb::Upload],
            faults: &[
                "301",
                "302",
                "303",
                "redirect in a loop",
                "redirect to another port",
                "redirect to another host",
                "redirect to a file",
            ],
            outcome: but(8, "{p} redirects to *; haul does not follow redirects of * requests", 1),
            why: STORED,
        },
        Exception {
            column: "together preprocess",
            verbs: &[Verb::Upload],
            faults: &["redirect to nowhere"],
            outcome: but(8, "{p} returned 302*", 1),
            why: STORED,
        },
    ],
    wire: Ok(&WIRE),
    listings: &[WIRE],
    extreme_quirks: &[
        "together.processing=9223372036854775807",
        "together.url-life=9223372036854775807",
        "together.rate-limit=4294967295",
    ],
    soak: Ok(Soak::of(&[V1, PARTS])),
};

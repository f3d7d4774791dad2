//! OpenAI's Files API with a vendor that differs from OpenAI in every way, and with one that does not differ from it.

use axum::response::IntoResponse as _;
use haul::emulator::openai::{self, Expiry, Refusal, Vendor};
use haul::emulator::{Gate, Platform};
use serde_json::{Value, json};

use crate::support::clock_at;
use crate::support::emulator::{Emulator, Setup};
use crate::support::raw::{Answer, FORM, form, keys};

const NOW: i64 = 1_778_414_400;
const BEARER: &str = "Authorization: Bearer secret";
const KEY: &str = "api-key: secret";

static SAME: Platform = Platform {
    name: "same",
    base_path: "/v1",
    gate: Gate::BEARER,
    reads: &[],
    dialects: &[],
    md5: false,
    quirks: &[],
    variables: |_, _| Vec::new(),
    routes: |site| openai::routes(site, &Vendor::OPENAI),
    error: |_, status, message| Vendor::OPENAI.refuse(&Refusal::new(status, message)).into_response(),
};

static VENDOR: Vendor = Vendor {
    prefix: "/openai/v2",
    gate: Gate { schemes: &[], headers: &["api-key"], ..Gate::BEARER },
    id: |_, _| "or_file_".to_owned() + &haul::emulator::ids::base62(8),
    purposes: &["batch", "file-extract"],
    default_purpose: Some("batch"),
    max_size: 1000,
    expiry: Expiry::Fixed(3600),
    page: None,
    newest_first: false,
    downloads: |purpose| purpose == "batch",
    object: |_, file| {
        let mut object = openai::object(file);
        let expires_at = object.shift_remove("expires_at").unwrap_or_default();
        object.insert("expire_at".to_owned(), expires_at);
        object
    },
    list: |data, _| json!({ "code": 20000, "data": data }),
    error: |refusal| json!({ "code": refusal.status.as_u16(), "message": refusal.message }),
    ..Vendor::OPENAI
};

static OTHER: Platform = Platform {
    name: "other",
    gate: VENDOR.gate,
    routes: |site| openai::routes(site, &VENDOR),
    error: |_, status, message| VENDOR.refuse(&Refusal::new(status, message)).into_response(),
    ..SAME
};

static PLATFORMS: [&Platform; 2] = [&SAME, &OTHER];

fn start(auth: &str) -> Emulator {
    let clock = clock_at(NOW);
    Emulator::start(&Setup {
        token: Some("secret"),
        auth,
        clock,
        platforms: Some(&PLATFORMS),
        ..Setup::DEFAULT
    })
}

/// The head and the content of a part.
type Part = (&'static str, &'static [u8]);

const FILE: Part = ("name=\"file\"; filename=\"a/b %22q%22.jsonl\"", b"{}");

fn upload(server: &Emulator, path: &str, parts: &[(&str, &[u8])]) -> Answer {
    server.ask("POST", path, &[FORM], &form(parts))
}

fn names(page: &Value) -> Vec<&str> {
    page["data"].as_array().unwrap().iter().map(|file| file["filename"].as_str().unwrap()).collect()
}

#[test]
fn a_file_is_uploaded_shown_sent_and_deleted() {
    let server = start(BEARER);
    let (anchor, seconds) = ("name=\"expires_after[anchor]\"", "name=\"expires_after[seconds]\"");
    // One client sends the file first, the other one last.
    let parts = [FILE, ("name=\"purpose\"", b"batch"), (anchor, b"created_at"), (seconds, b"3600")];
    let answer = upload(&server, "/same/v1/files", &parts);
    assert!(answer.header("x-request-id").is_some_and(|id| id.starts_with("req_")));
    let file = answer.ok();
    let id = file["id"].as_str().unwrap();
    let expected = json!({
        "id": id, "object": "file", "bytes": 2, "created_at": NOW, "expires_at": NOW + 3600,
        "filename": "b \"q\".jsonl", "purpose": "batch", "status": "processed",
    });
    assert_eq!(file.to_string(), expected.to_string(), "in this order");
    assert!(id.starts_with("file-") && id.len() == 27, "{id}");
    let path = format!("/same/v1/files/{id}");
    assert_eq!(server.get(&path).ok(), file);
    let content = server.get(&format!("{path}/content"));
    assert_eq!((content.status, content.text().as_str()), (200, "{}"));
    assert!(content.header("content-disposition").unwrap().contains("%22q%22"));
    assert_eq!(server.delete(&path).ok(), json!({ "id": id, "object": "file", "deleted": true }));
    assert_eq!(
        server.delete(&path).text(),
        format!(
            r#"{{"error":{{"message":"No such File object: {id}","type":"invalid_request_error","param":"id","code":null}}}}"#
        )
    );
}

#[test]
fn pages_continue_after_the_last_file() {
    let server = start(BEARER);
    for name in ["a", "b", "c", "d", "e"] {
        let purpose: &[u8] = if name == "c" { b"vision" } else { b"batch" };
        let file = format!("name=\"file\"; filename=\"{name}\"");
        upload(&server, "/same/v1/files", &[("name=\"purpose\"", purpose), (&file, b"x")]).ok();
    }
    let all = server.get("/same/v1/files").ok();
    assert_eq!(keys(&all), ["object", "data", "first_id", "last_id", "has_more"]);
    let ids: Vec<&str> = all["data"].as_array().unwrap().iter().map(|f| f["id"].as_str().unwrap()).collect();
    assert_eq!((&all["first_id"], &all["last_id"]), (&json!(ids[0]), &json!(ids[4])));
    assert_eq!(all["has_more"], false);
    let mut seen = Vec::new();
    let mut query = "limit=2".to_owned();
    loop {
        let page = server.get(&format!("/same/v1/files?{query}")).ok();
        seen.extend(names(&page).into_iter().map(str::to_owned));
        query = format!("limit=2&after={}", page["last_id"].as_str().unwrap());
        if page["has_more"] == false {
            break;
        }
    }
    assert_eq!(seen, names(&all));
    let mut ascending = names(&server.get("/same/v1/files?order=asc").ok()).join(" ");
    ascending = ascending.split(' ').rev().collect::<Vec<_>>().join(" ");
    assert_eq!(ascending, names(&all).join(" "));
    assert_eq!(names(&server.get("/same/v1/files?purpose=vision").ok()), ["c"]);
    let empty = server.get("/same/v1/files?purpose=evals").ok();
    assert_eq!((&empty["first_id"], &empty["has_more"]), (&Value::Null, &json!(false)));
    for (query, param) in
        [("limit=0", "limit"), ("limit=10001", "limit"), ("order=up", "order"), ("after=file-x", "after")]
    {
        let answer = server.get(&format!("/same/v1/files?{query}"));
        assert_eq!((answer.status, answer.json()["error"]["param"].as_str()), (400, Some(param)), "{query}");
    }
}

#[test]
fn an_upload_is_checked() {
    let server = start(BEARER);
    let purpose: Part = ("name=\"purpose\"", b"batch");
    let (anchor, seconds) = ("name=\"expires_after[anchor]\"", "name=\"expires_after[seconds]\"");
    let wrong: [(&[Part], &str); 8] = [
        (&[FILE], "purpose"),
        (&[purpose], "file"),
        (&[purpose, ("name=\"file\"", b"text")], "file"),
        (&[("name=\"purpose\"", b"batch_output"), FILE], "purpose"),
        (&[purpose, FILE, (anchor, b"created_at")], "expires_after"),
        (&[purpose, FILE, (anchor, b"now"), (seconds, b"3600")], "expires_after"),
        (&[purpose, FILE, (anchor, b"created_at"), (seconds, b"3599")], "expires_after"),
        (&[purpose, FILE, ("name=\"expires_after\"", b"{\"seconds\":3600}")], "expires_after"),
    ];
    for (parts, param) in wrong {
        let answer = upload(&server, "/same/v1/files", parts);
        let error = &answer.json()["error"];
        assert_eq!((answer.status, error["param"].as_str()), (400, Some(param)), "{parts:?} {error}");
    }
    assert_eq!(server.get("/same/v1/files").ok()["data"], json!([]), "refused uploads leave nothing");
    let kept = upload(&server, "/same/v1/files", &[("name=\"purpose\"", b"user_data"), FILE]).ok();
    let content = server.get(&format!("/same/v1/files/{}/content", kept["id"].as_str().unwrap()));
    let message = "Not allowed to download files of purpose: user_data";
    assert_eq!((content.status, content.json()["error"]["message"].as_str()), (400, Some(message)));
    let denied = server.ask_bare("GET", "/same/v1/files", &["Authorization: Bearer wrong"], b"");
    assert_eq!((denied.status, denied.json()["error"]["code"].as_str()), (401, Some("invalid_api_key")));
    assert_eq!(server.ask_bare("GET", "/same/v1/files", &[KEY], b"").status, 401);
    let unknown = server.get("/same/v1/file");
    assert_eq!((unknown.status, unknown.json()["error"]["message"].as_str()), (404, Some("Not Found")));
}

#[test]
fn a_vendor_differs() {
    let server = start(KEY);
    let path = "/other/openai/v2/files";
    let first = upload(&server, path, &[FILE]).ok();
    assert!(first["id"].as_str().unwrap().starts_with("or_file_"));
    assert_eq!(keys(&first), ["id", "object", "bytes", "created_at", "filename", "purpose", "expire_at"]);
    assert_eq!((&first["purpose"], &first["expire_at"]), (&json!("batch"), &json!(NOW + 3600)));
    let second = upload(&server, path, &[("name=\"purpose\"", b"file-extract"), FILE]).ok();
    let all = server.get(&format!("{path}?limit=1&order=up&after=x")).ok();
    assert_eq!(all["code"], 20000);
    assert_eq!(all["data"].as_array().unwrap().len(), 2, "the listing has no pages");
    let content = server.get(&format!("{path}/{}/content", second["id"].as_str().unwrap()));
    assert_eq!(content.status, 400);
    assert_eq!(keys(&content.json()), ["code", "message"]);
    let (anchor, seconds) = ("name=\"expires_after[anchor]\"", "name=\"expires_after[seconds]\"");
    let stated = upload(&server, path, &[FILE, (anchor, b"created_at"), (seconds, b"3600")]);
    assert_eq!((stated.status, stated.json()["code"].as_u64()), (400, Some(400)));
    let large = upload(&server, path, &[("name=\"file\"; filename=\"a\"", &[b'x'; 1001])]);
    assert_eq!((large.status, large.json()["code"].as_u64()), (413, Some(413)));
    assert_eq!(server.ask_bare("GET", path, &[BEARER], b"").status, 401);
    assert_eq!(server.delete(&format!("{path}/x")).json()["code"], 404);
}

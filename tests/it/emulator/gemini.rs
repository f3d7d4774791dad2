//! Gemini's Files API: the captured requests of the official clients, the resumable protocol, and the quirks.

use haul::model::{File, FileId};
use serde_json::{Value, json};

use crate::support::clock_at;
use crate::support::emulator::{Emulator, Setup};
use crate::support::raw::Answer;

const NOW: i64 = 1_778_414_400;
const KEY: &str = "x-goog-api-key: AIza-test";
const FILES: &str = "/gemini/v1beta/files";

/// Two servers that take turns.
fn start(quirks: &[&str]) -> Emulator {
    Emulator::start(&Setup { quirks, replicas: true, ..setup(NOW) })
}

fn setup(seconds: i64) -> Setup<'static> {
    Setup { token: Some("AIza-test"), auth: KEY, clock: clock_at(seconds), ..Setup::DEFAULT }
}

/// Begins an upload and returns the path of its session.
fn begin(server: &Emulator, about: &Value, size: usize) -> String {
    let answer = try_begin(server, about, size);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!((answer.header("x-goog-upload-status"), answer.body.len()), (Some("active"), 0));
    server.path(&json!(answer.header("x-goog-upload-url").unwrap()))
}

fn try_begin(server: &Emulator, about: &Value, size: usize) -> Answer {
    let length = format!("X-Goog-Upload-Header-Content-Length: {size}");
    let headers = [
        "X-Goog-Upload-Protocol: resumable",
        "X-Goog-Upload-Command: start",
        "Content-Type: application/json",
    ];
    let headers: Vec<&str> = headers.into_iter().chain([length.as_str()]).collect();
    server.ask("POST", "/gemini/upload/v1/files", &headers, json!({ "file": about }).to_string().as_bytes())
}

/// Sends a command to a session, without a key.
fn command(server: &Emulator, session: &str, command: &str, offset: Option<usize>, body: &[u8]) -> Answer {
    let command = format!("X-Goog-Upload-Command: {command}");
    let offset = offset.map(|offset| format!("X-Goog-Upload-Offset: {offset}"));
    let headers: Vec<&str> = std::iter::once(command.as_str()).chain(offset.as_deref()).collect();
    server.ask_bare("POST", session, &headers, body)
}

fn state(answer: &Answer) -> (u16, Option<&str>, Option<&str>) {
    (answer.status, answer.header("x-goog-upload-status"), answer.header("x-goog-upload-size-received"))
}

fn upload(server: &Emulator, about: &Value, content: &[u8]) -> Value {
    let session = begin(server, about, content.len());
    let answer = command(server, &session, "upload, finalize", Some(0), content);
    assert_eq!(answer.header("x-goog-upload-status"), Some("final"), "{answer:?}");
    answer.json()["file"].clone()
}

/// The status and the message of a refusal.
fn refusal(answer: &Answer) -> (u16, String) {
    let error = answer.json()["error"].clone();
    assert_eq!(error["code"], answer.status);
    (answer.status, error["message"].as_str().unwrap().trim().to_owned())
}

#[test]
fn captured_requests_of_the_clients() {
    let server = start(&["gemini.granularity=4"]);
    let started = server.replay(
        r#"
POST /gemini/upload/v1/files HTTP/1.1
Content-Type: application/json
x-goog-api-key: AIza-test
X-Goog-Upload-Protocol: resumable
X-Goog-Upload-Command: start
X-Goog-Upload-Header-Content-Length: 9
X-Goog-Upload-Header-Content-Type: text/plain
X-Goog-Upload-File-Name: big16
user-agent: google-genai-sdk/3.6.1 gl-python/3.11.7
x-goog-api-client: google-genai-sdk/3.6.1 gl-python/3.11.7

{"file": {"mime_type": "text/plain", "size_bytes": 9}}
"#,
    );
    assert_eq!(started.header("x-goog-upload-chunk-granularity"), Some("4"));
    let session = server.path(&json!(started.header("x-goog-upload-url").unwrap()));
    let answer = command(&server, &session, "upload", Some(0), b"12345678");
    assert_eq!(state(&answer), (200, Some("active"), Some("8")));
    let answer = command(&server, &session, "Upload,Finalize", Some(8), b"9");
    let file = answer.json()["file"].clone();
    let id = file["name"].as_str().unwrap().strip_prefix("files/").unwrap().to_owned();
    let uri = format!("{}{FILES}/{id}", server.root);
    let expected = json!({
        "name": format!("files/{id}"), "displayName": "big16", "mimeType": "text/plain", "sizeBytes": "9",
        "createTime": "2026-05-10T12:00:00.000000Z", "updateTime": "2026-05-10T12:00:00.000000Z",
        "expirationTime": "2026-05-12T12:00:00.000000Z",
        "sha256Hash": "MTVlMmIwZDNjMzM4OTFlYmIwZjFlZjYwOWVjNDE5NDIwYzIwZTMyMGNlOTRjNjVmYmM4YzMzMTI0NDhlYjIyNQ==",
        "uri": uri, "state": "ACTIVE", "source": "UPLOADED",
    });
    assert_eq!(file, expected);

    let named =
        json!({"mimeType": "text/plain", "name": "files/my-id", "displayName": "näme", "sizeBytes": "5"});
    assert_eq!(upload(&server, &named, b"hello")["name"], "files/my-id");
    for version in ["v1", "v1beta"] {
        let get = |path: &str| server.get(&format!("/gemini/{version}/{path}"));
        assert_eq!(get("files/my-id").json()["displayName"], "näme");
        let page = get("files?pageSize=1").json();
        assert_eq!(page["files"].as_array().unwrap().len(), 1);
        let token = page["nextPageToken"].as_str().unwrap();
        let last = get(&format!("files?pageSize=1&pageToken={token}")).json();
        assert_eq!((last["files"].as_array().unwrap().len(), &last["nextPageToken"]), (1, &Value::Null));
    }
    let deleted = server.ask("DELETE", "/gemini/v1/files/my-id", &["Content-Type: application/json"], b"{}");
    assert_eq!((deleted.status, deleted.json()), (200, json!({})));
    let message = "You do not have permission to access the File my-id or it may not exist.".to_owned();
    for answer in [server.delete(&format!("{FILES}/my-id")), server.get(&format!("{FILES}/my-id"))] {
        assert_eq!(refusal(&answer), (403, message.clone()));
    }
    server.delete(&format!("{FILES}/{id}"));
    assert_eq!(server.get(FILES).json(), json!({}), "an empty list");
}

#[test]
fn a_session_continues_where_it_is() {
    let server = start(&["gemini.granularity=4"]);
    let session = begin(&server, &json!({ "displayName": "a" }), 10);
    let ask = |word: &str, offset: Option<usize>, body: &[u8]| command(&server, &session, word, offset, body);
    assert_eq!(state(&ask("query", None, b"")), (200, Some("active"), Some("0")));
    assert_eq!(state(&ask("upload", Some(0), b"0123")), (200, Some("active"), Some("4")));
    for (word, offset, body, status) in [
        ("upload", Some(0), &b"0123"[..], 409),
        ("upload", Some(8), b"0123", 409),
        ("upload", None, b"0123", 400),
        ("upload", Some(4), b"45", 400),
        ("upload", Some(4), b"456789 and more", 400),
        ("upload, finalize", Some(4), b"45", 400),
        ("finalize", None, b"", 400),
        ("start", None, b"", 400),
        ("upload, query", Some(4), b"4567", 400),
    ] {
        assert_eq!(ask(word, offset, body).status, status, "{word} {offset:?}");
    }
    assert_eq!(state(&ask("query", None, b"")), (200, Some("active"), Some("4")));
    // A request that ends early: the received bytes are kept.
    let request = format!(
        "POST {session} HTTP/1.1\r\nHost: {}\r\nX-Goog-Upload-Command: upload\r\nX-Goog-Upload-Offset: 4\r\nContent-Length: 4\r\n\r\n45",
        server.address
    );
    {
        use std::io::Write as _;
        let mut stream = server.connect();
        stream.write_all(request.as_bytes()).unwrap();
    }
    let query = || ask("query", None, b"");
    assert!(crate::support::raw::within(|| state(&query()) == (200, Some("active"), Some("6"))));
    // Up to the next multiple of the granularity, then the rest.
    assert_eq!(state(&ask("upload", Some(6), b"67")), (200, Some("active"), Some("8")));
    let last = ask("upload, finalize", Some(8), b"89");
    assert_eq!((last.status, &last.json()["file"]["sizeBytes"]), (200, &json!("10")));
    assert_eq!((query().header("x-goog-upload-status"), query().json()), (Some("final"), last.json()));
    assert_eq!(state(&ask("upload, finalize", Some(8), b"89")).1, Some("final"));
    assert_eq!(ask("cancel", None, b"").status, 400);
    assert_eq!(server.get(FILES).json()["files"].as_array().unwrap().len(), 1);
    assert_eq!(server.blobs(), 1, "the parts are discarded");
}

#[test]
fn sessions_end() {
    let server = start(&["gemini.silent-final", "gemini.session-life=60"]);
    let session = begin(&server, &json!({}), 1);
    assert_eq!(state(&command(&server, &session, "cancel", None, b"")), (200, Some("cancelled"), None));
    assert_eq!(state(&command(&server, &session, "query", None, b"")), (410, Some("cancelled"), None));
    assert_eq!(command(&server, &session, "upload, finalize", Some(0), b"x").status, 400);
    let unknown = command(&server, "/gemini/upload/v1/files?upload_id=x", "query", None, b"");
    assert_eq!(state(&unknown), (404, None, None));
    let session = begin(&server, &json!({}), 0);
    assert_eq!(command(&server, &session, "upload, finalize", Some(0), b"").status, 200);
    let query = command(&server, &session, "query", None, b"");
    assert_eq!((state(&query).1, query.body.len()), (Some("final"), 0), "a silent one");

    let session = begin(&server, &json!({}), 1);
    let server = server.again(&setup(NOW + 59));
    assert_eq!(state(&command(&server, &session, "query", None, b"")), (200, Some("active"), Some("0")));
    let server = server.again(&setup(NOW + 60));
    assert_eq!(command(&server, &session, "query", None, b"").status, 404);
}

#[test]
fn starts_are_checked() {
    let server = start(&[]);
    upload(&server, &json!({ "name": "taken" }), b"x");
    assert_eq!(try_begin(&server, &json!({ "name": "files/taken" }), 1).status, 409);
    let long = "a".repeat(41);
    for id in ["A", "a_b", "-a", "a-", "a/b", "é", long.as_str()] {
        let (status, message) = refusal(&try_begin(&server, &json!({ "name": id }), 1));
        assert!(status == 400 && message.contains("File ID (name excluding 'files/')"), "{id}: {message}");
    }
    assert_eq!(try_begin(&server, &json!({ "displayName": "é".repeat(513) }), 1).status, 400);
    assert_eq!(try_begin(&server, &json!({}), (2 << 30) + 1).status, 400);
    let raw = server.ask("POST", "/gemini/upload/v1/files", &["X-Goog-Upload-Protocol: raw"], b"x");
    assert_eq!(raw.status, 400);
    let unnamed = upload(&server, &json!({}), b"x");
    assert_eq!(
        (&unnamed["displayName"], &unnamed["mimeType"]),
        (&Value::Null, &json!("application/octet-stream"))
    );
}

#[test]
fn keys_are_required_except_by_sessions() {
    let server = start(&[]);
    let wrong = "API key not valid. Please pass a valid API key.".to_owned();
    let denied = server.ask_bare("GET", FILES, &["x-goog-api-key: nope"], b"");
    assert_eq!(denied.json()["error"]["details"][0]["reason"], "API_KEY_INVALID");
    assert_eq!(refusal(&denied), (400, wrong));
    assert_eq!(server.ask_bare("GET", FILES, &[], b"").status, 403);
    assert_eq!(server.ask_bare("GET", FILES, &["Authorization: Bearer AIza-test"], b"").status, 403);
    assert_eq!(server.ask_bare("GET", &format!("{FILES}?key=AIza-test"), &[], b"").status, 200);
    assert_eq!(server.ask_bare("POST", "/gemini/upload/v1beta/files", &[], b"{}").status, 403);
    for (path, status) in [("/gemini/v2/files", 404), ("/gemini/v1/files?pageToken=!", 400)] {
        assert_eq!(refusal(&server.get(path)).0, status, "{path}");
    }
}

#[test]
fn only_generated_files_are_returned() {
    let server = start(&[]);
    upload(&server, &json!({ "name": "mine" }), b"x");
    let download = |server: &Emulator, id: &str| server.get(&format!("{FILES}/{id}:download?alt=media"));
    assert_eq!(refusal(&download(&server, "mine")).0, 400);
    // Such a file has an id that is longer than the limit.
    let id = format!("batch-{}", "0".repeat(36));
    let mut content = server.store.receive().unwrap();
    std::io::Write::write_all(&mut content, b"answers").unwrap();
    let mut file = File { id: FileId::from(id.as_str()), ..File::default() };
    file.extra.insert("source".to_owned(), "GENERATED".into());
    server.store.put("gemini", file, content.finish().unwrap()).unwrap();
    let shown = server.get(&format!("{FILES}/{id}")).json();
    assert_eq!(shown["source"], "GENERATED");
    assert_eq!(server.get(&server.path(&shown["downloadUri"])).body, b"answers");
    let (status, message) = refusal(&server.delete(&format!("{FILES}/{id}")));
    assert!(status == 400 && message.starts_with("* DeleteFileRequest.name: File ID"), "{message}");
    assert_eq!(refusal(&download(&server, "other")).0, 403);

    let server = start(&["gemini.generated"]);
    upload(&server, &json!({ "name": "mine" }), b"x");
    assert_eq!(download(&server, "mine").body, b"x");
    assert_eq!(server.get(&format!("{FILES}/mine:download")).status, 400);
}

#[test]
fn files_are_processed_and_may_fail() {
    let quirks = ["gemini.processing=30", "gemini.processing-fails"];
    let server = start(&quirks);
    let file = upload(&server, &json!({ "name": "video" }), b"x");
    assert_eq!((&file["state"], &file["error"]), (&json!("PROCESSING"), &Value::Null));
    let clock = clock_at(NOW + 30);
    let setup = Setup { token: Some("AIza-test"), auth: KEY, clock, quirks: &quirks, ..Setup::DEFAULT };
    let server = server.again(&setup);
    let file = server.get(&format!("{FILES}/video")).json();
    assert_eq!((&file["state"], &file["error"]["code"]), (&json!("FAILED"), &json!(3)));
    // The file expires after 48 hours.
    let setup = Setup { clock: clock_at(NOW + 48 * 3600), ..setup };
    let server = server.again(&setup);
    assert_eq!(server.get(&format!("{FILES}/video")).status, 403);
}

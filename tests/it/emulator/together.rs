//! The emulated Together AI over a socket, against the contract, and how the program handles its deviations.

use serde_json::{Value, json};

use crate::platforms::together::{FORM as IN_A_FORM, PARTS, V1};
use crate::support::clock_at;
use crate::support::emulator::{AUTH, Emulator, Setup, TOKEN};
use crate::support::raw::{Answer, FORM, all, form};
use crate::support::rig::Case;
use crate::support::sandbox::Sandbox;

/// The clock of the tests: 2026-05-10T12:00:00Z.
const NOW: i64 = 1_778_414_400;
/// SHA-256 of `hello`.
const SHA256: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
const URLENCODED: &str = "content-type: application/x-www-form-urlencoded";

fn setup() -> Setup<'static> {
    let clock = clock_at(NOW);
    Setup { platform: "together", alone: true, token: Some(TOKEN), auth: AUTH, clock, ..Setup::DEFAULT }
}

/// Two servers that take turns.
fn start(quirks: &[&str]) -> Emulator {
    Emulator::start(&Setup { quirks, replicas: true, ..setup() })
}

/// Registers a file with these fields.
fn register(server: &Emulator, fields: &[(&str, &str)]) -> Answer {
    let heads: Vec<String> = fields.iter().map(|(name, _)| format!("name=\"{name}\"")).collect();
    let parts: Vec<(&str, &[u8])> =
        heads.iter().zip(fields).map(|(head, (_, value))| (head.as_str(), value.as_bytes())).collect();
    server.ask("POST", "/v1/files", &[FORM], &form(&parts))
}

/// The path of the URL for the content, and the id of the file.
fn target(server: &Emulator, registered: &Answer) -> (String, String) {
    assert_eq!(registered.status, 302, "{registered:?}");
    let url = json!(registered.header("location").unwrap());
    (server.path(&url), registered.header("x-together-file-id").unwrap().to_owned())
}

/// Uploads `hello`, and returns its object.
fn upload(server: &Emulator, fields: &[(&str, &str)]) -> Value {
    let (path, id) = target(server, &register(server, fields));
    assert_eq!(server.ask_bare("PUT", &path, &[], b"hello").status, 200);
    server.ask("POST", &format!("/v1/files/{id}/preprocess"), &[], b"").ok()
}

#[test]
fn an_upload_has_three_steps() {
    let server = start(&[]);
    let fields = [
        ("purpose", "fine-tune"),
        ("file_name", "a/b/x.jsonl"),
        ("file_type", "jsonl"),
        ("checksum", SHA256),
    ];
    let (path, id) = target(&server, &register(&server, &fields));
    assert!(path.starts_with(&format!("/_storage/{id}?X-Amz-")), "{path}");
    server.get(&format!("/v1/files/{id}")).expect(404);
    server.ask("POST", &format!("/v1/files/{id}/preprocess"), &[], b"").expect(404);
    // The key is refused, and so is a changed URL.
    assert_eq!(server.ask("PUT", &path, &[], b"hello").status, 400);
    assert_eq!(server.ask_bare("PUT", &format!("{path}0"), &[], b"hello").status, 403);
    assert_eq!(server.ask_bare("PUT", &path.replace(&id, "file-other"), &[], b"hello").status, 403);
    let stored = server.ask_bare("PUT", &path, &[], b"hello");
    assert_eq!(stored.status, 200);
    assert_eq!(stored.header("etag").map(str::len), Some(34));
    let pending = server.get(&format!("/v1/files/{id}")).ok();
    let expected = json!({
        "id": id, "object": "file", "created_at": NOW, "filename": "x.jsonl", "bytes": 5,
        "purpose": "fine-tune", "FileType": "jsonl", "Processed": false, "processing_status": "PENDING",
    });
    assert_eq!(pending, expected);
    // The content can be stored again, and its check can be requested again.
    assert_eq!(server.ask_bare("PUT", &path, &[], b"HELLO").status, 200);
    for _ in 0..2 {
        let file = server.ask("POST", &format!("/v1/files/{id}/preprocess"), &[], b"").ok();
        assert_eq!((&file["processing_status"], &file["Processed"]), (&json!("COMPLETED"), &json!(true)));
        assert_eq!(file["validation_report"], json!({ "valid": true }));
    }
    assert_eq!(server.get(&format!("/v1/files/{id}/content")).text(), "HELLO");
    assert!(server.is_clean());
}

#[test]
fn fields_come_in_a_form_a_query_or_both() {
    let server = start(&[]);
    let query = "/v1/files?file_name=x.csv&purpose=eval&file_type=csv";
    let (path, _) = target(&server, &server.ask("POST", query, &[URLENCODED], b"file_name=%2Fa%2Fy.csv"));
    assert_eq!(server.ask_bare("PUT", &path, &[], b"hello").status, 200);
    let (path, _) = target(&server, &server.ask("POST", query, &[], b""));
    assert_eq!(server.ask_bare("PUT", &path, &[], b"hello").status, 200);
    let list = server.get("/v1/files").ok();
    let mut names = all(&list["data"], "filename");
    names.sort_unstable();
    assert_eq!((names, all(&list["data"], "FileType")), (vec!["x.csv", "y.csv"], vec!["csv", "csv"]));
    assert_eq!(list.as_object().unwrap().len(), 1, "only `data`");
    for (fields, param) in [
        (&[("purpose", "eval")][..], "file_name"),
        (&[("file_name", "a/")], "file_name"),
        (&[("file_name", "a"), ("purpose", "x")], "purpose"),
        (&[("file_name", "a"), ("file_type", "pdf")], "file_type"),
        (&[("file_name", "a"), ("checksum", "abc")], "checksum"),
    ] {
        let refusal = register(&server, fields).expect(400);
        assert_eq!(refusal["error"]["param"], param, "{refusal}");
    }
    // A form with the file is an upload.
    let whole =
        form(&[("name=\"file\"; filename=\"z.parquet\"", b"hello"), ("name=\"purpose\"", b"batch-api")]);
    for path in ["/v1/files", "/v1/files/upload"] {
        let file = server.ask("POST", path, &[FORM], &whole).ok();
        assert_eq!(
            (&file["filename"], &file["FileType"]),
            (&json!("z.parquet"), &json!("parquet")),
            "{path}"
        );
        assert_eq!((&file["Processed"], file.get("processing_status")), (&json!(true), None), "not checked");
    }
    server.ask("POST", "/v1/files/upload", &[FORM], &form(&[("name=\"file_name\"", b"a")])).expect(400);
    let empty = form(&[("name=\"file\"; filename=\"a\"", b"")]);
    server.ask("POST", "/v1/files/upload", &[FORM], &empty).expect(400);
}

#[test]
fn equal_content_is_stored_once_for_each_purpose() {
    let fields = |name, purpose| [("file_name", name), ("purpose", purpose), ("checksum", SHA256)];
    let server = start(&[]);
    let first = upload(&server, &fields("a.jsonl", "fine-tune"));
    let conflict = register(&server, &fields("b.jsonl", "fine-tune"));
    assert_eq!(conflict.header("x-should-retry"), Some("false"));
    assert_eq!(conflict.expect(409)["file_id"], first["id"]);
    assert_eq!(register(&server, &fields("b.jsonl", "eval")).status, 302);
    assert_eq!(register(&server, &fields("b.jsonl", "fine-tune")[..2]).status, 302, "without a checksum");
    server.delete(&format!("/v1/files/{}", first["id"].as_str().unwrap())).ok();
    assert_eq!(register(&server, &fields("b.jsonl", "fine-tune")).status, 302);
    let server = start(&["any-purpose"]);
    let first = upload(&server, &fields("a.jsonl", "fine-tune"));
    assert_eq!(register(&server, &fields("b.jsonl", "eval")).expect(409)["file_id"], first["id"]);
}

#[test]
fn a_check_takes_time_and_can_fail() {
    let server = start(&["processing=10"]);
    let file = upload(&server, &[("file_name", "a.jsonl")]);
    assert_eq!((&file["processing_status"], &file["Processed"]), (&json!("QUEUED"), &json!(false)));
    let file = upload(&server, &[("file_name", "a.jsonl"), ("purpose", "calibration")]);
    assert_eq!((file.get("processing_status"), &file["Processed"]), (None, &json!(true)));
    let server = start(&["processing-fails"]);
    let file = upload(&server, &[("file_name", "a.jsonl")]);
    assert_eq!(file["processing_status"], "INVALID_FORMAT");
    assert_eq!(file["validation_report"]["valid"], false);
}

#[test]
fn an_upload_url_expires() {
    let server = start(&["url-life=0"]);
    let (path, _) = target(&server, &register(&server, &[("file_name", "a.jsonl")]));
    let refused = server.ask_bare("PUT", &path, &[], b"hello");
    assert!(
        refused.status == 403 && refused.text().contains("<Message>Request has expired</Message>"),
        "{refused:?}"
    );
}

#[test]
fn parts_are_combined_in_order() {
    let server = start(&[]);
    let post = |name: &str, body: &Value| {
        server.post_json(&format!("/v1/files/multipart/{name}"), &body.to_string())
    };
    let about = json!({ "file_name": "a.jsonl", "file_size": 5, "num_parts": 2, "purpose": "fine-tune", "checksum": SHA256 });
    for (key, value) in [
        ("file_size", json!(0)),
        ("num_parts", json!(0)),
        ("num_parts", json!(251)),
        ("file_size", json!(null)),
    ] {
        let mut wrong = about.clone();
        wrong[key] = value;
        assert_eq!(post("initiate", &wrong).expect(400)["error"]["param"], key);
    }
    let begun = post("initiate", &about).ok();
    let ids = json!({ "upload_id": begun["upload_id"], "file_id": begun["file_id"] });
    let urls: Vec<String> =
        begun["parts"].as_array().unwrap().iter().map(|part| server.path(&part["URL"])).collect();
    let put = |at: usize, content: &[u8]| {
        let answer = server.ask_bare("PUT", &urls[at], &[], content);
        json!({ "part_number": at + 1, "etag": answer.header("etag").unwrap().trim_matches('"') })
    };
    assert_eq!(server.ask("PUT", &urls[0], &[], b"hel").status, 400);
    let (second, first) = (put(1, b"lo"), put(0, b"hel"));
    let mut done = ids.clone();
    for parts in [json!([first]), json!([second, first]), json!(null)] {
        done["parts"] = parts;
        post("complete", &done).expect(400);
    }
    done["parts"] = json!([first, second]);
    let file = post("complete", &done).ok()["file"].clone();
    assert_eq!((&file["id"], &file["processing_status"]), (&begun["file_id"], &json!("COMPLETED")));
    assert_eq!(server.get(&format!("/v1/files/{}/content", file["id"].as_str().unwrap())).text(), "hello");
    post("complete", &done).expect(404);
    assert_eq!(post("initiate", &about).expect(409)["file_id"], file["id"]);
    // An upload that is aborted leaves nothing.
    let mut other = about.clone();
    other["purpose"] = json!("eval");
    let begun = post("initiate", &other).ok();
    let url = server.path(&begun["parts"][0]["URL"]);
    assert_eq!(server.ask_bare("PUT", &url, &[], b"hel").status, 200);
    let ids = json!({ "upload_id": begun["upload_id"], "file_id": begun["file_id"] });
    post("abort", &ids).ok();
    post("abort", &ids).expect(404);
    assert_eq!(server.ask_bare("PUT", &url, &[], b"hel").status, 404);
    assert!(server.is_clean());
    assert_eq!(server.blobs(), 1, "the parts are discarded");
}

#[test]
fn content_has_ranges() {
    let server = start(&[]);
    let id = upload(&server, &[("file_name", "a.jsonl")])["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/files/{id}/content");
    let part = server.ask("GET", &path, &["range: bytes=0-1"], b"");
    assert_eq!((part.status, part.text().as_str()), (206, "he"));
    assert_eq!(part.header("content-range"), Some("bytes 0-1/5"));
    let server = start(&["no-ranges"]);
    let id = upload(&server, &[("file_name", "a.jsonl")])["id"].as_str().unwrap().to_owned();
    let whole = server.ask("GET", &format!("/v1/files/{id}/content"), &["range: bytes=0-1"], b"");
    assert_eq!((whole.status, whole.text().as_str()), (200, "hello"));
}

#[test]
fn refusals_have_the_format_of_the_api() {
    let server = start(&[]);
    let missing = server.get("/v1/files/file-0").expect(404);
    let message = "File file-0 not found";
    let expected =
        json!({ "message": message, "type": "invalid_request_error", "param": null, "code": null });
    assert_eq!(missing, json!({ "error": expected }));
    let denied = server.ask_bare("GET", "/v1/files", &[], b"").expect(401);
    assert_eq!(denied["error"]["message"], "Missing API key.");
    server.delete("/v1/files/file-0").expect(404);
}

/// A program whose default profile is this emulator.
fn program(server: &Emulator, case: Case) -> Sandbox {
    let mut env = Sandbox::new().with_real_clock();
    env.use_platform(&case, &server.root, TOKEN);
    env.write("a.csv", "hello");
    env
}

fn now() -> Setup<'static> {
    Setup { clock: haul::model::Clock(None), ..setup() }
}

#[test]
fn an_upload_of_equal_content_uses_the_existing_file() {
    for case in [V1, PARTS] {
        let server = Emulator::start(&now());
        let env = program(&server, case);
        let upload = |more: &[&str]| env.haul([&["upload", "a.csv", "--json"][..], more].concat());
        let first = upload(&[]).ok().json()[0]["id"].clone();
        for more in [&[][..], &["--if-exists", "replace"], &["--name", "b.csv"]] {
            let run = upload(more).ok();
            let row = &run.json()[0];
            assert_eq!((&row["id"], &row["evidence"]), (&first, &json!("checksum")), "{more:?} {run}");
        }
        let run = env.haul(["upload", "a.csv", "--name", "b.csv"]).ok();
        let note = format!(
            "b.csv: reused {}, which has the same content and the name a.csv",
            first.as_str().unwrap()
        );
        assert!(run.stderr().contains(&note), "{run}");
        // The same content twice in one command.
        env.write("d/x.csv", "twice");
        env.write("d/y.csv", "twice");
        let run = env.haul(["upload", "-r", "d", "--ids", "-j", "2"]).ok();
        assert!(run.lines()[0] == run.lines()[1] && env.ids().len() == 2, "{run}");
        // Another purpose is another file.
        upload(&["--purpose", "eval"]).ok();
        assert_eq!(env.ids().len(), 3);
        // A replaced file stays if the new content has another name.
        env.write("b.csv", "other");
        env.haul(["upload", "b.csv"]).ok();
        env.write("b.csv", "hello");
        let run = env.haul(["upload", "b.csv", "--if-exists", "replace"]).fails(1);
        assert!(run.stderr().contains("b.csv: together has this content already: file-"), "{run}");
        assert!(run.stderr().contains("with the name \"a.csv\""), "{run}");
        assert_eq!(env.ids().len(), 4);
    }
}

#[test]
fn an_existing_file_of_another_purpose_is_an_error() {
    let server = Emulator::start(&Setup { quirks: &["any-purpose"], ..now() });
    let env = program(&server, V1);
    let id = env.haul(["upload", "a.csv", "--ids"]).ok().lines().remove(0);
    let run = env.haul(["upload", "a.csv", "--purpose", "eval"]).fails(1);
    let message =
        format!("a.csv: together has this content already: {id}, with the purpose fine-tune instead of eval");
    assert!(run.stderr().contains(&message), "{run}");
    assert!(run.stderr().contains(&format!("`haul rm -p together id:{id}`")), "{run}");
}

#[test]
fn an_interrupted_upload_gets_its_check() {
    let server = Emulator::start(&now());
    let env = program(&server, V1);
    // The state after a kill between the upload of the content and its check.
    let fields = [("file_name", "a.csv"), ("purpose", "fine-tune"), ("checksum", SHA256)];
    let (path, id) = target(&server, &register(&server, &fields));
    assert_eq!(server.ask_bare("PUT", &path, &[], b"hello").status, 200);
    let run = env.haul(["upload", "a.csv", "--fields", "id,status"]).ok();
    assert_eq!(run.stdout(), format!("{id}\tCOMPLETED\n"));
}

#[test]
fn the_token_never_reaches_the_storage() {
    // The emulated storage refuses requests with a token.
    for case in [V1, PARTS] {
        let server = Emulator::start(&now());
        let env = program(&server, case);
        server.requests();
        env.haul(["upload", "a.csv"]).ok();
        let puts = server.log().into_iter().filter(|line| line["method"] == "PUT");
        let puts: Vec<Value> = puts.map(|line| line["status"].clone()).collect();
        assert_eq!(puts, [200], "{case:?}");
    }
}

#[test]
fn a_server_with_the_form_only_gets_a_form() {
    let server = Emulator::start(&Setup { quirks: &["form-only"], ..now() });
    for case in [V1, IN_A_FORM] {
        let env = program(&server, case);
        env.haul(["upload", "a.csv"]).ok();
        env.haul(["get", "a.csv", "-o", "copy"]).ok();
        assert_eq!(env.read("copy"), b"hello");
        env.haul(["rm", "a.csv"]).ok();
    }
}

#[test]
fn a_failed_check_is_reported() {
    let server = Emulator::start(&Setup { quirks: &["processing-fails"], ..now() });
    let run = program(&server, V1).haul(["upload", "a.csv", "--wait"]).fails(8);
    assert!(run.stderr().contains("together failed to process it: invalid_format"), "{run}");
}

#[test]
fn the_variables_of_the_clients_are_printed() {
    let run = Sandbox::new().haul(["serve", "--only", "together", "--print-env"]).ok();
    let start = "export TOGETHER_BASE_URL='http://127.0.0.1:8787'\nexport TOGETHER_API_KEY='any-token'\n";
    assert!(run.stdout().starts_with(start), "{run}");
    let own = "export HAUL_PROFILE_TOGETHER_BASE_URL='http://127.0.0.1:8787/v1'\n";
    assert!(run.stdout().contains(own), "{run}");
}

//! Tests the emulated Mistral API over a socket against the contract, and how haul handles deviations from it.

use serde_json::{Value, json};

use crate::platforms::mistral::V1;
use crate::support::clock_at;
use crate::support::emulator::{AUTH, Emulator, Setup, TOKEN};
use crate::support::raw::{Answer, FORM, all, form};
use crate::support::sandbox::Sandbox;

/// The clock of the tests: 2026-05-10T12:00:00Z.
const NOW: i64 = 1_778_414_400;
const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";

fn setup() -> Setup<'static> {
    let clock = clock_at(NOW);
    Setup { platform: "mistral", alone: true, token: Some(TOKEN), auth: AUTH, clock, ..Setup::DEFAULT }
}

fn start() -> Emulator {
    Emulator::start(&setup())
}

/// Uploads a file. It precedes the fields, as in requests from the JavaScript client.
fn send(server: &Emulator, file: &str, content: &[u8], fields: &[(&str, &str)]) -> Answer {
    let file = format!("name=\"file\"; filename={file}");
    let heads: Vec<String> = fields.iter().map(|(name, _)| format!("name=\"{name}\"")).collect();
    let mut parts: Vec<(&str, &[u8])> = vec![(&file, content)];
    parts.extend(heads.iter().zip(fields).map(|(head, (_, value))| (head.as_str(), value.as_bytes())));
    server.ask("POST", "/v1/files", &[FORM], &form(&parts))
}

fn upload(server: &Emulator, name: &str, fields: &[(&str, &str)]) -> Value {
    send(server, &format!("\"{name}\""), b"hello", fields).ok()
}

fn id_of(file: &Value) -> String {
    file["id"].as_str().unwrap().to_owned()
}

#[test]
fn an_upload_returns_its_object() {
    let server = start();
    let fields = [("expiry", "48"), ("visibility", "user"), ("purpose", "batch"), ("other", "ignored")];
    let file = upload(&server, "a/b/hello.jsonl", &fields);
    let expected = json!({
        "id": file["id"], "object": "file", "bytes": 5, "created_at": NOW, "filename": "hello.jsonl",
        "purpose": "batch", "sample_type": "batch_request", "num_lines": null,
        "mimetype": file["mimetype"], "source": "upload", "signature": file["signature"],
        "expires_at": NOW + 48 * 3600, "visibility": "user",
    });
    assert_eq!(file.to_string(), expected.to_string());
    assert_eq!(file["signature"].as_str().unwrap().len(), 16);
    let mut info = server.get(&format!("/v1/files/{}", id_of(&file))).ok();
    assert_eq!(info["deleted"].take(), false);
    let plain = upload(&server, "hello.txt", &[]);
    assert_eq!((&plain["expires_at"], &plain["visibility"]), (&Value::Null, &json!("workspace")));
    for (unit, seconds) in [("seconds", 48), ("days", 48 * 86_400)] {
        let quirk = format!("expiry-unit={unit}");
        let server = Emulator::start(&Setup { quirks: &[&quirk, "null-bytes"], ..setup() });
        let file = upload(&server, "hello.txt", &[("expiry", "48")]);
        assert_eq!((&file["expires_at"], &file["bytes"]), (&json!(NOW + seconds), &Value::Null), "{unit}");
    }
}

#[test]
fn pages_are_numbered_and_filtered() {
    let server = start();
    for name in ["Report.pdf", "b.pdf", "c.jsonl", "d.txt", "report 2.txt"] {
        let purpose = if name == "c.jsonl" { "batch" } else { "agentic_safety" };
        upload(&server, name, &[("purpose", purpose)]);
    }
    let names = |query: &str| {
        let list = server.get(&format!("/v1/files{query}")).ok();
        let mut names: Vec<String> = all(&list["data"], "filename").into_iter().map(str::to_owned).collect();
        names.sort();
        (names.join(" "), list["total"].clone())
    };
    assert_eq!(names("").1, 5);
    let pages: Vec<_> = (0..4).map(|page| names(&format!("?page={page}&page_size=2"))).collect();
    assert_eq!(pages.iter().map(|(_, total)| total.as_u64().unwrap()).sum::<u64>(), 20);
    let words: usize = pages.iter().map(|(names, _)| names.split_whitespace().count()).sum();
    assert_eq!((words, pages[3].0.as_str()), (6, ""), "one name has a space");
    assert_eq!(names("?include_total=false").1, Value::Null);
    for (query, found) in [
        ("?search=REPORT", "Report.pdf report 2.txt"),
        ("?purpose=batch", "c.jsonl"),
        ("?sample_type=batch_request&sample_type=pretrain", "c.jsonl"),
        ("?source=upload&search=d", "Report.pdf b.pdf d.txt"),
        ("?source=mistral", ""),
        ("?mimetypes=application/pdf&mimetypes=image/png", "Report.pdf b.pdf"),
    ] {
        let found = (found.to_owned(), json!(found.replace("t 2", "t_2").split_whitespace().count()));
        assert_eq!(names(query), found, "{query}");
    }
    for (query, place, kind) in [
        ("?page=-1", "page", "greater_than_equal"),
        ("?page_size=0", "page_size", "greater_than_equal"),
        ("?page=x", "page", "int_parsing"),
        ("?include_total=maybe", "include_total", "bool_parsing"),
        ("?purpose=other", "purpose", "enum"),
        ("?source=other", "source", "enum"),
    ] {
        let problem = server.get(&format!("/v1/files{query}")).expect(422)["detail"][0].take();
        assert_eq!((&problem["loc"], &problem["type"]), (&json!(["query", place]), &json!(kind)), "{query}");
    }
}

#[test]
fn a_signed_url_opens_without_a_token_until_it_ends() {
    let server = start();
    let id = id_of(&upload(&server, "hello.txt", &[]));
    let signed = |server: &Emulator, query: &str| {
        let url = server.get(&format!("/v1/files/{id}/url{query}")).ok();
        url["url"].as_str().unwrap().strip_prefix(&server.root).unwrap().to_owned()
    };
    let path = signed(&server, "?expiry=2");
    assert!(path.contains("se=2026-05-10T14%3A00%3A00Z"), "{path}");
    let fetch = |server: &Emulator, path: &str, headers: &[&str]| server.ask_bare("GET", path, headers, b"");
    let whole = fetch(&server, &path, &[]);
    assert_eq!((whole.status, whole.text().as_str()), (200, "hello"));
    let part = fetch(&server, &path, &["Range: bytes=1-2"]);
    assert_eq!((part.status, part.text().as_str()), (206, "el"));
    // The token must not reach the storage.
    assert_eq!(fetch(&server, &path, &[AUTH]).status, 403);
    assert_eq!(fetch(&server, &path.replace("T14", "T15"), &[]).status, 403);
    assert_eq!(fetch(&server, &format!("/_storage/{id}"), &[]).status, 403);
    assert!(signed(&server, "").contains("se=2026-05-11T12"), "24 hours are the default");
    for expiry in ["0", "169", "x"] {
        server.get(&format!("/v1/files/{id}/url?expiry={expiry}")).expect(422);
    }
    let later = server.again(&Setup { clock: clock_at(NOW + 7200), ..setup() });
    let refused = fetch(&later, &path, &[]);
    assert!(refused.status == 403 && refused.text().contains("AuthenticationFailed"), "{}", refused.text());
}

#[test]
fn refusals_follow_the_contract() {
    let server = Emulator::start(&Setup { quirks: &["mistral.upload-limit=5"], ..setup() });
    let missing = json!({ "detail": "No file matches the given query." });
    for path in ["", "/content", "/url"] {
        assert_eq!(server.get(&format!("/v1/files/{UNKNOWN}{path}")).expect(404), missing);
    }
    let file = id_of(&upload(&server, "hello.txt", &[]));
    let gone = json!({ "id": file, "object": "file", "deleted": true });
    let path = format!("/v1/files/{file}");
    assert_eq!(server.ask("DELETE", &path, &[], b"").ok(), gone);
    assert_eq!(server.ask("DELETE", &path, &[], b"").expect(404), missing);
    assert_eq!(server.get("/v1/files/nope").expect(422)["detail"][0]["type"], "uuid_parsing");
    send(&server, "\"big\"", b"123456", &[]).expect(413);
    let denied = server.ask_bare("GET", "/v1/files", &["Authorization: Bearer wrong"], b"").expect(401);
    assert_eq!(denied, json!({ "detail": "Unauthorized" }));
    let refused =
        send(&server, "\"a.zip\"\r\nContent-Type: application/zip", b"x", &[("purpose", "ocr")]).expect(422);
    assert_eq!(refused["detail"], "Invalid file format.");
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .starts_with("Received file with mimetype application/zip, only ")
    );
    for (field, value) in [("purpose", "other"), ("visibility", "all"), ("expiry", "0"), ("expiry", "soon")] {
        let problem = send(&server, "\"a.txt\"", b"x", &[(field, value)]).expect(422);
        assert_eq!(problem["detail"][0]["loc"], json!(["body", field]), "{value}");
    }
    let alone = form(&[("name=\"purpose\"", b"batch")]);
    let problem = server.ask("POST", "/v1/files", &[FORM], &alone).expect(422);
    assert_eq!(problem["detail"][0]["loc"], json!(["body", "file"]));
}

/// A program whose default profile is this emulator.
fn program(server: &Emulator, case: crate::support::rig::Case) -> Sandbox {
    let mut env = Sandbox::new().with_real_clock();
    env.use_platform(&case, &server.root, TOKEN);
    env.write("a.txt", "hello");
    env
}

#[test]
fn a_new_file_that_is_not_found_yet_is_requested_again() {
    let server = Emulator::start(&Setup { quirks: &["fresh-404=2"], clock: clock_at_now(), ..setup() });
    let mut env = program(&server, V1);
    env.set("HAUL_APPEARS_WITHIN", "1m");
    let id = env.haul(["upload", "a.txt", "--ids"]).ok().lines().remove(0);
    server.requests();
    let reference = format!("id:{id}");
    env.haul(["info", &reference]).ok();
    assert_eq!(server.requests().len(), 2, "found in the listing");
    let link = env.haul(["link", &reference]).ok();
    assert!(link.stdout().contains("/_storage/"), "{link}");
    env.haul(["get", &reference, "-o", "-"]).ok();
    assert!(server.requests().iter().filter(|line| line.contains("/url")).count() > 1, "requested again");
    // haul does not wait for an older file.
    env.haul(["rm", &reference]).ok();
    server.requests();
    env.haul(["link", &reference]).fails(3);
    assert!(server.requests().len() <= 3);
}

#[test]
fn an_expiry_in_another_unit_is_reported() {
    for (quirks, warns) in [(&[][..], false), (&["expiry-unit=days"], true), (&["expiry-unit=seconds"], true)]
    {
        let server = Emulator::start(&Setup { quirks, clock: clock_at_now(), ..setup() });
        let run = program(&server, V1).haul(["upload", "a.txt", "--expires", "48h"]).ok();
        let text = run.stderr();
        assert_eq!(
            text.contains("a.txt: the file expires at ") && text.contains(", but should expire at "),
            warns,
            "{run}"
        );
    }
}

#[test]
fn files_are_compared_by_size_the_ledger_or_their_content() {
    let server = Emulator::start(&Setup { clock: clock_at_now(), ..setup() });
    let mut env = program(&server, V1);
    env.set("HAUL_LEDGER", "off");
    env.haul(["upload", "a.txt"]).ok();
    let conflict = env.haul(["upload", "a.txt", "--if-exists", "skip", "--compare", "stored"]).fails(5);
    for hint in [
        "to accept equal sizes: `--compare size`",
        "to record ids and hashes in a lock file: `haul sync . mistral:`",
        "to upload another copy: `--if-exists upload`",
        "to replace the existing file: `--if-exists replace`",
    ] {
        assert!(conflict.stderr().contains(&format!("hint: {hint}\n")), "{conflict}");
    }
    let reused = env.haul(["upload", "a.txt", "--if-exists", "skip", "--fields", "evidence"]).ok();
    assert_eq!(reused.stdout(), "download\n");
    env.write("a.txt", "other");
    env.haul(["upload", "a.txt", "--if-exists", "update"]).ok();
    assert_eq!(env.ids().len(), 1, "replaced");
}

#[test]
fn the_arguments_of_the_clients_are_printed() {
    let run = Sandbox::new().haul(["serve", "--only", "mistral", "--print-env"]).ok();
    assert!(run.stdout().starts_with("export MISTRAL_SERVER_URL='http://127.0.0.1:8787'\n"), "{run}");
    let arguments = r#"`Mistral(server_url="http://127.0.0.1:8787")`; JavaScript: `new Mistral({serverURL: "http://127.0.0.1:8787"})`"#;
    assert!(run.stderr().contains(arguments), "{run}");
    let other = Sandbox::new().haul(["serve", "--only", "xai", "--print-env"]).ok();
    assert_eq!(other.stderr(), "");
}

fn clock_at_now() -> haul::model::Clock {
    haul::model::Clock(None)
}

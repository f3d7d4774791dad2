//! `/api/v1/beta/files`: uploads, retrieval, deletion, and the errors of every request.

use serde_json::json;

use crate::emulator::llamacloud::support::{BETA, Calls, KEY, LEGACY, PROJECT, Refusal, SHORT, setup, start};
use crate::support::emulator::{Emulator, Setup};
use crate::support::raw::{FORM, form, keys, noise};

const FILE: &str = "name=\"file\"; filename=\"a.txt\"";

#[test]
fn an_upload_is_returned_byte_for_byte() {
    let server = start();
    let content = noise(3_000_000);
    let file = server.upload("a.bin", "user_data", &content);
    assert_eq!(keys(&file), SHORT);
    assert_eq!((&file["project_id"], &file["expires_at"]), (&json!(PROJECT), &json!(null)));
    let id = file["id"].as_str().unwrap();
    assert!(uuid::Uuid::parse_str(id).is_ok_and(|id| id.get_version_num() == 4), "{id}");
    assert_eq!(server.get(&format!("{BETA}/{id}")).json(), file);

    let presigned = server.get(&format!("{BETA}/{id}/content")).json();
    assert_eq!(keys(&presigned), ["expires_at", "url", "form_fields"]);
    assert_eq!(presigned["expires_at"], "2026-01-02T04:04:05Z");
    let answer = server.fetch(&presigned, &[]);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/plain")));
    assert!(answer.body == content);
}

#[test]
fn names_with_any_characters_are_kept() {
    let server = start();
    // Python's framing: raw UTF-8, and percent-encoded quotes.
    let file = server.upload("naïve %22q%22.pdf", "user_data", b"x");
    assert_eq!((&file["name"], &file["file_type"]), (&json!("naïve \"q\".pdf"), &json!("pdf")));
    for name in ["../../etc/passwd", "/etc/passwd", "..", "日本語.txt", "no extension"] {
        let file = server.upload(name, "user_data", b"x");
        assert_eq!(file["name"], name);
        let presigned = server.get(&format!("{BETA}/{}/content", file["id"].as_str().unwrap())).json();
        assert_eq!(server.fetch(&presigned, &[]).body, b"x");
    }
}

#[test]
fn parts_come_in_any_order_and_the_last_of_a_name_wins() {
    let server = start();
    let body = form(&[
        (FILE, b"first"),
        ("name=\"other\"; filename=\"x\"", b"ignored"),
        ("name=\"purpose\"", b"nonsense"),
        ("name=\"external_file_id\"", "ext-\u{e9}".as_bytes()),
        ("name=\"file\"; filename=\"b.txt\"", b"second"),
        ("name=\"purpose\"", b"extract"),
    ]);
    let file = server.ask("POST", BETA, &[FORM], &body).json();
    assert_eq!((&file["name"], &file["purpose"]), (&json!("b.txt"), &json!("extract")));
    assert_eq!(file["external_file_id"], "ext-é");
}

#[test]
fn every_documented_purpose_is_accepted_and_parse_files_expire() {
    let server = start();
    for purpose in ["user_data", "parse", "extract", "split", "classify", "sheet", "agent_app"] {
        let expiry = if purpose == "parse" { json!("2026-01-04T03:04:05Z") } else { json!(null) };
        assert_eq!(server.upload("a", purpose, b"x")["expires_at"], expiry, "{purpose}");
    }
}

#[test]
fn invalid_uploads_leave_nothing() {
    let server = start();
    let ask = |parts: &[(&str, &[u8])]| server.ask("POST", BETA, &[FORM], &form(parts));
    let purpose: (&str, &[u8]) = ("name=\"purpose\"", b"user_data");
    assert_eq!(
        ask(&[]).invalid(),
        [(json!(["body", "file"]), json!("missing")), (json!(["body", "purpose"]), json!("missing"))]
    );
    assert_eq!(ask(&[purpose]).invalid(), [(json!(["body", "file"]), json!("missing"))]);
    for parts in [&[(FILE, b"x".as_slice())][..], &[(FILE, b"x"), ("name=\"purpose\"", b"")]] {
        assert_eq!(ask(parts).invalid(), [(json!(["body", "purpose"]), json!("missing"))]);
    }
    let unknown = ask(&[(FILE, b"x"), ("name=\"purpose\"", b"fine-tune")]);
    assert_eq!(unknown.invalid(), [(json!(["body", "purpose"]), json!("enum"))]);
    let no_filename = ask(&[purpose, ("name=\"file\"", b"x")]);
    assert_eq!(no_filename.invalid(), [(json!(["body", "file"]), json!("value_error"))]);
    ask(&[purpose, ("name=\"file\"; filename=\"\"", b"x")]).refused(400);
    ask(&[purpose, (FILE, b"")]).refused(400);
    let name = |length| format!("name=\"file\"; filename=\"{}\"", "é".repeat(length));
    assert_eq!(ask(&[purpose, (&name(3001), b"x")]).invalid()[0].1, "string_too_long");
    server.ask("POST", BETA, &["Content-Type: text/plain"], b"{}").refused(400);
    assert_eq!(server.get(BETA).json()["items"], json!([]));
    assert_eq!(ask(&[purpose, (&name(3000), b"x")]).status, 200);
}

#[test]
fn an_oversized_upload_is_refused_before_its_body() {
    let server = start();
    let head = format!(
        "POST {BETA} HTTP/1.1\r\nHost: x\r\n{KEY}\r\n{FORM}\r\nContent-Length: 600000000\r\nExpect: 100-continue\r\n\r\n"
    );
    assert!(server.send(head.as_bytes()).refused(413).contains("512 MB"));
}

#[test]
fn every_route_requires_a_key() {
    let server = Emulator::start(&Setup { token: Some("llx-right"), ..setup() });
    let id = PROJECT;
    let routes = [
        ("POST", BETA.to_owned()),
        ("GET", BETA.to_owned()),
        ("POST", format!("{BETA}/query")),
        ("GET", format!("{BETA}/{id}")),
        ("DELETE", format!("{BETA}/{id}")),
        ("GET", format!("{BETA}/{id}/content")),
        ("POST", LEGACY.to_owned()),
        ("GET", LEGACY.to_owned()),
        ("PUT", LEGACY.to_owned()),
        ("PUT", format!("{LEGACY}/sync")),
        ("PUT", format!("{LEGACY}/upload_from_url")),
        ("GET", format!("{LEGACY}/{id}")),
        ("DELETE", format!("{LEGACY}/{id}")),
        ("GET", format!("{LEGACY}/{id}/content")),
    ];
    for (method, path) in routes {
        for (headers, detail) in [
            (&[][..], "Not authenticated"),
            (&["Authorization: Token llx-right"], "Not authenticated"),
            (&["Cookie: session=llx-right"], "Not authenticated"),
            (&["Authorization: Bearer llx-wrong"], "Invalid authentication token"),
        ] {
            assert_eq!(server.ask_bare(method, &path, headers, b"").refused(401), detail, "{method} {path}");
        }
        let right = server.ask_bare(method, &path, &["Authorization: bearer llx-right"], b"");
        assert_ne!(right.status, 401, "{method} {path}");
    }
}

#[test]
fn only_the_scope_of_the_key_is_accessible() {
    let server = start();
    let id = server.upload("a", "user_data", b"x")["id"].as_str().unwrap().to_owned();
    let status = |query: &str| server.get(&format!("{BETA}?{query}"));
    assert_eq!(status(&format!("project_id={PROJECT}")).json()["items"][0]["id"], id.as_str());
    assert_eq!(status("project_id=00000000000040008000000000000001").status, 200, "any form of a UUID");
    assert_eq!(status("organization_id=00000000-0000-4000-8000-000000000002").status, 200);
    status("project_id=99999999-2222-4333-8444-555555555555").refused(403);
    // Programs send the organization of their account, so any is accepted by default.
    let other = "organization_id=99999999-2222-4333-8444-555555555555";
    assert_eq!(status(other).status, 200);
    let strict = Emulator::start(&Setup {
        quirks: &["organizations=00000000-0000-4000-8000-000000000002"],
        ..setup()
    });
    strict.get(&format!("{BETA}?{other}")).refused(403);
    let projects = server.get("/llamacloud/api/v1/projects").json();
    assert_eq!((&projects[0]["id"], &projects[0]["is_default"]), (&json!(PROJECT), &json!(true)));
    for pages in ["page_screenshots", "page-figures"] {
        assert_eq!(server.get(&format!("/llamacloud/api/v1/files/{id}/{pages}")).json(), json!([]));
    }
    assert_eq!(
        status("project_id=mine").invalid(),
        [(json!(["query", "project_id"]), json!("uuid_parsing"))]
    );
    assert_eq!(status("organization_id=").invalid()[0].0, json!(["query", "organization_id"]));
}

#[test]
fn a_deleted_file_is_gone_for_every_call() {
    let server = start();
    let id = server.upload("a", "user_data", b"x")["id"].as_str().unwrap().to_owned();
    let presigned = server.get(&format!("{BETA}/{id}/content")).json();
    assert_eq!(server.ask("DELETE", &format!("{BETA}/{id}"), &[], b"").status, 204);
    for (method, path) in [
        ("GET", format!("{BETA}/{id}")),
        ("GET", format!("{BETA}/{id}/content")),
        ("DELETE", format!("{BETA}/{id}")),
        ("GET", format!("{LEGACY}/{id}")),
    ] {
        assert_eq!(server.ask(method, &path, &[], b"").refused(404), "File not found");
    }
    server.fetch(&presigned, &[]).refused_by_bucket(404, "NoSuchKey");
}

#[test]
fn unknown_ids_routes_and_methods() {
    let server = start();
    for id in ["11111111-2222-4333-8444-555555555555", "x", "..", "%2e%2e%2fx", "a%2Fb%20c", "%ff"] {
        server.get(&format!("{BETA}/{id}")).refused(404);
    }
    assert_eq!(server.get("/llamacloud/api/v1/beta/nothing").refused(404), "Not Found");
    assert_eq!(server.ask("PATCH", BETA, &[], b"").refused(405), "Method Not Allowed");
    assert_eq!(server.ask("PATCH", &format!("{BETA}/x"), &[], b"").refused(405), "Method Not Allowed");
}

#[test]
fn the_first_version_describes_files_in_json() {
    let server = start();
    let new = json!({ "name": "a.txt", "external_file_id": "e" });
    let created = server.json("POST", BETA, &new).json();
    assert_eq!((&created["name"], &created["external_file_id"]), (&json!("a.txt"), &json!("e")));
    assert_eq!(created["file_size"], 0);
    let id = created["id"].as_str().unwrap();
    assert_eq!(server.get(&format!("{BETA}/{id}")).json()["name"], "a.txt");
    let begun = server.json("PUT", BETA, &new).json();
    let path = server.path(&begun["url"]);
    assert_eq!(server.ask_bare("PUT", &path, &[], b"content").status, 200);
    let id = begun["file_id"].as_str().unwrap();
    assert_eq!(server.get(&format!("{LEGACY}/{id}")).json()["file_size"], 7);
    assert_eq!(server.json("POST", BETA, &json!({})).status, 422);
}

#[test]
fn any_lifetime_of_a_link_is_accepted() {
    let server = start();
    let id = server.upload("a", "user_data", b"x")["id"].as_str().unwrap().to_owned();
    let content = |query: &str| server.get(&format!("{BETA}/{id}/content?{query}"));
    let expiry = |query: &str| content(query).json()["expires_at"].as_str().unwrap().to_owned();
    assert_eq!(expiry("expires_at_seconds=60"), "2026-01-02T03:05:05Z");
    assert_eq!(expiry("expires_at_seconds=0"), "2026-01-02T03:04:05Z");
    assert_eq!(expiry("expires_at_seconds=99999999"), "2026-01-09T03:04:05Z", "a week at most");
    let wrong = content("expires_at_seconds=soon").invalid();
    assert_eq!(wrong, [(json!(["query", "expires_at_seconds"]), json!("int_parsing"))]);
}

//! `/api/v1/files`.

use serde_json::{Value, json};

use crate::emulator::llamacloud::support::{BETA, Calls, LEGACY, NOW, PROJECT, Refusal, start};
use crate::support::emulator::Emulator;
use crate::support::raw::{FORM, form, keys, noise};

const LONG: [&str; 14] = [
    "id",
    "created_at",
    "updated_at",
    "name",
    "external_file_id",
    "file_size",
    "file_type",
    "project_id",
    "last_modified_at",
    "resource_info",
    "permission_info",
    "data_source_id",
    "expires_at",
    "purpose",
];

fn upload(server: &Emulator, query: &str, content: &[u8]) -> Value {
    let body = form(&[("name=\"upload_file\"; filename=\"a.pdf\"", content)]);
    let answer = server.ask("POST", &format!("{LEGACY}{query}"), &[FORM], &body);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[test]
fn an_upload_is_visible_in_both_generations() {
    let server = start();
    let file = upload(&server, "", b"hello");
    assert_eq!(keys(&file), LONG);
    let id = file["id"].as_str().unwrap();
    assert_eq!(
        file,
        json!({
            "id": id, "created_at": NOW, "updated_at": NOW, "name": "a.pdf", "external_file_id": "a.pdf",
            "file_size": 5, "file_type": "pdf", "project_id": PROJECT, "last_modified_at": NOW,
            "resource_info": null, "permission_info": null, "data_source_id": null, "expires_at": null,
            "purpose": null,
        })
    );
    assert_eq!(server.get(&format!("{LEGACY}/{id}")).json(), file);
    assert_eq!(server.get(&format!("{LEGACY}/{}", id.to_uppercase())).json(), file);
    let short = server.get(&format!("{BETA}/{id}")).json();
    assert_eq!((&short["name"], &short["external_file_id"]), (&json!("a.pdf"), &json!(null)));
    let presigned = server.get(&format!("{LEGACY}/{id}/content")).json();
    assert_eq!(server.fetch(&presigned, &[]).body, b"hello");
    assert_eq!(server.ask("DELETE", &format!("{LEGACY}/{id}"), &[], b"").status, 204);
    server.ask("DELETE", &format!("{LEGACY}/{id}"), &[], b"").refused(404);
}

#[test]
fn the_attributes_of_an_upload_are_in_the_query() {
    let server = start();
    let file = upload(&server, "?external_file_id=docs/a.pdf&storage_type=Ephemeral", b"x");
    assert_eq!(
        (&file["external_file_id"], &file["expires_at"]),
        (&json!("docs/a.pdf"), &json!("2026-01-04T03:04:05Z"))
    );
    assert_eq!(upload(&server, "?storage_type=permanent", b"x")["expires_at"], json!(null));
    let twice = server.get(&format!("{BETA}?external_file_id=docs/a.pdf")).json();
    assert_eq!(twice["items"].as_array().unwrap().len(), 1);
    let missing = server.ask("POST", LEGACY, &[FORM], &form(&[("name=\"file\"; filename=\"a\"", b"x")]));
    assert_eq!(missing.invalid(), [(json!(["body", "upload_file"]), json!("missing"))]);
    let empty = form(&[("name=\"upload_file\"; filename=\"a\"", b"")]);
    server.ask("POST", LEGACY, &[FORM], &empty).refused(400);
}

#[test]
fn the_listing_is_one_array_of_any_length() {
    let server = start();
    assert_eq!(server.get(LEGACY).text(), "[]");
    for number in 0..450 {
        server.seed(&format!("{number:03}"), "x", PROJECT, NOW.parse().unwrap());
    }
    let answer = server.get(LEGACY);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let files = answer.json();
    let ids: Vec<_> = files.as_array().unwrap().iter().map(|file| file["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 450);
    assert!(ids.is_sorted_by(|a, b| a > b), "each once, newest first");
    assert_eq!(keys(&files[0]), LONG);
    assert_eq!(server.ask("PUT", &format!("{LEGACY}/sync"), &[], b"").json(), files);
}

#[test]
fn ids_are_uuids() {
    let server = start();
    for (method, path) in [("GET", "x"), ("DELETE", "x"), ("GET", "x/content"), ("GET", "..%2f..")] {
        let wrong = server.ask(method, &format!("{LEGACY}/{path}"), &[], b"").invalid();
        assert_eq!(wrong, [(json!(["path", "id"]), json!("uuid_parsing"))], "{method} {path}");
    }
    server.get(&format!("{LEGACY}/11111111-2222-4333-8444-555555555555")).refused(404);
}

#[test]
fn a_presigned_upload_bypasses_the_api() {
    let server = start();
    let record = json!({
        "name": "b.bin", "external_file_id": "ext", "file_size": 3, "last_modified_at": "2019-12-27T18:11:19.117",
        "resource_info": { "a": [1] }, "permission_info": { "b": null }, "storage_type": "ephemeral",
        "data_source_id": "99999999222243338444555555555555",
    });
    let presigned = server.json("PUT", &format!("{LEGACY}?expires_at_seconds=30"), &record).json();
    assert_eq!(keys(&presigned), ["expires_at", "url", "form_fields", "file_id"]);
    assert_eq!(presigned["expires_at"], "2026-01-02T03:04:35Z");
    let id = presigned["file_id"].as_str().unwrap();
    let url = server.path(&presigned["url"]);
    assert_eq!(server.get(LEGACY).json(), json!([]), "nothing before the bytes");

    let content = noise(300_000);
    assert_eq!(server.ask_bare("PUT", &url, &["Content-Type: text/plain"], &content).status, 200);
    let file = server.get(&format!("{LEGACY}/{id}")).json();
    assert_eq!(
        file,
        json!({
            "id": id, "created_at": NOW, "updated_at": NOW, "name": "b.bin", "external_file_id": "ext",
            "file_size": 300_000, "file_type": "bin", "project_id": PROJECT,
            "last_modified_at": "2019-12-27T18:11:19.117000Z", "resource_info": { "a": [1] },
            "permission_info": { "b": null }, "data_source_id": "99999999-2222-4333-8444-555555555555",
            "expires_at": "2026-01-04T03:04:05Z", "purpose": null,
        })
    );
    let link = server.get(&format!("{BETA}/{id}/content")).json();
    let answer = server.fetch(&link, &[]);
    assert!(answer.body == content && answer.header("content-type") == Some("text/plain"));

    // A URL accepts further writes as long as it is valid.
    assert_eq!(server.ask_bare("PUT", &url, &[], b"again").status, 200);
    assert_eq!(server.fetch(&link, &[]).body, b"again");
    server.ask("DELETE", &format!("{LEGACY}/{id}"), &[], b"");
    server.ask_bare("PUT", &url, &[], b"x").refused_by_bucket(404, "NoSuchKey");
}

#[test]
fn invalid_records_name_the_location_of_the_error() {
    let server = start();
    for (record, field, kind) in [
        (json!({}), "name", "missing"),
        (json!({ "name": null }), "name", "missing"),
        (json!({ "name": "" }), "name", "string_too_short"),
        (json!({ "name": "x".repeat(3001) }), "name", "string_too_long"),
        (json!({ "name": "a", "file_size": -1 }), "file_size", "greater_than_equal"),
        (json!({ "name": "a", "file_size": "1" }), "file_size", "type_error"),
        (json!({ "name": "a", "data_source_id": "x" }), "data_source_id", "uuid_parsing"),
        (json!({ "name": "a", "last_modified_at": "soon" }), "last_modified_at", "type_error"),
        (json!({ "name": "a", "resource_info": [] }), "resource_info", "type_error"),
        (json!({ "name": "a", "permission_info": 1 }), "permission_info", "type_error"),
        (json!({ "name": "a", "storage_type": 1 }), "storage_type", "type_error"),
    ] {
        let wrong = server.json("PUT", LEGACY, &record).invalid();
        assert_eq!(wrong, [(json!(["body", field]), json!(kind))], "{record}");
    }
    assert_eq!(server.ask("PUT", LEGACY, &[], b"").invalid(), [(json!(["body"]), json!("missing"))]);
    let from_url = |body: Value| server.json("PUT", &format!("{LEGACY}/upload_from_url"), &body);
    assert_eq!(from_url(json!({})).invalid(), [(json!(["body", "url"]), json!("missing"))]);
    assert_eq!(from_url(json!({ "url": "x" })).invalid(), [(json!(["body", "url"]), json!("url_parsing"))]);
}

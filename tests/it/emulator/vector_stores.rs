//! Vector stores of the emulated OpenAI.

use serde_json::{Value, json};

use crate::support::clock_at;
use crate::support::emulator::{Emulator, Setup};
use crate::support::raw::{Answer, FORM, form, keys};

const NOW: i64 = 1_778_414_400;
const STORES: &str = "/openai/v1/vector_stores";

fn start() -> Emulator {
    Emulator::start(&Setup { auth: "Authorization: Bearer secret", clock: clock_at(NOW), ..Setup::DEFAULT })
}

fn upload(server: &Emulator, name: &str) -> String {
    let file = format!("name=\"file\"; filename=\"{name}\"");
    let parts: [(&str, &[u8]); 2] = [("name=\"purpose\"", b"assistants"), (&file, b"hello")];
    let file = server.ask("POST", "/openai/v1/files", &[FORM], &form(&parts)).ok();
    file["id"].as_str().unwrap().to_owned()
}

fn create(server: &Emulator, body: &Value) -> String {
    server.post_json(STORES, &body.to_string()).ok()["id"].as_str().unwrap().to_owned()
}

fn post(server: &Emulator, path: &str, body: &Value) -> Answer {
    server.post_json(&format!("{STORES}/{path}"), &body.to_string())
}

fn get(server: &Emulator, path: &str) -> Value {
    server.get(&format!("{STORES}/{path}")).ok()
}

fn ids(page: &Value) -> Vec<&str> {
    page["data"].as_array().unwrap().iter().map(|object| object["id"].as_str().unwrap()).collect()
}

#[test]
fn a_file_is_attached_processed_and_detached() {
    let server = start();
    let (good, bad) = (upload(&server, "a.md"), upload(&server, "a.xyz"));
    let store = create(&server, &json!({"name": "n", "metadata": {"a": "b"}}));
    let body = json!({"file_id": good, "attributes": {"k": "v", "n": 1, "b": true}});
    let attached = post(&server, &format!("{store}/files"), &body).ok();
    let expected = json!({
        "id": good, "object": "vector_store.file", "created_at": NOW, "vector_store_id": store, "status": "in_progress",
        "usage_bytes": 0, "last_error": null, "attributes": {"k": "v", "n": 1, "b": true},
        "chunking_strategy": {
            "type": "static", "static": {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": 400},
        },
    });
    assert_eq!(attached.to_string(), expected.to_string(), "in this order");
    assert_eq!(get(&server, &store)["status"], "in_progress");
    let path = format!("{store}/files/{good}");
    let done = get(&server, &path);
    assert_eq!((&done["status"], &done["usage_bytes"]), (&json!("completed"), &json!(5)));
    post(&server, &format!("{store}/files"), &json!({"file_id": bad})).ok();
    assert_eq!(get(&server, &store)["status"], "in_progress");
    assert_eq!(get(&server, &store)["status"], "completed", "for a client that polls only the store");
    let failed = get(&server, &format!("{store}/files/{bad}"));
    let error = json!({"code": "unsupported_file", "message": "The file type is not supported."});
    assert_eq!((&failed["status"], &failed["last_error"]), (&json!("failed"), &error));
    let info = get(&server, &store);
    assert_eq!(
        keys(&info),
        [
            "id",
            "object",
            "created_at",
            "name",
            "usage_bytes",
            "file_counts",
            "status",
            "expires_after",
            "expires_at",
            "last_active_at",
            "metadata",
        ]
    );
    let counts = json!({"in_progress": 0, "completed": 1, "failed": 1, "cancelled": 0, "total": 2});
    assert_eq!((&info["file_counts"], &info["status"]), (&counts, &json!("completed")));
    assert_eq!(
        post(&server, &path, &json!({"attributes": {"k": "w"}})).ok()["attributes"],
        json!({"k": "w"})
    );
    assert_eq!(get(&server, &format!("{path}/content"))["data"][0]["text"], "The text of a.md.");
    let gone = json!({"id": good, "object": "vector_store.file.deleted", "deleted": true});
    assert_eq!(server.delete(&format!("{STORES}/{path}")).ok(), gone);
    server.get(&format!("/openai/v1/files/{good}")).ok();
    server.delete(&format!("/openai/v1/files/{bad}")).ok();
    assert_eq!(get(&server, &format!("{store}/files"))["data"], json!([]), "a deleted file is detached");
    let deleted = json!({"id": store, "object": "vector_store.deleted", "deleted": true});
    assert_eq!(server.delete(&format!("{STORES}/{store}")).ok(), deleted);
    assert_eq!(server.get(&format!("{STORES}/{store}")).status, 404);
}

#[test]
fn listings_have_pages_and_a_filter() {
    let server = start();
    let store = create(&server, &json!({}));
    let files: Vec<String> =
        ["a.md", "b.xyz", "c.md", "d.md", "e.md"].iter().map(|name| upload(&server, name)).collect();
    for id in &files {
        post(&server, &format!("{store}/files"), &json!({"file_id": id})).ok();
    }
    let list = |query: &str| get(&server, &format!("{store}/files?{query}"));
    let newest: Vec<&str> = files.iter().rev().map(String::as_str).collect();
    let all = list("");
    assert_eq!(keys(&all), ["object", "data", "first_id", "last_id", "has_more"]);
    assert_eq!((ids(&all), &all["has_more"]), (newest.clone(), &json!(false)));
    let page = list("limit=2");
    assert_eq!(
        (ids(&page), &page["has_more"], &page["last_id"]),
        (newest[..2].to_vec(), &json!(true), &json!(newest[1]))
    );
    assert_eq!(ids(&list(&format!("limit=2&after={}", newest[1]))), newest[2..4]);
    assert_eq!(ids(&list(&format!("limit=2&before={}", newest[3]))), newest[1..3]);
    assert_eq!(ids(&list("order=asc&limit=1")), [files[0].as_str()]);
    assert_eq!(ids(&list("filter=failed")), [files[1].as_str()]);
    assert_eq!(ids(&list("filter=completed&limit=1&order=asc")), [files[0].as_str()]);
    for (query, param) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("order=up", "order"),
        ("after=x", "after"),
        ("filter=new", "filter"),
    ] {
        let answer = server.get(&format!("{STORES}/{store}/files?{query}"));
        assert_eq!((answer.status, answer.json()["error"]["param"].as_str()), (400, Some(param)), "{query}");
    }
    let second = create(&server, &json!({"file_ids": [files[0]]}));
    assert_eq!(ids(&server.get(&format!("{STORES}?limit=1")).ok()), [second.as_str()]);
    assert_eq!(ids(&get(&server, &format!("{second}/files"))), [files[0].as_str()], "each has its own files");
}

#[test]
fn batches_and_refusals() {
    let server = start();
    let (one, two) = (upload(&server, "a.md"), upload(&server, "b.md"));
    let store = create(&server, &json!({"expires_after": {"anchor": "last_active_at", "days": 7}}));
    assert_eq!(get(&server, &store)["expires_at"], NOW + 7 * 86_400);
    let batch = post(&server, &format!("{store}/file_batches"), &json!({"file_ids": [one, two]})).ok();
    assert_eq!((&batch["status"], &batch["file_counts"]["in_progress"]), (&json!("in_progress"), &json!(2)));
    let path = format!("{store}/file_batches/{}", batch["id"].as_str().unwrap());
    let done = get(&server, &path);
    assert_eq!((&done["status"], &done["file_counts"]["completed"]), (&json!("completed"), &json!(2)));
    assert_eq!(ids(&get(&server, &format!("{path}/files?filter=completed"))).len(), 2);
    let other = create(&server, &json!({}));
    let files = json!({"files": [{"file_id": one, "attributes": {"a": 1}}]});
    let batch = post(&server, &format!("{other}/file_batches"), &files).ok();
    let path = format!("{other}/file_batches/{}/cancel", batch["id"].as_str().unwrap());
    let cancelled = post(&server, &path, &json!({})).ok();
    assert_eq!(
        (&cancelled["status"], &cancelled["file_counts"]["cancelled"]),
        (&json!("cancelled"), &json!(1))
    );
    let files = format!("{store}/files");
    for (path, body, status, message) in [
        (&*files, json!({"file_id": "file-x"}), 404, "Files [file-x] were not found"),
        (&*files, json!({}), 400, "Missing required parameter: 'file_id'."),
        ("vs_x/files", json!({"file_id": one}), 404, "Vector store with id 'vs_x' not found."),
        (
            &*files,
            json!({"file_id": one, "attributes": {"a": []}}),
            400,
            "Invalid 'attributes': at most 16 pairs of short values.",
        ),
    ] {
        let answer = post(&server, path, &body);
        assert_eq!(
            (answer.status, answer.json()["error"]["message"].as_str()),
            (status, Some(message)),
            "{body}"
        );
    }
    let missing = server.get(&format!("{STORES}/{store}/files/file-x"));
    let message = format!("No file found with id 'file-x' in vector store '{store}'.");
    assert_eq!((missing.status, missing.json()["error"]["message"].as_str()), (404, Some(&*message)));
    assert_eq!(server.get("/groq/openai/v1/vector_stores").status, 404, "only vendors that have them");
}

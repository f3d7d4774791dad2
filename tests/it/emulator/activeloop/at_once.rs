//! Concurrent requests: a change is kept if the response reported success.

use std::thread;
use std::time::{Duration, Instant};

use haul::store::Listing;
use serde_json::{Value, json};

use crate::emulator::activeloop::{start, upload};
use crate::support::raw::{FORM, JSON, form};

#[test]
fn concurrent_metadata_merges_are_all_kept() {
    let server = start();
    let id = upload(&server, "a.txt", b"hello", &[]);
    thread::scope(|scope| {
        for name in ["a", "b", "c", "d"] {
            let (server, id) = (&server, &id);
            scope.spawn(move || {
                for n in 0..20 {
                    let change = json!({ format!("{name}{n}"): n }).to_string();
                    server.ask("PATCH", &format!("/files/{id}/metadata"), &[JSON], change.as_bytes()).ok();
                }
            });
        }
    });
    let metadata = server.get(&format!("/files/{id}")).ok()["metadata"].clone();
    assert_eq!(metadata.as_object().unwrap().len(), 80, "{metadata}");
}

#[test]
fn a_deleted_workspace_leaves_nothing() {
    let server = start();
    let set_user = |method: &str, id: &str, user: &str| {
        let body = json!({ "user": user, "access": "viewer" }).to_string();
        server.ask(method, &format!("/workspaces/{id}/user"), &[JSON], body.as_bytes()).status
    };
    for round in 0..20 {
        let id = format!("w{round}");
        server.post_json("/workspaces", &json!({ "id": id, "name": "A" }).to_string()).ok();
        upload(&server, "old.txt", format!("old {round}").as_bytes(), &[("workspace", &id)]);
        assert_eq!(set_user("POST", &id, "old"), 200);
        let statuses: Vec<u16> = thread::scope(|scope| {
            let uploads = [0, 1].map(|n| {
                let (server, id) = (&server, &id);
                scope.spawn(move || {
                    let contents: Vec<String> = (0..20).map(|part| format!("{round} {n} {part}")).collect();
                    let files = contents.iter();
                    let files = files.map(|text| ("name=\"file\"; filename=\"a.txt\"", text.as_bytes()));
                    let workspace = [("name=\"workspace\"", id.as_bytes())];
                    let body = form(&workspace.into_iter().chain(files).collect::<Vec<_>>());
                    server.ask("POST", "/files", &[FORM], &body).status
                })
            });
            let user = scope.spawn(|| set_user("POST", &id, "new"));
            // Deletes the workspace as soon as the first of the new files exists.
            let begun = Instant::now();
            let listing = Listing { limit: 2, ..Listing::default() };
            while server.store.list("activeloop", &listing).unwrap().len() < 2 {
                assert!(begun.elapsed() < Duration::from_mins(1), "no file appears");
                thread::yield_now();
            }
            assert_eq!(server.delete(&format!("/workspaces/{id}")).status, 200);
            uploads.into_iter().chain([user]).map(|thread| thread.join().unwrap()).collect()
        });
        assert!(statuses.iter().all(|status| matches!(status, 200 | 404)), "{statuses:?}");
        assert_eq!(server.blobs(), 0, "round {round}");
        assert_eq!(server.store.notes("activeloop", "workspace-user", None).unwrap(), []);
        assert_eq!(server.get(&format!("/workspaces/{id}")).status, 404);
    }
    let left: Value = server.get("/files").ok();
    assert_eq!(left["data"], json!([]));
}

#[test]
fn damaged_content_is_an_error() {
    let server = start();
    let id = upload(&server, "a.txt", b"hello", &[]);
    assert_eq!(server.damage(), 1);
    assert_eq!(server.get(&format!("/files/{id}/content")).status, 500);
}

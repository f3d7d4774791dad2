//! Workspaces, their users and their files.

use serde_json::{Value, json};

use crate::emulator::activeloop::{start, upload};
use crate::support::emulator::Emulator;
use crate::support::raw::{FORM, JSON, form, keys};

fn create(server: &Emulator, id: &str) {
    let answer = server.post_json("/workspaces", &json!({ "id": id, "name": "A name" }).to_string());
    assert_eq!(answer.ok(), Value::Null);
}

#[test]
fn workspaces_are_created_and_deleted_except_the_default_one() {
    let server = start();
    create(&server, "my-work_2");
    let list = server.get("/workspaces").ok();
    assert_eq!(keys(&list), ["data"]);
    let expected = json!({
        "id": "my-work_2", "name": "A name", "creator_user_id": "emulated-user", "org_id": "emulated-org",
        "created_at": "2026-05-10T12:00:00.000Z",
    });
    assert_eq!((&list["data"][0]["id"], &list["data"][1]), (&json!("default"), &expected));
    assert_eq!(server.get("/workspaces/my-work_2").ok(), expected);
    assert_eq!(server.get("/workspaces/default").ok()["id"], "default");
    let taken = server.post_json("/workspaces", r#"{"id":"my-work_2","name":"x"}"#);
    assert_eq!((taken.status, taken.text().as_str()), (409, r#"{"detail":"Workspace already exists"}"#));
    assert_eq!(server.post_json("/workspaces", r#"{"id":"default","name":"x"}"#).status, 409);
    assert_eq!(server.delete("/workspaces/my-work_2").ok(), Value::Null);
    assert_eq!(server.delete("/workspaces/my-work_2").status, 404);
    assert_eq!(server.delete("/workspaces/default").status, 400);
    assert_eq!(server.get("/workspaces").ok()["data"].as_array().unwrap().len(), 1);
}

#[test]
fn workspace_ids_are_validated() {
    let server = start();
    let longest = "a".repeat(34);
    for id in ["a", "0", "a-b_c-1", &longest] {
        create(&server, id);
    }
    let long = "a".repeat(35);
    for (id, kind) in [
        ("", "string_too_short"),
        (&*long, "string_too_long"),
        ("A", "string_pattern_mismatch"),
        ("-a", "string_pattern_mismatch"),
        ("a-", "string_pattern_mismatch"),
        ("a--b", "string_pattern_mismatch"),
        ("a/b", "string_pattern_mismatch"),
        ("é", "string_pattern_mismatch"),
    ] {
        let answer = server.post_json("/workspaces", &json!({ "id": id, "name": "x" }).to_string());
        assert_eq!((answer.status, answer.json()["detail"][0]["type"].as_str()), (422, Some(kind)), "{id}");
    }
    for (body, place) in
        [(r#"{"id":"x"}"#, "name"), (r#"{"name":"x"}"#, "id"), (r#"{"id":1,"name":"x"}"#, "id")]
    {
        let answer = server.post_json("/workspaces", body);
        assert_eq!((answer.status, &answer.json()["detail"][0]["loc"]), (422, &json!(["body", place])));
    }
}

#[test]
fn users_have_access() {
    let server = start();
    create(&server, "w");
    let set = |method: &str, user: &str, access: &str| {
        let body = json!({ "user": user, "access": access }).to_string();
        server.ask(method, "/workspaces/w/user", &[JSON], body.as_bytes()).status
    };
    assert_eq!((set("PUT", "ann", "viewer"), set("POST", "ann", "viewer")), (404, 200));
    assert_eq!(
        (set("PUT", "ann", "writer"), set("POST", "bob", "viewer"), set("POST", "cy", "owner")),
        (200, 200, 422)
    );
    let expected = json!({ "data": [
        { "user_id": "ann", "access": "writer", "created_at": "2026-05-10T12:00:00.000Z" },
        { "user_id": "bob", "access": "viewer", "created_at": "2026-05-10T12:00:00.000Z" },
    ] });
    assert_eq!(server.get("/workspaces/w/users").ok(), expected);
    assert_eq!(server.delete("/workspaces/w/user/ann").ok(), Value::Null);
    assert_eq!(server.delete("/workspaces/w/user/ann").status, 404);
    assert_eq!(server.get("/workspaces/w/users").ok()["data"].as_array().unwrap().len(), 1);
    assert_eq!(server.get("/workspaces/other/users").status, 404);
    assert_eq!(server.post_json("/workspaces/other/user", r#"{"user":"a","access":"viewer"}"#).status, 404);
    server.delete("/workspaces/w");
    create(&server, "w");
    assert_eq!(server.get("/workspaces/w/users").ok()["data"], json!([]));
}

#[test]
fn a_file_is_visible_only_in_its_workspace() {
    let server = start();
    create(&server, "w");
    let id = upload(&server, "a.txt", b"text", &[("workspace", "w")]);
    upload(&server, "b.txt", b"text", &[]);
    let file = server.get(&format!("/files/{id}?workspace=w")).ok();
    assert_eq!(file["workspace_id"], "w");
    for path in
        [format!("/files/{id}"), format!("/files/{id}/content"), format!("/files/{id}?workspace=default")]
    {
        assert_eq!(server.get(&path).status, 404, "{path}");
    }
    assert_eq!(server.delete(&format!("/files/{id}")).status, 404);
    assert_eq!(server.ask("PUT", &format!("/files/{id}/metadata"), &[JSON], b"{}").status, 404);
    assert_eq!(server.get(&format!("/files/{id}/content?workspace=w")).text(), "text");
    let names = |query: &str| {
        let page = server.get(&format!("/files{query}")).ok();
        page["data"].as_array().unwrap().iter().map(|file| file["filename"].clone()).collect::<Vec<_>>()
    };
    assert_eq!((names(""), names("?workspace=w")), (vec![json!("b.txt")], vec![json!("a.txt")]));
    // A file is deleted with its workspace and does not reappear in another workspace of that name.
    server.delete("/workspaces/w");
    assert_eq!(server.get(&format!("/files/{id}?workspace=w")).status, 404);
    create(&server, "w");
    assert_eq!(names("?workspace=w"), Vec::<Value>::new());
    let late = form(&[("name=\"file\"; filename=\"a\"", b""), ("name=\"workspace\"", b"gone")]);
    assert_eq!(server.ask("POST", "/files", &[FORM], &late).status, 404);
}

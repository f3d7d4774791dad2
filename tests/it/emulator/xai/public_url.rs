//! Public URLs.

use haul::model::Object;
use serde_json::{Value, json};

use crate::emulator::xai::{NOW, setup, start, upload, upload_for};
use crate::support::clock_at;
use crate::support::emulator::{Emulator, Setup};
use crate::support::raw::{JSON, keys};

fn create(server: &Emulator, id: &str, body: &str) -> crate::support::raw::Answer {
    server.post_json(&format!("/v1/files/{id}/public-url"), body)
}

/// Fetches the URL in a response, without a key.
fn follow(server: &Emulator, answer: &Value) -> crate::support::raw::Answer {
    let url = answer["public_url"].as_str().unwrap();
    let (_, path) = url.split_once("/files-cdn/").unwrap();
    server.ask_bare("GET", &format!("/files-cdn/{path}"), &[], b"")
}

#[test]
fn a_file_has_one_public_url_which_needs_no_key() {
    let server = start();
    let id = upload(&server, "Photo.PNG", b"image");
    let created = create(&server, &id, "{}").ok();
    assert_eq!(keys(&created), ["public_url"], "a missing expiry time is omitted");
    let url = created["public_url"].as_str().unwrap();
    let prefix = format!("http://{}/files-cdn/", server.address);
    let (token, name) = url.strip_prefix(&prefix).unwrap().split_once('/').unwrap();
    assert_eq!((token.len(), name), (22, format!("{id}.PNG").as_str()));
    let fetched = follow(&server, &created);
    assert_eq!((fetched.status, fetched.text().as_str()), (200, "image"));
    assert_eq!(fetched.header("content-type"), Some("image/png"));
    for wrong in
        [url.replace(token, &"A".repeat(22)), url.replace(".PNG", ".png"), url.replace(&id, "file_1")]
    {
        assert_eq!(follow(&server, &json!({ "public_url": wrong })).status, 404, "{wrong}");
    }
    let file = server.get(&format!("/v1/files/{id}")).ok();
    assert_eq!((&file["public_url"], file.get("public_url_expires_at")), (&created["public_url"], None));
    // A repeated request returns the same URL, and a new expiry replaces the old one.
    assert_eq!(create(&server, &id, "{}").ok(), created);
    let ending = create(&server, &id, r#"{"expires_after":7200}"#).ok();
    assert_eq!((&ending["public_url"], &ending["expires_at"]), (&created["public_url"], &json!(NOW + 7200)));
    assert_eq!(create(&server, &id, r#"{"expires_after":null}"#).ok(), ending, "and stays if none is given");
    assert_eq!(server.get(&format!("/v1/files/{id}")).ok()["public_url_expires_at"], NOW + 7200);
    let with_url = |filter: &str| {
        server.get(&format!("/v1/files?filter={filter}")).ok()["data"].as_array().unwrap().len()
    };
    assert_eq!((with_url("public_url%20!=%20null"), with_url("public_url=null")), (1, 0));
    // An expired URL stays invalid, and the next one differs.
    let server = server.again(&Setup { clock: clock_at(NOW + 7200), ..setup() });
    assert_eq!(follow(&server, &created).status, 404);
    let file = server.get(&format!("/v1/files/{id}")).ok();
    assert_eq!((file.get("public_url"), file.get("public_url_expires_at")), (None, None));
    let found = server.get("/v1/files?filter=public_url!=null%20OR%20public_url_expires_at!=null").ok();
    assert_eq!(found["data"], json!([]));
    let fresh = create(&server, &id, "{}").ok();
    assert_ne!(fresh["public_url"], created["public_url"]);
}

#[test]
fn a_public_url_expires_with_its_file_at_the_latest() {
    let server = start();
    let id = upload_for(&server, "a.mp4", b"x", 7200);
    assert_eq!(create(&server, &id, "{}").ok()["expires_at"], NOW + 7200);
    assert_eq!(create(&server, &id, r#"{"expires_after":7200}"#).status, 200);
    let beyond = create(&server, &id, r#"{"expires_after":7201}"#);
    assert_eq!(
        (beyond.status, beyond.json()["code"].as_str()),
        (400, Some("Client specified an invalid argument"))
    );
}

#[test]
fn revoking_is_idempotent() {
    let server = start();
    let id = upload(&server, "a.pdf", b"x");
    let revoke = |id: &str| server.ask("POST", &format!("/v1/files/{id}/public-url/revoke"), &[], b"").ok();
    let unpublished = json!({ "id": id, "revoked": false });
    assert_eq!(revoke(&id), unpublished);
    let created = create(&server, &id, "{}").ok();
    let revoked = revoke(&id);
    assert_eq!(keys(&revoked), ["id", "revoked", "public_url"]);
    assert_eq!(revoked, json!({ "id": id, "revoked": true, "public_url": created["public_url"] }));
    assert_eq!(follow(&server, &created).status, 404);
    assert_eq!(revoke(&id), unpublished);
    let fresh = create(&server, &id, "{}").ok();
    assert_ne!(fresh["public_url"], created["public_url"]);
    assert_eq!(server.delete(&format!("/v1/files/{id}")).status, 200);
    assert_eq!(follow(&server, &fresh).status, 404);
    assert_eq!(revoke(&id), unpublished);
    assert_eq!(revoke("file_unknown")["revoked"], false);
}

#[test]
fn a_public_url_is_refused_where_it_is_not_possible() {
    let server = start();
    let (text, empty) = (upload(&server, "a.txt", b"x"), upload(&server, "a.jpg", b""));
    let image = upload(&server, "a.jpeg", b"x");
    for id in [&text, &empty] {
        assert_eq!(create(&server, id, "{}").status, 400);
    }
    assert_eq!(create(&server, "file_1", "{}").status, 404);
    for seconds in ["0", "3599", "2592001"] {
        assert_eq!(
            create(&server, &image, &format!("{{\"expires_after\":{seconds}}}")).status,
            400,
            "{seconds}"
        );
    }
    let path = format!("/v1/files/{image}/public-url");
    assert_eq!(server.ask("POST", &path, &[], b"").status, 415);
    assert_eq!(server.ask("POST", &path, &["Content-Type: text/plain"], b"{}").status, 415);
    for (body, status) in [
        ("", 400),
        ("{", 400),
        ("[]", 422),
        (r#"{"expires_after":"3600"}"#, 422),
        (r#"{"expires_after":1.5}"#, 422),
    ] {
        assert_eq!(server.ask("POST", &path, &[JSON], body.as_bytes()).status, status, "{body}");
    }
    assert_eq!(server.get(&format!("/v1/files/{image}")).ok().get("public_url"), None);
}

#[test]
fn a_team_has_at_most_a_thousand_public_urls() {
    let server = start();
    let id = upload(&server, "a.png", b"x");
    let note = |at: u32, seconds: i64| {
        let note = Object::from_iter([("public_url_expires_at".to_owned(), Value::from(NOW + seconds))]);
        let id = format!("file_{at}");
        server.store.transaction("xai", |change| change.note("public-url", &id, None, &note)).unwrap();
    };
    (0..1000).for_each(|at| note(at, 60));
    let refused = create(&server, &id, "{}");
    assert_eq!(
        (refused.status, refused.json()["code"].as_str()),
        (429, Some("Some resource has been exhausted"))
    );
    note(7, 0);
    assert_eq!(create(&server, &id, "{}").status, 200, "one has ended");
    assert_eq!(create(&server, &id, "{}").status, 200, "and the one that there is counts itself only");
}

#[test]
fn urls_work_next_to_other_platforms_and_with_another_host_name() {
    let server = Emulator::start(&Setup { alone: false, ..setup() });
    let form = crate::support::raw::form(&[("name=\"file\"; filename=\"a.png\"", b"image")]);
    let id = server.ask("POST", "/xai/v1/files", &[crate::support::raw::FORM], &form).ok()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let host = format!("localhost:{}", server.address.port());
    let link = |path: &str, body: &str, field: &str| {
        let headers = [&*format!("Host: {host}"), JSON];
        let answer = server.ask("POST", &format!("/xai/v1/{path}"), &headers, body.as_bytes());
        answer.ok()[field].as_str().unwrap().to_owned()
    };
    let public = link(&format!("files/{id}/public-url"), "{}", "public_url");
    let presigned = link("files:download", &json!({ "file_id": id }).to_string(), "presigned_url");
    for (url, path) in [(public, "/xai/files-cdn/"), (presigned, "/xai/storage/")] {
        let rest = url.strip_prefix(&format!("http://{host}")).unwrap();
        assert!(rest.starts_with(path), "{url}");
        assert_eq!(server.ask_bare("GET", rest, &[], b"").text(), "image");
    }
}

//! Links and their targets.

use super::Calls as _;
use serde_json::{Value, json};

use crate::emulator::metorial::{KEY, MAGNETAR, PULSAR, SETUP, dialect, purpose, refused};
use crate::support::clock;
use crate::support::emulator::{Emulator, Setup};
use crate::support::raw::{FORM, all, form};

#[test]
fn the_first_two_dialects_have_links_below_a_file() {
    for word in ["seed", "pulsar"] {
        let server = Emulator::start(&Setup {
            dialect: Some(word),
            clock: clock("2026-01-02T03:04:05.678Z"),
            ..SETUP
        });
        let file = server.file(purpose(word), "a.txt");
        let path = format!("/files/{file}/links");
        let created = server.call("POST", &path, "");
        let link = created.expect(200);
        let id = link["id"].as_str().unwrap();
        assert!(id.starts_with("flk_"));
        let expected = format!(
            r#"{{"object":"file.file_link","id":"{id}","file_id":"{file}","url":{},"created_at":"2026-01-02T03:04:05.678Z","expires_at":null}}"#,
            link["url"]
        );
        assert_eq!(created.text(), expected);
        let url = server.path(&link["url"]);
        assert!(
            url.starts_with(&format!("/metorial/files/retrieve/{id}/")) && url.ends_with("_ext"),
            "{url}"
        );
        assert_eq!(server.ask("GET", &url, &[], b"").text(), "hello world");
        let other = server.call("POST", &path, "{}").expect(200);
        assert!(other["id"] != link["id"] && other["url"] != link["url"], "each call creates another link");
        assert_eq!(server.call("GET", &format!("{path}/{id}"), "").expect(200), link);
        let list = server.call("GET", &format!("{path}?limit=9999&order=nonsense&cursor=x"), "").expect(200);
        assert_eq!(all(&list["items"], "id"), [id, other["id"].as_str().unwrap()]);
        let list = server.call("GET", &format!("{path}?limit=1&after={id}"), "").expect(200);
        assert_eq!(list["pagination"], json!({"has_more_after": false, "has_more_before": true}));
        let end = r#"{"expires_at":"2026-03-01T00:00:00.000Z"}"#;
        let changed = server.call("PATCH", &format!("{path}/{id}"), end).expect(200);
        assert_eq!(
            (changed["expires_at"].as_str(), &changed["url"]),
            (Some("2026-03-01T00:00:00.000Z"), &link["url"])
        );
        assert_eq!(server.call("PATCH", &format!("{path}/{id}"), "{}").expect(200), changed);
        let null = server.call("PATCH", &format!("{path}/{id}"), r#"{"expires_at":null}"#);
        refused(&null, 400, "invalid_data", "body");
        assert_eq!(server.call("DELETE", &format!("{path}/{id}"), "").expect(200), changed);
        refused(&server.call("DELETE", &format!("{path}/{id}"), ""), 404, "not_found", "fileLink");
        refused(&server.call("GET", &format!("{path}/{id}"), ""), 404, "not_found", "fileLink");
        refused(&server.ask("GET", &url, &[], b""), 404, "not_found", "fileLink");
        refused(&server.call("POST", "/files/fil_x/links", "{}"), 404, "not_found", "file");
        refused(&server.call("GET", "/files/fil_x/links", ""), 404, "not_found", "file");
        let elsewhere = format!("/files/fil_x/links/{}", other["id"].as_str().unwrap());
        refused(&server.call("GET", &elsewhere, ""), 404, "not_found", "fileLink");
    }
}

#[test]
fn magnetar_has_top_level_links() {
    for word in ["seed", "magnetar"] {
        let server = dialect(word);
        let (one, two) = (server.file("generic", "1"), server.file("generic", "2"));
        let make = |file: &str| {
            server.call("POST", "/file-links", &json!({ "file_id": file }).to_string()).expect(200)
        };
        let links = [make(&one), make(&two), make(&one)];
        let id = |link: &Value| link["id"].as_str().unwrap().to_owned();
        let list = |query: &str| {
            let list = server.call("GET", &format!("/file-links?{query}"), "").expect(200);
            all(&list["items"], "id").into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(list(""), links.each_ref().map(id));
        assert_eq!(list(&format!("file_id={one}")), [id(&links[0]), id(&links[2])]);
        assert_eq!(list(&format!("file_id[0]={two}&file_id[1]={one}")), links.each_ref().map(id));
        assert_eq!(list("file_id=fil_x"), [""; 0]);
        assert_eq!(list("order=desc&limit=1"), [id(&links[2])]);
        assert_eq!(list(&format!("before={}", id(&links[2]))), [id(&links[0]), id(&links[1])]);
        assert_eq!(list("after=flk_x"), [""; 0]);
        refused(&server.call("GET", "/file-links?limit=101", ""), 400, "invalid_data", "query");
        let path = format!("/file-links/{}", id(&links[1]));
        assert_eq!(server.call("GET", &path, "").expect(200), links[1]);
        assert_eq!(server.call("DELETE", &path, "").expect(200), links[1]);
        refused(&server.call("DELETE", &path, ""), 404, "not_found", "fileLink");
        refused(&server.call("POST", "/file-links", r#"{"file_id":"fil_x"}"#), 404, "not_found", "file");
        for body in ["{}", r#"{"file_id":1}"#, &format!(r#"{{"file_id":"{one}","expires_at":"soon"}}"#)] {
            refused(&server.call("POST", "/file-links", body), 400, "invalid_data", "body");
        }
    }
}

#[test]
fn a_link_works_in_both_forms_with_any_key() {
    let server = dialect("magnetar");
    let file = server.file("generic", "a.txt");
    let link = server.call("POST", "/file-links", &json!({ "file_id": file }).to_string()).expect(200);
    let url = server.path(&link["url"]);
    let key = url.rsplit('/').next().unwrap().to_owned();
    assert_eq!(url, format!("/metorial/files/{file}/{key}"));
    assert!(key.len() == 34 && key.ends_with("_ext"));
    let earlier = format!("/metorial/files/retrieve/{}/{key}", link["id"].as_str().unwrap());
    for path in [&url, &earlier] {
        assert_eq!(server.ask("GET", path, &[], b"").text(), "hello world");
        assert_eq!(server.ask("GET", path, &["Authorization: Bearer nonsense"], b"").status, 200);
        refused(&server.ask("GET", &path.replace(&key, "wrong"), &[], b""), 404, "not_found", "fileLink");
        refused(&server.ask("GET", &path[..path.len() - 1], &[], b""), 404, "not_found", "fileLink");
        refused(&server.ask("GET", &path.replace("_0", "_1"), &[], b""), 404, "not_found", "fileLink");
    }
}

#[test]
fn content_has_a_generic_type_unless_it_is_an_image() {
    let server = dialect("magnetar");
    let content = |content_type: &str, body: &str, query: &str, headers: &[&str]| {
        let file = format!("name=\"file\"; filename=\"ü%22.txt\"\r\nContent-Type: {content_type}");
        let parts: [(&str, &[u8]); 2] = [(&file, b"0123456789"), ("name=\"purpose\"", b"generic")];
        let file = server.ask("POST", "/metorial/files", &[KEY, FORM], &form(&parts)).expect(200);
        let body = body.replace("ID", file["id"].as_str().unwrap());
        let link = server.call("POST", "/file-links", &body).expect(200);
        server.ask("GET", &format!("{}{query}", server.path(&link["url"])), headers, b"")
    };
    let forever = r#"{"file_id":"ID"}"#;
    let plain = content("text/html", forever, "", &["Range: bytes=2-3", "Accept-Encoding: gzip"]);
    assert_eq!((plain.status, plain.text().as_str()), (200, "0123456789"), "no ranges");
    assert_eq!(plain.header("content-type"), Some("application/octet-stream"));
    assert_eq!(plain.header("content-length"), Some("10"));
    assert_eq!(plain.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(plain.header("cache-control"), Some("public, max-age=31536000, immutable"));
    let disposition = plain.header("content-disposition").unwrap();
    assert!(
        disposition.starts_with("inline; filename=\"")
            && disposition.ends_with("; filename*=UTF-8''%C3%BC%22.txt"),
        "{disposition}"
    );
    assert_eq!(
        (plain.header("etag"), plain.header("accept-ranges"), plain.header("location")),
        (None, None, None)
    );
    let ending = r#"{"file_id":"ID","expires_at":"2999-01-01"}"#;
    let image = content("image/png", ending, "?download", &[]);
    assert_eq!(image.header("content-type"), Some("image/png"));
    assert_eq!(image.header("cache-control"), Some("private, no-store"));
    assert!(image.header("content-disposition").unwrap().starts_with("attachment; "));
}

#[test]
fn an_expired_link_is_refused() {
    let server = dialect("magnetar");
    let file = server.file("generic", "a.txt");
    let body = json!({ "file_id": file, "expires_at": "2020-01-01T00:00:00Z" }).to_string();
    let link = server.call("POST", "/file-links", &body).expect(200);
    assert_eq!(link["expires_at"], "2020-01-01T00:00:00.000Z", "a past date is accepted");
    let url = server.path(&link["url"]);
    let answer = server.ask("GET", &url, &[], b"");
    refused(&answer, 400, "bad_request", "");
    let path = format!("/metorial/files/{file}/links/{}", link["id"].as_str().unwrap());
    let later = br#"{"expires_at":"2999-01-01T00:00:00Z"}"#;
    server.ask("PATCH", &path, &[KEY, PULSAR, crate::support::raw::JSON], later).expect(200);
    assert_eq!(server.ask("GET", &url, &[MAGNETAR], b"").text(), "hello world");
}

#[test]
fn the_seed_s_literal_get_is_a_quirk() {
    let server = Emulator::start(&Setup { quirks: &["links-get-creates"], ..SETUP });
    let path = format!("/files/{}/links", server.file("attachment", "a.txt"));
    let link = server.call("GET", &path, "").expect(200);
    assert_eq!(server.ask("GET", &server.path(&link["url"]), &[], b"").text(), "hello world");
}

#[test]
fn links_can_point_to_another_host() {
    let server = Emulator::start(&Setup { quirks: &["files-url=http://files.test:8/base/"], ..SETUP });
    let path = format!("/files/{}/links", server.file("attachment", "a.txt"));
    let link = server.call("POST", &path, "").expect(200);
    assert!(
        link["url"].as_str().unwrap().starts_with("http://files.test:8/base/files/retrieve/flk_"),
        "{link}"
    );
}

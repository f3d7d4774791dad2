//! Listing, retrieval, deletion, expiry.

use super::Calls as _;
use serde_json::{Value, json};

use crate::emulator::replicate::{SETUP, TOKEN, refused, with};
use crate::support::clock;
use crate::support::emulator::{Emulator, Setup};
use crate::support::raw::all;

fn names(page: &Value) -> Vec<&str> {
    all(&page["results"], "name")
}

fn follow(server: &Emulator, url: &Value) -> Value {
    server.ask("GET", &server.path(url), &[TOKEN], b"").expect(200)
}

#[test]
fn three_pages_newest_first_and_back() {
    let server = with(&["page-size=2"]);
    for n in 0..5 {
        server.file(&n.to_string(), b"x");
    }
    let first = server.call("GET", "/v1/files").expect(200);
    assert_eq!((names(&first), first["previous"].clone()), (vec!["4", "3"], Value::Null));
    let second = follow(&server, &first["next"]);
    assert_eq!(names(&second), ["2", "1"]);
    let third = follow(&server, &second["next"]);
    assert_eq!((names(&third), third["next"].clone()), (vec!["0"], Value::Null));
    assert_eq!(names(&follow(&server, &third["previous"])), ["2", "1"]);
    let back = follow(&server, &second["previous"]);
    assert_eq!(back["results"], first["results"]);
    assert_eq!((&back["previous"], names(&follow(&server, &back["next"]))), (&Value::Null, vec!["2", "1"]));
    // The file that the cursor names may be deleted in the meantime.
    let gone = first["results"][1]["id"].as_str().unwrap();
    assert_eq!(server.call("DELETE", &format!("/v1/files/{gone}")).status, 204);
    assert_eq!(names(&follow(&server, &first["next"])), ["2", "1"]);
    for wrong in ["x", "cD0x", "%ff"] {
        assert_eq!(
            server.call("GET", &format!("/v1/files?cursor={wrong}")).expect(400)["detail"],
            "Invalid cursor"
        );
    }
}

#[test]
fn a_page_has_100_files() {
    let server = Emulator::start(&SETUP);
    for n in 0..101 {
        server.file(&n.to_string(), b"x");
    }
    let first = server.call("GET", "/v1/files?limit=5").expect(200);
    assert_eq!(names(&first).len(), 100, "the limit parameter is ignored");
    assert_eq!(names(&follow(&server, &first["next"])), ["0"]);
}

#[test]
fn the_recorded_order_can_be_enabled() {
    let server = with(&["list_order=id", "page-size=4"]);
    let mut ids: Vec<_> = (0..10).map(|n| server.file(&n.to_string(), b"x")).collect();
    ids.sort_unstable();
    let mut page = server.call("GET", "/v1/files").expect(200);
    let mut listed = Vec::new();
    loop {
        listed.extend(all(&page["results"], "id").into_iter().map(str::to_owned));
        if page["next"].is_null() {
            break;
        }
        page = follow(&server, &page["next"]);
    }
    assert_eq!(listed, ids);
    assert_eq!(all(&follow(&server, &page["previous"])["results"], "id"), ids[4..8]);
}

#[test]
fn delete_has_no_body_and_succeeds_once() {
    let server = Emulator::start(&SETUP);
    let path = format!("/v1/files/{}", server.file("a", b"x"));
    let deleted = server.call("DELETE", &path);
    assert_eq!((deleted.status, deleted.header("content-type")), (204, Some("text/plain; charset=UTF-8")));
    assert_eq!(server.blobs(), 0);
    for answer in [server.call("DELETE", &path), server.call("GET", &path)] {
        refused(&answer, 404, "File not found");
        assert_eq!(answer.text(), r#"{"detail":"File not found"}"#);
    }
    assert_eq!(server.call("GET", "/v1/files").json()["results"], json!([]));
}

#[test]
fn a_file_expires_after_a_day() {
    let at = |time: &str| Setup { clock: clock(time), ..SETUP };
    let server = Emulator::start(&at("2024-08-22T12:26:51.079Z"));
    let path = format!("/v1/files/{}", server.file("a", b"x"));
    let server = server.again(&at("2024-08-23T12:26:51.078Z"));
    assert_eq!(server.call("GET", &path).status, 200);
    let server = server.again(&at("2024-08-23T12:26:51.079Z"));
    refused(&server.call("GET", &path), 404, "File not found");
    refused(&server.call("DELETE", &path), 404, "File not found");
    assert_eq!(server.call("GET", "/v1/files").json()["results"], json!([]));
}

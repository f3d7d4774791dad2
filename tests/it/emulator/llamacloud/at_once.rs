//! Concurrent requests: a change is kept if the response reported success, and rules apply to all requests together.

use std::thread;

use serde_json::json;

use crate::emulator::llamacloud::support::{BETA, Calls as _, LEGACY, Refusal as _, start, with};
use crate::support::raw::{FORM, form};

const AT_ONCE: usize = 6;

/// Makes several concurrent calls and returns their statuses.
fn at_once(call: impl Fn(usize) -> u16 + Sync) -> Vec<u16> {
    thread::scope(|scope| {
        let calls: Vec<_> = (0..AT_ONCE)
            .map(|n| {
                let call = &call;
                scope.spawn(move || call(n))
            })
            .collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    })
}

#[test]
fn a_presigned_url_accepts_concurrent_uploads() {
    let server = start();
    for round in 0..10 {
        let begun = server.json("PUT", LEGACY, &json!({ "name": "a.txt" })).json();
        let path = server.path(&begun["url"]);
        let put = |n: usize| server.ask_bare("PUT", &path, &[], format!("content {n}").as_bytes()).status;
        assert_eq!(at_once(put), [200; AT_ONCE], "round {round}");
        let id = begun["file_id"].as_str().unwrap();
        assert_eq!(server.get(&format!("{LEGACY}/{id}")).json()["file_size"], 9);
        let link = server.get(&format!("{LEGACY}/{id}/content")).json();
        assert!(server.fetch(&link, &[]).text().starts_with("content "));
        assert_eq!(server.blobs(), round + 1);
        assert_eq!(server.store.notes("llamacloud", "expected", None).unwrap(), []);
        // Content unique to this round.
        let last = format!("the last of round {round}");
        assert_eq!(server.ask_bare("PUT", &path, &[], last.as_bytes()).status, 200);
    }
}

#[test]
fn one_of_several_concurrent_uploads_gets_an_external_id() {
    let server = with(&["unique-external-id"]);
    for round in 0..10 {
        let external = format!("external-{round}");
        let body = form(&[
            ("name=\"purpose\"", b"user_data"),
            ("name=\"external_file_id\"", external.as_bytes()),
            ("name=\"file\"; filename=\"a.txt\"", b"hello"),
        ]);
        let mut statuses = at_once(|_| server.ask("POST", BETA, &[FORM], &body).status);
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409, 409, 409, 409, 409]);
        let found = server.get(&format!("{BETA}?external_file_id={external}")).json();
        assert_eq!(found["items"].as_array().unwrap().len(), 1);
        let begun = server.json("PUT", LEGACY, &json!({ "name": "a", "external_file_id": external }));
        assert_eq!(begun.status, 409);
    }
}

#[test]
fn damaged_content_is_an_error() {
    let server = start();
    let file = server.upload("a.txt", "user_data", b"hello");
    let link = server.get(&format!("{BETA}/{}/content", file["id"].as_str().unwrap())).json();
    assert_eq!(server.damage(), 1);
    server.fetch(&link, &[]).refused_by_bucket(500, "InternalError");
}

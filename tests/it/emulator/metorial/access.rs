//! Keys, versions, headers, and the errors that every route has.

use super::Calls as _;
use serde_json::json;

use crate::emulator::metorial::{KEY, MAGNETAR, PULSAR, SETUP, dialect, refused};
use crate::support::emulator::{Emulator, Setup};

#[test]
fn a_key_is_in_a_header_or_in_the_query() {
    let server = Emulator::start(&Setup { token: Some("metorial_sk_good"), ..SETUP });
    let ask = |path: &str, headers: &[&str]| server.ask("GET", path, headers, b"");
    assert_eq!(ask("/metorial/files", &["Authorization: Bearer metorial_sk_good"]).status, 200);
    assert_eq!(ask("/metorial/files?token=metorial_sk_good", &[]).status, 200);
    assert_eq!(ask("/metorial/files?key=metorial_sk_good", &[]).status, 200);
    let mut messages = Vec::new();
    for header in
        ["X-None: x", "Authorization: bearer metorial_sk_good", "Authorization: Bearer metorial_sk_bad"]
    {
        let answer = ask("/metorial/files", &[header]);
        refused(&answer, 401, "unauthorized", "");
        messages.push(answer.json()["message"].clone());
    }
    messages.dedup();
    assert_eq!(messages.len(), 3, "{messages:?}");
    for malformed in [
        "Bearer",
        "Bearer ",
        "Bearer metorial_sk_good x",
        "Bearer  metorial_sk_good",
        "Token metorial_sk_good",
    ] {
        refused(&ask("/metorial/files", &[&format!("Authorization: {malformed}")]), 401, "unauthorized", "");
    }
    refused(&ask("/metorial/files?token=metorial_sk_bad", &[]), 401, "unauthorized", "");
    refused(&ask("/metorial/files?token=", &[]), 401, "unauthorized", "");
}

#[test]
fn a_key_of_several_instances_needs_one_named_and_a_publishable_key_has_no_access() {
    let server = dialect("magnetar");
    let ask = |path: &str, headers: &[&str]| server.ask("GET", path, headers, b"");
    let publishable = ask("/metorial/files", &["Authorization: Bearer metorial_pk_x"]);
    refused(&publishable, 403, "forbidden", "");
    for key in ["Authorization: Bearer metorial_uk_x", "Authorization: Bearer metorial_lk_x"] {
        refused(&ask("/metorial/files", &[key]), 400, "bad_request", "");
        assert_eq!(ask("/metorial/files", &[key, "metorial-instance-id: ins_1"]).status, 200);
        assert_eq!(ask("/metorial/instances/ins_1/files", &[key]).status, 200);
        assert_eq!(ask("/metorial/dashboard/instances/ins_1/files", &[key]).status, 200);
    }
    let id = server.file("generic", "a.txt");
    let path = format!("/metorial/instances/ins_1/files/{id}");
    assert_eq!(ask(&path, &[KEY]).expect(200)["id"], id.as_str());
}

#[test]
fn a_request_selects_its_dialect() {
    let server = dialect("seed");
    let id = server.file("attachment", "a.txt");
    let path = format!("/metorial/files/{id}");
    let first = |headers: &[&str], query: &str| {
        let answer = server.ask("GET", &format!("{path}{query}"), &[&[KEY], headers].concat(), b"");
        answer.expect(200);
        (answer.keys()[1].clone(), answer.header("metorial-version").map(str::to_owned))
    };
    let seed = ("purpose".to_owned(), None);
    assert_eq!(first(&[], ""), seed);
    assert_eq!(first(&["Metorial-Version: 1999-01-01"], ""), seed, "an unknown version is ignored");
    assert_eq!(first(&[PULSAR], ""), ("id".to_owned(), Some("2025-01-01".to_owned())));
    assert_eq!(first(&[], "?api-version=2025-01-01").1.as_deref(), Some("2025-01-01"));
    for version in ["2026-01-01-magnetar", "mt_2026_01_01_magnetar", "2026-01-01"] {
        assert_eq!(first(&[&format!("metorial-version: {version}")], "").1.as_deref(), Some("2026-01-01"));
    }
    let dashboard = server.ask("GET", &path, &[KEY, "Metorial-Version: 2025-01-01-dashboard"], b"");
    refused(&dashboard, 406, "bad_request", "");
    let later = server.ask("GET", &path, &[KEY, MAGNETAR], b"");
    assert_eq!(
        later.json()["file_name"],
        "a.txt",
        "a file is shown in any dialect, whichever it was uploaded in"
    );
}

#[test]
fn every_response_has_the_headers_of_the_server() {
    let server = dialect("magnetar");
    let before = jiff::Timestamp::now().as_second();
    for path in ["/metorial/files", "/metorial/files/fil_x", "/metorial/nowhere", "/metorial/ping"] {
        let answer = server.ask("GET", path, &[KEY], b"");
        let header = |name: &str| answer.header(name).unwrap_or_else(|| panic!("{path}: {name}"));
        assert!(header("metorial-req-id").starts_with("req_"));
        assert_eq!(header("x-powered-by"), "Metorial");
        assert_eq!(header("metorial-version"), "2026-01-01");
        assert_eq!(header("access-control-allow-origin"), "*");
        assert_eq!((header("ratelimit-limit"), header("ratelimit-remaining")), ("5000", "4999"));
        let reset: i64 = header("ratelimit-reset").parse().unwrap();
        assert!((before + 590..before + 700).contains(&reset), "{reset} {before}");
        assert_eq!(answer.header("retry-after"), None);
    }
    assert_eq!(dialect("seed").call("GET", "/files", "").header("metorial-version"), None);
}

#[test]
fn ping_and_the_root_need_no_key() {
    let server = Emulator::start(&Setup { alone: true, ..SETUP });
    let ping = server.ask("GET", "/ping", &[], b"");
    assert_eq!((ping.status, ping.text().as_str()), (200, "OK"));
    let root = server.ask("GET", "/", &[], b"");
    assert_eq!((root.status, root.header("location")), (301, Some("https://metorial.com/docs")));
    assert_eq!(server.ask("GET", "/files", &[KEY], b"").status, 200);
}

#[test]
fn errors_are_worded_by_dialect() {
    let seed = dialect("seed").call("GET", "/files/file_x", "");
    refused(&seed, 404, "not_found", "file");
    assert_eq!(seed.keys(), ["object", "ok", "status", "code", "message", "entity", "id"]);
    assert_eq!((seed.json()["object"].clone(), seed.json()["id"].clone()), (json!("error"), json!("file_x")));
    let pulsar = dialect("pulsar").call("GET", "/files/fil_x", "");
    assert_eq!(pulsar.keys()[0], "__typename");
    assert_eq!(pulsar.expect(404)["__typename"], "error");
    for path in ["/metorial/nowhere", "/metorial/files/"] {
        let answer = dialect("magnetar").ask("GET", path, &[KEY], b"");
        refused(&answer, 404, "not_found", "endpoint");
    }
    let method = dialect("seed").ask("PUT", "/metorial/files", &[KEY], b"");
    refused(&method, 404, "not_found", "endpoint");
    refused(&dialect("seed").call("GET", "/files/%ff", ""), 400, "bad_request", "");
}

#[test]
fn each_dialect_has_only_its_endpoints() {
    for (word, gone) in [
        (
            "pulsar",
            ["GET /file-links", "POST /file-links", "GET /file-links/x", "DELETE /file-links/x"].as_slice(),
        ),
        (
            "magnetar",
            &[
                "PATCH /files/x",
                "POST /files/x/links",
                "GET /files/x/links/y",
                "PATCH /files/x/links/y",
                "DELETE /files/x/links/y",
            ],
        ),
    ] {
        let server = dialect(word);
        for endpoint in gone {
            let (method, path) = endpoint.split_once(' ').unwrap();
            refused(&server.call(method, path, ""), 404, "not_found", "endpoint");
        }
    }
}

#[test]
fn a_rate_limit_is_a_quirk_or_a_fault() {
    let server = Emulator::start(&Setup { quirks: &["metorial.rate-limit=2"], ..SETUP });
    for left in ["1", "0"] {
        assert_eq!(server.call("GET", "/files", "").header("ratelimit-remaining"), Some(left));
    }
    let answer = server.call("GET", "/files", "");
    refused(&answer, 429, "rate_limit_exceeded", "");
    assert_eq!((answer.header("ratelimit-limit"), answer.header("retry-after")), (Some("2"), None));
    let faults = &["429 times=1 retry-after=3", "fail=500 times=1", "html times=1"];
    let server = Emulator::start(&Setup { faults, ..SETUP });
    let answer = server.call("GET", "/files", "");
    refused(&answer, 429, "rate_limit_exceeded", "");
    assert_eq!(answer.header("retry-after"), Some("3"));
    refused(&server.call("GET", "/files", ""), 500, "internal_server_error", "");
    assert!(server.call("GET", "/files", "").text().starts_with("<html>"));
}

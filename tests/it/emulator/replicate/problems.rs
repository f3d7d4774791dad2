//! Tokens, unknown routes, rate limits, scripted faults.

use super::Calls as _;
use crate::emulator::replicate::{SETUP, TOKEN, refused, with};
use crate::support::emulator::{Emulator, Setup};

#[test]
fn both_token_schemes_are_accepted() {
    let server = Emulator::start(&Setup { token: Some("r8_good"), ..SETUP });
    let ask = |header: &str| server.ask("GET", "/replicate/v1/files", &[header], b"");
    for good in ["Bearer r8_good", "Token r8_good", "bearer r8_good", "TOKEN r8_good"] {
        assert_eq!(ask(&format!("Authorization: {good}")).status, 200, "{good}");
    }
    for bad in [
        "Authorization: Bearer r8_bad",
        "Authorization: r8_good",
        "Authorization: Basic r8_good",
        "X-None: x",
    ] {
        let answer = ask(bad);
        refused(&answer, 401, "You did not pass a valid authentication token");
        let body = r#"{"title":"Unauthenticated","detail":"You did not pass a valid authentication token","status":401}"#;
        assert_eq!(answer.text(), format!("{body}\n"));
    }
    for (method, path) in [("POST", ""), ("GET", "/x"), ("DELETE", "/x")] {
        assert_eq!(server.ask(method, &format!("/replicate/v1/files{path}"), &[], b"").status, 401);
    }
}

#[test]
fn unknown_ids_and_routes() {
    let server = Emulator::start(&SETUP);
    std::fs::write(server.data().join("outside"), "outside").unwrap();
    for id in ["nobody", "..%2f..%2foutside", "%2Fetc%2Fpasswd", "a%00b", "%ff"] {
        refused(&server.call("GET", &format!("/v1/files/{id}")), 404, "File not found");
        refused(&server.call("DELETE", &format!("/v1/files/{id}")), 404, "File not found");
    }
    for path in ["/v1/files/", "/v1/nothing", "/files"] {
        assert_eq!(server.call("GET", path).status, 404, "{path}");
    }
    let id = server.file("a", b"x");
    for method in ["PUT", "PATCH", "POST"] {
        let answer = server.call(method, &format!("/v1/files/{id}"));
        refused(&answer, 405, "Method Not Allowed");
        assert!(answer.header("cf-ray").is_some());
    }
}

#[test]
fn a_repeated_version_prefix_is_ignored() {
    let server = Emulator::start(&SETUP);
    let id = server.file("a", b"x");
    let once = server.call("GET", &format!("/v1/files/{id}"));
    let twice = server.ask("GET", &format!("/replicate/v1/v1/files/{id}"), &[TOKEN], b"");
    assert_eq!((twice.status, twice.text()), (200, once.text()));
    assert_eq!(server.ask("GET", "/replicate/v1/v1/files", &[TOKEN], b"").status, 200);
    let alone = Emulator::start(&Setup { alone: true, ..SETUP });
    assert_eq!(alone.ask("GET", "/v1/v1/files", &[TOKEN], b"").status, 200);
}

#[test]
fn a_rate_limit_is_a_quirk_or_a_fault() {
    let server = with(&["rate-limit=1"]);
    let first = server.call("GET", "/v1/files");
    assert_eq!(
        (first.status, first.header("ratelimit-remaining")),
        (200, None),
        "the header was not recorded"
    );
    let second = server.call("GET", "/v1/files").expect(429);
    let detail = second["detail"].as_str().unwrap();
    assert!(detail.starts_with("Request was throttled. Expected available in "), "{detail}");
    let faults = &["429 times=1 retry-after=2", "fail=503 times=1"];
    let server = Emulator::start(&Setup { faults, ..SETUP });
    let answer = server.call("GET", "/v1/files");
    refused(&answer, 429, "Request was throttled. Expected available in 1 second.");
    assert_eq!(answer.header("retry-after"), Some("2"));
    assert_eq!(server.call("GET", "/v1/files").expect(503)["status"], 503);
}

//! Refused requests and their messages.

use serde_json::json;

use crate::emulator::xai::{setup, start, upload};
use crate::support::emulator::{AUTH, Emulator, Setup, TOKEN};
use crate::support::raw::{FORM, JSON, form};

#[test]
fn a_wrong_key_is_a_bad_request_and_no_key_is_not_authenticated() {
    let server = start();
    let wrong = server.ask_bare("GET", "/v1/files", &["Authorization: Bearer xai-wrong-key-yz"], b"");
    assert_eq!(wrong.status, 400);
    assert_eq!(
        wrong.text(),
        r#"{"code":"Client specified an invalid argument","error":"Incorrect API key provided: xa***yz. You can obtain an API key from https://console.x.ai."}"#
    );
    assert!(wrong.header("x-request-id").is_some());
    for headers in [&[][..], &["Authorization: Basic eDp5"], &["Authorization: Bearer "]] {
        let answer = server.ask_bare("GET", "/v1/files", headers, b"");
        assert_eq!(answer.status, 401, "{headers:?}");
        assert_eq!(answer.json()["code"], "The request does not have valid authentication credentials");
    }
    let short = server.ask_bare("GET", "/v1/files", &["Authorization: Bearer abcd"], b"");
    assert!(short.json()["error"].as_str().unwrap().starts_with("Incorrect API key provided: ***."));
    let lower = format!("authorization: bearer {TOKEN}");
    assert_eq!(server.ask_bare("GET", "/v1/files", &[&lower], b"").status, 200);
}

#[test]
fn every_route_requires_a_key() {
    let server = start();
    let id = upload(&server, "a.png", b"a");
    let paths = [
        ("POST", "/v1/files".to_owned()),
        ("GET", format!("/v1/files/{id}")),
        ("PUT", format!("/v1/files/{id}")),
        ("DELETE", format!("/v1/files/{id}")),
        ("GET", format!("/v1/files/{id}/content")),
        ("POST", format!("/v1/files/{id}/public-url")),
        ("POST", format!("/v1/files/{id}/public-url/revoke")),
        ("POST", "/v1/files:initialize".to_owned()),
        ("POST", "/v1/files:uploadChunks".to_owned()),
        ("POST", "/v1/files:download".to_owned()),
        ("GET", "/v1/api-key".to_owned()),
    ];
    for (method, path) in paths {
        assert_eq!(server.ask_bare(method, &path, &[JSON], b"{}").status, 401, "{method} {path}");
    }
    assert_eq!(server.get(&format!("/v1/files/{id}")).status, 200);
}

#[test]
fn unknown_ids_are_not_found_everywhere() {
    let server = start();
    for id in ["file_a128090d-f0c9-4873-bd84-e499777e7417", "%2e%2e", "a%2Fb", "%00", "~", "日本"] {
        for (method, rest) in
            [("GET", ""), ("DELETE", ""), ("PUT", ""), ("GET", "/content"), ("POST", "/public-url")]
        {
            let id = id.replace("日本", "%E6%97%A5%E6%9C%AC");
            let answer = server.ask(method, &format!("/v1/files/{id}{rest}"), &[JSON], b"{}");
            assert_eq!(answer.status, 404, "{method} {id}{rest}: {}", answer.text());
            assert_eq!(answer.json()["code"], "Some requested entity was not found");
        }
    }
}

#[test]
fn unknown_routes_and_methods_have_the_platforms_messages() {
    let server = start();
    let answer = server.get("/v2/files");
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (404, Some("Some requested entity was not found"))
    );
    assert!(answer.header("x-request-id").is_some());
    let answer = server.ask("PATCH", "/v1/files", &[], b"");
    assert_eq!(answer.status, 405);
    assert_eq!(answer.json()["code"], "Operation is not implemented or not supported");
    for path in ["/v1/files/batch_upload", "/v1/files/batch_upload/job_1:complete"] {
        assert_eq!(server.post_json(path, "{}").status, 501, "{path}");
    }
}

#[test]
fn a_form_must_have_one_named_file() {
    let server = start();
    let named: (&str, &[u8]) = ("name=\"file\"; filename=\"a\"", b"x");
    let wrong: [&[(&str, &[u8])]; 4] = [
        &[("name=\"purpose\"", b"assistants")],
        &[("name=\"file\"", b"no filename")],
        &[("name=\"content\"; filename=\"a\"", b"another name")],
        &[named, named],
    ];
    for parts in wrong {
        let answer = server.ask("POST", "/v1/files", &[FORM], &form(parts));
        assert_eq!(answer.status, 400, "{parts:?}");
        assert_eq!(answer.json()["code"], "Client specified an invalid argument");
    }
    assert_eq!(server.post_json("/v1/files", "{}").status, 400);
    assert_eq!(server.ask("POST", "/v1/files", &[FORM], b"--BOUNDARY\r\nbroken").status, 400);
    assert_eq!(server.get("/v1/files").ok(), json!({ "data": [], "pagination_token": null }));
}

#[test]
fn a_single_dialect_has_no_routes_of_the_other() {
    let server = Emulator::start(&Setup { dialect: Some("openai"), ..setup() });
    let id = upload(&server, "a.png", b"a");
    let put = server.ask("PUT", &format!("/v1/files/{id}"), &[JSON], br#"{"name":"b"}"#);
    assert_eq!(put.status, 405);
    let allow = put.header("allow").unwrap();
    assert!(allow.contains("GET") && allow.contains("DELETE") && !allow.contains("PUT"), "{allow}");
    for path in ["/v1/files:initialize", "/v1/files:uploadChunks", "/v1/files:download"] {
        assert_eq!(server.post_json(path, "{}").status, 404, "{path}");
    }
    assert!(server.get("/v1/files?order=ASCENDING&team_id=t").ok().get("data").is_some());
    let server = server.again(&Setup { dialect: Some("gateway"), ..setup() });
    for path in ["public-url", "public-url/revoke"] {
        assert_eq!(server.post_json(&format!("/v1/files/{id}/{path}"), "{}").status, 404, "{path}");
    }
    assert!(server.get("/v1/files?order=asc&limit=1").ok().get("files").is_some());
}

#[test]
fn any_team_is_accepted_unless_one_is_configured() {
    let server = Emulator::start(&Setup { token: None, ..setup() });
    let id = upload(&server, "a", b"a");
    assert_eq!(server.get(&format!("/v1/files/{id}?team_id=whatever")).ok()["file_id"], *id);
    let server = server.again(&Setup { quirks: &["team=mine"], token: None, ..setup() });
    assert_eq!(server.get("/v1/api-key").ok()["team_id"], "mine");
    assert_eq!(server.get(&format!("/v1/files/{id}?team_id=mine")).status, 200);
    for path in [format!("/v1/files/{id}"), format!("/v1/files/{id}/content"), "/v1/files".to_owned()] {
        assert_eq!(server.get(&format!("{path}?team_id=yours")).status, 404, "{path}");
    }
    let body = form(&[("name=\"team_id\"", b"yours"), ("name=\"file\"; filename=\"a\"", b"a")]);
    assert_eq!(server.ask("POST", "/v1/files", &[FORM], &body).status, 404);
    assert_eq!(server.delete(&format!("/v1/files/{id}?team_id=yours")).status, 404);
    assert_eq!(server.ask_bare("GET", "/v1/files", &[AUTH], b"").status, 200);
}

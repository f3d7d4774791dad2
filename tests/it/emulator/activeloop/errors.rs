//! Refused requests and their messages.

use serde_json::{Value, json};

use crate::emulator::activeloop::{setup, start, upload};
use crate::support::emulator::{AUTH, Emulator, Setup};
use crate::support::raw::{Answer, FORM, JSON, form};

/// The type and location of the only problem of a 422.
fn problem(answer: &Answer) -> (String, Value) {
    assert_eq!(answer.status, 422, "{}", answer.text());
    let body = answer.json();
    let problems = body["detail"].as_array().unwrap();
    let keys = crate::support::raw::keys(&problems[0]);
    assert!(problems.len() == 1 && keys[..4] == ["type", "loc", "msg", "input"], "{keys:?}");
    (problems[0]["type"].as_str().unwrap().to_owned(), problems[0]["loc"].clone())
}

#[test]
fn every_route_requires_a_token() {
    let server = start();
    let paths = [
        ("GET", "/files"),
        ("POST", "/files"),
        ("GET", "/files/a"),
        ("DELETE", "/files/a"),
        ("GET", "/files/a/content"),
        ("PUT", "/files/a/metadata"),
        ("GET", "/workspaces"),
        ("POST", "/workspaces"),
        ("GET", "/workspaces/a"),
        ("DELETE", "/workspaces/a"),
        ("POST", "/workspaces/a/user"),
        ("PUT", "/workspaces/a/user"),
        ("DELETE", "/workspaces/a/user/b"),
        ("GET", "/workspaces/a/users"),
    ];
    for (method, path) in paths {
        for headers in [&[][..], &["Authorization: Bearer wrong"], &["Authorization: wrong"]] {
            let answer = server.ask_bare(method, path, headers, b"");
            assert_eq!(
                (answer.status, answer.text().as_str()),
                (401, r#"{"detail":"Invalid or missing token"}"#),
                "{method} {path}"
            );
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
    }
    let server = server.again(&Setup { quirks: &["auth-status=403"], ..setup() });
    let missing = server.ask_bare("GET", "/files", &[], b"");
    assert_eq!((missing.status, missing.text().as_str()), (403, r#"{"detail":"Not authenticated"}"#));
    assert_eq!(server.ask_bare("GET", "/files", &["Authorization: Bearer wrong"], b"").status, 403);
    let org = server.ask_bare("GET", "/files", &[AUTH, "X-Activeloop-Org-Id: any"], b"");
    assert_eq!(org.status, 200);
}

#[test]
fn unknown_routes_and_trailing_slashes() {
    let server = start();
    let unknown = server.get("/v1/files");
    assert_eq!((unknown.status, unknown.text().as_str()), (404, r#"{"detail":"Not Found"}"#));
    assert_eq!(server.get("//files").status, 404);
    let method = server.ask("PATCH", "/files", &[], b"");
    assert_eq!((method.status, method.text().as_str()), (405, r#"{"detail":"Method Not Allowed"}"#));
    assert!(method.header("allow").unwrap().contains("POST"));
    let slash = server.ask_bare("POST", "/files/?workspace=a%20b", &[], b"");
    assert_eq!(slash.status, 307);
    assert_eq!(slash.header("location"), Some(&*format!("http://{}/files?workspace=a%20b", server.address)));
    assert_eq!(
        server.get("/activeloop/files/").header("location").unwrap(),
        format!("http://{}/files", server.address)
    );
}

#[test]
fn an_upload_with_an_invalid_file_or_field() {
    let server = start();
    let ask = |parts: &[(&str, &[u8])]| server.ask("POST", "/files", &[FORM], &form(parts));
    let file: (&str, &[u8]) = ("name=\"file\"; filename=\"a\"", b"a");
    let missing = ("missing".to_owned(), json!(["body", "file"]));
    assert_eq!(problem(&ask(&[("name=\"purpose\"", b"user_data")])), missing);
    assert_eq!(problem(&ask(&[("name=\"files\"; filename=\"a\"", b"a")])), missing);
    assert_eq!(problem(&server.post_json("/files", "{}")), missing);
    assert_eq!(problem(&server.ask("POST", "/files", &[], b"")), missing);
    assert_eq!(
        problem(&ask(&[("name=\"file\"", b"text")])),
        ("value_error".to_owned(), json!(["body", "file", 0]))
    );
    assert_eq!(
        problem(&ask(&[file, ("name=\"purpose\"", b"fun")])),
        ("enum".to_owned(), json!(["body", "purpose"]))
    );
    for metadata in [&b"not json"[..], b"[1]", b"5", b"\"text\"", b"{"] {
        let answer = ask(&[file, ("name=\"metadata\"", metadata)]);
        assert_eq!(answer.status, 400);
        assert!(answer.json()["detail"].as_str().unwrap().starts_with("Invalid metadata"));
    }
    let answer = ask(&[file, ("name=\"workspace\"", b"nowhere")]);
    assert_eq!((answer.status, answer.text().as_str()), (404, r#"{"detail":"Workspace not found"}"#));
    assert_eq!(server.ask("POST", "/files", &[FORM], b"--BOUNDARY\r\nbroken").status, 400);
    assert_eq!(server.get("/files").ok()["data"], json!([]), "refused uploads leave nothing");
    for metadata in [&b""[..], b"null", b" {} "] {
        assert_eq!(ask(&[file, ("name=\"metadata\"", metadata)]).ok()["metadata"], Value::Null);
    }
}

#[test]
fn parameters_of_a_listing_are_validated() {
    let server = start();
    for (query, kind, place) in [
        ("limit=0", "greater_than_equal", "limit"),
        ("limit=-1", "greater_than_equal", "limit"),
        ("limit=10001", "less_than_equal", "limit"),
        ("limit=ten", "int_parsing", "limit"),
        ("limit=", "int_parsing", "limit"),
        ("order=up", "literal_error", "order"),
        ("purpose=fun", "enum", "purpose"),
    ] {
        let answer = server.get(&format!("/files?{query}"));
        assert_eq!(problem(&answer), (kind.to_owned(), json!(["query", place])), "{query}");
    }
    let message = &server.get("/files?order=up").json()["detail"][0];
    assert_eq!(
        message.to_string(),
        r#"{"type":"literal_error","loc":["query","order"],"msg":"Input should be 'asc' or 'desc'","input":"up","ctx":{"expected":"'asc' or 'desc'"}}"#
    );
    for query in ["filter=author", "filter=author+==+hegel", "filter=a==1+and"] {
        let answer = server.get(&format!("/files?{query}"));
        assert_eq!(answer.status, 400, "{query}");
        assert!(
            answer.json()["detail"].as_str().unwrap().starts_with("Invalid filter: expected"),
            "{}",
            answer.text()
        );
    }
    assert_eq!(server.get("/files?after=a1ae0d7dbfff4325af4acc04556d3607").status, 400);
    assert_eq!(server.get("/files?workspace=nowhere").status, 404);
    assert_eq!(server.get("/files?limit=10000").status, 200);
}

#[test]
fn the_body_of_a_metadata_update_is_validated() {
    let server = start();
    let path = format!("/files/{}/metadata", upload(&server, "a", b"", &[]));
    let put = |body: &str| server.ask("PUT", &path, &[JSON], body.as_bytes());
    assert_eq!(problem(&put("")), ("missing".to_owned(), json!(["body"])));
    assert_eq!(problem(&put("[]")), ("dict_type".to_owned(), json!(["body"])));
    assert_eq!(problem(&put("{\"a\"")).0, "json_invalid");
    assert_eq!(put("{}").status, 200);
    assert_eq!(server.ask("PUT", "/files/unknown/metadata", &[JSON], b"{}").status, 404);
}

#[test]
fn ids_cannot_escape_the_path() {
    let server = start();
    for id in ["%2e%2e", "a%2Fb", "%00", "..%2f..%2fetc%2fpasswd", "%E6%97%A5"] {
        for path in [format!("/files/{id}"), format!("/files/{id}/content")] {
            assert_eq!(server.get(&path).text(), r#"{"detail":"File not found"}"#, "{path}");
        }
        assert_eq!(server.get(&format!("/workspaces/{id}")).text(), r#"{"detail":"Workspace not found"}"#);
    }
}

#[test]
fn an_oversized_request_gets_the_proxys_page() {
    let server = Emulator::start(&Setup { quirks: &["upload-limit=1000"], ..setup() });
    let body = form(&[("name=\"file\"; filename=\"a\"", &[b'x'; 1000])]);
    let answer = server.ask("POST", "/files", &[FORM], &body);
    assert_eq!((answer.status, answer.header("content-type")), (413, Some("text/html")));
    assert!(answer.text().contains("<h1>413 Request Entity Too Large</h1>"));
    assert_eq!(server.get("/files").ok()["data"], json!([]));
}

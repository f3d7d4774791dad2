//! The object store behind presigned URLs.

use serde_json::Value;

use crate::emulator::llamacloud::support::{BETA, Calls, KEY, LEGACY, Refusal, start};
use crate::support::emulator::Emulator;
use crate::support::raw::{FORM, form};

fn presigned(server: &Emulator, query: &str) -> Value {
    let id = server.upload("a.txt", "user_data", b"0123456789")["id"].as_str().unwrap().to_owned();
    server.get(&format!("{BETA}/{id}/content{query}")).json()
}

#[test]
fn ranges_are_supported() {
    let server = start();
    let link = presigned(&server, "");
    let whole = server.fetch(&link, &[]);
    assert_eq!((whole.status, whole.header("accept-ranges")), (200, Some("bytes")));
    assert_eq!(whole.header("last-modified"), Some("Fri, 02 Jan 2026 03:04:05 GMT"));
    let etag = whole.header("etag").unwrap();
    let part = server.fetch(&link, &["Range: bytes=2-4"]);
    assert_eq!((part.status, part.header("content-range")), (206, Some("bytes 2-4/10")));
    assert_eq!(part.text(), "234");
    assert_eq!(server.fetch(&link, &["Range: bytes=7-", &format!("If-Range: {etag}")]).text(), "789");
    assert_eq!(server.fetch(&link, &["Range: bytes=7-", "If-Range: \"other\""]).text(), "0123456789");
    let beyond = server.fetch(&link, &["Range: bytes=10-"]);
    beyond.refused_by_bucket(416, "InvalidRange");
    assert_eq!(beyond.header("content-range"), Some("bytes */10"));
}

#[test]
fn the_api_key_is_refused() {
    let server = start();
    let link = presigned(&server, "");
    for header in [KEY, "Authorization: Basic YTpi", "Authorization:"] {
        server.fetch(&link, &[header]).refused_by_bucket(400, "InvalidArgument");
    }
    let leaked = server.fetch(&link, &[KEY]);
    assert!(!leaked.text().contains("llx-"), "{leaked:?}");
    let put = server.json("PUT", LEGACY, &serde_json::json!({ "name": "a" })).json();
    let path = server.path(&put["url"]);
    server.ask("PUT", &path, &[], b"x").refused_by_bucket(400, "InvalidArgument");
    server.ask("POST", "/llamacloud/_store", &[FORM], &form(&[])).refused_by_bucket(400, "InvalidArgument");
}

#[test]
fn forged_and_expired_urls_are_refused() {
    let server = start();
    let link = presigned(&server, "");
    let path = server.path(&link["url"]);
    let get = |path: &str| server.ask_bare("GET", path, &[], b"");
    let other = presigned(&server, "")["url"].as_str().unwrap().to_owned();
    let id = |path: &str| path.split("/_store/").nth(1).unwrap()[..36].to_owned();
    for forged in [
        path.replace("X-Amz-Expires=3600", "X-Amz-Expires=3601"),
        path.replace("X-Amz-Date=2026", "X-Amz-Date=2027"),
        path.replace(&id(&path), &id(&other)),
        path.replace(&id(&path), "..%2f..%2findex.sqlite"),
        format!("{}0", &path[..path.len() - 1]) + if path.ends_with('0') { "0" } else { "" },
        path[..path.len() - 2].to_owned(),
    ] {
        get(&forged).refused_by_bucket(403, "SignatureDoesNotMatch");
    }
    get(path.split('?').next().unwrap()).refused_by_bucket(403, "AccessDenied");
    // A signature is valid for one method.
    server.ask_bare("PUT", &path, &[], b"x").refused_by_bucket(403, "SignatureDoesNotMatch");
    assert_eq!(server.ask_bare("HEAD", &path, &[], b"").status, 403);

    let expired = server.fetch(&presigned(&server, "?expires_at_seconds=0"), &[]);
    expired.refused_by_bucket(403, "AccessDenied");
    assert!(expired.text().contains("<Message>Request has expired</Message>"), "{expired:?}");
}

#[test]
fn a_put_requires_a_length() {
    let server = start();
    let put = server.json("PUT", LEGACY, &serde_json::json!({ "name": "a" })).json();
    let path = server.path(&put["url"]);
    let chunked =
        format!("PUT {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n");
    server.send(chunked.as_bytes()).refused_by_bucket(411, "MissingContentLength");
    let large = format!(
        "PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 600000000\r\nExpect: 100-continue\r\n\r\n"
    );
    server.send(large.as_bytes()).refused_by_bucket(400, "EntityTooLarge");
    // Unlike the API, the object store accepts an empty file.
    assert_eq!(server.ask_bare("PUT", &path, &[], b"").status, 200);
    assert_eq!(server.get(&format!("{LEGACY}/{}", put["file_id"].as_str().unwrap())).json()["file_size"], 0);
}

//! Uploads: the recorded and the captured form, and files refused before any request.

use haul::progress::silent;
use haul::providers::require_upload;

use super::*;

#[tokio::test]
async fn an_upload_equals_the_recorded_request() {
    let (request, reply) = recorded(0);
    let server = Server::start(vec![Answer::json(&reply).with_status(201)]);
    let file =
        NewFile { content_type: "text/plain".to_owned(), ..NewFile::from_bytes("test_fileo20o3wth.txt", "") };
    let uploaded = open(&server).upload(&file, silent()).await.unwrap();
    assert_eq!(uploaded.id.as_str(), "NGZiNmY2YzQtMThhZi00ZjcyLWFhZjktODg4NTY0NWNlMDEy");
    let sent = &server.requests()[0];
    sent.assert_is(include_str!("request-create-recorded.http"));
    // Byte for byte, including line endings.
    let boundary = |kind: &str| kind.split_once("boundary=").expect("a form").1.to_owned();
    let recorded = request["body"].as_str().unwrap();
    let theirs = boundary(request["headers"]["content-type"].as_str().unwrap());
    let ours = boundary(sent.header("content-type").unwrap());
    assert_eq!(sent.text().replace(&ours, &theirs), recorded);
}

#[tokio::test]
async fn metadata_is_a_single_json_part_after_the_content() {
    let server = Server::start(vec![Answer::json(DOCUMENTED).with_status(201)]);
    let mut file = NewFile::from_bytes("naïve \"q\" 日本.bin", "Hello, world!");
    file.content_type = "application/zip".to_owned();
    file.metadata.insert("customer_reference_id".to_owned(), 123.into());
    open(&server).upload(&file, silent()).await.unwrap();
    server.requests()[0].assert_is(include_str!("request-create-metadata.http"));
}

#[test]
fn limits_are_the_documented_ones() {
    let server = Server::start(vec![]);
    let can = open(&server).capabilities();
    let check = |file: &NewFile| require_upload(spec(), can, file).map_err(|error| error.kind());
    let file = NewFile::from_bytes("a", "");
    assert_eq!(check(&file), Ok(()), "an empty file is accepted");
    assert_eq!(check(&NewFile { size: 104_857_600, ..file.clone() }), Ok(()));
    assert_eq!(check(&NewFile { size: 104_857_601, ..file.clone() }), Err(Kind::Unsupported));
    assert_eq!(can.upload.warn_bytes, Some(100_000_000));
    // 255 bytes of UTF-8, not characters.
    assert_eq!(check(&NewFile { name: "é".repeat(127) + "x", ..file.clone() }), Ok(()));
    assert_eq!(check(&NewFile { name: "é".repeat(128), ..file.clone() }), Err(Kind::Unsupported));
    assert_eq!(check(&NewFile { purpose: Some("x".to_owned()), ..file.clone() }), Err(Kind::Unsupported));
    let day = Some(jiff::SignedDuration::from_hours(24));
    assert_eq!(check(&NewFile { expires: day, ..file }), Err(Kind::Unsupported), "fixed, not settable");
}

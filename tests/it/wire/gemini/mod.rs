//! Gemini over a socket: the resumable protocol, misleading statuses, and which requests contain the key.

use std::sync::Arc;

use haul::error::Kind;
use haul::model::{Checksums, NewFile};
use haul::progress::silent;
use haul::providers::{PartRange, Provider, Query, Received, Session, find};
use haul::secret::Secret;
use serde_json::{Value, json};

use crate::support::connection::Profile;
use crate::support::server::{Answer, Server};

const KEY: &str = "AIza-a-key-of-tests";
const MARK: &str = "haul-b94d27b9934d3e08a52e52d7da7dabfa-0123abcd";
const ID: &str = "haul-b94d27b9934d3e08a52e52d7da-0123abcd";
const FILE: &str =
    r#"{"name":"files/haul-b94d27b9934d3e08a52e52d7da-0123abcd","displayName":"n","sizeBytes":"5"}"#;
const SECRET: &str = "s3cret";

fn open(server: &Server) -> Arc<dyn Provider> {
    open_in(server, "auto")
}

fn open_in(server: &Server, dialect: &str) -> Arc<dyn Provider> {
    let spec = find("gemini").expect("registered");
    let profile = Profile { token: Some(KEY), dialect, ..Profile::new(spec, &server.url) };
    Arc::from(profile.open().expect("opens"))
}

/// The response to the start of an upload, whose session is on the server at `origin`.
fn started(origin: &str) -> Answer {
    Answer::new(200, "")
        .header("X-Goog-Upload-Status", "active")
        .header(
            "X-Goog-Upload-URL",
            format!("{origin}/somewhere?upload_id={SECRET}&upload_protocol=resumable"),
        )
        .header("X-Goog-Upload-Chunk-Granularity", "262144")
}

fn state(word: &str) -> Answer {
    Answer::new(200, "").header("X-Goog-Upload-Status", word)
}

fn active(received: u64) -> Answer {
    state("active").header("X-Goog-Upload-Size-Received", received.to_string())
}

fn finished() -> Answer {
    Answer::json(format!(r#"{{"file":{FILE}}}"#)).header("X-Goog-Upload-Status", "final")
}

fn session(server: &Server) -> Session {
    let url = server.at(&format!("u?upload_id={SECRET}"));
    Session { id: ID.to_owned(), secret: Some(Secret::new(url.as_str())), part_size: 4, expires_at: None }
}

fn hello() -> NewFile {
    let content_type = "text/plain".to_owned();
    NewFile { content_type, mark: Some(MARK.to_owned()), ..NewFile::from_bytes("näme", "hello") }
}

const LAST: PartRange = PartRange { index: 1, from: 4, len: 1 };

#[tokio::test]
async fn an_upload_begins_with_the_key_and_sends_content_without_it() {
    let store = Server::repeating(vec![finished()]);
    for (dialect, version) in [("auto", "v1beta"), ("v1beta", "v1beta"), ("v1", "v1")] {
        let server = Server::start(vec![started(&store.origin())]);
        let file = open_in(&server, dialect).upload(&hello(), silent()).await.unwrap();
        assert_eq!((file.id.as_str(), file.size), (ID, Some(5)));
        let start = server.only();
        assert_eq!(start.line(), format!("POST /upload/{version}/files"));
        assert_eq!(start.header("x-goog-api-key"), Some(KEY));
        assert_eq!(start.header("authorization"), None);
        let about = json!({"name": format!("files/{ID}"), "displayName": "näme", "mimeType": "text/plain", "sizeBytes": "5"});
        assert_eq!(start.json(), json!({ "file": about }));
        for (name, value) in [
            ("x-goog-upload-protocol", "resumable"),
            ("x-goog-upload-command", "start"),
            ("x-goog-upload-header-content-length", "5"),
            ("x-goog-upload-header-content-type", "text/plain"),
        ] {
            assert_eq!(start.header(name), Some(value), "{name}");
        }
    }
    for sent in store.requests() {
        assert_eq!(sent.line(), format!("POST /somewhere?upload_id={SECRET}&upload_protocol=resumable"));
        assert_eq!(sent.header("x-goog-upload-command"), Some("upload, finalize"));
        assert_eq!(sent.header("x-goog-upload-offset"), Some("0"));
        assert_eq!((sent.text().as_str(), sent.head.contains(KEY)), ("hello", false));
    }
}

#[tokio::test]
async fn a_session_is_asked_where_to_continue() {
    let at = |answers: Vec<Answer>| Server::start(answers);
    let new = hello();
    let commands = |server: &Server| -> Vec<String> {
        let of = |request: &crate::support::server::Request| {
            assert!(!request.head.contains(KEY), "{}", request.head);
            request.header("x-goog-upload-command").unwrap_or("none").to_owned()
        };
        server.requests().iter().map(of).collect()
    };
    let first = PartRange { index: 0, from: 0, len: 4 };

    let server = at(vec![active(4), finished()]);
    let gemini = open(&server);
    let parts = gemini.multipart().unwrap();
    parts.put_part(&session(&server), &new, first, silent()).await.unwrap();
    assert_eq!(parts.put_last(&session(&server), &new, LAST, silent()).await.unwrap().id.as_str(), ID);
    assert_eq!(commands(&server), ["upload", "upload, finalize"]);
    assert_eq!(server.requests()[1].text(), "o");
    assert_eq!(server.requests()[1].header("x-goog-upload-offset"), Some("4"));

    // Another offset: the caller asks again and continues there. The same offset: a refusal.
    for (status, received, is_unanswered) in
        [(409, 2, true), (400, 2, true), (412, 0, false), (400, 0, false)]
    {
        let server = at(vec![Answer::new(status, "no"), active(received)]);
        let gemini = open(&server);
        let sent = gemini.multipart().unwrap().put_part(&session(&server), &new, first, silent()).await;
        let error = sent.unwrap_err();
        assert_eq!(
            (error.kind(), error.is_unanswered()),
            (Kind::Failed, is_unanswered),
            "{status} {received}"
        );
        assert_eq!(commands(&server), ["upload", "query"]);
    }

    // A response without a state does not confirm the upload.
    let server = at(vec![Answer::new(200, "")]);
    let unconfirmed = open(&server);
    let sent = unconfirmed.multipart().unwrap().put_part(&session(&server), &new, first, silent()).await;
    assert!(sent.unwrap_err().is_unanswered());
}

#[tokio::test]
async fn a_finished_session_reports_its_file() {
    for (answers, lines) in [(vec![finished()], 1), (vec![state("final"), Answer::json(FILE)], 2)] {
        let server = Server::start(answers);
        let gemini = open(&server);
        let received = gemini.multipart().unwrap().received(&session(&server)).await.unwrap();
        let Some(Received::File(file)) = received else { panic!("{received:?}") };
        assert_eq!((file.id.as_str(), server.count()), (ID, lines));
        if lines == 2 {
            assert_eq!(server.lines()[1], format!("GET /v1beta/files/{ID}"));
        }
    }
    let server = Server::start(vec![active(3), state("cancelled"), finished()]);
    let gemini = open(&server);
    let parts = gemini.multipart().unwrap();
    assert_eq!(parts.received(&session(&server)).await.unwrap(), Some(Received::Bytes(3)));
    assert_eq!(parts.received(&session(&server)).await.unwrap_err().kind(), Kind::Platform);
    // All bytes are there: an empty last part.
    let file = parts.complete(&session(&server), &hello(), &[], &Checksums::default()).await.unwrap();
    let last = &server.requests()[2];
    assert_eq!((file.id.as_str(), last.header("x-goog-upload-command")), (ID, Some("finalize")));
    assert_eq!(last.header("content-length"), Some("0"));
}

#[tokio::test]
async fn errors_name_the_session_and_never_its_url() {
    for status in [401, 403, 404, 410] {
        let server = Server::repeating(vec![Answer::new(status, format!("no upload_id={SECRET}"))]);
        let gemini = open(&server);
        let sent = gemini.multipart().unwrap().put_last(&session(&server), &hello(), LAST, silent()).await;
        let error = sent.unwrap_err();
        assert_eq!((error.kind(), error.message()), (Kind::Platform, "gemini rejected the upload session"));
        assert_eq!((error.status(), error.may_be_done(), server.count()), (Some(status), false, 1));
    }
    // A success without a file, as for a wrong content type.
    let server = Server::start_with(|origin| vec![started(origin), Answer::json(r#"{"note":"no file"}"#)]);
    let error = open(&server).upload(&hello(), silent()).await.unwrap_err();
    assert!(error.causes().iter().any(|cause| cause == r#"the response: {"note":"no file"}"#), "{error:?}");
    // No URL, and an id that is already in use.
    let server = Server::start(vec![state("active"), Answer::new(409, "")]);
    let gemini = open(&server);
    let error = gemini.upload(&hello(), silent()).await.unwrap_err();
    assert_eq!((error.message(), error.may_be_done()), ("gemini returned no upload URL", false));
    assert!(gemini.upload(&hello(), silent()).await.unwrap_err().is_unanswered(), "the file may be there");
}

#[tokio::test]
async fn the_mark_of_an_upload_is_the_id_of_its_file() {
    let missing = r#"{"error":{"code":403,"message":"You do not have permission to access the File x or it may not exist.","status":"PERMISSION_DENIED"}}"#;
    let server = Server::start(vec![Answer::json(FILE), Answer::json(missing).with_status(403)]);
    let gemini = open(&server);
    assert_eq!(gemini.find_marked(MARK).await.unwrap().unwrap().id.as_str(), ID);
    assert_eq!(gemini.find_marked(MARK).await.unwrap(), None);
    assert_eq!(server.lines(), vec![format!("GET /v1beta/files/{ID}"); 2]);
}

#[tokio::test]
async fn files_are_listed_read_and_deleted() {
    let page: Value = serde_json::from_str(include_str!("replies.json")).unwrap();
    let server = Server::start(vec![
        Answer::json(page.to_string()),
        Answer::json("{}"),
        Answer::json(FILE),
        Answer::new(400, r#"{"error":{"code":400,"message":"Request contains an invalid argument."}}"#),
        Answer::json("{}"),
        Answer::new(
            400,
            r#"{"error":{"message":"* DeleteFileRequest.name: File ID (name excluding 'files/') cannot be more than 40 characters.\n"}}"#,
        ),
    ]);
    let gemini = open(&server);
    let listed = gemini.list(&Query::default(), None).await.unwrap();
    assert_eq!(listed.next.as_deref(), Some("token"));
    let [batch, video] = &listed.files[..] else { panic!("{listed:?}") };
    assert_eq!(batch.id.as_str().len(), 42);
    assert_eq!((batch.downloadable, video.downloadable), (Some(true), Some(false)));
    assert_eq!((video.name.as_str(), video.status.as_deref()), ("", Some("FAILED")));
    assert!(gemini.list(&Query::default(), Some("token")).await.unwrap().files.is_empty());
    gemini.stat(&format!("files/{ID}").into()).await.unwrap();
    assert_eq!(gemini.stat(&"an odd id".into()).await.unwrap_err().kind(), Kind::NotFound);
    gemini.delete(&ID.into()).await.unwrap();
    let error = gemini.delete(&batch.id).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(error.hints().iter().any(|hint| hint.contains("48 h")), "{error:?}");
    let expected = [
        "GET /v1beta/files?pageSize=100".to_owned(),
        "GET /v1beta/files?pageSize=100&pageToken=token".to_owned(),
        format!("GET /v1beta/files/{ID}"),
        "GET /v1beta/files/an%20odd%20id".to_owned(),
        format!("DELETE /v1beta/files/{ID}"),
        format!("DELETE /v1beta/files/{}", batch.id),
    ];
    assert_eq!(server.lines(), expected);
    assert!(server.requests().iter().all(|request| request.header("x-goog-api-key") == Some(KEY)));
}

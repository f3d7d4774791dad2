//! Uploads: the dialect, the host and the fields.

use super::*;

#[tokio::test]
async fn the_first_upload_detects_the_dialect_and_uses_the_upload_host() {
    let api = Server::start(vec![Answer::json(EMPTY_LIST)]);
    let uploads = Server::start(vec![Answer::json(SEED), Answer::json(SEED)]);
    let provider = open_with(&api, &uploads, "auto", &[]);
    assert!(provider.capabilities().upload.metadata, "the dialect is not yet known");
    let file = upload(&*provider, hello()).await.unwrap();
    assert_eq!(file.id.as_str(), "file_Rm4Mnheq2bfEPhBhP7SY");
    upload(&*provider, hello()).await.unwrap();
    assert_eq!(api.lines(), ["GET /files?limit=1"], "one detection");
    assert_eq!(api.requests()[0].header("metorial-version"), None, "`auto` requests no version");
    uploads.requests()[0].assert_is(include_str!("request-upload-seed.http"));
    assert!(!provider.capabilities().upload.metadata, "the seed dialect has no title");

    // Every response shows the dialect, so no separate request is necessary.
    let server = Server::start(vec![magnetar(MAGNETAR), magnetar(UPLOADED)]);
    let provider = open(&server, "auto");
    provider.stat(&id()).await.unwrap();
    let file = upload(&*provider, hello()).await.unwrap();
    assert_eq!(file.purpose.as_deref(), Some("generic"), "from the object in the response to an upload");
    assert_eq!(server.lines(), [format!("GET /files/{ID}"), "POST /files".to_owned()]);
    assert!(server.requests()[1].text().contains("\r\n\r\ngeneric\r\n"));
}

#[tokio::test]
async fn an_unknown_version_is_treated_as_the_latest() {
    for (version, default) in [
        ("mt_2025_01_01_pulsar", Some("user_image")),
        ("2026-01-01", Some("generic")),
        ("2031-01-01", Some("generic")),
    ] {
        let server = Server::start(vec![Answer::json(MAGNETAR).header("metorial-version", version)]);
        let provider = open(&server, "auto");
        assert_eq!(provider.capabilities().upload.default_purpose, None);
        provider.stat(&id()).await.unwrap();
        assert_eq!(provider.capabilities().upload.default_purpose, default, "{version}");
    }
}

#[tokio::test]
async fn a_magnetar_upload_equals_the_captured_request() {
    let server = Server::start(vec![magnetar(UPLOADED), magnetar(UPLOADED)]);
    let set = [("store_id", "str_1"), ("path", "docs/hello.txt")];
    let provider = open_with(&server, &server, "magnetar", &set);
    let file = upload(&*provider, titled(&json!("Greeting"))).await.unwrap();
    assert_eq!(file.metadata["title"], "Greeting");
    let captured = include_str!("request-upload-magnetar.http");
    server.requests()[0].assert_is(captured);
    // In a folder the file keeps its own name.
    let provider = open_with(&server, &server, "magnetar", &[("store_id", "str_1"), ("path", "docs/")]);
    upload(&*provider, titled(&json!("Greeting"))).await.unwrap();
    server.requests()[1].assert_is(captured);
}

#[tokio::test]
async fn features_of_another_dialect_are_refused_before_any_request() {
    let refused = [
        ("seed", vec![], titled(&json!("x")), Kind::Unsupported),
        ("pulsar", vec![], titled(&json!("x")), Kind::Unsupported),
        ("pulsar", vec![("store_id", "str_1")], hello(), Kind::Unsupported),
        ("seed", vec![("via", "presigned")], hello(), Kind::Unsupported),
        ("magnetar", vec![("path", "docs/")], hello(), Kind::Usage),
        ("magnetar", vec![("via", "pigeon")], hello(), Kind::Usage),
        ("magnetar", vec![], NewFile::from_bytes("empty", ""), Kind::Unsupported),
        ("magnetar", vec![("via", "direct")], NewFile { size: 200 << 20, ..hello() }, Kind::Unsupported),
        ("magnetar", vec![], NewFile { size: 3 << 30, ..hello() }, Kind::Unsupported),
        (
            "magnetar",
            vec![],
            {
                let mut file = hello();
                file.metadata.insert("a".into(), 1.into());
                file
            },
            Kind::Unsupported,
        ),
    ];
    for (dialect, set, file, kind) in refused {
        let server = Server::start(vec![]);
        let error = upload(&*open_with(&server, &server, dialect, &set), file).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{dialect} {set:?}: {error}");
        assert!(server.requests().is_empty(), "{dialect} {set:?}");
    }
}

#[tokio::test]
async fn a_presigned_upload_sends_the_bytes_without_the_token() {
    let bucket = Server::start(vec![Answer::new(200, "")]);
    let pending = include_str!("file-upload.json").replace("https://bucket.example", &bucket.origin());
    let uploads = Server::start(vec![magnetar(&pending), magnetar(UPLOADED)]);
    let api = Server::start(vec![]);
    let set =
        [("via", "presigned"), ("store_id", "str_1"), ("path", "docs/hello.txt"), ("store_replace", "true")];
    let provider = open_with(&api, &uploads, "magnetar", &set);
    let file = upload(&*provider, titled(&json!("Greeting"))).await.unwrap();
    assert_eq!(file.id.as_str(), ID);
    let steps = uploads.requests();
    steps[0].assert_is(include_str!("request-presigned-begin.http"));
    steps[1].assert_is(include_str!("request-presigned-complete.http"));
    bucket.requests()[0].assert_is(include_str!("request-presigned-put.http"));
    assert_eq!(bucket.requests()[0].header("authorization"), None);
}

#[tokio::test]
async fn a_file_too_large_for_a_form_is_uploaded_to_a_presigned_url() {
    let bucket = Server::start(vec![Answer::new(200, "")]);
    let pending = include_str!("file-upload.json").replace("https://bucket.example", &bucket.origin());
    let server = Server::start(vec![magnetar(&pending), magnetar(UPLOADED)]);
    let file = tempfile::NamedTempFile::new().unwrap();
    let size = (100 << 20) + 1;
    file.as_file().set_len(size).unwrap();
    let source = haul::model::Source::Path(file.path().to_owned());
    upload(&*open(&server, "magnetar"), NewFile { source, size, ..hello() }).await.unwrap();
    assert!(server.requests()[0].text().contains(r#""file_size":104857601"#));
    assert_eq!(bucket.requests()[0].body.len() as u64, size);
}

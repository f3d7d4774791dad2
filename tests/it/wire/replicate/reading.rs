//! Parsing of responses: the recorded and the documented file, lenient spellings, invalid responses, errors.

use super::*;

#[tokio::test]
async fn the_recorded_file_is_parsed_completely() {
    let server = Server::start(vec![Answer::json(&recorded(1).1)]);
    let file = open(&server).stat(&"NGZi".into()).await.unwrap();
    let url = "https://api.replicate.com/v1/files/NGZiNmY2YzQtMThhZi00ZjcyLWFhZjktODg4NTY0NWNlMDEy";
    assert_eq!(
        serde_json::to_value(&file).unwrap(),
        json!({
            "provider": "replicate", "profile": "replicate",
            "id": "NGZiNmY2YzQtMThhZi00ZjcyLWFhZjktODg4NTY0NWNlMDEy",
            "name": "test_fileo20o3wth.txt", "size": 0, "content_type": "text/plain", "purpose": null,
            "path": null, "status": null, "created_at": "2024-08-22T12:26:51.079Z", "updated_at": null,
            "expires_at": "2024-08-23T12:26:51.079Z",
            "checksums": {
                "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                "md5": "d41d8cd98f00b204e9800998ecf8427e",
            },
            "metadata": {}, "downloadable": false, "url": null,
            "extra": {"etag": "d41d8cd98f00b204e9800998ecf8427e", "urls": {"get": url}},
        })
    );
    server.requests()[0].assert_is(include_str!("request-get.http"));
}

#[tokio::test]
async fn the_documented_file_is_parsed_without_undocumented_fields() {
    let server = Server::start(vec![Answer::json(DOCUMENTED)]);
    let file = open(&server).stat(&"cneqzikepnug6xezperrr4z55o".into()).await.unwrap();
    assert_eq!((file.name.as_str(), file.size), ("", Some(14)));
    assert_eq!(file.metadata["customer_reference_id"], 123);
    assert_eq!(file.created_at, Some("2024-02-21T11:35:45.123456Z".parse().unwrap()));
    let sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!((file.checksums.sha256.as_deref(), file.checksums.md5), (Some(sha256), None), "lower case");
    assert_eq!(file.extra["checksums"], json!({"crc32": "00000000"}), "unknown keys are kept");
}

#[tokio::test]
async fn lenient_spellings_are_parsed_and_invalid_ones_reported() {
    let loose = r#"{"id":5,"size":"12","checksums":null,"metadata":null,"expires_at":null,"created_at":1700000000,"x":[1]}"#;
    let server = Server::start(vec![Answer::json(loose)]);
    let file = open(&server).stat(&"5".into()).await.unwrap();
    assert_eq!((file.id.as_str(), file.size, file.expires_at), ("5", Some(12), None));
    assert_eq!(file.created_at, Some("2023-11-14T22:13:20Z".parse().unwrap()));
    assert_eq!(file.extra["x"], json!([1]));

    for body in
        ["", "<html><body>Hello</body></html>", r#"{"id":"a","si"#, "{}", r#"{"id":null}"#, "[]", "null"]
    {
        let server = Server::start(vec![Answer::json(body), Answer::json(body)]);
        let error = open(&server).stat(&"a".into()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Platform, "{body}: {error}");
        let error = open(&server).list(&Query::default(), None).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Platform, "{body}: {error}");
    }
}

#[tokio::test]
async fn every_error_shape_is_reported_with_the_message_of_the_platform() {
    let cases = [
        (401, include_str!("error-401.json"), Kind::Auth, "Unauthenticated: You did not pass"),
        (402, include_str!("error-402.json"), Kind::RateLimited, "insufficient credit"),
        (403, "", Kind::Auth, "403"),
        (404, NOT_FOUND, Kind::NotFound, "File not found"),
        (413, include_str!("error-413.json"), Kind::Unsupported, "less than 100MB"),
        (413, include_str!("error-413.html"), Kind::Unsupported, "Request Entity Too Large"),
        (429, include_str!("error-429.json"), Kind::RateLimited, "Expected available in 1 second"),
        (500, r#"{"detail":"trunc"#, Kind::Platform, "500"),
        (503, "<html><body>busy</body></html>", Kind::Platform, "busy"),
    ];
    for (status, body, kind, says) in cases {
        let server = Server::start(vec![Answer::new(status, body).header("CF-RAY", "8b7-SJC")]);
        let error = open(&server).stat(&"a".into()).await.unwrap_err();
        assert_eq!((error.status(), error.kind()), (Some(status), kind), "{error}");
        assert!(error.message().contains(says), "{status}: {error}");
        assert_eq!(error.request_id(), Some("8b7-SJC"));
        assert!(!format!("{error:?}").contains(TOKEN));
    }
}

#[tokio::test]
async fn a_deletion_expects_no_body() {
    let server = Server::start(vec![Answer::new(204, ""), Answer::new(404, NOT_FOUND)]);
    let provider = open(&server);
    provider.delete(&"NGZi".into()).await.unwrap();
    server.requests()[0].assert_is(include_str!("request-delete.http"));
    assert_eq!(provider.delete(&"NGZi".into()).await.unwrap_err().kind(), Kind::NotFound);
    let error = provider.delete(&"..".into()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Usage, "an id is one path segment");
    assert_eq!(server.requests().len(), 2);
}

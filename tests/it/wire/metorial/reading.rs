//! Parsing of responses: files of every dialect, lenient spellings, invalid responses, errors.

use super::*;

#[tokio::test]
async fn the_file_of_every_dialect_is_parsed() {
    let server =
        Server::start(vec![Answer::json(SEED), pulsar(PULSAR), magnetar(MAGNETAR), magnetar(DELETED)]);
    let provider = open(&server, "auto");

    let file = provider.stat(&id()).await.unwrap();
    assert_eq!(
        serde_json::to_value(&file).unwrap(),
        json!({
            "provider": "metorial", "profile": "metorial", "id": "file_Rm4Mnheq2bfEPhBhP7SY",
            "name": "example.txt", "size": 1024, "content_type": "text/plain", "purpose": "attachment",
            "path": null, "status": null, "created_at": "2025-01-01T00:00:00Z", "updated_at": null,
            "expires_at": null, "checksums": {}, "metadata": {}, "downloadable": true, "url": null, "extra": {},
        })
    );

    let file = provider.stat(&id()).await.unwrap();
    assert_eq!(
        (file.name.as_str(), file.size, file.purpose.as_deref()),
        ("hello.txt", Some(11), Some("user_image"))
    );
    assert_eq!(file.metadata["title"], "Greeting");
    assert_eq!(file.updated_at, Some("2026-01-02T03:04:06.789Z".parse().unwrap()));
    assert_eq!(file.extra["purpose"]["name"], "User Image");
    assert_eq!(file.extra["__typename"], "file");

    let file = provider.stat(&id()).await.unwrap();
    assert_eq!(
        (file.content_type.as_deref(), file.purpose.as_deref()),
        (Some("text/plain"), Some("generic"))
    );
    assert!(file.metadata.is_empty(), "a null title is omitted");
    assert_eq!(file.extra["created_by"], serde_json::Value::Null);

    let file = provider.stat(&id()).await.unwrap();
    assert_eq!((file.status.as_deref(), file.downloadable), (Some("deleted"), Some(false)));
    assert_eq!(file.extra["created_by"]["type"], "organization_actor");

    server.requests()[0].assert_is(include_str!("request-get.http"));
}

#[tokio::test]
async fn lenient_spellings_are_parsed_and_invalid_ones_reported() {
    let loose = [
        r#"{"id":7,"name":"a","size":"12","created_at":1735689600,"purpose":"brand_new_word","status":"frozen"}"#,
        r#"{"id":"7","file_name":"a","name":"b","file_size":12.0,"size":3,"purpose":null,"new":{"x":1}}"#,
        r#"{"id":"7","file_size":null,"file_name":null,"created_at":"some day","file_type":{}}"#,
    ];
    let server = Server::start(loose.map(Answer::json));
    let provider = open(&server, "auto");
    let file = provider.stat(&id()).await.unwrap();
    assert_eq!((file.id.as_str(), file.size), ("7", Some(12)));
    assert_eq!(file.created_at, Some("2025-01-01T00:00:00Z".parse().unwrap()));
    assert_eq!((file.purpose.as_deref(), file.status.as_deref()), (Some("brand_new_word"), Some("frozen")));
    let file = provider.stat(&id()).await.unwrap();
    assert_eq!((file.name.as_str(), file.size), ("a", Some(12)));
    assert_eq!(file.extra["new"]["x"], 1);
    let file = provider.stat(&id()).await.unwrap();
    assert_eq!((file.name.as_str(), file.size, file.created_at), ("", None, None));

    let nonsense = [
        "",
        "<html><body>Bad gateway</body></html>",
        r#"{"id":"fil_1","file_na"#,
        "{}",
        r#"{"id":""}"#,
        "[]",
    ];
    for body in nonsense {
        let server = Server::start(vec![Answer::json(body)]);
        let error = open(&server, "auto").stat(&id()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Platform, "{body}: {error}");
    }
    for body in ["", "{}", r#"{"items":null}"#, r#"{"items":[{"file_name":"x"}]}"#, r#"{"items":[{"id":"#] {
        let server = Server::start(vec![Answer::json(body)]);
        let error = open(&server, "auto").list(&Query::default(), None).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Platform, "{body}: {error}");
    }
}

#[tokio::test]
async fn every_error_shape_is_reported_with_the_message_of_the_platform() {
    let cases = [
        (400, include_str!("error-400-invalid-data.json"), "limit: at most 100"),
        (400, include_str!("error-400-reason.json"), "the body is no JSON"),
        (401, include_str!("error-401.json"), "the key is not known"),
        (402, include_str!("error-402.json"), "the plan is used up"),
        (403, include_str!("error-403-scope.json"), "the key lacks a scope"),
        (404, include_str!("error-404.json"), "file not found"),
        (404, include_str!("error-404-pulsar.json"), "file not found"),
        (404, include_str!("error-older-envelope.json"), "file not found"),
        (406, include_str!("error-406.json"), "this version is not allowed"),
        (429, include_str!("error-429.json"), "too many requests"),
        (500, include_str!("error-500.json"), "something broke"),
        (502, "<html><head><title>Bad gateway</title></head></html>", "502"),
        (413, "", "413"),
        (503, r#"{"object":"error","mess"#, "503"),
    ];
    for (status, body, says) in cases {
        let answer = Answer::json(body).with_status(status).header("metorial-req-id", "req_1");
        let server = Server::start(vec![answer]);
        let error = open(&server, "auto").stat(&id()).await.unwrap_err();
        let kind = match status {
            401 | 403 => Kind::Auth,
            402 | 429 => Kind::RateLimited,
            404 => Kind::NotFound,
            500.. => Kind::Platform,
            _ => error.kind(),
        };
        assert_eq!((error.status(), error.kind()), (Some(status), kind), "{error}");
        assert!(error.lines().iter().any(|(_, line)| line.contains(says)), "{status}: {error}");
        assert_eq!(error.request_id(), Some("req_1"), "{status}");
        assert!(!format!("{error:?}").contains("metorial_sk_TEST"));
    }
}

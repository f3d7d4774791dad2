//! Deletions, and changes of the title.

use super::*;

#[tokio::test]
async fn deletions_report_the_response_of_the_platform() {
    let server = Server::start(vec![magnetar(DELETED)]);
    open(&server, "auto").delete(&id()).await.unwrap();
    server.requests()[0].assert_is(include_str!("request-delete.http"));

    let server = Server::start(vec![pulsar(include_str!("error-400-blocked.json")).with_status(400)]);
    let error = open(&server, "auto").delete(&id()).await.unwrap_err();
    assert_eq!(error.status(), Some(400));
    assert!(error.to_string().contains("deleting is blocked"), "{error}");

    // A second deletion is forbidden, and the record shows the reason.
    let forbidden =
        magnetar(include_str!("error-403-deleted.json")).with_status(403).header("metorial-req-id", "req_1");
    let server = Server::start(vec![forbidden, magnetar(DELETED)]);
    let error = open(&server, "auto").delete(&id()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound, "{error}");
    assert!(error.to_string().contains("a deleted file takes no actions"), "{error}");
    assert_eq!(error.request_id(), Some("req_1"));

    // The same for every other operation on the file.
    let server = Server::start(vec![
        magnetar(include_str!("error-403-deleted.json")).with_status(403),
        magnetar(DELETED),
    ]);
    let error = open(&server, "magnetar").link(&id(), None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound, "{error}");
    assert_eq!(server.lines(), ["POST /file-links".to_owned(), format!("GET /files/{ID}")]);

    // If the reason is another one, the error is unchanged.
    let forbidden = magnetar(include_str!("error-403-scope.json")).with_status(403);
    let server = Server::start(vec![forbidden, magnetar(MAGNETAR)]);
    let error = open(&server, "auto").delete(&id()).await.unwrap_err();
    assert_eq!(error.status(), Some(403));
    assert_eq!(error.kind(), Kind::Auth, "{error}");
}

#[tokio::test]
async fn only_the_title_can_be_changed_and_only_in_pulsar() {
    let set = |key: &str, value: serde_json::Value| {
        let mut patch = Patch::default();
        patch.set.insert(key.to_owned(), value);
        patch
    };
    let server = Server::start(vec![pulsar(PULSAR), pulsar(PULSAR)]);
    let provider = open(&server, "pulsar");
    let file = provider.annotate(&"fil_1".into(), &set("title", json!("New title"))).await.unwrap();
    assert_eq!(file.metadata["title"], "Greeting", "as in the response");
    server.requests()[0].assert_is(include_str!("request-title-pulsar.http"));
    provider.annotate(&"fil_1".into(), &set("title", json!(2024))).await.unwrap();
    assert_eq!(server.requests()[1].text(), r#"{"title":"2024"}"#);

    let rename = Patch { name: Some("x".to_owned()), ..Patch::default() };
    let untitle = Patch { unset: vec!["title".to_owned()], ..Patch::default() };
    for patch in [set("color", json!("red")), rename, untitle] {
        let error = provider.annotate(&id(), &patch).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported, "{error}");
    }
    assert_eq!(server.requests().len(), 2);
    for dialect in ["seed", "magnetar"] {
        let provider = open(&server, dialect);
        assert!(provider.capabilities().annotate.is_none());
        let error = provider.annotate(&id(), &set("title", json!("x"))).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported, "{error}");
    }
}

//! Listings: order, pages, filters, scopes.

use super::*;

#[tokio::test]
async fn a_listing_is_newest_first_and_continues_after_the_last_id() {
    let server = Server::start(vec![
        magnetar(include_str!("list-magnetar.json")),
        pulsar(include_str!("list-pulsar.json")),
        Answer::json(EMPTY_LIST),
        Answer::json(format!("[{SEED}]")),
        Answer::json(format!(r#"{{"data":[{SEED}]}}"#)),
        Answer::json(r#"{"items":[],"pagination":{"has_more_after":"true"}}"#),
    ]);
    let provider = open(&server, "auto");
    let page = provider.list(&Query::default(), None).await.unwrap();
    assert_eq!(page.files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), ["b.txt", "a.txt"]);
    assert_eq!(
        page.next.as_deref(),
        Some("fil_1,fil_2"),
        "so that the listing can continue if the last file is deleted"
    );
    let oldest = Sort { field: "created_at".to_owned(), descending: false };
    let query = Query { sort: Some(oldest), page_size: Some(500), ..Query::default() };
    let second = provider.list(&query, page.next.as_deref()).await.unwrap();
    assert_eq!(second.next.as_deref(), Some("fil_1,fil_2"));
    let query = Query { limit: Some(5), ..Query::default() };
    let page = provider.list(&query, None).await.unwrap();
    assert_eq!((page.files.len(), page.next), (0, None));
    assert_eq!(provider.list(&query, None).await.unwrap().files.len(), 1, "a bare array");
    assert_eq!(provider.list(&query, None).await.unwrap().files.len(), 1, "`data`");
    let endless = provider.list(&query, None).await.unwrap_err();
    assert_eq!(endless.kind(), Kind::Platform);
    assert_eq!(
        server.lines()[..3],
        [
            "GET /files?limit=100&order=desc",
            "GET /files?limit=100&order=asc&after=fil_1",
            "GET /files?limit=5&order=desc"
        ]
    );
}

#[tokio::test]
async fn filters_are_pushed_down_in_brackets_and_repeated_keys() {
    let server = Server::start(vec![magnetar(EMPTY_LIST); 4]);
    let provider = open(&server, "magnetar");
    let time = Value::Time("2026-01-01T00:00:00Z".parse().unwrap());
    let text = |text: &str| Value::Text(text.to_owned());
    let both = filter("created_at", Op::Gt, time).and(filter("purpose", Op::Eq, text("generic")));
    let ids = ["a", "b"].map(|id| filter("id", Op::Eq, text(id)).expr);
    provider.list(&asking(both), None).await.unwrap();
    provider.list(&asking(Filter { expr: Expr::Or(ids.to_vec()) }), None).await.unwrap();
    provider.list(&asking(filter("name", Op::Eq, text("x"))), None).await.unwrap();
    assert_eq!(
        server.lines(),
        [
            "GET /files?limit=100&order=desc&created_at%5Bgt%5D=2026-01-01T00%3A00%3A00.000Z&purpose=generic",
            "GET /files?limit=100&order=desc&id=a&id=b",
            "GET /files?limit=100&order=desc",
        ]
    );
    assert_eq!(server.requests()[0].header("metorial-version"), Some("2026-01-01-magnetar"));
}

#[tokio::test]
async fn a_purpose_is_pushed_down_only_if_the_dialect_supports_it() {
    let server = Server::start(vec![Answer::json(EMPTY_LIST); 3]);
    let provider = open(&server, "auto");
    let purpose = |word: &str| asking(filter("purpose", Op::Eq, Value::Text(word.to_owned())));
    provider.list(&purpose("attachment"), None).await.unwrap();
    provider.list(&purpose("generic"), None).await.unwrap();
    assert_eq!(
        server.lines(),
        [
            "GET /files?limit=1",
            "GET /files?limit=100&order=desc&purpose=attachment",
            "GET /files?limit=100&order=desc",
        ]
    );
}

#[tokio::test]
async fn scopes_are_sent_as_header_query_and_form_fields() {
    let (api, uploads) = (Server::start(vec![pulsar(EMPTY_LIST)]), Server::start(vec![pulsar(PULSAR)]));
    let set = [("instance_id", "ins_1"), ("organization_id", "org_1")];
    let provider = open_with(&api, &uploads, "pulsar", &set);
    provider.list(&Query::default(), None).await.unwrap();
    upload(&*provider, hello()).await.unwrap();
    let listing = &api.requests()[0];
    assert_eq!(listing.header("metorial-instance-id"), Some("ins_1"));
    assert_eq!(listing.target, "/files?limit=100&order=desc&organization_id=org_1");
    uploads.requests()[0].assert_is(include_str!("request-upload-organization.http"));
}

#[tokio::test]
async fn related_objects_scope_a_magnetar_listing_and_are_refused_elsewhere() {
    let set = [("store_id", "str_1"), ("document_id", "doc_1"), ("file_link_id", "flk_1")];
    let server = Server::start(vec![magnetar(EMPTY_LIST)]);
    open_with(&server, &server, "magnetar", &set).list(&Query::default(), None).await.unwrap();
    assert_eq!(
        server.lines(),
        ["GET /files?limit=100&order=desc&store_id=str_1&document_id=doc_1&file_link_id=flk_1"]
    );
    let server = Server::start(vec![Answer::json(EMPTY_LIST)]);
    let provider = open_with(&server, &server, "auto", &set);
    let error = provider.list(&Query::default(), None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(error.message().contains("store_id") && error.message().contains("seed"), "{error}");
}

/// A server may respond in a dialect other than the requested one, with fewer fields.
#[tokio::test]
async fn a_field_missing_from_the_response_is_not_compared() {
    let old = Value::Time("2026-02-01T00:00:00Z".parse().unwrap());
    let negated = Filter { expr: filter("updated_at", Op::Gt, old).expr.negated() };
    let ask = async |answer: Answer| {
        let server = Server::start(vec![answer]);
        let provider = std::sync::Arc::from(open(&server, "magnetar"));
        Listing::new(provider, asking(negated.clone()), None)?.all().await
    };
    let error = ask(Answer::json(format!("[{SEED}]"))).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported, "{error}");
    assert_eq!(error.hints(), ["the server does not use the dialect of this profile"]);
    assert_eq!(ask(pulsar(&format!("[{PULSAR}]"))).await.unwrap().len(), 1, "updated in January");
    // No request is sent while the dialect is unknown.
    let server = Server::start(Vec::new());
    let provider = std::sync::Arc::from(open(&server, "auto"));
    assert_eq!(Listing::new(provider, asking(negated), None).err().unwrap().kind(), Kind::Unsupported);
    assert!(server.lines().is_empty());
}

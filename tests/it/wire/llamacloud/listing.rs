//! `ls`: the list, its pages, filters and orders, and the deprecated query.

use haul::error::Kind;
use haul::filter::{Comparison, Expr, Filter, Op, Value};
use haul::providers::{Query, Sort};
use serde_json::json;

use crate::support::server::Server;
use crate::wire::llamacloud::support::{json as reply, open, open_with, profile};

const EMPTY: &str = r#"{"items":[],"next_page_token":null,"total_size":null}"#;

fn equals(field: &str, value: &str) -> Expr {
    Expr::Compare(Comparison { field: field.into(), op: Op::Eq, value: Value::Text(value.into()) })
}

fn filter(expr: Expr) -> Query {
    Query { filter: Some(Filter { expr }), ..Query::default() }
}

fn by(field: &str, descending: bool) -> Sort {
    Sort { field: field.into(), descending }
}

/// The request targets of a query with these settings.
async fn targets(query: &Query, cursor: Option<&str>, set: &[(&str, &str)]) -> Vec<String> {
    let server = Server::start([reply(200, EMPTY)]);
    open_with(&server, set).list(query, cursor).await.unwrap();
    server.lines()
}

#[tokio::test]
async fn a_listing_equals_that_of_the_official_client() {
    let query = Query {
        sort: Some(by("created_at", true)),
        page_size: Some(2),
        ..filter(Expr::Or(vec![equals("id", "a"), equals("id", "b")]))
    };
    let set = [("expand", "download_url")];
    // Both lines as captured from the official Python client.
    let first =
        "GET /api/v1/beta/files?expand=download_url&file_ids=a&file_ids=b&order_by=created_at&page_size=2";
    assert_eq!(targets(&query, None, &set).await, [first]);
    assert_eq!(targets(&query, Some("tok2"), &set).await, [format!("{first}&page_token=tok2")]);
}

#[tokio::test]
async fn a_page_contains_the_token_of_the_next_one() {
    let page = |token: &str| {
        let short = include_str!("replies/short.json");
        reply(200, &format!(r#"{{"items":[{short}],"total_size":null{token}}}"#))
    };
    let server = Server::start([
        page(r#","next_page_token":"tok2""#),
        page(r#","next_page_token":null"#),
        page(r#","next_page_token":"""#),
        page(""),
        reply(200, r#"{"items":[]}"#),
    ]);
    let provider = open(&server);
    let mut next = Vec::new();
    for _ in 0..5 {
        next.push(provider.list(&Query::default(), None).await.unwrap().next);
    }
    assert_eq!(next, [Some("tok2".to_owned()), None, None, None, None]);
    assert_eq!(server.lines()[0], "GET /api/v1/beta/files?page_size=1000");
    assert_eq!(server.requests()[0].header("authorization"), Some("Bearer llx-TESTKEY"));
}

#[tokio::test]
async fn the_scope_is_in_the_query_of_a_listing() {
    let set = [("project_id", "p"), ("organization_id", "o o")];
    let lines = targets(&Query::default(), None, &set).await;
    assert_eq!(lines, ["GET /api/v1/beta/files?page_size=1000&organization_id=o%20o&project_id=p"]);
}

#[tokio::test]
async fn exact_filters_are_pushed_down() {
    let query = filter(Expr::And(vec![equals("name", "a&b ü.pdf"), equals("external_file_id", "e+1")]));
    assert_eq!(
        targets(&query, None, &[]).await,
        ["GET /api/v1/beta/files?external_file_id=e%2B1&file_name=a%26b%20%C3%BC.pdf&page_size=1000"]
    );
    assert_eq!(
        targets(&filter(equals("purpose", "parse")), None, &[]).await,
        ["GET /api/v1/beta/files?page_size=1000"]
    );
}

#[tokio::test]
async fn only_orders_that_every_server_accepts_are_sent() {
    for (field, descending, sent) in [
        ("name", false, "order_by=name&"),
        ("name", true, ""),
        ("created_at", true, "order_by=created_at&"),
        ("created_at", false, ""),
        ("size", false, ""),
    ] {
        let query = Query { sort: Some(by(field, descending)), ..Query::default() };
        assert_eq!(
            targets(&query, None, &[]).await,
            [format!("GET /api/v1/beta/files?{sent}page_size=1000")],
            "{field} {descending}"
        );
    }
}

#[tokio::test]
async fn the_deprecated_query_equals_the_captured_request() {
    let server = Server::start([reply(200, EMPTY), reply(200, EMPTY)]);
    let provider = open_with(&server, &[("via", "query")]);
    let query =
        Query { sort: Some(by("name", true)), page_size: Some(5), ..filter(equals("name", "hello.txt")) };
    provider.list(&query, None).await.unwrap();
    server.requests()[0].assert_is(include_str!("requests/query.http"));

    provider.list(&Query::default(), Some("tok2")).await.unwrap();
    assert_eq!(server.requests()[1].json(), json!({"page_size": 1000, "page_token": "tok2"}));
}

#[tokio::test]
async fn a_filter_on_the_data_source_uses_the_query_and_is_not_evaluated_again() {
    let short = include_str!("replies/short.json");
    let server = Server::start([
        reply(200, &format!(r#"{{"items":[{short}]}}"#)),
        reply(200, EMPTY),
        reply(200, EMPTY),
    ]);
    let scope = [("project_id", "p")];
    let parse = |text| Filter::parse_with(text, jiff::Timestamp::UNIX_EPOCH, &["data_source_id"]).unwrap();
    let query = Query { filter: Some(parse("data_source_id = d-1 AND name:inv")), ..Query::default() };
    let page = open_with(&server, &scope).list(&query, None).await.unwrap();
    // The short object lacks the field, but the caller must not discard the file because of that.
    for text in ["data_source_id = d-1 AND name:inv", "extra.data_source_id = \"d-1\""] {
        assert!(parse(text).matches(&page.files[0]), "{text}");
    }

    let none = Comparison { field: "extra.data_source_id".into(), op: Op::Eq, value: Value::Null };
    open(&server).list(&filter(Expr::Compare(none)), None).await.unwrap();
    open_with(&server, &[("only_manually_uploaded", "true")]).list(&Query::default(), None).await.unwrap();

    assert_eq!(server.lines()[0], "POST /api/v1/beta/files/query?project_id=p");
    let bodies: Vec<_> = server.requests().iter().map(|seen| seen.json()["filter"].clone()).collect();
    assert_eq!(
        bodies,
        [
            json!({"data_source_id": "d-1"}),
            json!({"only_manually_uploaded": true}),
            json!({"only_manually_uploaded": true}),
        ]
    );
}

#[tokio::test]
async fn an_invalid_listing_is_a_platform_error() {
    for body in
        ["", "{}", r#"{"items":[{"id":"a"#, "<html>hello</html>", r#"{"items":[{"name":"no id"}]}"#, "[]"]
    {
        let server = Server::start([reply(200, body)]);
        let error = open(&server).list(&Query::default(), None).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Platform, "{body}: {error}");
    }
}

#[tokio::test]
async fn settings_that_no_route_supports_are_usage_errors() {
    let server = Server::start([reply(200, EMPTY)]);
    let error = profile(&server, &[("via", "pigeon")]).open().err().unwrap();
    assert_eq!(error.kind(), Kind::Usage);
    let provider = open_with(&server, &[("only_manually_uploaded", "yes")]);
    assert_eq!(provider.list(&Query::default(), None).await.unwrap_err().kind(), Kind::Usage);
    // The query endpoint does not support this setting, and an unsupported setting is never silently ignored.
    let provider = open_with(&server, &[("via", "query"), ("expand", "download_url")]);
    assert_eq!(provider.list(&Query::default(), None).await.unwrap_err().kind(), Kind::Usage);
    assert!(server.lines().is_empty());
}

//! The beta listing and its deprecated predecessor.

use serde_json::{Value, json};

use crate::emulator::llamacloud::support::{BETA, Calls, NOW, PROJECT, Refusal, SHORT, start};
use crate::support::emulator::Emulator;
use crate::support::raw::{FORM, form, keys};

/// Five files, a second apart, whose names, ids and ages are in three different orders.
fn server() -> Emulator {
    let server = start();
    let start: jiff::Timestamp = NOW.parse().unwrap();
    for (at, (id, name)) in [("c", "3"), ("a", "5"), ("e", "1"), ("b", "2"), ("d", "4")].iter().enumerate() {
        let created_at = start + jiff::SignedDuration::from_secs(i64::try_from(at).unwrap());
        server.seed(id, name, PROJECT, created_at);
    }
    server
}

fn ids(page: &Value) -> String {
    page["items"].as_array().unwrap().iter().map(|file| file["id"].as_str().unwrap()).collect()
}

/// The ids of each page, by GET.
fn pages(server: &Emulator, query: &str) -> Vec<String> {
    let mut pages = Vec::new();
    let mut token = String::new();
    loop {
        let page = server.get(&format!("{BETA}?{query}{token}")).json();
        assert_eq!(keys(&page), ["items", "next_page_token", "total_size"]);
        assert_eq!(page["total_size"], json!(null));
        pages.push(ids(&page));
        match page["next_page_token"].as_str() {
            Some(next) => token = format!("&page_token={next}"),
            None => return pages,
        }
    }
}

#[test]
fn three_pages_in_every_order() {
    let server = server();
    assert_eq!(pages(&server, "page_size=2"), ["db", "ea", "c"], "newest first");
    assert_eq!(pages(&server, "page_size=2&order_by=created_at"), ["db", "ea", "c"]);
    assert_eq!(pages(&server, "page_size=2&order_by=name"), ["eb", "cd", "a"]);
    assert_eq!(pages(&server, "page_size=2&order_by=id"), ["ab", "cd", "e"]);
    assert_eq!(pages(&server, "page_size=5"), ["dbeac"], "a full last page has no next page");
    assert_eq!(server.get(BETA).json()["items"][0].as_object().unwrap().len(), SHORT.len());
}

#[test]
fn pages_have_fifty_files_by_default_and_a_thousand_at_most() {
    let server = start();
    for number in 0..51 {
        server.seed(&format!("{number:02}"), "x", PROJECT, NOW.parse().unwrap());
    }
    let lengths = |query: &str| pages(&server, query).iter().map(|ids| ids.len() / 2).collect::<Vec<_>>();
    assert_eq!(lengths(""), [50, 1]);
    assert_eq!(lengths("page_size=1000"), [51]);
    for (size, kind) in [
        ("0", "greater_than_equal"),
        ("-1", "greater_than_equal"),
        ("1001", "less_than_equal"),
        ("many", "int_parsing"),
    ] {
        let wrong = server.get(&format!("{BETA}?page_size={size}")).invalid();
        assert_eq!(wrong, [(json!(["query", "page_size"]), json!(kind))], "{size}");
    }
    for size in [json!(0), json!(-1), json!(5000), json!(null)] {
        let page = server.json("POST", &format!("{BETA}/query"), &json!({ "page_size": size })).json();
        let expected = if size == 5000 { 51 } else { 50 };
        assert_eq!(page["items"].as_array().unwrap().len(), expected, "{size}");
    }
}

#[test]
fn files_are_found_by_id_name_and_external_id() {
    let server = server();
    let body = form(&[
        ("name=\"purpose\"", b"user_data"),
        ("name=\"external_file_id\"", b"docs/a b.txt"),
        ("name=\"file\"; filename=\"4\"", b"x"),
    ]);
    let id = server.ask("POST", BETA, &[FORM], &body).json()["id"].as_str().unwrap().to_owned();
    let found = |query: &str| ids(&server.get(&format!("{BETA}?order_by=id&{query}")).json());
    assert_eq!(found("file_ids=a&file_ids=d&file_ids=nobody"), "ad");
    assert_eq!(found("file_ids[]=a&file_ids[]=d"), "ad", "the other forms of a list");
    assert_eq!(found("file_ids[0]=a&file_ids[1]=d"), "ad");
    assert_eq!(found("file_ids=b"), "b");
    assert_eq!(found("file_name=5"), "a");
    assert_eq!(found("file_name=5*"), "");
    assert_eq!(found("file_name=4").len(), 1 + id.len(), "two with the same name");
    assert_eq!(found("external_file_id=docs/a%20b.txt"), id);
    assert_eq!(found("external_file_id=docs/a+b.txt"), id);
    assert_eq!(found("external_file_id=docs"), "");
    assert_eq!(found("file_name=4&file_ids=d"), "d", "all conditions hold");
}

#[test]
fn expand_returns_working_urls() {
    let server = server();
    for query in ["expand=download_url", "expand[]=download_url", "expand=other&expand=download_url"] {
        let file = server.get(&format!("{BETA}?{query}&file_ids=a")).json()["items"][0].clone();
        assert_eq!(server.fetch(&file["download_url"], &[]).body, b"5", "{query}");
    }
    assert_eq!(server.get(&format!("{BETA}?expand=other")).json()["items"][0]["download_url"], json!(null));
}

#[test]
fn a_token_is_bound_to_its_listing() {
    let server = server();
    let first = server.get(&format!("{BETA}?page_size=2&order_by=name")).json();
    let token = first["next_page_token"].as_str().unwrap();
    let with = |query: &str, token: &str| server.get(&format!("{BETA}?{query}&page_token={token}"));
    assert_eq!(ids(&with("page_size=1&order_by=name", token).json()), "c", "the size may change");
    for query in ["order_by=id", "", "order_by=name&file_name=3", "order_by=name&file_ids=c"] {
        assert_eq!(with(query, token).refused(400), "Invalid page_token", "{query}");
    }
    for forged in ["tok2", "YQ", &token.replace(&token[..2], "AA"), &token[..token.len() - 2]] {
        with("order_by=name", forged).refused(400);
    }
}

#[test]
fn a_listing_continues_after_a_deleted_file() {
    let server = server();
    let first = server.get(&format!("{BETA}?page_size=2")).json();
    assert_eq!(ids(&first), "db");
    server.ask("DELETE", &format!("{BETA}/b"), &[], b"");
    let token = first["next_page_token"].as_str().unwrap();
    assert_eq!(ids(&server.get(&format!("{BETA}?page_size=2&page_token={token}")).json()), "ea");
}

#[test]
fn other_orders_are_refused() {
    let server = server();
    for order in ["name%20desc", "name,id", "size", "created_at%20asc", "Name"] {
        let wrong = server.get(&format!("{BETA}?order_by={order}")).invalid();
        assert_eq!(wrong, [(json!(["query", "order_by"]), json!("value_error"))], "{order}");
    }
}

#[test]
fn queries_support_the_older_orders_and_more_conditions() {
    let server = server();
    let file = json!({ "name": "6", "data_source_id": "99999999-2222-4333-8444-555555555555" });
    let presigned = server.json("PUT", "/llamacloud/api/v1/files", &file).json();
    let url = server.path(&presigned["url"]);
    assert_eq!(server.ask_bare("PUT", &url, &[], b"x").status, 200);
    let own = presigned["file_id"].as_str().unwrap();
    let query = |query: Value| server.json("POST", &format!("{BETA}/query"), &query);
    let found = |filter: Value| ids(&query(json!({ "filter": filter, "order_by": "id" })).json());

    assert_eq!(ids(&query(json!({ "order_by": "name desc", "page_size": 3 })).json()), format!("{own}ad"));
    assert_eq!(ids(&query(json!({ "order_by": "created_at desc, id desc", "page_size": 1 })).json()), "d");
    assert_eq!(found(json!({ "only_manually_uploaded": true })), "abcde");
    assert_eq!(found(json!({ "only_manually_uploaded": false })).len(), 5 + own.len());
    assert_eq!(found(json!({ "data_source_id": "99999999-2222-4333-8444-555555555555" })), own);
    assert_eq!(found(json!({ "file_ids": ["a", "e"], "project_id": PROJECT })), "ae");
    assert_eq!(found(json!({ "project_id": "99999999-2222-4333-8444-555555555555" })), "");
    assert_eq!(found(json!({ "file_name": "5", "external_file_id": null, "file_ids": null })), "a");
    assert_eq!(ids(&query(json!({ "filter": null, "page_token": null })).json()).len(), 5 + own.len());

    let first =
        query(json!({ "order_by": "id desc", "page_size": 2, "filter": { "only_manually_uploaded": true } }));
    let token = first.json()["next_page_token"].clone();
    let next = json!({
        "order_by": "id desc", "page_size": 2, "page_token": token, "filter": { "only_manually_uploaded": true },
    });
    assert_eq!(ids(&query(next).json()), "cb");
    query(json!({ "page_token": token })).refused(400);
}

#[test]
fn invalid_queries_name_the_location_of_the_error() {
    let server = server();
    let path = format!("{BETA}/query");
    for (body, loc, kind) in [
        (json!([]), json!(["body"]), "type_error"),
        (json!({ "filter": 1 }), json!(["body", "filter"]), "type_error"),
        (json!({ "filter": { "file_ids": "a" } }), json!(["body", "filter", "file_ids"]), "type_error"),
        (json!({ "filter": { "file_name": 1 } }), json!(["body", "filter", "file_name"]), "type_error"),
        (json!({ "filter": { "project_id": "x" } }), json!(["body", "filter", "project_id"]), "uuid_parsing"),
        (json!({ "page_size": "x" }), json!(["body", "page_size"]), "int_parsing"),
        (json!({ "order_by": "size" }), json!(["body", "order_by"]), "value_error"),
        (json!({ "order_by": "name up" }), json!(["body", "order_by"]), "value_error"),
        (json!({ "order_by": "name, created_at" }), json!(["body", "order_by"]), "value_error"),
    ] {
        assert_eq!(server.json("POST", &path, &body).invalid(), [(loc, json!(kind))], "{body}");
    }
    assert_eq!(server.ask("POST", &path, &[], b"").invalid(), [(json!(["body"]), json!("missing"))]);
    assert_eq!(server.ask("POST", &path, &[], b"{").invalid(), [(json!(["body"]), json!("json_invalid"))]);
    assert_eq!(server.ask("POST", &path, &[], &vec![b' '; 2_000_000]).refused(413), "Request body too large");
    assert_eq!(server.ask("POST", &path, &[], b"{}").status, 200);
}

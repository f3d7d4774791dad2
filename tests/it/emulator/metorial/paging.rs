//! Listings: pages in both directions, order, filters.

use super::Calls as _;
use serde_json::{Value, json};

use crate::emulator::metorial::{KEY, dialect, purpose, refused};
use crate::support::emulator::Emulator;
use crate::support::raw::all;

/// A server with `count` files, and their ids, oldest first.
fn filled(word: &str, count: usize) -> (Emulator, Vec<String>) {
    let server = dialect(word);
    let ids = (0..count).map(|n| server.file(purpose(word), &format!("{n}.txt"))).collect();
    (server, ids)
}

fn flags(list: &Value) -> (bool, bool) {
    let flag = |name: &str| list["pagination"][name].as_bool().unwrap();
    (flag("has_more_before"), flag("has_more_after"))
}

#[test]
fn three_pages_forwards_and_back() {
    for word in ["seed", "pulsar", "magnetar"] {
        let (server, ids) = filled(word, 25);
        let first = server.list("limit=10");
        assert_eq!(
            (all(&first["items"], "id"), flags(&first)),
            (ids[..10].iter().map(String::as_str).collect(), (false, true))
        );
        let second = server.list(&format!("limit=10&after={}", ids[9]));
        assert_eq!(all(&second["items"], "id"), ids[10..20]);
        assert_eq!(flags(&second), (true, true));
        let third = server.list(&format!("limit=10&after={}", ids[19]));
        assert_eq!(all(&third["items"], "id"), ids[20..]);
        assert_eq!(flags(&third), (true, false));
        let back = server.list(&format!("limit=10&before={}", ids[20]));
        assert_eq!(
            (all(&back["items"], "id"), flags(&back)),
            (ids[10..20].iter().map(String::as_str).collect(), (true, true))
        );
        let start = server.list(&format!("limit=10&before={}", ids[10]));
        assert_eq!(
            (all(&start["items"], "id"), flags(&start)),
            (ids[..10].iter().map(String::as_str).collect(), (false, true))
        );
        let end = server.list(&format!("after={}", ids[24]));
        assert_eq!((end["items"].clone(), flags(&end)), (json!([]), (true, false)));
        assert_eq!(server.list("")["items"].as_array().unwrap().len(), 20, "20 without a limit");
        assert_eq!(flags(&server.list("limit=25")), (false, false));
    }
}

#[test]
fn newest_first_reverses_the_pages() {
    let (server, mut ids) = filled("magnetar", 7);
    ids.reverse();
    let page = server.list(&format!("order=desc&limit=3&after={}", ids[1]));
    assert_eq!(
        (all(&page["items"], "id"), flags(&page)),
        (ids[2..5].iter().map(String::as_str).collect(), (true, true))
    );
    let page = server.list(&format!("order=desc&limit=3&before={}", ids[5]));
    assert_eq!(
        (all(&page["items"], "id"), flags(&page)),
        (ids[2..5].iter().map(String::as_str).collect(), (true, true))
    );
    let page = server.list(&format!("order=desc&limit=3&before={}", ids[2]));
    assert_eq!(
        (all(&page["items"], "id"), flags(&page)),
        (ids[..2].iter().map(String::as_str).collect(), (false, true))
    );
}

#[test]
fn an_item_that_is_not_in_the_list_gives_an_empty_page() {
    let (server, ids) = filled("magnetar", 3);
    server.call("DELETE", &format!("/files/{}", ids[1]), "").expect(200);
    for query in [
        "after=fil_x".to_owned(),
        "before=fil_x".to_owned(),
        format!("after={}", ids[1]),
        format!("after={}&id={}", ids[0], ids[2]),
    ] {
        let page = server.list(&query);
        assert_eq!((page["items"].clone(), flags(&page)), (json!([]), (false, false)), "{query}");
    }
    let both = server.list(&format!("after={}&before={}", ids[0], ids[2]));
    assert_eq!(all(&both["items"], "id"), [&ids[2]], "after wins");
}

#[test]
fn a_cursor_is_an_encoded_position() {
    // `["after","fil_x"]` in base 62 with the digits 0-9a-zA-Z, computed by another program.
    let (server, _) = filled("magnetar", 1);
    let page = server.list("cursor=cur_bs3Nv2o0ujykqU3xiiZ6JOJ");
    assert_eq!((page["items"].clone(), flags(&page)), (json!([]), (false, false)));
    refused(&server.call("GET", "/files?cursor=nonsense", ""), 400, "bad_request", "");
}

#[test]
fn invalid_queries_are_explained() {
    for word in ["seed", "pulsar", "magnetar"] {
        let server = dialect(word);
        for (query, code) in [
            ("limit=0", "invalid_min"),
            ("limit=-3", "invalid_min"),
            ("limit=101", "invalid_max"),
            ("limit=x", "invalid_type"),
            ("limit=", "invalid_type"),
            ("order=up", "invalid_enum"),
            ("purpose=nonsense", "invalid_enum"),
        ] {
            let answer = server.call("GET", &format!("/files?{query}"), "");
            refused(&answer, 400, "invalid_data", "query");
            let flaw = &answer.json()["errors"][0];
            assert_eq!(flaw["code"], code, "{query}");
            assert_eq!(flaw["path"], json!([query.split('=').next().unwrap()]));
        }
        assert_eq!(server.call("GET", "/files?limit=0", "").json()["errors"][0]["min"], 1);
        assert_eq!(server.call("GET", "/files?limit=101", "").json()["errors"][0]["max"], 100);
        refused(&server.call("GET", "/files?limit=1.5", ""), 500, "internal_server_error", "");
        assert_eq!(server.call("GET", "/files?limit=1&limit=100&unknown=x", "").status, 200);
    }
}

#[test]
fn filters_by_id_purpose_and_time() {
    for word in ["seed", "magnetar"] {
        let server = dialect(word);
        let one = server.file("generic", "1.txt");
        let two = server.file("skill_export", "2.txt");
        let three = server.file("generic", "3.txt");
        let ids = |query: &str| {
            let list = server.list(query);
            all(&list["items"], "id").into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        for form in ["id={one}&id={three}", "id[]={one}&id[]={three}", "id%5B0%5D={one}&id%5B1%5D={three}"] {
            let query = form.replace("{one}", &one).replace("{three}", &three);
            assert_eq!(ids(&query), [one.as_str(), three.as_str()], "{query}");
        }
        assert_eq!(ids("id=fil_x"), [""; 0]);
        assert_eq!(ids("purpose=skill_export"), [two.as_str()]);
        assert_eq!(ids("purpose[]=skill_export&purpose[]=generic").len(), 3);
        let created = |id: &str| {
            let file = server.call("GET", &format!("/files/{id}"), "").expect(200);
            file["created_at"].as_str().unwrap().to_owned()
        };
        let after = ids(&format!("created_at[gt]={}", created(&one)));
        assert!(
            !after.contains(&one) && after.iter().all(|id| created(id) > created(&one)),
            "the bound is strict"
        );
        let before = ids(&format!("created_at%5Blt%5D={}", created(&three)));
        assert!(!before.contains(&three) && before.iter().all(|id| created(id) < created(&three)));
        assert_eq!(ids("created_at[gt]=2020-01-01&created_at[lt]=2020-01-02"), [""; 0]);
        refused(&server.call("GET", "/files?created_at[gt]=soon", ""), 400, "invalid_data", "query");
        assert_eq!(ids("created_at=gt").len(), 3, "as the Python client writes it");
        assert_eq!(
            ids("createdAt[gt]=2999-01-01T00:00:00.000Z").len(),
            3,
            "as the older node client writes it"
        );
        let updated = ids("updated_at[gt]=2999-01-01");
        assert_eq!(updated.len(), if word == "seed" { 3 } else { 0 });
        assert_eq!(ids("document_id=doc_1").len(), if word == "seed" { 3 } else { 0 });
    }
}

#[test]
fn a_filter_by_link_lists_the_link_s_file() {
    let (server, ids) = filled("magnetar", 3);
    let link = |id: &str| server.call("POST", "/file-links", &format!(r#"{{"file_id":"{id}"}}"#)).expect(200);
    let (one, two) = (link(&ids[0]), link(&ids[2]));
    let query =
        format!("file_link_id={}&file_link_id={}", one["id"].as_str().unwrap(), two["id"].as_str().unwrap());
    assert_eq!(all(&server.list(&query)["items"], "id"), [ids[0].as_str(), ids[2].as_str()]);
    assert_eq!(server.list("file_link_id=flk_x")["items"], json!([]));
}

#[test]
fn pulsar_checks_a_purpose_and_lists_all() {
    let (server, ids) = filled("pulsar", 2);
    assert_eq!(
        all(&server.list("purpose=organization_image&id=fil_x&organization_id=org_1")["items"], "id"),
        ids
    );
    let attachment = server.ask("GET", "/metorial/files?purpose=attachment", &[KEY], b"");
    refused(&attachment, 400, "invalid_data", "query");
}

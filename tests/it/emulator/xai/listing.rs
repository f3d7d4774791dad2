//! Pages, orders and filters.

use serde_json::Value;

use crate::emulator::xai::{NOW, setup, start, upload, upload_for};
use crate::support::clock_at;
use crate::support::emulator::{Emulator, Setup};

/// The names on a page of either dialect.
fn names(page: &Value) -> Vec<&str> {
    let files = page.get("data").or(page.get("files")).unwrap().as_array().unwrap();
    files.iter().map(|file| file.get("filename").or(file.get("name")).unwrap().as_str().unwrap()).collect()
}

/// Seven files, a second apart: b.txt c.txt … h.txt, from 10 to 70 bytes.
fn seven() -> (Emulator, Vec<String>) {
    let mut server = start();
    let mut ids = Vec::new();
    for (second, name) in ["b", "c", "d", "e", "f", "g", "h"].into_iter().enumerate() {
        let now = NOW + i64::try_from(second).unwrap();
        server = server.again(&Setup { clock: clock_at(now), ..setup() });
        ids.push(upload(&server, &format!("{name}.txt"), &vec![b'x'; 10 * (second + 1)]));
    }
    (server, ids)
}

#[test]
fn three_pages_newest_first_with_a_token_that_is_the_last_id() {
    let (server, ids) = seven();
    for name in ["pagination_token", "after"] {
        let mut path = "/v1/files?limit=3".to_owned();
        let mut pages = Vec::new();
        loop {
            let page = server.get(&path).ok();
            assert_eq!(crate::support::raw::keys(&page), ["data", "pagination_token"]);
            let Some(token) = page["pagination_token"].as_str() else {
                assert!(names(&page).is_empty());
                break;
            };
            assert_eq!(token, page["data"].as_array().unwrap().last().unwrap()["id"]);
            path = format!("/v1/files?limit=3&{name}={token}");
            pages.push(names(&page).join(" "));
        }
        assert_eq!(pages, ["h.txt g.txt f.txt", "e.txt d.txt c.txt", "b.txt"]);
    }
    // A token keeps its position after its file is deleted.
    assert_eq!(server.delete(&format!("/v1/files/{}", ids[3])).status, 200);
    let page = server.get(&format!("/v1/files?limit=2&after={}", ids[3])).ok();
    assert_eq!(names(&page), ["d.txt", "c.txt"]);
}

#[test]
fn orders_are_accepted_in_both_spellings() {
    let (server, _) = seven();
    upload(&server, "a.txt", &[b'x'; 35]);
    upload(&server, "Z.txt", &[b'x'; 5]);
    let first = |query: &str| {
        let page = server.get(&format!("/v1/files?limit=1&{query}")).ok();
        names(&page)[0].to_owned()
    };
    for (query, name) in [
        ("order=asc", "b.txt"),
        ("order=ASCENDING", "b.txt"),
        ("order=ORDERING_ASCENDING", "b.txt"),
        ("order=asc&sort_by=created_at", "b.txt"),
        ("sort_by=filename", "h.txt"),
        ("sort_by=filename&order=asc", "Z.txt"),
        ("sort_by=name&order=Ascending", "Z.txt"),
        ("sort_by=FILES_SORT_BY_FILENAME&order=desc", "h.txt"),
        ("sort_by=size&order=desc", "h.txt"),
        ("sort_by=size_bytes&order=asc", "Z.txt"),
        ("sort_by=FILES_SORT_BY_SIZE&order=DESCENDING", "h.txt"),
    ] {
        assert_eq!(first(query), name, "{query}");
    }
    for query in
        ["order=up", "sort_by=color", "order=descend", "after=file_unknown", "filter=color%20%3D%201"]
    {
        let answer = server.get(&format!("/v1/files?{query}"));
        assert_eq!(answer.status, 400, "{query}");
        assert_eq!(answer.json()["code"], "Client specified an invalid argument", "{query}");
    }
    let answer = server.get("/v1/files?limit=ten");
    assert_eq!((answer.status, answer.header("content-type")), (400, Some("text/plain; charset=utf-8")));
}

#[test]
fn ties_are_paged_by_id_without_loss() {
    let server = start();
    for _ in 0..7 {
        upload(&server, "same.txt", b"same");
    }
    for query in ["", "&order=asc", "&sort_by=filename", "&sort_by=size&order=asc"] {
        let mut seen = Vec::new();
        let mut after = String::new();
        while let page = server.get(&format!("/v1/files?limit=2{query}{after}")).ok()
            && let Some(token) = page["pagination_token"].as_str()
        {
            seen.extend(page["data"].as_array().unwrap().iter().map(|file| file["id"].to_string()));
            after = format!("&after={token}");
        }
        let ascending = query.contains("asc");
        let sorted = if ascending { seen.is_sorted() } else { seen.iter().rev().is_sorted() };
        assert!(sorted && seen.len() == 7, "{query} {seen:?}");
    }
}

#[test]
fn a_limit_out_of_range_is_clamped() {
    let server = start();
    for at in 0..103 {
        upload(&server, &format!("{at}"), b"");
    }
    for (query, count) in
        [("", 100), ("?limit=0", 100), ("?limit=-5", 100), ("?limit=1000", 100), ("?limit=7", 7)]
    {
        assert_eq!(names(&server.get(&format!("/v1/files{query}")).ok()).len(), count, "{query}");
    }
}

#[test]
fn the_final_token_can_be_absent() {
    let (server, ids) = seven();
    let server = server.again(&Setup { quirks: &["final-token=absent"], ..setup() });
    let page = server.get("/v1/files?limit=4&order=asc").ok();
    assert_eq!(page["pagination_token"], *ids[3]);
    let page = server.get(&format!("/v1/files?limit=3&order=asc&pagination_token={}", ids[3])).ok();
    assert_eq!((names(&page).len(), page.get("pagination_token")), (3, None));
}

#[test]
fn the_gateways_parameters_select_its_page_format() {
    let (server, ids) = seven();
    let page = server.get("/v1/files?limit=4&order=DESCENDING").ok();
    assert_eq!(crate::support::raw::keys(&page), ["files", "next_token"]);
    assert_eq!(page["next_token"], *ids[3]);
    let page = server.get(&format!("/v1/files?limit=4&next_token={}", ids[3])).ok();
    assert_eq!(names(&page), ["d.txt", "c.txt", "b.txt"]);
    let page = server.get(&format!("/v1/files?limit=4&next_token={}", ids[0])).ok();
    assert_eq!(crate::support::raw::keys(&page), ["files"], "the last page is empty and has no token");
    assert_eq!(names(&server.get("/v1/files?prefix=c").ok()), ["c.txt"]);
    let server = server.again(&Setup { dialect: Some("gateway"), ..setup() });
    assert_eq!(names(&server.get("/v1/files?order=asc&limit=1").ok()), ["b.txt"]);
}

#[test]
fn the_documented_filter_examples_work() {
    let (server, ids) = seven();
    upload(&server, "My Report.pdf", &[b'x'; 2000]);
    upload_for(&server, "prefix-1.png", b"png", 3600);
    let chosen = |filter: &str| {
        let filter: String = url::form_urlencoded::byte_serialize(filter.as_bytes()).collect();
        let plus = server.get(&format!("/v1/files?order=asc&filter={filter}")).ok();
        let percent = server.get(&format!("/v1/files?order=asc&filter={}", filter.replace('+', "%20"))).ok();
        assert_eq!(plus, percent);
        let mut names = names(&plus);
        names.sort_unstable();
        names.join(", ")
    };
    let third = format!("file_id = \"{}\"", ids[2]);
    for (filter, expected) in [
        (r#"name:"report""#, "My Report.pdf"),
        ("name:prefix*", "prefix-1.png"),
        (third.as_str(), "d.txt"),
        (r#"size_bytes > 1000 AND upload_status = "Complete""#, "My Report.pdf"),
        ("size_bytes > 50 AND name:g OR name:h", "g.txt, h.txt"),
        ("size_bytes:>=70 -name:report", "h.txt"),
        (r#"content_type = "application/pdf""#, "My Report.pdf"),
        (r#"content_type = "pdf""#, "My Report.pdf"),
        ("NOT content_type:text", "My Report.pdf, prefix-1.png"),
        (r#"created_at <= "2026-05-10T14:00:01+02:00""#, "b.txt, c.txt"),
        (r#"name = "d.txt" OR name = "*-1.png""#, "d.txt, prefix-1.png"),
        ("expires_at != null", "prefix-1.png"),
        ("public_url != null", ""),
        ("name:nothing", ""),
    ] {
        assert_eq!(chosen(filter), expected, "{filter}");
    }
    assert_eq!(names(&server.get("/v1/files?filter=").ok()).len(), 9);
}

#[test]
fn a_filter_pages_past_many_files_that_do_not_match() {
    let server = start();
    for at in 0..300 {
        upload(&server, &format!("{at:03}.{}", if at % 100 == 7 { "yes" } else { "no" }), b"");
    }
    let page = server.get("/v1/files?limit=2&sort_by=filename&order=asc&filter=name:*.yes").ok();
    assert_eq!(names(&page), ["007.yes", "107.yes"]);
    let token = page["pagination_token"].as_str().unwrap();
    let path = format!("/v1/files?limit=2&sort_by=filename&order=asc&filter=name:*.yes&after={token}");
    assert_eq!(names(&server.get(&path).ok()), ["207.yes"]);
}

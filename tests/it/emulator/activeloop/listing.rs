//! Pages, order, purpose and metadata filters.

use serde_json::{Value, json};

use crate::emulator::activeloop::{NOW, setup, start, upload};
use crate::support::clock_at;
use crate::support::emulator::{Emulator, Setup};
use crate::support::raw::keys;

fn names(page: &Value) -> Vec<&str> {
    page["data"].as_array().unwrap().iter().map(|file| file["filename"].as_str().unwrap()).collect()
}

/// Seven files, a to g, a second apart.
fn seven() -> Emulator {
    let mut server = start();
    for (second, name) in ["a", "b", "c", "d", "e", "f", "g"].into_iter().enumerate() {
        server = server.again(&Setup { clock: clock_at(NOW + i64::try_from(second).unwrap()), ..setup() });
        let metadata = json!({ "number": second, "odd": second % 2 == 1, "tags": [name] }).to_string();
        let purpose = if second == 3 { "vision" } else { "user_data" };
        upload(&server, name, b"", &[("metadata", &metadata), ("purpose", purpose)]);
    }
    server
}

#[test]
fn three_pages_in_both_orders() {
    let server = seven();
    for (order, expected) in [("desc", ["gfe", "dcb", "a"]), ("asc", ["abc", "def", "g"])] {
        let mut after = String::new();
        for (at, expected) in expected.into_iter().enumerate() {
            let page = server.get(&format!("/files?limit=3&order={order}{after}")).ok();
            assert_eq!(keys(&page), ["object", "data", "first_id", "last_id", "has_more"]);
            assert_eq!((names(&page).concat().as_str(), &page["object"]), (expected, &json!("list")));
            assert_eq!(page["has_more"], at < 2);
            let data = page["data"].as_array().unwrap();
            assert_eq!((&page["first_id"], &page["last_id"]), (&data[0]["id"], &data[data.len() - 1]["id"]));
            after = format!("&after={}", page["last_id"].as_str().unwrap());
        }
        let end = server.get(&format!("/files?limit=3&order={order}{after}")).ok();
        let empty =
            json!({"object": "list", "data": [], "first_id": null, "last_id": null, "has_more": false});
        assert_eq!(end, empty);
    }
    assert_eq!(names(&server.get("/files").ok()).concat(), "gfedcba", "newest first, all of them");
    assert_eq!(server.get("/files?limit=7").ok()["has_more"], false);
}

#[test]
fn ties_are_paged_by_id() {
    let server = start();
    for _ in 0..5 {
        upload(&server, "same", b"", &[]);
    }
    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        let page = server.get(&format!("/files?limit=2&order=asc{after}")).ok();
        seen.extend(
            page["data"].as_array().unwrap().iter().map(|file| file["id"].as_str().unwrap().to_owned()),
        );
        after = format!("&after={}", page["last_id"].as_str().unwrap());
        if page["has_more"] == false {
            break;
        }
    }
    assert!(seen.len() == 5 && seen.is_sorted(), "{seen:?}");
}

#[test]
fn a_listing_is_filtered_by_purpose_and_metadata() {
    let server = seven();
    let chosen = |query: &str| names(&server.get(&format!("/files?order=asc&{query}")).ok()).concat();
    for (query, expected) in [
        ("purpose=vision", "d"),
        ("purpose=evals", ""),
        ("purpose=user_data", "abcefg"),
        ("filter=metadata.number+%3E%3D+5", "fg"),
        ("filter=number%20%3C%202%20or%20odd%20==%20true%20and%20number%20%3E%204", "abf"),
        ("filter=metadata.tags[0]+in+[%27b%27,+%22c%22]", "bc"),
        ("filter=metadata.author+is+null&purpose=vision", "d"),
        ("filter=author+%3D%3D+%27hegel%27", ""),
        ("filter=", "abcdefg"),
        ("filter=+", "abcdefg"),
    ] {
        assert_eq!(chosen(query), expected, "{query}");
    }
    let page = server.get("/files?limit=2&filter=odd==false").ok();
    assert_eq!((names(&page).concat().as_str(), &page["has_more"]), ("ge", &json!(true)));
    let last = page["last_id"].as_str().unwrap();
    let page = server.get(&format!("/files?limit=2&filter=odd==false&after={last}")).ok();
    assert_eq!((names(&page).concat().as_str(), &page["has_more"]), ("ca", &json!(false)));
}

#[test]
fn a_filter_pages_past_many_files_that_do_not_match() {
    let server = start();
    for at in 0..300 {
        upload(&server, &at.to_string(), b"", &[("metadata", &json!({ "keep": at % 100 == 7 }).to_string())]);
    }
    assert_eq!(names(&server.get("/files?filter=keep==true").ok()).len(), 3);
}

#[test]
fn a_cursor_stays_valid_when_its_file_is_deleted() {
    let server = seven();
    let page = server.get("/files?limit=3").ok();
    let last = page["last_id"].as_str().unwrap();
    assert_eq!(server.delete(&format!("/files/{last}")).status, 200);
    assert_eq!(names(&server.get(&format!("/files?limit=3&after={last}")).ok()).concat(), "dcb");
}

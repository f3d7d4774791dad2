//! The rows of `ls`, their order, and the number of requests.

use haul::model::NewFile;
use haul::providers::{Query, Sort};
use jiff::SignedDuration;

use crate::find::support::{LOCAL, finds_names, haul, names, remote};
use crate::platforms::{all, dialects, emulated, some};
use crate::support::rig::{Case, Rig, object};

fn put(rig: &Rig, name: &str, size: usize, content_type: &str, metadata: &[(&str, &str)]) {
    let new = NewFile {
        content_type: content_type.to_owned(),
        metadata: object(metadata),
        ..NewFile::from_bytes(name, "x".repeat(size))
    };
    rig.upload(&new).unwrap();
}

#[test]
fn shorthands_a_pattern_and_a_filter_are_combined() {
    let rig = Rig::new(LOCAL);
    put(&rig, "a.pdf", 5, "application/pdf", &[("author", "Zoe")]);
    put(&rig, "b.pdf", 50, "application/pdf", &[("author", "Ann")]);
    put(&rig, "c.txt", 500, "text/plain", &[]);
    let soon = NewFile {
        expires: Some(SignedDuration::from_hours(5)),
        ..NewFile::from_bytes("soon.txt", "x".repeat(7))
    };
    rig.upload(&soon).unwrap();
    for (arguments, expected) in [
        (&["--type", "pdf"][..], &["b.pdf", "a.pdf"][..]),
        (&["--type", "text/*"], &["c.txt"]),
        (&["--name", "c.txt"], &["c.txt"]),
        (&["--name", "*.txt"], &[]),
        (&["--expiring", "24h"], &["soon.txt"]),
        (&["--expiring", "1h"], &[]),
        (&["--since", "1h", "*.pdf"], &["b.pdf", "a.pdf"]),
        (&["--since", "2020-01-01", "--filter", "size < 10"], &["soon.txt", "a.pdf"]),
        (&["--since", "2099-01-01"], &[]),
        (&["*.{pdf,txt}", "--type", "pdf", "--filter", "size > 10 OR name:soon"], &["b.pdf"]),
        (&["--sort", "metadata.author"], &["b.pdf", "a.pdf", "soon.txt", "c.txt"]),
        (&["--sort", "metadata.author", "--reverse"], &["a.pdf", "b.pdf", "soon.txt", "c.txt"]),
        (&["--sort", "size", "--limit", "2"], &["a.pdf", "soon.txt"]),
        (&["--sort", "content_type", "--limit", "1", "--reverse"], &["c.txt"]),
        (&["--limit", "0"], &[]),
        (&[], &["soon.txt", "c.txt", "b.pdf", "a.pdf"]),
    ] {
        let ran = haul(&rig, &[&["ls", "--jsonl"], arguments].concat());
        assert_eq!(names(&ran.files()), expected, "{arguments:?}");
    }
    for (arguments, message) in [
        (&["--expiring", "soon"][..], "error: --expiring soon: invalid duration"),
        (&["--since", "recently"], "error: --since recently: not a duration or a date"),
        (&["--filter", "sze > 1"], "error: filter, column 1: unknown field `sze`"),
        (&["--sort", "sze"], "error: --sort: unknown field \"sze\""),
    ] {
        let ran = haul(&rig, &[&["ls"], arguments].concat());
        assert_eq!((ran.status, ran.stderr().lines().next()), (2, Some(message)), "{ran:?}");
    }
}

#[test]
fn a_nested_key_is_sorted_as_in_filters() {
    let rig = Rig::new(LOCAL);
    for (name, born) in [("b", 1770), ("a", 1724)] {
        let metadata = serde_json::json!({ "author": { "born": born } });
        let new =
            NewFile { metadata: metadata.as_object().unwrap().clone(), ..NewFile::from_bytes(name, "x") };
        rig.upload(&new).unwrap();
    }
    let ran = haul(&rig, &["ls", "--jsonl", "--sort", "metadata.author.born"]);
    assert_eq!(names(&ran.files()), ["a", "b"]);
}

#[test]
fn paging_ends_as_soon_as_the_limit_is_reached() {
    for case in some(newest_first()) {
        a_limit_ends_the_paging(case);
    }
}

/// The emulated dialects that list the newest file first.
fn newest_first() -> impl Iterator<Item = Case> {
    dialects().filter(|case| case.is_remote() && case.can().list.newest_first)
}

fn a_limit_ends_the_paging(case: Case) {
    let rig = Rig::new(case);
    for n in 0..9 {
        rig.put(&format!("{n}.{}", if n % 3 == 0 { "pdf" } else { "txt" }), "x");
    }
    rig.served.requests();
    for (arguments, requests, found) in [
        (&["--limit", "3"][..], 1, 3),
        // Newest first: 8 7 | 6 5 | 4 3 | 2 1 | 0.
        (&["--page-size", "2", "--limit", "2"], 1, 2),
        (&["--page-size", "2", "--limit", "3"], 2, 3),
        // No platform filters by the end of a name, so pages are read until enough files match.
        (&["--page-size", "2", "--limit", "1", "*.pdf"], 2, 1),
        (&["--page-size", "2", "--limit", "2", "*.pdf"], 3, 2),
        (&["--page-size", "2", "--limit", "3", "*.pdf"], 5, 3),
        (&["--limit", "0"], 0, 0),
    ] {
        let ran = haul(&rig, &[&["ls", "--jsonl"], arguments].concat());
        assert_eq!(ran.files().len(), found, "{case:?} {arguments:?}");
        let asked = rig.served.requests();
        assert_eq!(asked.len(), requests, "{case:?} {arguments:?}: {asked:#?}");
    }
}

#[test]
fn a_name_that_the_platform_filters_by_is_one_request() {
    for case in some(finds_names()) {
        let rig = Rig::new(case);
        for n in 0..5 {
            rig.put(&format!("{n}.txt"), "x");
        }
        rig.served.requests();
        let ran = haul(&rig, &["ls", "--jsonl", "--filter", "name = \"3.txt\"", "--limit", "1"]);
        assert_eq!(names(&ran.files()), ["3.txt"]);
        assert_eq!(rig.served.requests().len(), 1, "{case:?}");
        // By name: the requests for it as an id, then one for it as a name.
        let ran = haul(&rig, &["info", "--jsonl", "3.txt"]);
        assert_eq!(names(&ran.files()), ["3.txt"]);
        let asked = rig.served.requests();
        assert_eq!(asked.len(), case.facts().id_lookups + 1, "{case:?}: {asked:#?}");
        let ran = haul(&rig, &["info", "--jsonl", "name:3.txt"]);
        assert_eq!(names(&ran.files()), ["3.txt"]);
        assert_eq!(rig.served.requests().len(), 1);
        // The look-up of a pattern that is a name is not repeated for the rows.
        rig.put("[3].txt", "x");
        rig.served.requests();
        let ran = haul(&rig, &["ls", "--jsonl", "[3].txt", "--filter", "name != a"]);
        assert_eq!(names(&ran.files()), ["[3].txt"], "{case:?}");
        let asked = rig.served.requests();
        assert_eq!(asked.len(), 1, "{case:?}: {asked:#?}");
    }
}

#[test]
fn a_single_page_is_listed_newest_first_and_several_in_server_order() {
    let rig = Rig::new(remote(|can| !can.list.newest_first && can.list.max_page < u32::MAX));
    let mut put: Vec<String> = Vec::new();
    while rig.pages(None).len() == 1 {
        let listed = haul(&rig, &["ls", "--jsonl"]).files();
        assert_eq!(names(&listed), put);
        put.insert(0, put.len().to_string());
        rig.put(&put[0], "x");
    }
    assert!(put.len() > 2, "several files are a page");
    let served: Vec<_> = rig.pages(None).concat();
    assert_eq!(names(&haul(&rig, &["ls", "--jsonl"]).files()), names(&served));
    let ran = haul(&rig, &["ls", "--jsonl", "--sort", "created_at", "--reverse"]);
    assert_eq!(names(&ran.files()), put);
    let rig = Rig::new(remote(|can| !can.list.newest_first && can.list.max_page == u32::MAX));
    for n in 0..3 {
        rig.put(&format!("{n}"), "x");
    }
    assert_eq!(names(&haul(&rig, &["ls", "--jsonl"]).files()), ["2", "1", "0"]);
}

#[test]
fn a_limit_does_not_shrink_the_pages_that_haul_filters_or_sorts() {
    for case in some(dialects().filter(|case| emulated(case.provider).is_some())) {
        let rig = Rig::new(case);
        rig.put("rare.pdf", "x");
        for n in 0..4 {
            rig.put(&format!("{n}.txt"), "x");
        }
        let requests = |arguments: &[&str]| {
            rig.served.log();
            let ran = haul(&rig, &[&["ls", "--ids"], arguments].concat()).ok();
            assert!(!ran.lines().is_empty(), "{} {arguments:?}: {ran:?}", case.name());
            rig.served.log().len()
        };
        // The oldest file is on the last page of most platforms.
        for arguments in [&["--sort", "name"][..], &["--filter", "name ~ 'r*e.pdf'"]] {
            let most = requests(arguments);
            let few = requests(&[arguments, &["--limit", "1"]].concat());
            assert!(few <= most, "{} {arguments:?}: {few} requests instead of {most}", case.name());
        }
    }
}

#[test]
fn buffering_of_a_listing_is_reported() {
    let by_name = Sort { field: "name".to_owned(), descending: false };
    let rig = Rig::new(remote(|can| !can.list.sorts(&by_name)));
    for name in ["b", "a", "d", "c"] {
        rig.put(name, "x");
    }
    let said = |arguments: &[&str]| haul(&rig, &[&["ls", "-v", "--ids"], arguments].concat()).stderr();
    let held = said(&["--sort", "name"]);
    let said_of_it = "cannot list files in this order: haul reads all files before printing the first and keeps them in memory";
    assert!(held.contains(&format!("{} {said_of_it}", rig.case.provider)), "{held}");
    let bounded = said(&["--sort", "name", "--limit", "2"]);
    assert!(
        bounded.contains("haul reads all files") && !bounded.contains("keeps them in memory"),
        "{bounded}"
    );
    assert!(!said(&[]).contains("haul reads all files"));
    // A script without `-v` gets no note.
    assert_eq!(haul(&rig, &["ls", "--ids", "--sort", "name"]).stderr(), "");
    let rig = Rig::new(remote(|can| can.list.sorts(&by_name)));
    rig.put("a", "x");
    assert!(!haul(&rig, &["ls", "-v", "--ids", "--sort", "name"]).stderr().contains("haul reads all files"));
}

#[test]
fn a_cursor_continues_and_is_printed_only_where_it_skips_nothing() {
    for case in some(newest_first()) {
        a_cursor_continues(case);
    }
}

fn a_cursor_continues(case: Case) {
    let rig = Rig::new(case);
    for n in 0..5 {
        rig.put(&format!("{n}"), "x");
    }
    let first = haul(&rig, &["ls", "-v", "--fields", "name", "--page-size", "2", "--limit", "2"]).ok();
    assert_eq!(first.lines(), ["4", "3"]);
    let err = first.stderr();
    let cursor = err.lines().find_map(|line| line.strip_prefix("next page: --cursor ")).unwrap();
    let rest = haul(&rig, &["ls", "--jsonl", "--cursor", cursor]);
    assert_eq!(names(&rest.files()), ["2", "1", "0"]);
    let cut = haul(&rig, &["ls", "-v", "--fields", "name", "--page-size", "2", "--limit", "1"]).ok();
    assert_eq!(cut.lines(), ["4"]);
    assert!(!cut.stderr().contains("next page"), "{}", cut.stderr());
}

#[test]
fn a_field_of_one_platform_is_sent_to_it_or_refused() {
    for (case, filter, status) in some(all().flat_map(|platform| platform.own_filters)) {
        let rig = Rig::new(*case);
        rig.put("a", "x");
        rig.served.requests();
        let field = case.spec().filter_fields().into_iter().find(|field| filter.contains(field));
        let field = field.unwrap_or_else(|| panic!("{filter} has no field of {}", case.provider));
        let ran = haul(&rig, &["ls", "--filter", filter]);
        assert_eq!((ran.status, ran.stdout().as_str()), (*status, ""), "{filter}: {ran:?}");
        let asked = rig.served.requests();
        assert_eq!(asked.len(), usize::from(*status == 0), "{filter}: {asked:?}");
        if *status == 5 {
            let said = format!("error: {} cannot filter by {field} this way\n", case.provider);
            assert!(ran.stderr().starts_with(&said), "{}", ran.stderr());
            let hint = format!("hint: supported: {field} followed by `=` and a value");
            assert!(ran.stderr().contains(&hint), "{}", ran.stderr());
        }
        let stranger = dialects().find(|other| !other.spec().filter_fields().contains(&field)).unwrap();
        let ran = haul(&Rig::new(stranger), &["ls", "--filter", filter]);
        assert_eq!(ran.status, 2, "{ran:?}");
    }
}

#[test]
fn a_changing_listing_has_every_permanent_file_once() {
    for case in dialects().filter(|case| case.deletes() && case.can().list.max_page < u32::MAX) {
        let rig = Rig::new(case);
        let put: Vec<_> = (0..9).map(|n| rig.put(&format!("{n}"), "x").id).collect();
        let query = Query { page_size: Some(3), ..Query::default() };
        let first = rig.list(&query, None).unwrap();
        let mut seen: Vec<_> = first.files.iter().map(|file| file.id.clone()).collect();
        // The file at the cursor, a listed one and an unlisted one are deleted; two are added.
        let unlisted = put.iter().find(|id| !seen.contains(id)).unwrap().clone();
        let gone = [seen[seen.len() - 1].clone(), seen[0].clone(), unlisted];
        for id in &gone {
            rig.run(rig.provider.delete(id)).unwrap();
        }
        rig.put("new 1", "x");
        rig.put("new 2", "x");
        let mut cursor = first.next;
        while let Some(next) = cursor {
            let page = rig.list(&query, Some(&next)).unwrap_or_else(|error| panic!("{case:?}: {error}"));
            seen.extend(page.files.into_iter().map(|file| file.id));
            cursor = page.next;
        }
        let mut once = seen.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), seen.len(), "{case:?}: a file came twice");
        let throughout: Vec<_> = put.iter().filter(|id| !gone.contains(id)).collect();
        assert!(throughout.iter().all(|id| seen.contains(id)), "{case:?}: a file is missing");
    }
}

//! Pages, orders and filters.

use std::path::Path;
use std::time::{Duration, Instant};

use haul::error::Kind;
use haul::filter::{Comparison, Equality, Expr, Filter, Op, Value};
use haul::model::{File, FileId};
use haul::store::{Listing, SortKey, Store};
use jiff::Timestamp;

use crate::store::support::*;

/// `count` files whose ids, names, sizes and times are in four different orders.
fn seed(store: &Store, count: usize) {
    for n in 0..count {
        let file = File {
            name: format!("n{}", n * 7 % 10),
            created_at: Some(Timestamp::UNIX_EPOCH + Duration::from_secs(n as u64 * 3 % 100)),
            ..record(&format!("f{:04}", n * 387 % count))
        };
        store.put("s", file, receive(store, &vec![b'x'; n * 13 % 17])).unwrap();
    }
}

fn key(sort: SortKey, file: &File) -> (Option<Timestamp>, String, Option<u64>, String) {
    let id = file.id.0.clone();
    match sort {
        SortKey::Created => (file.created_at, String::new(), None, id),
        SortKey::Name => (None, file.name.clone(), None, id),
        SortKey::Size => (None, String::new(), file.size, id),
        SortKey::Id => (None, String::new(), None, id),
    }
}

#[test]
fn pages_in_every_order_list_each_file_once() {
    let home = tempfile::tempdir().unwrap();
    let store = open_unsynced(home.path());
    seed(&store, 1000);
    put(&store, "stranger", b"");
    store.delete("s", &"stranger".into()).unwrap();
    for sort in [SortKey::Created, SortKey::Name, SortKey::Size, SortKey::Id] {
        for descending in [false, true] {
            let mut listing = Listing { sort, descending, limit: 99, ..Listing::default() };
            let mut all: Vec<File> = Vec::new();
            loop {
                let page = store.list("s", &listing).unwrap();
                assert!(page.len() <= 99);
                let Some(last) = page.last() else { break };
                listing.after = Some(last.id.clone());
                all.extend(page);
            }
            assert_eq!(all.len(), 1000);
            let is_sorted = all.windows(2).all(|pair| {
                let (a, b) = (key(sort, &pair[0]), key(sort, &pair[1]));
                if descending { a > b } else { a < b }
            });
            assert!(is_sorted, "{sort:?} {descending}");
            let whole = Listing { sort, descending, ..Listing::default() };
            assert_eq!(store.list("s", &whole).unwrap(), all);
        }
    }
}

#[test]
fn a_listing_continues_after_a_deleted_file() {
    let home = tempfile::tempdir().unwrap();
    let store = open_at(home.path(), 100_000);
    seed(&store, 50);
    for sort in [SortKey::Created, SortKey::Name, SortKey::Size, SortKey::Id] {
        let mut listing = Listing { sort, limit: 4, ..Listing::default() };
        let whole = store.list("s", &Listing { limit: 0, ..listing.clone() }).unwrap();
        let last = whole[3].id.clone();
        store.delete("s", &last).unwrap();
        listing.after = Some(last);
        assert_eq!(store.list("s", &listing).unwrap(), whole[4..8]);
    }
    let after = |store: &Store, id: &FileId| {
        store.list("s", &Listing { after: Some(id.clone()), ..Listing::default() })
    };
    assert_eq!(after(&store, &"never".into()).unwrap_err().kind(), Kind::NotFound);
    // Positions of deleted files are kept for a day and dropped at the next deletion.
    let gone = store.list("s", &Listing { limit: 2, ..Listing::default() }).unwrap();
    store.delete("s", &gone[0].id).unwrap();
    assert!(after(&store, &gone[0].id).is_ok());
    let later = open_at(home.path(), 100_001 + 86_400);
    later.delete("s", &gone[1].id).unwrap();
    assert_eq!(after(&later, &gone[0].id).unwrap_err().kind(), Kind::NotFound);
    assert!(after(&later, &gone[1].id).is_ok());
}

#[test]
fn names_ids_and_times_are_looked_up_by_index() {
    let home = tempfile::tempdir().unwrap();
    let store = open_unsynced(home.path());
    seed(&store, 200);
    let all = store.list("s", &Listing::default()).unwrap();
    let found = |filter: Filter, expected: &dyn Fn(&File) -> bool| {
        let listing = Listing { filter: Some(filter), limit: 7, ..Listing::default() };
        let expected: Vec<File> = all.iter().filter(|file| expected(file)).take(7).cloned().collect();
        assert!(!expected.is_empty());
        assert_eq!(store.list("s", &listing).unwrap(), expected);
    };
    let compare = |field: &str, op, value| Filter {
        expr: Expr::Compare(Comparison { field: field.to_owned(), op, value }),
    };
    let time = Timestamp::from_second(50).unwrap();
    found(Filter::name_is("n3"), &|file| file.name == "n3");
    found(compare("id", Op::Eq, Value::Text("f0007".into())), &|file| file.id.as_str() == "f0007");
    found(compare("created_at", Op::Ge, Value::Time(time)), &|file| file.created_at >= Some(time));
    found(compare("created_at", Op::Gt, Value::Time(time)), &|file| file.created_at > Some(time));
    found(compare("created_at", Op::Lt, Value::Time(time)), &|file| file.created_at < Some(time));
    found(compare("created_at", Op::Le, Value::Time(time)), &|file| file.created_at <= Some(time));
    found(Filter::name_is("n3").and(compare("created_at", Op::Gt, Value::Time(time))), &|file| {
        file.name == "n3" && file.created_at > Some(time)
    });
}

#[test]
fn the_filter_evaluates_conditions_that_sql_cannot() {
    let home = tempfile::tempdir().unwrap();
    let store = open_unsynced(home.path());
    seed(&store, 200);
    let all = store.list("s", &Listing::default()).unwrap();
    for text in [
        "size > 10 AND name = n3",
        "name:N3 OR name:n4",
        "NOT created_at < 1970-01-01T00:00:50Z",
        "created_at = 1970-01-01T00:00:51Z",
    ] {
        let filter = Filter::parse(text, Timestamp::UNIX_EPOCH).unwrap();
        let expected: Vec<File> = all.iter().filter(|file| filter.matches(file)).cloned().collect();
        assert!(!expected.is_empty() && expected.len() < 200, "{text}");
        let mut listing = Listing { filter: Some(filter), limit: 3, ..Listing::default() };
        let mut found = Vec::new();
        loop {
            let page = store.list("s", &listing).unwrap();
            let Some(last) = page.last() else { break };
            listing.after = Some(last.id.clone());
            found.extend(page);
        }
        assert_eq!(found, expected, "{text}");
    }
    // In xAI's filters, a `*` in a name matches any text.
    let filter = Some(Filter::name_is("n*"));
    let listing = Listing { filter: filter.clone(), equality: Equality::Wildcards, ..Listing::default() };
    assert_eq!(store.list("s", &listing).unwrap().len(), 200);
    assert!(store.list("s", &Listing { filter, ..Listing::default() }).unwrap().is_empty());
}

/// A store of `count` files, written straight into the index.
fn seed_index(root: &Path, count: u32) {
    drop(open_directory(root));
    let index = rusqlite::Connection::open(root.join("index.sqlite")).unwrap();
    index
        .execute(
            "INSERT INTO files (space, id, provider, profile, name, size, content_type, created_at, sha256, blake3,
                                metadata, extra)
             WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n LIMIT ?1)
             SELECT 's', printf('f%07d', n * 7919 % ?1), 'local', 'local', 'report-' || n * 31 % 1000 || '.txt',
                    n * 13 % 5000, 'text/plain', n * 104729 % 1000000, printf('%064d', n), printf('%064d', n),
                    '{\"k\":1}', '{}'
             FROM n",
            [count],
        )
        .unwrap();
}

/// Lists all files in pages in every order, and prints the peak memory.
#[test]
#[ignore = "a child process of the tests below"]
fn child_lists() {
    let Some((root, count)) = child_input() else { return };
    let mut memory = Memory::default();
    let store = open_directory(&root);
    for sort in [SortKey::Created, SortKey::Name, SortKey::Size, SortKey::Id] {
        let mut listing = Listing { sort, limit: 1000, ..Listing::default() };
        let mut listed = 0;
        loop {
            let page = store.list("s", &listing).unwrap();
            listed += page.len();
            memory.sample();
            let Some(last) = page.last() else { break };
            listing.after = Some(last.id.clone());
        }
        assert_eq!(listed.to_string(), count);
    }
    memory.print();
}

fn peak_of_listing(count: u32) -> u64 {
    let home = tempfile::tempdir().unwrap();
    seed_index(home.path(), count);
    peak(child("listing::child_lists", home.path(), &count.to_string()))
}

#[test]
#[cfg(target_os = "linux")]
fn memory_does_not_grow_with_the_number_of_files() {
    let (few, many) = (peak_of_listing(5_000), peak_of_listing(50_000));
    assert!(many < few + 3 * 1024, "{many} KiB for 50,000 files, {few} KiB for 5,000");
}

#[test]
#[ignore = "takes a minute; run in release"]
#[cfg(target_os = "linux")]
fn a_million_files_take_no_more_memory_than_a_hundred_thousand() {
    let (many, more) = (peak_of_listing(100_000), peak_of_listing(1_000_000));
    println!("{many} KiB for 100,000 files, {more} KiB for 1,000,000");
    assert!(more < many + 2 * 1024 && more < 24 * 1024);
}

#[test]
fn a_large_store_opens_at_once() {
    let home = tempfile::tempdir().unwrap();
    seed_index(home.path(), 100_000);
    let begin = Instant::now();
    assert_eq!(open_directory(home.path()).list("s", &Listing::default()).unwrap().len(), 100_000);
    let whole = begin.elapsed();
    let first_page = || {
        let begin = Instant::now();
        let listing = Listing { limit: 1, descending: true, ..Listing::default() };
        assert_eq!(open_directory(home.path()).list("s", &listing).unwrap().len(), 1);
        begin.elapsed()
    };
    let first = (0..5).map(|_| first_page()).min().unwrap();
    assert!(first * 20 < whole, "{first:?} for the first file, {whole:?} for all");
}

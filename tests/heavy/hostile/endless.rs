//! Endless listings: servers that ignore the cursor, repeat pages or announce pages that do not exist.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use haul::providers::{Download, REGISTRY, Spec, find};
use serde_json::json;

use crate::hostile::world::{Action, Cursor, Dialect, FakeFile, World, json_answer, listings};
use crate::platforms::{of, some};
use crate::support::sandbox::Run;

/// The ids of a page and the cursor of the next one, by the number of the request.
type Pages = fn(usize) -> (Vec<String>, Option<String>);

/// A world that lists these pages, and the number of requested pages.
fn listing(dialect: &'static Dialect, pages: Pages) -> (World, Arc<AtomicUsize>) {
    let requested = Arc::new(AtomicUsize::new(0));
    let number = Arc::clone(&requested);
    let files = ["f0", "f1", "f2", "f3"].map(|id| FakeFile::new(id, id));
    let world = World::with_override(dialect, files.into(), move |action, _, seen| {
        if dialect.replies().links_apart.is_some_and(|path| seen.target.starts_with(path)) {
            // Only the body names the file; all files have the same size, so any of them will do.
            let url = format!("http://{}/bytes/f1", seen.header("host").unwrap_or_default());
            return Some(json_answer(200, json!({"id": "link_1", "url": url}).to_string()));
        }
        (*action == Action::List).then(|| {
            let (ids, cursor) = pages(number.fetch_add(1, Ordering::SeqCst));
            let files: Vec<FakeFile> = ids.iter().map(|id| FakeFile::new(id, id)).collect();
            json_answer(200, dialect.page(&files, cursor.as_deref()))
        })
    });
    (world, requested)
}

fn page(ids: &[&str], cursor: impl Into<Option<String>>) -> (Vec<String>, Option<String>) {
    (ids.iter().map(|id| (*id).to_owned()).collect(), cursor.into())
}

/// Asserts that the listing ended with an error, without a duplicate row.
#[track_caller]
fn assert_refused(what: &str, run: &Run, message: &str) {
    assert_eq!(run.status, 8, "{what}: {run}");
    assert!(run.stderr().contains(message), "{what}: {run}");
    assert_unique_rows(what, run);
}

#[track_caller]
fn assert_unique_rows(what: &str, run: &Run) {
    let lines = run.lines();
    assert_eq!(lines.iter().collect::<BTreeSet<_>>().len(), lines.len(), "{what}: {run}");
}

#[test]
fn every_dialect_has_a_listing() {
    // A vendor with OpenAI's API has no listing of its own: the same provider reads it.
    let has_own = |spec: &&&Spec| !spec.base_url.is_empty() && of(spec.name).wire.is_ok();
    for spec in REGISTRY.iter().filter(has_own) {
        for dialect in spec.dialects {
            let is_same =
                |other: &&'static Dialect| other.provider == spec.name && other.name == dialect.name;
            let found = listings().find(is_same);
            let found = found.unwrap_or_else(|| {
                panic!("{} {}: no listing in tests/it/platforms", spec.name, dialect.name)
            });
            // The listing of a regular server succeeds.
            let files = ["a", "b"].map(|id| FakeFile::new(id, id));
            let run = World::new(found, files.into()).haul(&["ls", "--ids", "--page-size", "5"]).ok();
            assert_eq!(run.sorted().lines(), ["a", "b"], "{} {}", spec.name, dialect.name);
        }
    }
}

#[test]
fn every_verb_ends_at_a_server_that_ignores_the_cursor() {
    let same: Pages = |_| page(&["f1", "f2"], "f2".to_owned());
    for dialect in listings().filter(|dialect| dialect.replies().cursor != Cursor::Never) {
        for arguments in [
            &["ls", "--ids", "--page-size", "2"][..],
            &["ls", "--ids", "--page-size", "2", "--sort", "provider"],
            &["ls", "--ids", "--page-size", "2", "--filter", "name:f"],
        ] {
            let what = format!("{} {} {arguments:?}", dialect.provider, dialect.name);
            let (world, requested) = listing(dialect, same);
            assert_refused(&what, &world.haul(arguments), "repeats a page");
            assert!(requested.load(Ordering::SeqCst) <= 2, "{what}: {requested:?} pages");
        }
        let mut known = find(dialect.provider).unwrap().dialects.iter();
        let can = known.find(|known| known.name == dialect.name).unwrap().can;
        let full: Pages = |_| ((0..100).map(|n| format!("f{n}")).collect(), Some("f99".to_owned()));
        for arguments in [
            &["ls", "--ids"][..],
            &["rm", "--filter", "name:f", "--dry-run", "--ids"],
            &["info", "name:f1", "--fields", "id"],
            &["info", "f*", "--fields", "id"],
        ] {
            let what = format!("{} {} {arguments:?}", dialect.provider, dialect.name);
            let (world, requested) = listing(dialect, full);
            if arguments[0] == "rm" && !can.delete {
                world.haul(arguments).fails(5);
                continue;
            }
            assert_refused(&what, &world.haul(arguments), "repeats a page");
            assert!(requested.load(Ordering::SeqCst) <= 2, "{what}: {requested:?} pages");
        }
        // On some platforms a short page is the last one, and the listing ends.
        let ends = matches!(dialect.replies().cursor, Cursor::AlwaysReturned | Cursor::Numbered);
        for (arguments, status, left, saved) in [
            (&["rm", "--filter", "name:f", "--yes"][..], 8, 2, 0),
            (&["rm", "f*", "--dry-run"], 8, 4, 0),
            (&["get", "f*", "-o", "out/"], 8, 4, 2),
            (&["info", "name:f1"], 8, 4, 0),
            (&["info", "f*"], 8, 4, 0),
        ] {
            let what = format!("{} {} {arguments:?}", dialect.provider, dialect.name);
            let (world, requested) = listing(dialect, same);
            if arguments[0] == "rm" && !can.delete {
                world.haul(arguments).fails(5);
                assert_eq!(world.remaining_ids().len(), 4, "{what}");
                continue;
            }
            if arguments[0] == "get" && can.download != Download::Any {
                continue;
            }
            let run = world.haul(arguments);
            assert_eq!(run.status, if ends { 0 } else { status }, "{what}: {run}");
            assert!(ends || run.stderr().contains("repeats a page"), "{what}: {run}");
            assert!(requested.load(Ordering::SeqCst) <= 2, "{what}: {requested:?} pages");
            // Only files that were listed before the error may be affected.
            assert_eq!(world.remaining_ids().len(), left, "{what}: {run}");
            assert!(world.remaining_ids().iter().any(|id| id == "f0"), "{what}: {run}");
            let out = std::fs::read_dir(world.env.work().join("out")).map_or(0, Iterator::count);
            assert_eq!(out, saved, "{what}: {run}");
        }
        let (world, requested) = listing(dialect, same);
        let mut complete = world.env.command();
        complete.env("COMPLETE", "fish").args(["--", "haul", "info", "f"]);
        let run = world.env.run(&mut complete).ok();
        let offered = run.lines().iter().filter(|line| line.starts_with('f')).count();
        assert_eq!(offered, 2, "{} {}: {run}", dialect.provider, dialect.name);
        assert!(requested.load(Ordering::SeqCst) <= 2, "{} {}", dialect.provider, dialect.name);
    }
}

#[test]
fn a_repeating_listing_is_an_error_without_duplicate_rows() {
    /// A description, the pages, and the number of requests.
    type Case = (&'static str, Pages, usize);
    let cases: [Case; 5] = [
        ("the same page under new cursors", |n| page(&["f1", "f2"], format!("c{n}")), 2),
        (
            "two alternating pages",
            |n| page(if n % 2 == 0 { &["f0", "f1"] } else { &["f2", "f3"] }, format!("c{n}")),
            3,
        ),
        (
            "two alternating cursors",
            |n| page(&[&format!("f{n}"), &format!("g{n}")], format!("c{}", n % 2)),
            3,
        ),
        (
            "the same cursor with new files",
            |n| page(&[&format!("f{n}"), &format!("g{n}")], "c".to_owned()),
            2,
        ),
        (
            "pages without a new file",
            |n| page(if n == 0 { &["f0", "f1"] } else { &["f1", "f0"] }, format!("c{n}")),
            2,
        ),
    ];
    for dialect in listings().filter(|dialect| dialect.replies().cursor != Cursor::Never) {
        for (what, pages, most) in cases {
            if matches!(dialect.replies().cursor, Cursor::LastId | Cursor::Numbered)
                && what.contains("cursor")
                && what != "the same page under new cursors"
            {
                // New last ids and numbers are new cursors, so the listing is valid.
                continue;
            }
            for arguments in [
                &["ls", "--ids", "--page-size", "2"][..],
                &["ls", "--ids", "--page-size", "2", "--sort", "provider"],
            ] {
                let what = format!("{} {} {what} {arguments:?}", dialect.provider, dialect.name);
                let (world, requested) = listing(dialect, pages);
                assert_refused(&what, &world.haul(arguments), "repeats a page");
                let requested = requested.load(Ordering::SeqCst);
                assert!(requested <= most, "{what}: {requested} pages");
            }
        }
    }
}

#[test]
fn files_that_move_to_the_next_page_are_listed_once() {
    let moved: Pages = |n| match n {
        0 => page(&["f0", "f1"], "c0".to_owned()),
        1 => page(&["f1", "f2"], "c1".to_owned()),
        _ => page(&["f3"], None),
    };
    for dialect in listings().filter(|dialect| dialect.replies().cursor != Cursor::Never) {
        let (world, _) = listing(dialect, moved);
        let run = world.haul(&["ls", "--ids", "--page-size", "2"]).ok();
        assert_eq!(run.lines(), ["f0", "f1", "f2", "f3"], "{} {}", dialect.provider, dialect.name);
    }
}

#[test]
fn an_announced_but_missing_page_is_an_error() {
    for dialect in listings() {
        let what = format!("{} {}", dialect.provider, dialect.name);
        let (world, requested) = listing(dialect, |_| page(&[], "c".to_owned()));
        let run = world.haul(&["ls", "--ids"]);
        let pages = requested.load(Ordering::SeqCst);
        match dialect.replies().cursor {
            Cursor::Returned => {
                assert_refused(&what, &run, "repeats a page");
                assert_eq!(pages, 2, "{what}");
            }
            Cursor::LastId => {
                assert_refused(&what, &run, "reports another page but returned no cursor for it");
                assert_eq!(pages, 1, "{what}");
            }
            // An empty page is the last one.
            Cursor::AlwaysReturned | Cursor::Numbered | Cursor::Never => {
                assert_eq!((run.status, pages), (0, 1), "{what}: {run}");
            }
        }
        // A thousand pages take minutes where the platform publishes a low rate limit.
        let is_slow = dialect.case().can().rate.is_some_and(|rate| rate.requests < 1000);
        if dialect.replies().cursor == Cursor::Returned && !is_slow {
            let (world, requested) = listing(dialect, |n| page(&[], format!("c{n}")));
            assert_refused(&what, &world.haul(&["ls", "--ids"]), "pages without new files");
            assert_eq!(requested.load(Ordering::SeqCst), 1000, "{what}");
        }
    }
}

#[test]
fn an_endless_listing_of_links_is_an_error() {
    let paged = |dialect: &'static Dialect| Some((dialect, dialect.replies().links_page?));
    for (dialect, page) in some(listings().filter_map(paged)) {
        let requested = Arc::new(AtomicUsize::new(0));
        let number = Arc::clone(&requested);
        let world = World::with_override(dialect, vec![FakeFile::new("f1", "f1")], move |_, _, seen| {
            (seen.head.starts_with("GET") && seen.target.contains("links")).then(|| {
                number.fetch_add(1, Ordering::SeqCst);
                json_answer(200, page)
            })
        });
        let what = format!("{} {}", dialect.provider, dialect.name);
        assert_refused(&what, &world.haul(&["link", "--list", "id:f1"]), "repeats a page");
        assert_eq!(requested.load(Ordering::SeqCst), 2, "{what}");
    }
}

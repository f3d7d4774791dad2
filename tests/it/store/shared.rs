//! What only a shared store can do: several replicas, the collector, and errors of its database and its bucket.

use std::io::Write as _;
use std::thread;
use std::time::Duration;

use haul::error::Kind;
use haul::model::{Clock, File, Warn};
use haul::store::{Listing, SharedOptions, Store};

use crate::store::place::SharedPlace;
use crate::store::support::*;

#[test]
fn replicas_see_the_same_files() {
    let Some(place) = SharedPlace::new() else { return };
    // They also create the tables at the same time.
    let [a, b] = [(), ()].map(|()| {
        thread::spawn({
            let options = place.options();
            move || Store::open_shared(options).unwrap()
        })
    });
    let (a, b) = (a.join().unwrap(), b.join().unwrap());
    put(&a, "f", b"hello");
    assert_eq!(content(&b, "f"), b"hello");
    b.replace("s", &"f".into(), receive(&b, b"world"), |_| Ok(())).unwrap();
    assert_eq!(content(&a, "f"), b"world");
    let key = a.signing_key().unwrap();
    assert_eq!(b.signing_key().unwrap(), key);
    a.delete("s", &"f".into()).unwrap();
    assert_eq!(b.stat("s", &"f".into()).unwrap_err().kind(), Kind::NotFound);
    assert!(place.is_tidy());
}

#[test]
fn text_may_contain_any_character() {
    let Some(place) = SharedPlace::new() else { return };
    let store = place.open(Clock::default(), Warn::default());
    let names = ["a\0b", "a\u{1}b", "a\u{1}\u{2}b", "a", "a\u{2}", "é", "Z", "\u{10ffff}"];
    for (n, name) in names.iter().enumerate() {
        let file = File { name: (*name).to_owned(), ..record(&format!("f{n}")) };
        store.put("s", file, receive(&store, b"x")).unwrap();
    }
    let listing = Listing { sort: haul::store::SortKey::Name, ..Listing::default() };
    let listed: Vec<String> = store.list("s", &listing).unwrap().into_iter().map(|file| file.name).collect();
    let mut sorted = names.map(str::to_owned);
    sorted.sort();
    assert_eq!(listed, sorted);
    let filter = Some(haul::filter::Filter::name_is("a\0b"));
    let found = store.list("s", &Listing { filter, ..Listing::default() }).unwrap();
    assert_eq!(ids(&found), ["f0"]);
    let long = File { name: "n".repeat(10_000), ..record("long") };
    // Random text, because an index compresses repeated characters.
    let random: String = (0..200).map(|_| uuid::Uuid::new_v4().to_string()).collect();
    let too_long = File { name: random, ..record("random") };
    store.put("s", long, receive(&store, b"x")).unwrap();
    let error = store.put("s", too_long, receive(&store, b"x")).unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported, "{error}");
}

#[test]
fn large_content_is_read_in_any_part() {
    let Some(place) = SharedPlace::new() else { return };
    let store = place.open(Clock::default(), Warn::default());
    let bytes: Vec<u8> = (0..=250).cycle().step_by(7).take(20_000_000).collect();
    let mut incoming = store.receive().unwrap();
    incoming.write_all(&bytes).unwrap();
    store.put("s", record("a"), incoming.finish().unwrap()).unwrap();
    assert!(content(&store, "a") == bytes);
    let (_, mut reader) = store.get("s", &"a".into()).unwrap();
    for (at, length) in [(0, 10), (5, 300_000), (19_999_990, 10), (1_000_000, 2_000_000), (3_000_000, 1)] {
        reader.start_at(at as u64).unwrap();
        reader.stop_at((at + length) as u64);
        assert!(reader.piece(length).unwrap() == bytes[at..at + length], "{at} {length}");
    }
}

#[test]
fn unused_blobs_are_collected_by_age() {
    let Some(place) = SharedPlace::new() else { return };
    let store = place.open(Clock::default(), Warn::default());
    put(&store, "kept", b"kept");
    // As a killed process leaves it.
    let begun = receive(&store, b"begun");
    std::mem::forget(receive(&store, b"abandoned"));
    assert_eq!(store.collect().unwrap(), haul::store::Collected::default());
    assert_eq!(place.objects(), 3);
    let young =
        Store::open_shared(SharedOptions { collect_after: Duration::from_hours(1), ..place.options() })
            .unwrap();
    assert_eq!(young.collect().unwrap(), haul::store::Collected::default());
    place.number(
        "WITH gone AS (DELETE FROM blobs WHERE state = 'pending' RETURNING key) SELECT count(*) FROM gone",
    );
    std::mem::forget(receive(&store, b"later"));
    let old = Store::open_shared(SharedOptions { collect_after: Duration::ZERO, ..place.options() }).unwrap();
    // The collector of the store runs at the same time.
    let end = std::time::Instant::now() + Duration::from_secs(20);
    while place.objects() > 1 && std::time::Instant::now() < end {
        thread::sleep(Duration::from_millis(100));
        old.collect().unwrap();
    }
    assert!(place.is_tidy());
    assert_eq!((place.objects(), content(&old, "kept")), (1, b"kept".to_vec()));
    // An upload whose blob was collected is not stored.
    let error = store.put("s", record("late"), begun).unwrap_err();
    assert!(
        error.kind() == Kind::Failed && store.list("s", &Listing::default()).unwrap().len() == 1,
        "{error}"
    );
}

#[test]
fn a_newer_or_foreign_place_is_refused() {
    let Some(place) = SharedPlace::new() else { return };
    drop(place.open(Clock::default(), Warn::default()));
    let other = SharedPlace::new().unwrap();
    let mixed = SharedOptions { blobs: place.options().blobs, ..other.options() };
    let error = Store::open_shared(mixed).err().unwrap();
    assert!(error.message().ends_with("the place belongs to another index"), "{error}");
    place.number("WITH newer AS (UPDATE store SET format = 99 RETURNING format) SELECT format FROM newer");
    let error = Store::open_shared(place.options()).err().unwrap();
    assert!(error.message().contains("unsupported index format 99"), "{error}");
    assert!(!error.hints().is_empty());
}

#[test]
fn wrong_settings_are_named() {
    let Some(place) = SharedPlace::new() else { return };
    let refused = |options: SharedOptions| {
        let error = Store::open_shared(options).err().unwrap();
        assert!(!error.hints().is_empty() || error.kind() == Kind::Unreachable, "{error}");
        assert!(!error.to_string().contains("SECRET"), "{error}");
        error
    };
    let wrong = haul::secret::Secret::new("SECRET");
    let error = refused(SharedOptions { password: Some(wrong), ..place.options() });
    assert_eq!(error.kind(), Kind::Auth, "{error}");
    let index = place.options().index.replace("/haul?", "/missing?");
    let error = refused(SharedOptions { index, ..place.options() });
    assert!(error.message().ends_with("the database does not exist"), "{error}");
    let index = "postgres://haul@127.0.0.1:1/haul".to_owned();
    assert_eq!(refused(SharedOptions { index, ..place.options() }).kind(), Kind::Unreachable);
    let blobs = "s3://missing-bucket/x".to_owned();
    let error = refused(SharedOptions { blobs, ..place.options() });
    assert!(error.hints()[0].contains("the bucket does not exist"), "{error}");
}

//! Properties of shared stores only: several replicas, the collector, and errors of the database and the bucket.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use haul::error::Kind;
use haul::model::{Clock, File, Warn};
use haul::secret::Secret;
use haul::store::{Listing, SharedOptions, Store};

use crate::store::place::SharedPlace;
use crate::store::support::*;
use crate::support::server::{Answer, Server};

#[test]
fn replicas_see_the_same_files() {
    let Some(place) = SharedPlace::new() else { return };
    // Both stores also create the tables at the same time.
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
    // One upload in progress, and one left behind as by a killed process.
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
    let end = Instant::now() + Duration::from_secs(20);
    while place.objects() > 1 && Instant::now() < end {
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
    assert!(error.message().ends_with("this prefix belongs to another index"), "{error}");
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
        assert!(!error.hints().is_empty(), "{error}");
        // Clients see the message.
        assert!(!error.message().contains("://"), "{error}");
        assert!(!error.to_string().contains("SECRET"), "{error}");
        error
    };
    let wrong = Secret::new("SECRET");
    let error = refused(SharedOptions { password: Some(wrong), ..place.options() });
    assert_eq!(error.kind(), Kind::Auth, "{error}");
    let index = place.options().index.replace("/haul?", "/missing?");
    let error = refused(SharedOptions { index, ..place.options() });
    assert_eq!(error.message(), "the index database does not exist");
    let index = "postgres://haul@127.0.0.1:1/haul".to_owned();
    assert_eq!(refused(SharedOptions { index, ..place.options() }).kind(), Kind::Unreachable);
    let blobs = "s3://missing-bucket/x".to_owned();
    let error = refused(SharedOptions { blobs, ..place.options() });
    assert!(error.hints()[0].contains("the bucket does not exist"), "{error}");
}

/// The options for a bucket at this server, which responds to some requests with an error.
fn with_bucket(place: &SharedPlace, server: &Server) -> SharedOptions {
    let mut options = place.options();
    let url = Secret::new(server.url.as_str().trim_end_matches('/'));
    options.variables.retain(|(name, _)| !name.starts_with("AWS_ENDPOINT"));
    options.variables.push(("AWS_ENDPOINT_URL".to_owned(), url));
    options
}

fn problem(status: u16, code: &str, more: &str) -> Answer {
    let body =
        format!("<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code><Message>No.</Message>{more}</Error>");
    Answer::new(status, body).header("Content-Type", "application/xml")
}

#[test]
fn errors_of_the_bucket_say_what_to_do() {
    let Some(place) = SharedPlace::new() else { return };
    let id: String = {
        drop(place.open(Clock::default(), Warn::default()));
        place.text("SELECT id FROM store")
    };
    let opened = |answer: fn(&str, &str) -> Option<Answer>| {
        let marker = id.clone();
        let server = Server::new(move |_, request| {
            let is_list = request.target.contains("list-type");
            answer(&request.method, &request.target).unwrap_or_else(|| match request.method.as_str() {
                "GET" if is_list => Answer::new(200, "<ListBucketResult></ListBucketResult>"),
                "GET" => Answer::new(200, marker.clone())
                    .header("Last-Modified", "Sun, 01 Mar 2026 12:00:00 GMT")
                    .header("ETag", "\"e\""),
                "PUT" => Answer::new(200, "").header("ETag", "\"e\""),
                _ => Answer::new(204, ""),
            })
        });
        Store::open_shared(with_bucket(&place, &server)).map(drop)
    };
    opened(|_, _| None).unwrap();
    let refused = |answer| {
        let error = opened(answer).unwrap_err();
        let lines = error.lines().into_iter().map(|(label, text)| format!("{label}: {text}\n"));
        let address = place.options().blobs;
        lines.collect::<String>().replace(&address, "s3://bucket/prefix")
    };
    insta::assert_snapshot!(refused(|method, _| (method == "DELETE").then(|| problem(403, "AccessDenied", ""))), @r"
    error: cannot delete objects in the store's bucket
    caused by: s3://bucket/prefix: AccessDenied: No
    hint: the credentials lack a permission: grant s3:DeleteObject
    ");
    insta::assert_snapshot!(refused(|method, _| (method == "PUT").then(|| problem(403, "AccessDenied", ""))), @r"
    error: cannot write objects in the store's bucket
    caused by: s3://bucket/prefix: AccessDenied: No
    hint: the credentials lack a permission: grant s3:PutObject and s3:AbortMultipartUpload
    ");
    insta::assert_snapshot!(
        refused(|method, target| (method == "GET" && target.contains("list-type")).then(|| problem(403, "AccessDenied", ""))),
        @r"
    error: cannot list objects in the store's bucket
    caused by: s3://bucket/prefix: AccessDenied: No
    hint: the credentials lack a permission: grant s3:ListBucket
    "
    );
    insta::assert_snapshot!(
        refused(|_, _| Some(problem(400, "AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>"))),
        @r"
    error: cannot read objects in the store's bucket
    caused by: s3://bucket/prefix: AuthorizationHeaderMalformed: No
    hint: the bucket is in another region: `export AWS_REGION=eu-west-1`
    "
    );
    insta::assert_snapshot!(refused(|_, _| Some(problem(301, "PermanentRedirect", ""))), @r"
    error: cannot read objects in the store's bucket
    caused by: s3://bucket/prefix: the service redirects the request
    hint: the bucket is in another region: `export AWS_REGION=NAME`
    ");
    insta::assert_snapshot!(refused(|_, _| Some(problem(403, "InvalidAccessKeyId", ""))), @r"
    error: cannot read objects in the store's bucket
    caused by: s3://bucket/prefix: InvalidAccessKeyId: No
    hint: check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN
    ");
    insta::assert_snapshot!(refused(|_, _| Some(problem(404, "NoSuchBucket", ""))), @r"
    error: cannot read objects in the store's bucket
    caused by: s3://bucket/prefix: NoSuchBucket: No
    hint: the bucket does not exist: create it, or correct `--blobs`
    ");
}

/// A proxy in front of the database that can cut the connection of the next commit.
struct Proxy {
    address: String,
    cut: Arc<AtomicU8>,
}

const BEFORE: u8 = 1;
const AFTER: u8 = 2;

impl Proxy {
    fn start(database: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let cut = Arc::<AtomicU8>::default();
        let proxy = Self { address, cut: Arc::clone(&cut) };
        thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(&database)) else { continue };
                let is_muted = Arc::<AtomicU8>::default();
                let back = (server.try_clone().unwrap(), client.try_clone().unwrap(), Arc::clone(&is_muted));
                let cut = Arc::clone(&cut);
                thread::spawn(move || {
                    let (mut server, mut client, is_muted) = back;
                    let mut buffer = vec![0; 65536];
                    while let Ok(read @ 1..) = server.read(&mut buffer) {
                        if is_muted.load(Ordering::SeqCst) == 0 && client.write_all(&buffer[..read]).is_err()
                        {
                            break;
                        }
                    }
                });
                thread::spawn(move || {
                    let (mut client, mut server) = (client, server);
                    let mut buffer = vec![0; 65536];
                    while let Ok(read @ 1..) = client.read(&mut buffer) {
                        let is_commit = buffer[..read].windows(7).any(|bytes| bytes == b"COMMIT\0");
                        let place = if is_commit { cut.swap(0, Ordering::SeqCst) } else { 0 };
                        is_muted.store(place, Ordering::SeqCst);
                        if place != BEFORE && server.write_all(&buffer[..read]).is_err() {
                            break;
                        }
                        if place != 0 {
                            thread::sleep(Duration::from_millis(100));
                            break;
                        }
                    }
                    let _ = client.shutdown(Shutdown::Both);
                    let _ = server.shutdown(Shutdown::Both);
                });
            }
        });
        proxy
    }
}

#[test]
fn a_commit_without_a_response_is_looked_up() {
    let Some(place) = SharedPlace::new() else { return };
    let mut options = place.options();
    let host = options.index.split_once('@').unwrap().1.split('/').next().unwrap().to_owned();
    let proxy = Proxy::start(host.clone());
    options.index =
        options.index.replace(&host, &proxy.address).replace("sslmode=verify-full", "sslmode=disable");
    let store = Store::open_shared(options).unwrap();
    put(&store, "a", b"first");
    proxy.cut.store(AFTER, Ordering::SeqCst);
    put(&store, "b", b"second");
    assert_eq!(proxy.cut.load(Ordering::SeqCst), 0);
    assert_eq!(content(&store, "b"), b"second");
    let blob = receive(&store, b"third");
    proxy.cut.store(BEFORE, Ordering::SeqCst);
    let error = store.put("s", record("c"), blob).unwrap_err();
    assert_eq!((error.kind(), error.is_unanswered()), (Kind::Unreachable, false), "{error}");
    assert_eq!(store.stat("s", &"c".into()).unwrap_err().kind(), Kind::NotFound);
    proxy.cut.store(AFTER, Ordering::SeqCst);
    store.delete("s", &"a".into()).unwrap();
    assert_eq!(ids(&store.list("s", &Listing::default()).unwrap()), ["b"]);
    assert!(place.is_tidy());
}

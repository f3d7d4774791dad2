//! Filters on every platform in every dialect: a filter is refused before any request, or its rows equal those of a
//! naive evaluation over the emulator's records, whatever part of it was sent to the platform.

use std::collections::BTreeMap;
use std::sync::Arc;

use haul::error::Kind;
use haul::filter::{Comparison, Expr, Filter, Op, Value};
use haul::model::{File, FileId, NewFile};
use haul::providers::{Listing, Query, Sort};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value as Json, json};

use crate::platforms::records::SOURCE;
use crate::platforms::{filter_cases, of};
use crate::support::naive::matches_filter;
use crate::support::rig::{Case, Rig};

const NAMES: [&str; 9] = ["a", "B", "ab.pdf", "a b", "Report.pdf", "report.PDF", "é", "x*y", "r'q"];
const TYPES: [&str; 6] =
    ["application/pdf", "text/plain", "text/markdown", "application/json", "application/json5", "image/png"];
const AUTHORS: [&str; 7] = ["Ann", "ann", "it's", "7", "true", "null", "a b"];

const ORDER: &[Op] = &[Op::Eq, Op::Ne, Op::Lt, Op::Le, Op::Gt, Op::Ge];
const TEXT: &[Op] = &[Op::Has, Op::Eq, Op::Ne];
const WORD: &[Op] = &[Op::Eq, Op::Ne];

/// The true values of each file.
type Truth = BTreeMap<FileId, File>;

fn new_file() -> impl Strategy<Value = NewFile> {
    let author = prop::option::of(prop_oneof![
        prop::sample::select(AUTHORS.to_vec()).prop_map(|word| json!(word)),
        (0u32..3).prop_map(|number| json!(number)),
        any::<bool>().prop_map(|truth| json!(truth)),
    ]);
    let (name, kind) = (prop::sample::select(NAMES.to_vec()), prop::sample::select(TYPES.to_vec()));
    (name, 1usize..5, kind, author, any::<bool>()).prop_map(|(name, size, kind, author, ends)| NewFile {
        content_type: kind.to_owned(),
        metadata: author.map(|author| ("author".to_owned(), author)).into_iter().collect(),
        expires: ends.then(|| SignedDuration::from_hours(24)),
        ..NewFile::from_bytes(name, "x".repeat(size))
    })
}

/// Fills a platform with files of all kinds and ages.
fn fill(rig: &Rig, runner: &mut TestRunner, count: usize) -> Truth {
    (0..count)
        .map(|number| {
            let mut new = new_file().new_tree(runner).unwrap().current();
            let can = &rig.can().upload;
            new.name.retain(|c| !can.forbidden.contains(&c));
            if can.lifetime.is_none() {
                new.expires = None;
            }
            if let Some(author) = new.metadata.shift_remove("author").filter(|_| can.metadata) {
                new.metadata.insert(rig.case.facts().metadata_key.to_owned(), author);
            }
            new.purpose = can.purposes.get(number % 3).map(|word| (*word).to_owned());
            // Some platforms do not accept every purpose.
            let uploaded =
                rig.upload(&new).or_else(|_| rig.upload(&NewFile { purpose: None, ..new.clone() }));
            let id = uploaded.unwrap().id;
            age(rig, &id, number);
            // Only images, videos and PDFs can have a public link.
            let link = || rig.run(rig.provider.link(&id, Some(SignedDuration::from_hours(2)))).ok();
            let records = &of(rig.case.provider).records;
            let shows_links = rig.case.wire.is_some_and(|wire| records.show_links.contains(&wire));
            let public = shows_links.then(link).flatten();
            let record = rig.served.store.stat(rig.case.provider, &id).unwrap();
            // The file as haul would show it if the platform returned the emulator's complete record.
            let mut file = File { profile: "work".to_owned(), url: None, ..record };
            (records.show)(&rig.case, &mut file);
            if let Some(link) = public {
                file.extra
                    .insert("public_url_expires_at".to_owned(), link.expires_at.unwrap().as_second().into());
                file.url = Some(link.url);
            }
            (id, file)
        })
        .collect()
}

/// Changes the record of a file: its age in whole seconds, its folder and platform-specific fields.
fn age(rig: &Rig, id: &FileId, number: usize) {
    let whole = |time: Timestamp| Timestamp::from_second(time.as_second()).unwrap();
    let hours = SignedDuration::from_hours(7 * i64::try_from(number).unwrap() + 1);
    let change = |file: &mut File| {
        file.created_at = Some(whole(Timestamp::now() - hours));
        file.expires_at = file.expires_at.map(whole);
        if number.is_multiple_of(3) || file.updated_at.is_some() {
            file.updated_at = Some(whole(Timestamp::now() - hours / 2));
        }
        if number.is_multiple_of(2) {
            file.path = Some("reports/2026".to_owned());
        }
        (of(rig.case.provider).records.vary)(&rig.case, number, file);
        Ok(())
    };
    rig.served.store.annotate(rig.case.provider, id, change).unwrap();
}

/// Comparisons with values that occur in the files, or nearly.
fn comparison(files: &Truth) -> BoxedStrategy<Comparison> {
    let of = |field: &'static str, ops: &'static [Op], values: Vec<Value>| {
        (prop::sample::select(ops), prop::sample::select(values))
            .prop_map(move |(op, value)| Comparison { field: field.to_owned(), op, value })
            .boxed()
    };
    let text = |words: &[&str]| words.iter().map(|word| Value::Text((*word).to_owned())).collect::<Vec<_>>();
    let of_files = |value: fn(&File) -> Option<&str>| {
        files.values().filter_map(value).chain(["nobody"]).map(|word| Value::Text(word.to_owned())).collect()
    };
    let near = |time: Timestamp| {
        [-1000, -1, 0, 1, 1000].map(|off| Value::Time(time + SignedDuration::from_millis(off)))
    };
    let times = |of: fn(&File) -> Option<Timestamp>| {
        files.values().filter_map(of).flat_map(near).chain(near(Timestamp::UNIX_EPOCH)).collect::<Vec<_>>()
    };
    let public =
        |file: &File| Timestamp::from_second(file.extra.get("public_url_expires_at")?.as_i64()?).ok();
    let parts = text(&["a", "ab", "REPORT", "*.pdf", "a*", "x*y", "é", "nothing", "a b"]);
    let kinds =
        [text(&TYPES), text(&["text", "text/*", "pdf", "TEXT/plain", "json", "*png", "zzz"])].concat();
    let statuses = text(&["Complete", "Failed", "complete", "processing", "indexed", "active", "zzz"]);
    let null = prop::sample::select(vec![
        "size",
        "content_type",
        "purpose",
        "path",
        "status",
        "upload_status",
        "processing_status",
        "created_at",
        "updated_at",
        "expires_at",
        "url",
        "downloadable",
        "checksums.sha256",
        "checksums.blake3",
        "checksums.md5",
        "metadata.author",
        "metadata.title",
        "extra.etag",
        "external_file_id",
        "data_source_id",
        "extra.data_source_id",
        "public_url_expires_at",
    ]);
    let is_set = (
        null,
        prop::sample::select(vec![(Op::Eq, Value::Null), (Op::Ne, Value::Null), (Op::Has, Value::Present)]),
    )
        .prop_map(|(field, (op, value))| Comparison { field: field.to_owned(), op, value });
    prop_oneof![
        of("name", TEXT, [text(&NAMES), parts].concat()),
        of("name", &[Op::Glob], text(&["a*", "*.pdf", "[aB]", "?", "Rep*.p?f", "x\\*y", "*"])),
        of("id", WORD, of_files(|file| Some(file.id.as_str()))),
        of("size", ORDER, (0..6).chain([1 << 53]).map(Value::Size).collect()),
        of("created_at", ORDER, times(|file| file.created_at)),
        of("updated_at", ORDER, times(|file| file.updated_at)),
        of("expires_at", ORDER, times(|file| file.expires_at)),
        of("public_url_expires_at", ORDER, times(public)),
        of("content_type", TEXT, kinds.clone()),
        of("content_type", TEXT, kinds),
        of("purpose", TEXT, text(&["generic", "user_data", "parse", "attachment", "assistants", "zzz"])),
        of("path", TEXT, text(&["reports", "reports/2026", "*2026", "zzz"])),
        of("url", TEXT, text(&["files-cdn", "zzz"])),
        of("status", WORD, statuses.clone()),
        of("upload_status", WORD, statuses.clone()),
        of("processing_status", WORD, statuses),
        of("downloadable", WORD, vec![Value::Bool(true), Value::Bool(false)]),
        of("checksums.sha256", WORD, of_files(|file| file.checksums.sha256.as_deref())),
        of("checksums.blake3", WORD, of_files(|file| file.checksums.blake3.as_deref())),
        of("checksums.md5", WORD, of_files(|file| file.checksums.md5.as_deref())),
        of("metadata.author", TEXT, text(&AUTHORS)),
        of("metadata.author", ORDER, (0..3).map(|n| Value::Number(f64::from(n))).collect()),
        of("metadata.author", WORD, vec![Value::Bool(true), Value::Bool(false)]),
        of("metadata.title", TEXT, text(&AUTHORS)),
        of("extra.etag", WORD, of_files(|file| file.checksums.md5.as_deref())),
        of("external_file_id", WORD, of_files(|file| file.extra.get("external_file_id")?.as_str())),
        of("data_source_id", WORD, text(&[SOURCE])),
        of("user_defined_id", WORD, text(&["zzz"])),
        is_set,
    ]
    .boxed()
}

fn filter(files: &Truth) -> impl Strategy<Value = Filter> + use<> {
    comparison(files)
        .prop_map(Expr::Compare)
        .prop_recursive(3, 8, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 1..4).prop_map(Expr::all),
                prop::collection::vec(inner.clone(), 1..4).prop_map(Expr::any),
                inner.prop_map(Expr::negated),
            ]
        })
        .prop_map(|expr| Filter { expr })
}

/// The listings of these queries. A refused query makes no request.
fn listings<T>(rig: &Rig, queries: Vec<(T, Query)>) -> Vec<(T, Listing)> {
    rig.served.requests();
    let mut listings = Vec::new();
    for (of, query) in queries {
        match Listing::new(Arc::clone(&rig.provider), query.clone(), None) {
            Ok(listing) => listings.push((of, listing)),
            Err(error) => assert_eq!(error.kind(), Kind::Unsupported, "{:?}: {query:?}: {error}", rig.case),
        }
    }
    assert_eq!(rig.served.requests(), Vec::<String>::new(), "{:?}", rig.case);
    listings
}

fn read(rig: &Rig, listing: Listing) -> Vec<File> {
    let mut files = rig.run(listing.all()).unwrap_or_else(|error| panic!("{:?}: {error:?}", rig.case));
    if !rig.can().list.stated.contains(&"data_source_id") {
        // The field is shown if it is requested.
        for file in &mut files {
            file.extra.shift_remove("data_source_id");
        }
    }
    files
}

fn all(rig: &Rig) -> Vec<File> {
    read(rig, Listing::new(Arc::clone(&rig.provider), Query::default(), None).unwrap())
}

/// Runs random filters on a platform. Returns the numbers of accepted and refused filters.
fn check(case: Case, runner: &mut TestRunner, files: usize, filters: usize) -> (usize, usize) {
    let rig = Rig::new(case);
    let truth = fill(&rig, runner, files);
    let all = all(&rig);
    assert_eq!(all.len(), files, "{case:?}");
    let strategy = filter(&truth);
    let queries = (0..filters).map(|_| {
        let filter = strategy.new_tree(runner).unwrap().current();
        (filter.clone(), Query { filter: Some(filter), ..Query::default() })
    });
    let listings = listings(&rig, queries.collect());
    let asked = listings.len();
    let truth: BTreeMap<&FileId, Json> =
        truth.iter().map(|(id, file)| (id, serde_json::to_value(file).unwrap())).collect();
    for (filter, listing) in listings {
        let wanted: Vec<&File> =
            all.iter().filter(|file| matches_filter(&filter.expr, &truth[&file.id])).collect();
        let got = read(&rig, listing);
        assert_eq!(got.iter().collect::<Vec<_>>(), wanted, "{case:?}: {filter}");
    }
    (asked, filters - asked)
}

fn runner(seed: u64) -> TestRunner {
    let seed = [seed.to_le_bytes(); 4].concat();
    TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &seed))
}

#[test]
fn a_filter_lists_the_matching_files_or_is_refused() {
    for (seed, case) in (0..).zip(filter_cases()) {
        let (asked, refused) = check(case, &mut runner(seed), 12, 150);
        assert!(asked > 10 && refused > 0, "{case:?}: {asked} asked, {refused} refused");
    }
}

#[test]
#[ignore = "minutes: many sets of files and thousands of filters"]
fn many_filters_list_the_matching_files_or_are_refused() {
    for round in 0..8 {
        for (seed, case) in (0..).zip(filter_cases()) {
            check(case, &mut runner(1000 * (round + 1) + seed), 40, 1000);
        }
    }
}

/// An order is refused, or it is that of the true values, with unset values last.
#[test]
fn an_order_is_correct_or_refused() {
    const FIELDS: [&str; 15] = [
        "id",
        "name",
        "size",
        "content_type",
        "purpose",
        "path",
        "status",
        "created_at",
        "updated_at",
        "expires_at",
        "url",
        "metadata.author",
        "extra.upload_status",
        "extra.external_file_id",
        "extra.data_source_id",
    ];
    for (seed, case) in (0..).zip(filter_cases()) {
        let rig = Rig::new(case);
        let truth = fill(&rig, &mut runner(seed), 8);
        let sorts = FIELDS.iter().flat_map(|field| {
            [false, true].map(|descending| Sort { field: (*field).to_owned(), descending })
        });
        let queries = sorts.map(|sort| (sort.clone(), Query { sort: Some(sort), ..Query::default() }));
        for (Sort { field, descending }, listing) in listings(&rig, queries.collect()) {
            let value = |file: &File| {
                let truth = serde_json::to_value(&truth[&file.id]).unwrap();
                let value = match field.split_once('.') {
                    Some((object, key)) => truth[object][key].clone(),
                    None => truth[&field].clone(),
                };
                match value {
                    Json::Null => None,
                    Json::Number(number) => Some(format!("{:020}", number.as_u64().unwrap_or_default())),
                    Json::String(text) => Some(text),
                    other => Some(other.to_string()),
                }
            };
            let got: Vec<_> = read(&rig, listing).iter().map(value).collect();
            let mut set: Vec<_> = got.iter().flatten().cloned().collect();
            set.sort();
            if descending {
                set.reverse();
            }
            let unset = got.len() - set.len();
            let wanted: Vec<_> = set.into_iter().map(Some).chain(vec![None; unset]).collect();
            assert_eq!(got, wanted, "{case:?}: {field}, descending {descending}");
        }
    }
}

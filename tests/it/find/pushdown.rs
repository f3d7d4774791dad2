//! What a platform is asked never changes what comes out: with a filter pushed down, a listing is the files of the
//! whole listing that the filter lets through, in the same order.

use std::sync::Arc;

use haul::filter::{Comparison, Expr, Filter, Op, Value};
use haul::model::{File, NewFile};
use haul::providers::{Listing, Query};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::json;

use crate::find::support::{
    ACTIVELOOP, GATEWAY, LEGACY, LLAMACLOUD, LOCAL, MAGNETAR, PULSAR, REPLICATE, SEED, XAI,
};
use crate::support::rig::{Case, Rig};

const PLATFORMS: [Case; 10] =
    [LOCAL, REPLICATE, ACTIVELOOP, SEED, PULSAR, MAGNETAR, LLAMACLOUD, LEGACY, XAI, GATEWAY];

const NAMES: [&str; 9] = ["a", "B", "ab.pdf", "a b", "Report.pdf", "report.PDF", "é", "x*y", "r'q"];
const AUTHORS: [&str; 7] = ["Ann", "ann", "it's", "7", "true", "null", "a b"];

const ORDER: &[Op] = &[Op::Eq, Op::Ne, Op::Lt, Op::Le, Op::Gt, Op::Ge];
const TEXT: &[Op] = &[Op::Has, Op::Eq, Op::Ne];

fn new_file() -> impl Strategy<Value = NewFile> {
    let kind = prop::sample::select(vec!["application/pdf", "text/plain", "text/markdown"]);
    let author = prop::option::of(prop_oneof![
        prop::sample::select(AUTHORS.to_vec()).prop_map(|word| json!(word)),
        (0u32..3).prop_map(|number| json!(number)),
        any::<bool>().prop_map(|truth| json!(truth)),
    ]);
    (prop::sample::select(NAMES.to_vec()), 1usize..5, kind, author, any::<bool>()).prop_map(
        |(name, size, kind, author, ends)| NewFile {
            content_type: kind.to_owned(),
            metadata: author.map(|author| ("author".to_owned(), author)).into_iter().collect(),
            expires: ends.then(|| SignedDuration::from_hours(24)),
            ..NewFile::from_bytes(name, "x".repeat(size))
        },
    )
}

/// Comparisons with values that the files have, or nearly.
fn comparison(files: &[File]) -> BoxedStrategy<Comparison> {
    let of = |field: &'static str, ops: &'static [Op], values: Vec<Value>| {
        (prop::sample::select(ops), prop::sample::select(values))
            .prop_map(move |(op, value)| Comparison { field: field.to_owned(), op, value })
            .boxed()
    };
    let text = |words: &[&str]| words.iter().map(|word| Value::Text((*word).to_owned())).collect::<Vec<_>>();
    let ids = files.iter().map(|file| Value::Text(file.id.0.clone())).chain(text(&["nobody"])).collect();
    let near = |time: Timestamp| {
        [-1000, -1, 0, 1, 1000].map(|off| Value::Time(time + SignedDuration::from_millis(off)))
    };
    let times = |of: fn(&File) -> Option<Timestamp>| {
        files.iter().filter_map(of).flat_map(near).chain(near(Timestamp::UNIX_EPOCH)).collect::<Vec<_>>()
    };
    let parts = text(&["a", "ab", "REPORT", "*.pdf", "a*", "x*y", "é", "nothing", "a b"]);
    prop_oneof![
        of("name", TEXT, [text(&NAMES), parts].concat()),
        of("name", &[Op::Glob], text(&["a*", "*.pdf", "[aB]", "?", "Rep*.p?f", "x\\*y", "*"])),
        of("id", &[Op::Eq, Op::Ne], ids),
        of("size", ORDER, (0..6).map(|n| Value::Number(f64::from(n))).chain([Value::Number(1.5)]).collect()),
        of("created_at", ORDER, times(|file| file.created_at)),
        of("expires_at", ORDER, times(|file| file.expires_at)),
        of("content_type", TEXT, text(&["application/pdf", "text", "text/*", "pdf", "TEXT/plain", ""])),
        of("purpose", TEXT, text(&["generic", "user_data", "attachment", "assistants", "zzz"])),
        of("metadata.author", TEXT, text(&AUTHORS)),
        of("metadata.author", ORDER, (0..3).map(|n| Value::Number(f64::from(n))).collect()),
        of("metadata.author", &[Op::Eq, Op::Ne], vec![Value::Bool(true), Value::Bool(false), Value::Null]),
        of("metadata.author", &[Op::Has], vec![Value::Present]),
        of("url", &[Op::Eq, Op::Ne], vec![Value::Null]),
        of("expires_at", &[Op::Eq, Op::Ne], vec![Value::Null]),
    ]
    .boxed()
}

fn filter(files: &[File]) -> impl Strategy<Value = Filter> + use<> {
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

/// Fills a platform with random files and asks it random filters.
fn check(case: Case, runner: &mut TestRunner, files: usize, filters: usize) {
    let rig = Rig::new(case);
    let can = &rig.can().upload;
    for _ in 0..files {
        let mut new = new_file().new_tree(runner).unwrap().current();
        if can.lifetime.is_none() {
            new.expires = None;
        }
        match new.metadata.remove("author") {
            Some(author) if can.metadata => {
                let key = if case.provider == "metorial" { "title" } else { "author" };
                new.metadata.insert(key.to_owned(), author);
            }
            _ => {}
        }
        rig.upload(&new).unwrap();
    }
    let list = |query: Query| {
        let listing = Listing::new(Arc::clone(&rig.provider), query, None);
        let mut files = rig.run(listing.all())?;
        // Activeloop goes on working at files: what became of them is another matter.
        files.iter_mut().filter(|file| file.provider == "activeloop").for_each(|file| file.status = None);
        Ok::<_, haul::error::Error>(files)
    };
    let all = list(Query::default()).unwrap();
    assert_eq!(all.len(), files, "{case:?}");
    let strategy = filter(&all);
    for _ in 0..filters {
        let filter = strategy.new_tree(runner).unwrap().current();
        let wanted: Vec<&File> = all.iter().filter(|file| filter.matches(file)).collect();
        let query = Query { filter: Some(filter.clone()), ..Query::default() };
        let got = list(query).unwrap_or_else(|error| panic!("{case:?}: {filter}: {error:?}"));
        assert_eq!(got.iter().collect::<Vec<_>>(), wanted, "{case:?}: {filter}");
    }
}

fn runner(seed: u8) -> TestRunner {
    TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]))
}

#[test]
fn a_filter_that_is_pushed_down_gives_what_the_whole_listing_gives() {
    for (seed, case) in (0..).zip(PLATFORMS) {
        if case.is_emulated() {
            check(case, &mut runner(seed), 12, 60);
        }
    }
}

#[test]
#[ignore = "minutes: many sets of files and thousands of filters"]
fn many_filters_that_are_pushed_down_give_what_the_whole_listings_give() {
    for round in 0..8 {
        for (seed, case) in (0..).zip(PLATFORMS) {
            if case.is_emulated() {
                check(case, &mut runner(10 * round + seed + 100), 40, 1000);
            }
        }
    }
}

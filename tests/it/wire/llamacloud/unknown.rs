//! Filters on fields that LlamaCloud's beta listings omit.

use haul::model::File;
use haul::providers::require_ages;

use crate::find::support::{haul, listed, names, refused, typed};
use crate::platforms::llamacloud::{BETA, LEGACY};
use crate::support::rig::Rig;

#[test]
fn a_dialect_that_lists_the_field_accepts_the_same_filter() {
    let rig = Rig::new(BETA);
    rig.upload(&typed("kept.txt", "text/plain", 3)).unwrap();
    for (filter, found) in
        [("NOT size > 10MB", 1), ("NOT created_at > -30d", 0), ("size > 1 AND created_at > -1d", 1)]
    {
        let ran = haul(
            &rig,
            &["ls", "--jsonl", "-p", "llamacloud", "--wire-dialect", "legacy", "--filter", filter],
        );
        assert_eq!(ran.files().len(), found, "{filter}");
    }
}

#[test]
fn conditions_that_the_platform_evaluates_are_not_refused() {
    let rig = Rig::new(BETA);
    rig.put("a.txt", "x");
    // The platform evaluates these options itself.
    assert_eq!(haul(&rig, &["ls", "--ids", "--sort", "created_at", "--reverse"]).lines().len(), 1);
    assert_eq!(haul(&rig, &["ls", "--ids", "--expiring", "24h"]).lines().len(), 0);
}

#[test]
fn comparisons_of_the_platform_are_trusted_for_fields_that_it_does_not_list() {
    let source = "11111111-1111-4111-8111-111111111111";
    let rig = Rig::new(BETA);
    let file = rig.put("a.txt", "x");
    rig.put("b.txt", "x");
    let brought = |file: &mut File| {
        file.extra.insert("data_source_id".to_owned(), source.into());
        Ok(())
    };
    rig.served.store.annotate("llamacloud", &file.id, brought).unwrap();
    for (filter, found) in [
        (format!("data_source_id = {source}"), &["a.txt"][..]),
        (format!("extra.data_source_id = {source} AND name:b"), &[]),
        ("data_source_id = null".to_owned(), &["b.txt"]),
    ] {
        assert_eq!(names(&haul(&rig, &["ls", "--jsonl", "--filter", &filter]).files()), found, "{filter}");
    }
    // A request can contain only one source.
    let both = format!("data_source_id = {source} AND data_source_id = {}", source.replace('1', "2"));
    refused(&rig, &["rm", "--filter", &both, "--yes"], "data_source_id");
}

#[test]
fn the_newest_file_is_not_guessed() {
    let rig = Rig::new(BETA);
    rig.put("same.txt", "1");
    rig.put("same.txt", "22");
    let legacy = "hint: `-p llamacloud --wire-dialect legacy` returns created_at\n";
    for arguments in [&["info"][..], &["rm", "--yes"], &["get", "-o", "-"], &["link"]] {
        let ran = haul(&rig, &[arguments, &["same.txt", "--latest"]].concat());
        assert_eq!((ran.status, ran.stdout().as_str()), (5, ""), "{arguments:?}: {ran:?}");
        assert!(ran.stderr().contains(legacy), "{}", ran.stderr());
    }
    let ran = haul(&rig, &["rm", "same.txt", "--yes"]);
    assert!(ran.status == 2 && !ran.stderr().contains("--latest"), "{ran:?}");
    std::fs::write(rig.served.home().join("same.txt"), "333").unwrap();
    let ran = haul(&rig, &["upload", "same.txt", "--if-exists", "replace"]);
    assert_eq!((ran.status, listed(&rig)), (2, 2), "{ran:?}");
    assert!(ran.stderr().contains("same.txt: 2 files have this name: "), "{}", ran.stderr());
    // A single file is the newest.
    rig.put("one.txt", "1");
    assert_eq!(haul(&rig, &["info", "one.txt", "--latest", "--jsonl"]).files().len(), 1);
    let rig = Rig::new(LEGACY);
    let ids = ["1", "22"].map(|content| rig.put("same.txt", content).id);
    assert_eq!(haul(&rig, &["info", "same.txt", "--latest", "--jsonl"]).files()[0].id, ids[1]);
    // In a dialect whose listings contain creation times, a file may still lack one.
    let lacking = [rig.stat(&ids[0]).unwrap(), File { id: ids[1].clone(), ..File::default() }];
    let error = require_ages(rig.provider.as_ref(), &lacking).unwrap_err();
    assert_eq!(error.message(), format!("llamacloud does not report when {} was created", ids[1]));
}

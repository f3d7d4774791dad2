//! A value that haul does not know is neither true nor false: no file is listed, hidden or deleted because of it.

use haul::model::{File, NewFile};
use haul::providers::require_ages;

use crate::find::support::{ACTIVELOOP, GATEWAY, LEGACY, LLAMACLOUD, SEED, XAI, haul, names};
use crate::support::rig::{Case, Rig};

/// Runs it, and expects it to be refused before a request is made, with this hint.
#[track_caller]
fn refused(rig: &Rig, arguments: &[&str], hint: &str) {
    rig.served.requests();
    let ran = haul(rig, arguments);
    assert_eq!((ran.status, ran.stdout().as_str()), (5, ""), "{arguments:?}: {ran:?}");
    assert!(ran.stderr().contains(hint), "{arguments:?}: {}", ran.stderr());
    assert_eq!(rig.served.requests(), Vec::<String>::new(), "{arguments:?}");
}

fn listed(rig: &Rig) -> usize {
    rig.pages(None).concat().len()
}

fn typed(name: &str, content_type: &str, size: usize) -> NewFile {
    NewFile { content_type: content_type.to_owned(), ..NewFile::from_bytes(name, "x".repeat(size)) }
}

#[test]
fn a_filter_on_what_is_not_stated_is_refused_by_every_verb() {
    let legacy = "hint: `-p llamacloud --wire-dialect legacy` states ";
    let nobody = "hint: no dialect of activeloop states it; this one states id, name, size, ";
    for (case, hint, filters) in [
        (
            LLAMACLOUD,
            legacy,
            &[
                "NOT created_at > -30d",
                "created_at != '2024-01-01T00:00:00Z'",
                "NOT size > 10MB",
                "size = null",
                "size != null",
                "size:*",
                "updated_at = null",
                "name:keep AND NOT size > 10MB",
                "name:keep OR created_at < -30d",
                "data_source_id != d",
                "NOT (data_source_id = d OR name:keep)",
                "extra.resource_info = null",
            ][..],
        ),
        (
            ACTIVELOOP,
            nobody,
            &[
                "NOT content_type:text",
                "content_type != a/b",
                "path = null",
                "extra.other != 1",
                "-updated_at:*",
            ],
        ),
    ] {
        let rig = Rig::new(case);
        let file = rig.upload(&typed("kept.txt", "text/plain", 3)).unwrap();
        let by_id = format!("id:{}", file.id);
        for filter in filters {
            refused(&rig, &["ls", "--filter", filter], hint);
            refused(&rig, &["rm", "--filter", filter, "--yes"], hint);
            refused(&rig, &["rm", "kept.txt", "--filter", filter, "--yes"], hint);
        }
        let filter = filters[0];
        for arguments in [
            &["ls", "*.txt"][..],
            &["rm", "*", "--yes"],
            &["rm", "*", "--dry-run"],
            &["rm", &by_id],
            &["info"],
            &["info", "kept.txt"],
            &["get", "-o", "here/"],
            &["get", "*", "-o", "here/"],
            &["meta", "get"],
        ] {
            refused(&rig, &[arguments, &["--filter", filter]].concat(), hint);
        }
        let changes: &[&[&str]] = if case.provider == "activeloop" {
            &[
                &["meta", "set", "k=v", "--yes"],
                &["meta", "set", "*", "k=v", "--yes"],
                &["meta", "unset", "k"],
            ]
        } else {
            &[&["link", "--yes"], &["link", "kept.txt"]]
        };
        for arguments in changes {
            refused(&rig, &[arguments, &["--filter", filter][..]].concat(), hint);
        }
        assert_eq!(listed(&rig), 1, "{case:?}");
    }
}

#[test]
fn a_dialect_that_states_it_takes_the_same_filter() {
    let rig = Rig::new(LLAMACLOUD);
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

/// What the hint says works where the server speaks several dialects.
#[test]
fn a_hint_is_for_the_server_that_was_asked() {
    let rig = two(Case { wire: Some("xai=auto"), ..Case::of("xai", "auto") });
    let filter = ["ls", "--jsonl", "--filter", "NOT status = failed AND content_type = 'application/pdf'"];
    refused(&rig, &filter, "`-p xai --wire-dialect gateway` states status");
    let ran = haul(&rig, &[&filter[..], &["-p", "xai", "--wire-dialect", "gateway"]].concat());
    assert_eq!(names(&ran.files()), ["large.pdf"]);
}

#[test]
fn what_would_hide_every_file_is_refused() {
    let rig = Rig::new(LLAMACLOUD);
    rig.put("a.txt", "x");
    let legacy = "`-p llamacloud --wire-dialect legacy` states ";
    for (arguments, hint) in [
        (&["--since", "1d"][..], legacy),
        (&["--type", "text"], "no dialect of llamacloud states it"),
        (&["--filter", "size > 1"], legacy),
        (&["--sort", "size"], legacy),
        (&["--sort", "created_at"], legacy),
        (&["--sort", "content_type"], "no dialect of llamacloud states it"),
    ] {
        refused(&rig, &[&["ls"], arguments].concat(), hint);
    }
    // The platform lists by this itself.
    assert_eq!(haul(&rig, &["ls", "--ids", "--sort", "created_at", "--reverse"]).lines().len(), 1);
    assert_eq!(haul(&rig, &["ls", "--ids", "--expiring", "24h"]).lines().len(), 0);
    refused(&Rig::new(SEED), &["ls", "--expiring", "24h"], "no dialect of metorial states it");
    let later = "`-p metorial --wire-dialect magnetar` states updated_at";
    refused(&Rig::new(SEED), &["ls", "--sort", "updated_at"], later);
    let rig = Rig::new(ACTIVELOOP);
    refused(&rig, &["ls", "--filter", "content_type:text"], "no dialect of activeloop states it");
    refused(&rig, &["ls", "--type", "text"], "no dialect of activeloop states it");
}

/// Two files of a type and a size each, one of which an example of xAI's documentation asks for.
fn two(case: Case) -> Rig {
    let rig = Rig::new(case);
    rig.upload(&typed("large.pdf", "application/pdf", 2000)).unwrap();
    rig.upload(&typed("small.txt", "text/plain", 3)).unwrap();
    rig
}

#[test]
fn an_upload_status_is_compared_and_no_summary() {
    for case in [GATEWAY, Case { dialect: "auto", ..GATEWAY }, XAI, Case { dialect: "auto", ..XAI }] {
        let rig = two(case);
        for (filter, found) in [
            (r#"size_bytes > 1000 AND upload_status = "Complete""#, &["large.pdf"][..]),
            (r#"upload_status:"Complete""#, &["small.txt", "large.pdf"]),
            (r#"upload_status != "Complete""#, &[]),
            (r#"NOT upload_status:"Complete""#, &[]),
            ("upload_status = complete", &[]),
        ] {
            let ran = haul(&rig, &["ls", "--jsonl", "--filter", filter]);
            assert_eq!(names(&ran.files()), found, "{case:?}: {filter}");
        }
        haul(&rig, &["rm", "--filter", r#"upload_status != "Complete""#, "--yes"]).lines();
        assert_eq!(listed(&rig), 2);
    }
    let rig = two(GATEWAY);
    for (filter, found) in [
        ("processing_status = complete AND status = complete AND size > 1000", &["large.pdf"][..]),
        ("processing_status != complete", &[]),
        ("extra.upload_status = Complete AND name:small", &["small.txt"]),
    ] {
        assert_eq!(names(&haul(&rig, &["ls", "--jsonl", "--filter", filter]).files()), found, "{filter}");
    }
    let gateway = "`-p xai --wire-dialect gateway` states ";
    for case in [XAI, Case { dialect: "auto", ..GATEWAY }] {
        refused(&two(case), &["rm", "--filter", "processing_status != complete", "--yes"], gateway);
        refused(&two(case), &["rm", "--filter", "NOT status = complete", "--yes"], gateway);
    }
}

#[test]
fn the_platform_is_believed_where_only_it_can_compare() {
    for case in [XAI, Case { dialect: "auto", ..XAI }] {
        let rig = two(case);
        for (arguments, found) in [
            (&["--filter", r#"content_type = "application/pdf""#][..], &["large.pdf"][..]),
            (&["--filter", "content_type:pdf"], &["large.pdf"]),
            (&["--filter", "NOT content_type:pdf"], &["small.txt"]),
            (&["--filter", "content_type != application/pdf"], &["small.txt"]),
            (&["--filter", "content_type:text OR size > 1000"], &["small.txt", "large.pdf"]),
            (&["--filter", "content_type:pdf AND size < 1000"], &[]),
            (&["--type", "text/*"], &["small.txt"]),
            (&["--type", "pdf", "*.pdf"], &["large.pdf"]),
        ] {
            let ran = haul(&rig, &[&["ls", "--jsonl"], arguments].concat());
            assert_eq!(names(&ran.files()), found, "{arguments:?}");
        }
        let gateway = "`-p xai --wire-dialect gateway` states content_type";
        for filter in [
            // The platform would find it in others, too.
            "content_type = application/json",
            "content_type != application/json",
            "content_type = pdf",
            "content_type ~ '*/pdf'",
            "content_type = null",
            // Not all of it can be asked.
            "content_type:pdf OR name ~ '*.pdf'",
            "NOT (content_type:pdf AND name:report)",
        ] {
            refused(&rig, &["rm", "--filter", filter, "--yes"], gateway);
        }
        // A file that is named has to pass, too: the platform is asked about it.
        let kept = haul(&rig, &["rm", "small.txt", "--filter", "content_type:pdf", "--yes"]);
        assert_eq!((kept.status, listed(&rig)), (0, 2), "{kept:?}");
        haul(&rig, &["rm", "large.pdf", "small.txt", "--filter", "content_type:pdf", "--yes"]).lines();
        assert_eq!(names(&rig.pages(None).concat()), ["small.txt"]);
    }
    let source = "11111111-1111-4111-8111-111111111111";
    let rig = Rig::new(LLAMACLOUD);
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
    // Only one of two sources can be asked for.
    let both = format!("data_source_id = {source} AND data_source_id = {}", source.replace('1', "2"));
    refused(&rig, &["rm", "--filter", &both, "--yes"], "data_source_id");
}

#[test]
fn the_newest_is_not_guessed() {
    let rig = Rig::new(LLAMACLOUD);
    rig.put("same.txt", "1");
    rig.put("same.txt", "22");
    let legacy = "hint: `-p llamacloud --wire-dialect legacy` states created_at\n";
    for arguments in [&["info"][..], &["rm", "--yes"], &["get", "-o", "-"], &["link"]] {
        let ran = haul(&rig, &[arguments, &["same.txt", "--latest"]].concat());
        assert_eq!((ran.status, ran.stdout().as_str()), (5, ""), "{arguments:?}: {ran:?}");
        assert!(ran.stderr().contains(legacy), "{}", ran.stderr());
    }
    let ran = haul(&rig, &["rm", "same.txt", "--yes"]);
    assert!(ran.status == 2 && !ran.stderr().contains("--latest"), "{ran:?}");
    std::fs::write(rig.served.home().join("same.txt"), "333").unwrap();
    let ran = haul(&rig, &["upload", "same.txt", "--if-exists", "replace"]);
    assert_eq!((ran.status, listed(&rig)), (5, 2), "{ran:?}");
    assert!(ran.stderr().contains(legacy), "{}", ran.stderr());
    // One alone is the newest.
    rig.put("one.txt", "1");
    assert_eq!(haul(&rig, &["info", "one.txt", "--latest", "--jsonl"]).files().len(), 1);
    let rig = Rig::new(LEGACY);
    let ids = ["1", "22"].map(|content| rig.put("same.txt", content).id);
    assert_eq!(haul(&rig, &["info", "same.txt", "--latest", "--jsonl"]).files()[0].id, ids[1]);
    // Where the listing states it, a file may still lack it.
    let lacking = [rig.stat(&ids[0]).unwrap(), File { id: ids[1].clone(), ..File::default() }];
    let error = require_ages(rig.provider.as_ref(), &lacking).unwrap_err();
    assert_eq!(error.message(), format!("llamacloud does not say when {} was created", ids[1]));
}

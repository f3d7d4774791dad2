//! Patterns and filters that select files for commands that change something.

use crate::find::support::{LOCAL, haul, names, remote};
use crate::support::rig::{Rig, object};
use haul::model::{File, NewFile};

fn three(rig: &Rig) -> Vec<File> {
    ["a.tmp", "b.tmp", "c.txt"].map(|name| rig.put(name, "x")).to_vec()
}

fn listed(rig: &Rig) -> Vec<String> {
    let mut names: Vec<String> = rig.pages(None).concat().into_iter().map(|file| file.name).collect();
    names.sort();
    names
}

#[test]
fn without_a_terminal_a_pattern_needs_yes_and_a_dry_run_changes_nothing() {
    let rig = Rig::new(LOCAL);
    three(&rig);
    let id = rig.pages(None).concat()[0].id.to_string();
    for (arguments, done) in [
        (&["rm", "*.tmp"][..], "2 files matched, nothing deleted"),
        (&["rm", "--filter", "size > 0"], "3 files matched, nothing deleted"),
        (&["meta", "set", "*.tmp", "k=v"], "2 files matched, nothing changed"),
        (&["meta", "set", "--filter", "size > 0", "k=v"], "3 files matched, nothing changed"),
        (&["meta", "unset", "--filter", "size > 0", "k"], "3 files matched, nothing changed"),
        (&["link", "*.tmp"], "2 files matched, nothing linked"),
        (&["link", "--filter", "name:tmp", "--revoke="], "2 files matched, nothing revoked"),
    ] {
        let ran = haul(&rig, arguments);
        assert_eq!((ran.status, ran.stdout().as_str()), (2, ""), "{arguments:?}: {ran:?}");
        assert_eq!(
            ran.stderr(),
            format!("error: {done}\nhint: add `--yes` to confirm, or `--dry-run` to see the files\n")
        );
        let count = done.split(' ').next().unwrap().parse::<usize>().unwrap();
        let look = haul(&rig, &[arguments, &["--dry-run", "--jsonl"]].concat()).ok();
        assert_eq!(look.lines().len(), count, "{arguments:?}: {look:?}");
        assert_eq!(listed(&rig), ["a.tmp", "b.tmp", "c.txt"]);
        assert!(rig.pages(None).concat().iter().all(|file| file.metadata.is_empty()));
        assert_eq!(rig.run(rig.provider.links(&id.as_str().into())).unwrap(), []);
    }
    let look = haul(&rig, &["meta", "set", "*.tmp", "k=v", "--dry-run", "--jsonl"]);
    assert!(look.files().iter().all(|file| file.metadata == object(&[("k", "v")])), "{look:?}");
    let look = haul(&rig, &["meta", "set", "*.tmp", "k=v", "--dry-run"]);
    assert_eq!(look.stderr(), "dry run: nothing changed; 2 would be changed\n");
}

#[test]
fn with_yes_exactly_the_selected_files_are_changed() {
    let rig = Rig::new(LOCAL);
    three(&rig);
    let set = haul(&rig, &["meta", "set", "*.tmp", "k=v", "--yes", "--jsonl"]);
    assert_eq!(set.files().len(), 2);
    let with =
        |key: &str| haul(&rig, &["ls", "--jsonl", "--filter", &format!("metadata.{key} != null")]).files();
    assert_eq!(names(&with("k")), ["b.tmp", "a.tmp"]);
    let set = haul(&rig, &["meta", "set", "--filter", "metadata.k = v", "--yes", "--jsonl", "k=w", "n=1"]);
    assert_eq!(set.files().len(), 2, "{set:?}");
    assert_eq!(names(&with("n")), ["b.tmp", "a.tmp"]);
    let set = haul(&rig, &["meta", "set", "a*", "n=2", "--filter", "metadata.k = w", "--yes", "--jsonl"]);
    assert_eq!(names(&set.files()), ["a.tmp"]);
    haul(&rig, &["meta", "unset", "--filter", "metadata.k = w", "k", "--yes"]).ok().lines();
    assert!(with("k").is_empty());
    assert_eq!(haul(&rig, &["link", "*.tmp", "--yes"]).ok().lines().len(), 2);
    assert_eq!(haul(&rig, &["link", "*", "--list"]).ok().lines().len(), 2);
    haul(&rig, &["link", "*.tmp", "--revoke=", "--yes"]).ok().lines();
    assert_eq!(haul(&rig, &["link", "*", "--list"]).stdout(), "");
    assert_eq!(haul(&rig, &["info", "*.tmp", "--jsonl"]).files().len(), 2);
    assert_eq!(haul(&rig, &["meta", "get", "*.tmp", "c.txt", "--jsonl"]).jsonl().len(), 3);
    let got = haul(&rig, &["get", "--filter", "name:tmp", "-o", "here/"]).ok();
    assert_eq!(got.lines().len(), 2);
    haul(&rig, &["rm", "*.tmp", "--yes"]).ok().lines();
    assert_eq!(listed(&rig), ["c.txt"]);
}

#[test]
fn a_named_file_must_match_the_filter_too() {
    let rig = Rig::new(LOCAL);
    three(&rig);
    let ran = haul(&rig, &["rm", "a.tmp", "--filter", "size > 1GB", "--yes"]);
    assert_eq!((ran.status, ran.stdout().as_str()), (0, ""));
    assert_eq!(listed(&rig).len(), 3);
}

#[test]
fn several_files_cannot_have_one_name() {
    let rig = Rig::new(LOCAL);
    three(&rig);
    let ran = haul(&rig, &["meta", "set", "*.tmp", "--name", "same", "--yes"]);
    assert_eq!(
        (ran.status, ran.stderr().lines().next()),
        (2, Some("error: --name can be used with only one file"))
    );
    for arguments in
        [&["meta", "set", "--filter", "size > 0"][..], &["meta", "unset", "--filter", "size > 0"]]
    {
        assert_eq!(haul(&rig, arguments).status, 2);
    }
    assert_eq!(listed(&rig), ["a.tmp", "b.tmp", "c.txt"]);
}

#[test]
fn unsupported_changes_are_refused_before_any_request() {
    let rig = Rig::new(remote(|can| can.annotate.is_none()));
    rig.upload(&NewFile::from_bytes("a", "x")).unwrap();
    rig.served.requests();
    let ran = haul(&rig, &["meta", "set", "*", "k=v", "--yes"]);
    assert_eq!((ran.status, rig.served.requests().len()), (5, 0), "{ran:?}");
}

#[test]
fn an_ambiguous_name_lists_its_files_and_the_newest_can_be_selected() {
    let rig = Rig::new(LOCAL);
    let ids = [rig.put("same.txt", "1").id, rig.put("same.txt", "22").id];
    let ran = haul(&rig, &["info", "same.txt"]);
    assert_eq!(ran.status, 2);
    assert!(ran.stderr().starts_with("error: same.txt: 2 files have this name\n"), "{}", ran.stderr());
    assert!(ids.iter().all(|id| ran.stderr().contains(id.as_str())), "{}", ran.stderr());
    assert_eq!(haul(&rig, &["info", "same.txt", "--latest", "--jsonl"]).files()[0].id, ids[1]);
}

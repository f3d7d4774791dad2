//! `haul upload`

mod dry_run;
mod ignore;
mod targets;
mod trouble;
mod words;

use std::os::unix::fs::symlink;

use crate::check;
use crate::support::sandbox::Sandbox;

#[test]
fn one_file_several_files_and_none() {
    let env = Sandbox::new().with_var("HAUL_LEDGER", "off");
    env.write("report.pdf", "12345");
    env.write("two words.txt", "");
    check!(env.haul(["upload", "report.pdf"]), @"
    status 0
    --- out
    [id]............	report.pdf	5	application/pdf		2026-03-01T12:00:00Z
    ");
    check!(env.haul(["upload", "two words.txt", "report.pdf", "--fields", "name,size,id"]).sorted(), @"
    status 0
    --- out
    report.pdf	5	[id]............
    two words.txt	0	[id]............
    --- err
    2 uploaded
    ");
    check!(env.haul(["upload"]), @"
    status 2
    --- err
    error: missing argument PATH
    hint: example: `haul upload report.pdf`
    hint: see `haul upload --help`
    ");
    assert_eq!(env.ids().len(), 3);
}

#[test]
fn ids_fields_and_quiet() {
    let env = Sandbox::new().with_var("HAUL_LEDGER", "off");
    env.write("a.txt", "a");
    check!(env.haul(["upload", "a.txt", "--ids"]), @"
    status 0
    --- out
    [id]............
    ");
    check!(env.haul(["upload", "a.txt", "--ids", "--json"]), @r#"
    status 0
    --- out
    [
    {"id":"[id]............"}
    ]
    "#);
    check!(env.haul(["upload", "a.txt", "-q", "--fields", "name,size,path"]), @"
    status 0
    --- out
    a.txt	1
    ");
    check!(env.haul(["upload", "a.txt", "--jsonl", "--fields", "size,name"]), @r#"
    status 0
    --- out
    {"size":1,"name":"a.txt"}
    "#);
    assert_eq!(env.ids().len(), 4);
}

#[test]
fn folders_give_names_relative_to_the_argument() {
    let env = Sandbox::new().with_var("HAUL_LEDGER", "off");
    env.write("docs/a.md", "");
    env.write("docs/sub/b.md", "");
    env.write("docs/sub/.hidden", "");
    env.write("docs/.gitignore", "*.md");
    symlink("a.md", env.work().join("docs/link.md")).unwrap();
    check!(env.haul(["upload", "-r", "docs", "--fields", "name"]).sorted(), @"
    status 0
    --- out
    a.md
    sub/b.md
    --- err
    2 uploaded
    docs/link.md: symbolic link skipped; to follow links: `--follow`
    skipped 2 hidden files and folders; use `--hidden` to include them
    ");
    check!(env.haul(["upload", "-r", "docs", "--flat", "--include", "*.md", "--fields", "name"]).sorted(), @"
    status 0
    --- out
    a.md
    b.md
    --- err
    2 uploaded
    docs/link.md: symbolic link skipped; to follow links: `--follow`
    skipped 2 hidden files and folders; use `--hidden` to include them
    ");
    check!(env.haul(["upload", "-r", "docs", "--exclude", "sub/*", "--follow", "--fields", "name"]).sorted(), @"
    status 0
    --- out
    a.md
    link.md
    --- err
    2 uploaded
    skipped 1 hidden file or folder; use `--hidden` to include it
    ");
    check!(env.haul(["upload", "-r", "docs", "--include", "[", "--fields", "name"]), @r#"
    status 2
    --- err
    error: invalid glob "[": unclosed character class; missing ']'
    "#);
}

#[test]
fn a_symlink_cycle_ends() {
    let env = Sandbox::new();
    env.write("docs/sub/a.md", "");
    symlink("..", env.work().join("docs/sub/up")).unwrap();
    check!(env.haul(["upload", "-r", "docs", "--follow", "--fields", "name"]), @"
    status 0
    --- out
    sub/a.md
    --- err
    docs/sub/up: skipped: it links back to docs
    ");
}

#[test]
fn a_symlink_argument_is_followed() {
    let env = Sandbox::new();
    env.write("real.txt", "content");
    symlink("real.txt", env.work().join("link.txt")).unwrap();
    symlink("gone", env.work().join("dangling")).unwrap();
    check!(env.haul(["upload", "link.txt", "--fields", "name,size"]), @"
    status 0
    --- out
    link.txt	7
    ");
    check!(env.haul(["upload", "dangling"]), @"
    status 3
    --- err
    error: dangling: no such file or directory
    ");
}

#[test]
fn standard_input_needs_a_name() {
    let env = Sandbox::new();
    check!(env.haul_reading("{}", ["upload", "-"]), @"
    status 2
    --- err
    error: standard input has no name
    hint: add `--name NAME`: `haul upload - --name data.json`
    ");
    check!(env.haul_reading("{}", ["upload", "-", "--name", "x.json", "--fields", "name,size,content_type"]), @"
    status 0
    --- out
    x.json	2	application/json
    ");
    check!(env.haul_reading("", ["upload", "-", "--name", "empty", "--fields", "name,size"]), @"
    status 0
    --- out
    empty	0
    ");
    check!(env.haul(["upload", "-", "--name", ""]), @"
    status 2
    --- err
    error: --name <NAME> requires a value
    hint: see `haul upload --help`
    ");
    check!(env.haul(["upload", "-", "x", "--name", "y"]), @"
    status 2
    --- err
    error: --name can be used with only one file
    ");
}

#[test]
fn lists_of_paths() {
    let env = Sandbox::new().with_var("HAUL_LEDGER", "off");
    env.write("a.txt", "");
    env.write("b\nc.txt", "");
    // From a Windows editor: a byte order mark and carriage returns.
    env.write("list", "\u{feff}a.txt\r\n\nnope\n");
    check!(env.haul(["upload", "--files-from", "list", "--fields", "name"]), @"
    status 3
    --- out
    a.txt
    --- err
    error: nope: no such file or directory
    1 uploaded, 1 failed
    ");
    check!(env.haul_reading("a.txt\n", ["upload", "--files-from", "-", "--fields", "name"]), @"
    status 0
    --- out
    a.txt
    ");
    let run = env.haul_reading("a.txt\0b\nc.txt", ["upload", "--files-from0", "-", "--fields", "name"]);
    check!(run.sorted(), @r"
    status 0
    --- out
    a.txt
    b\nc.txt
    --- err
    2 uploaded
    ");
    check!(env.haul(["upload", "--files-from", "nowhere"]), @"
    status 3
    --- err
    error: nowhere: no such file or directory
    ");
    check!(env.haul_reading("", ["upload", "--files-from", "-", "--json"]), @"
    status 0
    --- out
    []
    ");
}

#[test]
fn an_earlier_upload_of_the_same_file_is_noted() {
    let mut env = Sandbox::new();
    env.write("a.txt", "a");
    env.write("b.txt", "b");
    let note = |arguments: &[&str]| {
        let run = env.haul([&["upload"], arguments].concat()).ok();
        run.stderr().lines().find(|line| line.contains("another file")).map(str::to_owned)
    };
    let exists = |id: &str| Some(format!("a.txt: another file with this name exists: {id}"));
    assert_eq!(note(&["a.txt"]), None);
    let first = env.ids().remove(0);
    assert_eq!(note(&["a.txt"]), exists(&first));
    assert_eq!(note(&["a.txt", "--name", "c.txt"]), None);
    assert_eq!(note(&["a.txt", "--if-exists", "skip"]), None);
    assert_eq!(note(&["b.txt"]), None);
    let both = note(&["-j", "1", "b.txt", "a.txt"]).unwrap();
    assert!(both.ends_with(" (2 of the uploaded files had been uploaded before)"), "{both}");
    env.haul(["rm", "*", "--yes"]).ok();
    assert_eq!(note(&["a.txt"]), None);
    let screen = env.terminal(80, "", &["upload", "a.txt"]).ok().stdout();
    assert!(screen.contains("add `--if-exists update`"), "{screen}");
    env.set("HAUL_LEDGER", "off");
    assert_eq!(env.haul(["upload", "a.txt"]).ok().stderr(), "");
}

#[test]
fn update_leaves_an_equal_file_and_replaces_a_changed_one() {
    let env = Sandbox::new();
    let update = |content: &str| {
        env.write("a.txt", content);
        env.haul(["upload", "a.txt", "--if-exists", "update", "--ids"]).ok()
    };
    let first = update("one").stdout();
    assert_eq!(update("one").says("reused").stdout(), first);
    // The size stays the same.
    let changed = update("two").says("replaced").stdout();
    assert_eq!(env.ids(), [changed.trim()]);
    assert_eq!(env.haul(["get", "a.txt", "-o", "-"]).ok().stdout(), "two");
}

#[test]
fn skip_finds_a_name_in_its_other_unicode_form() {
    for (stored, other) in [("caf\u{e9}.txt", "cafe\u{301}.txt"), ("cafe\u{301}.txt", "caf\u{e9}.txt")] {
        let env = Sandbox::new();
        env.write(stored, "content");
        env.write(other, "content");
        let first = env.haul(["upload", stored, "--ids"]).ok().stdout();
        let again = env.haul(["upload", other, "--if-exists", "skip", "--ids"]).ok();
        assert_eq!(again.stdout(), first, "{again}");
        assert_eq!(env.ids(), [first.trim()]);
    }
}

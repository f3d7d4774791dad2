//! `haul upload`

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use serde_json::json;

use crate::check;
use crate::support::TestEnv;

#[test]
fn one_file_several_files_and_none() {
    let env = TestEnv::new();
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
    ");
    check!(env.haul(["upload"]), @"
    status 2
    --- err
    error: <PATH>...: not given
    hint: `haul upload --help` shows how
    ");
    assert_eq!(env.ids().len(), 3);
}

#[test]
fn ids_fields_quiet_and_dry_run() {
    let env = TestEnv::new();
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
    check!(env.haul(["upload", "-n", "a.txt"]), @"
    status 0
    --- err
    a.txt (1 B, text/plain)
    ");
    assert_eq!(env.ids().len(), 4);
}

#[test]
fn what_goes_wrong_with_one_leaves_the_others_alone() {
    let env = TestEnv::new();
    env.write("a.txt", "a");
    fs::create_dir(env.work().join("folder")).unwrap();
    check!(env.haul(["upload", "a.txt", "nope"]), @"
    status 3
    --- out
    [id]............	a.txt	1	text/plain		2026-03-01T12:00:00Z
    --- err
    error: nope: no such file or directory
    1 uploaded, 1 failed
    ");
    check!(env.haul(["upload", "nope"]), @"
    status 3
    --- err
    error: nope: no such file or directory
    ");
    check!(env.haul(["upload", "folder"]), @"
    status 2
    --- err
    error: folder: is a directory
    hint: add `-r`: `haul upload -r folder`
    ");
    env.haul(["upload", "nope", "folder", "a.txt", "--fields", "name"]).fails(1);
    env.haul(["upload", "nope", "nada", "a.txt"]).fails(3);
    assert_eq!(env.ids().len(), 3);
}

#[test]
fn folders_give_names_relative_to_the_argument() {
    let env = TestEnv::new();
    env.write("docs/a.md", "");
    env.write("docs/sub/b.md", "");
    env.write("docs/sub/.hidden", "");
    env.write("docs/.gitignore", "*.md");
    symlink("a.md", env.work().join("docs/link.md")).unwrap();
    check!(env.haul(["upload", "-r", "docs", "--fields", "name"]).sorted(), @"
    status 0
    --- out
    .gitignore
    a.md
    sub/.hidden
    sub/b.md
    --- err
    docs/link.md: a symbolic link, skipped (`--follow`)
    ");
    check!(env.haul(["upload", "-r", "docs", "--flat", "--include", "*.md", "--fields", "name"]).sorted(), @"
    status 0
    --- out
    a.md
    b.md
    --- err
    docs/link.md: a symbolic link, skipped (`--follow`)
    ");
    check!(env.haul(["upload", "-r", "docs", "--exclude", "sub/*", "--follow", "--fields", "name"]).sorted(), @"
    status 0
    --- out
    .gitignore
    a.md
    link.md
    ");
    check!(env.haul(["upload", "-r", "docs", "--include", "[", "--fields", "name"]), @r#"
    status 2
    --- err
    error: "[" is not a glob: unclosed character class; missing ']'
    "#);
}

#[test]
fn a_link_that_leads_back_ends() {
    let env = TestEnv::new();
    env.write("docs/sub/a.md", "");
    symlink("..", env.work().join("docs/sub/up")).unwrap();
    check!(env.haul(["upload", "-r", "docs", "--follow", "--fields", "name"]), @"
    status 0
    --- out
    sub/a.md
    --- err
    docs/sub/up: leads back to docs, skipped
    ");
}

#[test]
fn a_link_as_argument_is_the_file_it_leads_to() {
    let env = TestEnv::new();
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
fn pipes_and_devices_are_refused_at_once() {
    let env = TestEnv::new();
    env.run(env.program("mkfifo").arg("pipe")).ok();
    check!(env.haul(["upload", "pipe"]), @"
    status 2
    --- err
    error: pipe: is a pipe or a device, not a file
    hint: `haul upload - --name NAME < pipe`
    ");
    for special in ["/dev/zero", "/dev/null", "/dev/stdin"] {
        env.haul(["upload", special]).fails(2);
        env.haul(["upload", special, "--name", "x"]).fails(2);
    }
    assert!(env.ids().is_empty());
}

#[test]
fn standard_input_needs_a_name() {
    let env = TestEnv::new();
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
    error: --name <NAME>: needs a value
    hint: `haul upload --help` shows how
    ");
    check!(env.haul(["upload", "-", "x", "--name", "y"]), @"
    status 2
    --- err
    error: --name is for one file
    ");
}

#[test]
fn lists_of_paths() {
    let env = TestEnv::new();
    env.write("a.txt", "");
    env.write("b\nc.txt", "");
    env.write("list", "a.txt\r\n\nnope\n");
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
fn metadata_is_json_where_it_parses() {
    let env = TestEnv::new();
    env.write("a.txt", "");
    env.write("good.json", r#"{"k": [1, null], "n": 2}"#);
    env.write("list.json", "[1]");
    env.write("cut.json", "{");
    let upload =
        |word: &str| env.haul(["upload", "a.txt", "-m", "n=1", "--metadata", word, "--fields", "metadata"]);
    check!(upload("s=some text"), @r#"
    status 0
    --- out
    {"n":1,"s":"some text"}
    "#);
    check!(upload("e="), @r#"
    status 0
    --- out
    {"n":1,"e":""}
    "#);
    check!(upload(r#"q="1""#), @r#"
    status 0
    --- out
    {"n":1,"q":"1"}
    "#);
    check!(upload("x=a=b"), @r#"
    status 0
    --- out
    {"n":1,"x":"a=b"}
    "#);
    check!(upload("@good.json"), @r#"
    status 0
    --- out
    {"n":2,"k":[1,null]}
    "#);
    check!(upload("@list.json"), @"
    status 2
    --- err
    error: list.json: not a JSON object
    caused by: invalid type: sequence, expected a map at line 1 column 0
    ");
    check!(upload("@cut.json"), @"
    status 2
    --- err
    error: cut.json: not a JSON object
    caused by: EOF while parsing an object at line 1 column 1
    ");
    check!(upload("@nope.json"), @"
    status 3
    --- err
    error: nope.json: no such file or directory
    ");
    check!(upload("author"), @r#"
    status 2
    --- err
    error: "author": neither KEY=VALUE nor @FILE
    hint: write it like `author=hegel`
    "#);
    check!(upload("=x"), @r#"
    status 2
    --- err
    error: "=x": neither KEY=VALUE nor @FILE
    hint: write it like `author=hegel`
    "#);
}

#[test]
fn lifetimes() {
    let env = TestEnv::new();
    env.write("a.txt", "");
    let upload = |time: &str| env.haul(["upload", "a.txt", "--expires", time, "--fields", "expires_at"]);
    check!(upload("24h"), @"
    status 0
    --- out
    2026-03-02T12:00:00Z
    ");
    check!(upload("1d12h"), @"
    status 0
    --- out
    2026-03-03T00:00:01Z
    ");
    for wrong in ["0s", "-1h", "soon", "", "1month", "10"] {
        upload(wrong).fails(2);
    }
    check!(upload("0s"), @"
    status 2
    --- err
    error: --expires 0s: it would be over before it begins
    hint: write `24h` or `7d`
    ");
    check!(upload("-1h"), @"
    status 2
    --- err
    error: --expires -1h: it would be over before it begins
    hint: write `24h` or `7d`
    ");
    check!(upload("soon"), @"
    status 2
    --- err
    error: --expires soon: not a length of time
    hint: write `24h` or `7d`
    ");
    check!(upload("99999999d"), @"
    status 2
    --- err
    error: --expires 99999999d: not a length of time
    hint: write `24h` or `7d`
    ");
}

#[test]
fn a_file_is_gone_when_its_time_is_over() {
    let mut env = TestEnv::new();
    env.write("a.txt", "");
    env.haul(["upload", "a.txt", "--expires", "1h"]).ok();
    assert_eq!(env.ids().len(), 1);
    env.set("HAUL_NOW", "2026-03-01T13:30:00Z");
    assert!(env.ids().is_empty());
    env.haul(["get", "a.txt", "-o", "b.txt"]).fails(3);
}

#[test]
fn what_is_there_already() {
    let env = TestEnv::with_files(&["a.txt"]);
    let old = env.ids();
    let upload = |what: &str| env.haul(["upload", "a.txt", "--if-exists", what, "--fields", "id,name"]);
    check!(upload("skip"), @"
    status 0
    --- out
    [id]............	a.txt
    --- err
    a.txt: reused [id]............
    ");
    check!(upload("fail"), @"
    status 1
    --- err
    error: a.txt exists already: [id]............
    ");
    check!(upload("replace"), @"
    status 0
    --- out
    [id]............	a.txt
    --- err
    a.txt: replaced, now [id]............
    ");
    assert_eq!(env.ids(), old);
    env.write("a.txt", "other");
    upload("skip").ok();
    assert_eq!(env.ids().len(), 2);
    check!(upload("nonsense"), @r#"
    status 2
    --- err
    error: --if-exists <WHAT>: "nonsense" is not one of its values
    hint: values: upload, skip, replace, fail
    hint: `haul upload --help` shows how
    "#);
}

#[test]
fn new_content_for_a_file_keeps_its_id_and_name() {
    let env = TestEnv::with_files(&["a.txt"]);
    let old = env.ids();
    env.write("b.txt", "longer content");
    check!(env.haul(["upload", "b.txt", "--to", "a.txt", "--fields", "name,size"]), @"
    status 0
    --- out
    a.txt	14
    --- err
    a.txt: replaced, now [id]............
    ");
    check!(env.haul(["upload", "b.txt", "--to", "nope"]), @"
    status 3
    --- err
    error: nope: no file on local has this id or name
    hint: `haul ls -p local` lists what is there
    ");
    check!(env.haul(["upload", "a.txt", "b.txt", "--to", "a.txt"]), @"
    status 2
    --- err
    error: --to is for one file
    ");
    assert_eq!(env.ids(), old);
    assert_eq!(env.haul(["get", "a.txt", "-o", "-"]).ok().out, b"longer content");
}

#[test]
fn words_that_describe_it() {
    let env = TestEnv::new();
    env.write("a", "");
    let run =
        env.haul(["upload", "a", "--type", "text/x", "--purpose", "tests", "--name", "n.bin", "--json"]);
    let row = &run.ok().json()[0];
    assert_eq!(
        (&row["content_type"], &row["purpose"], &row["name"], &row["provider"], &row["profile"]),
        (&json!("text/x"), &json!("tests"), &json!("n.bin"), &json!("local"), &json!("local"))
    );
    check!(env.haul(["upload", "a", "a", "--name", "x"]), @"
    status 2
    --- err
    error: --name is for one file
    ");
    check!(env.haul(["upload", "a", "--together"]), @"
    status 5
    --- err
    error: local takes one file a request
    hint: leave out `--together`
    hint: providers that can: activeloop
    ");
}

#[test]
fn unreadable_files_and_folders() {
    let env = TestEnv::new();
    fs::set_permissions(env.root(), fs::Permissions::from_mode(0o777)).unwrap();
    for folder in [env.home(), env.work(), env.work().join("docs/closed")] {
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
    }
    env.write("docs/open.txt", "");
    fs::set_permissions(env.write("docs/secret.txt", "x"), fs::Permissions::from_mode(0o000)).unwrap();
    fs::set_permissions(env.work().join("docs/closed"), fs::Permissions::from_mode(0o000)).unwrap();
    check!(env.run(&mut env.nobody(&["upload", "docs/secret.txt"])), @"
    status 1
    --- err
    error: docs/secret.txt: cannot open
    caused by: Permission denied (os error 13)
    ");
    check!(env.run(&mut env.nobody(&["upload", "-r", "docs", "--fields", "name"])).sorted(), @"
    status 1
    --- out
    open.txt
    --- err
    1 uploaded, 2 failed
    caused by: Permission denied (os error 13)
    caused by: permission denied
    error: docs/closed: cannot read the folder
    error: docs/secret.txt: cannot open
    ");
    check!(env.run(&mut env.nobody(&["ls", "--fields", "name"])), @"
    status 0
    --- out
    open.txt
    ");
}

#[test]
fn a_full_disk_leaves_nothing_half_written() {
    let env = TestEnv::with_files(&["small.txt"]);
    env.write("big.bin", vec![1; 3 << 20]);
    // A write beyond the limit fails like one to a full disk, once the signal for it is ignored.
    let run = env.shell("trap '' XFSZ; ulimit -f 1024; haul upload big.bin");
    check!(run, @"
    status 1
    --- err
    error: big.bin: cannot be written to the store
    caused by: File too large (os error 27)
    ");
    assert_eq!(env.ids().len(), 1);
    let left = fs::read_dir(env.store().join("incoming")).unwrap().count();
    assert_eq!(left, 0);
    env.haul(["upload", "big.bin"]).ok();
    assert_eq!(env.ids().len(), 2);
}

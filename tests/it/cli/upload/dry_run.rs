//! `--dry-run` prints what would be uploaded and sends nothing.

use crate::check;
use crate::support::sandbox::Sandbox;

#[test]
fn each_file_to_upload_has_a_row() {
    let env = Sandbox::new();
    env.write("docs/a.txt", "a");
    env.write("docs/sub/b.pdf", "bb");
    check!(env.haul(["upload", "-n", "docs/a.txt"]), @"
    status 0
    --- out
    	a.txt	1	text/plain		
    --- err
    dry run: nothing uploaded
    ");
    let run = env.haul(["upload", "-n", "-r", "docs", "-m", "k=v", "--expires", "1h", "--json"]).ok();
    let mut rows = run.json();
    rows.sort_by_key(|row| row["name"].to_string());
    let told: Vec<_> = rows.iter().map(|row| (row["name"].as_str().unwrap(), &row["size"])).collect();
    assert_eq!(told, [("a.txt", &1.into()), ("sub/b.pdf", &2.into())]);
    for row in &rows {
        assert!(row["id"].is_null(), "{row}");
        assert_eq!(row["metadata"]["k"], "v");
        assert_eq!(row["expires_at"], "2026-03-01T13:00:01Z");
    }
    check!(env.haul(["upload", "-n", "nope", "docs/a.txt", "--jsonl", "--fields", "id,name"]), @r#"
    status 3
    --- out
    {"id":null,"name":"a.txt"}
    --- err
    {"error":{"kind":"not_found","exit_code":3,"message":"nope: no such file or directory","details":[],"hints":[],"request_id":null,"ref":"nope"}}
    {"note":"1 would be uploaded, 1 failed"}
    "#);
    check!(env.haul(["upload", "-n", "docs/a.txt", "--ids"]), @"
    status 2
    --- err
    error: --dry-run cannot be used with --ids
    hint: see `haul upload --help`
    ");
    assert!(env.ids().is_empty());
}

#[test]
fn existing_files_are_reported() {
    let env = Sandbox::with_files(&["a.txt"]);
    let dry = |words: &[&str]| env.haul([&["upload", "-n", "a.txt", "--fields", "id,name"], words].concat());
    check!(dry(&["--if-exists", "skip"]), @"
    status 0
    --- out
    [id]............	a.txt
    --- err
    a.txt: would reuse [id]............
    dry run: nothing uploaded
    ");
    check!(dry(&["--if-exists", "replace"]), @"
    status 0
    --- out
    	a.txt
    --- err
    a.txt: would replace [id]............
    dry run: nothing uploaded
    ");
    check!(dry(&["--if-exists", "fail"]), @"
    status 1
    --- err
    error: a.txt already exists: [id]............
    ");
    check!(dry(&["--to", "a.txt"]), @"
    status 0
    --- out
    	a.txt
    --- err
    a.txt: would replace [id]............
    dry run: nothing uploaded
    ");
    env.write("a.txt", "other");
    check!(dry(&["--if-exists", "skip"]), @"
    status 0
    --- out
    	a.txt
    --- err
    dry run: nothing uploaded
    ");
    assert_eq!(env.haul(["get", "a.txt", "-o", "-"]).ok().out, b"a.txt");
}

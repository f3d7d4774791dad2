//! Attributes of uploaded files, and files that already exist.

use serde_json::json;

use crate::check;
use crate::platforms::without_able;
use crate::support::sandbox::Sandbox;

#[test]
fn metadata_values_are_parsed_as_json_if_valid() {
    let env = Sandbox::new().with_var("HAUL_LEDGER", "off");
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
    hint: example: `author=hegel`
    "#);
    check!(upload("=x"), @r#"
    status 2
    --- err
    error: "=x": neither KEY=VALUE nor @FILE
    hint: example: `author=hegel`
    "#);
}

#[test]
fn lifetimes() {
    let env = Sandbox::new().with_var("HAUL_LEDGER", "off");
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
    error: --expires 0s: must be positive
    hint: write `24h` or `7d`
    ");
    check!(upload("-1h"), @"
    status 2
    --- err
    error: --expires -1h: must be positive
    hint: write `24h` or `7d`
    ");
    check!(upload("soon"), @"
    status 2
    --- err
    error: --expires soon: invalid duration
    hint: write `24h` or `7d`
    ");
    check!(upload("99999999d"), @"
    status 2
    --- err
    error: --expires 99999999d: invalid duration
    hint: write `24h` or `7d`
    ");
}

#[test]
fn a_file_disappears_when_it_expires() {
    let mut env = Sandbox::new();
    env.write("a.txt", "");
    env.haul(["upload", "a.txt", "--expires", "1h"]).ok();
    assert_eq!(env.ids().len(), 1);
    env.set("HAUL_NOW", "2026-03-01T13:30:00Z");
    assert!(env.ids().is_empty());
    env.haul(["get", "a.txt", "-o", "b.txt"]).fails(3);
}

#[test]
fn existing_files() {
    let env = Sandbox::with_files(&["a.txt"]);
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
    error: a.txt already exists: [id]............
    ");
    check!(upload("replace"), @"
    status 0
    --- out
    [id]............	a.txt
    --- err
    a.txt: content replaced
    ");
    assert_eq!(env.ids(), old);
    env.write("a.txt", "other");
    upload("skip").ok();
    assert_eq!(env.ids().len(), 2);
    check!(upload("nonsense"), @r#"
    status 2
    --- err
    error: --if-exists <WHAT>: invalid value "nonsense"
    hint: possible values: upload, skip, update, replace, fail
    hint: see `haul upload --help`
    "#);
}

#[test]
fn new_content_keeps_the_id_and_name() {
    let env = Sandbox::with_files(&["a.txt"]);
    let old = env.ids();
    env.write("b.txt", "longer content");
    check!(env.haul(["upload", "b.txt", "--to", "a.txt", "--fields", "name,size"]), @"
    status 0
    --- out
    a.txt	14
    --- err
    a.txt: content replaced
    ");
    check!(env.haul(["upload", "b.txt", "--to", "nope"]), @"
    status 3
    --- err
    error: nope: no file with this id or name on local
    hint: to list the files: `haul ls -p local`
    ");
    check!(env.haul(["upload", "a.txt", "b.txt", "--to", "a.txt"]), @"
    status 2
    --- err
    error: --to can be used with only one file
    ");
    assert_eq!(env.ids(), old);
    assert_eq!(env.haul(["get", "a.txt", "-o", "-"]).ok().out, b"longer content");
}

#[test]
fn options_set_the_attributes_of_a_file() {
    let env = Sandbox::new();
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
    error: --name can be used with only one file
    ");
    let run = env.haul(["upload", "a", "--together"]);
    check!(without_able(&run, "local", |can| can.upload.files_per_request > 1), @"
    status 5
    --- err
    error: local accepts one file per request
    hint: remove `--together`
    hint: supported by: [platforms]
    ");
}

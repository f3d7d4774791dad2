//! `haul meta`

use crate::check;
use crate::platforms::without_able;
use crate::support::sandbox::Sandbox;

#[test]
fn get_set_unset_and_replace() {
    let env = Sandbox::with_files(&["a.txt"]);
    let meta = |arguments: &[&str]| env.haul([&["meta"], arguments, &["--fields", "metadata"]].concat());
    check!(meta(&["get", "a.txt"]), @"
    status 0
    --- out
    {}
    ");
    check!(meta(&["set", "a.txt", "author=hegel", "year=1807", r#"tags=["a","b"]"#, "note="]), @r#"
    status 0
    --- out
    {"author":"hegel","year":1807,"tags":["a","b"],"note":""}
    "#);
    check!(meta(&["get", "a.txt"]), @r#"
    status 0
    --- out
    {"author":"hegel","year":1807,"tags":["a","b"],"note":""}
    "#);
    check!(meta(&["unset", "a.txt", "note", "never"]), @r#"
    status 0
    --- out
    {"author":"hegel","year":1807,"tags":["a","b"]}
    "#);
    check!(meta(&["set", "a.txt", "year=null"]), @r#"
    status 0
    --- out
    {"author":"hegel","year":null,"tags":["a","b"]}
    "#);
    check!(meta(&["set", "a.txt", "--replace", "only=this"]), @r#"
    status 0
    --- out
    {"only":"this"}
    "#);
    env.write("m.json", r#"{"from": "file"}"#);
    check!(meta(&["set", "a.txt", "@m.json"]), @r#"
    status 0
    --- out
    {"only":"this","from":"file"}
    "#);
    check!(meta(&["set", "a.txt", "--replace"]), @"
    status 0
    --- out
    {}
    ");
    check!(env.haul(["meta", "get", "a.txt"]), @"
    status 0
    --- out
    [id]............	a.txt	{}
    ");
    check!(env.haul(["meta", "get", "a.txt", "--json", "--fields", "name,metadata"]), @r#"
    status 0
    --- out
    [
    {"name":"a.txt","metadata":{}}
    ]
    "#);
}

#[test]
fn name_type_and_path() {
    let env = Sandbox::with_files(&["a.txt"]);
    let set = |arguments: &[&str]| {
        env.haul([&["meta", "set"], arguments, &["--fields", "name,content_type,path,updated_at"]].concat())
    };
    check!(set(&["a.txt", "--name", "b.txt"]), @"
    status 0
    --- out
    b.txt	text/plain		2026-03-01T12:00:01Z
    ");
    check!(set(&["b.txt", "--type", "text/x", "--path", "docs/2026"]), @"
    status 0
    --- out
    b.txt	text/x	docs/2026	2026-03-01T12:00:02Z
    ");
    check!(set(&["b.txt", "--path", ""]), @"
    status 0
    --- out
    b.txt	text/x		2026-03-01T12:00:03Z
    ");
    check!(set(&["b.txt", "--name", ""]), @"
    status 2
    --- err
    error: --name <NAME> requires a value
    hint: see `haul meta set --help`
    ");
}

#[test]
fn what_goes_wrong() {
    let env = Sandbox::with_files(&["a.txt"]);
    check!(env.haul(["meta"]), @"
    status 2
    --- err
    Show and change metadata

    Usage: haul meta [OPTIONS] <COMMAND>

    Commands:
      get    Show a file's metadata
      set    Set metadata keys, or a file's name, type or path
      unset  Remove metadata keys from a file

    Options:
      -h, --help  Print help (see more with '--help')

    Profile:
      -p, --profile <NAME>   Use this profile; each platform's name is a built-in profile
          --set <KEY=VALUE>  Set a platform setting, such as a workspace or a team

    Output:
          --json            Print a JSON array
          --jsonl           Print one JSON object per line
          --jq <EXPR>       Run a jq program on the JSON and print its results
          --fields <A,B,C>  Print only these fields, in this order
      -q, --quiet           Print only data, warnings and errors
      -v, --verbose...      Print more details; -vv shows each request
    ");
    check!(env.haul(["meta", "sett"]), @"
    status 2
    --- err
    error: unrecognized subcommand 'sett'
    hint: did you mean `haul meta set`?
    hint: see `haul meta --help`
    ");
    check!(env.haul(["meta", "set", "a.txt"]), @"
    status 2
    --- err
    error: missing argument KEY=VALUE|@FILE
    hint: example: `haul meta set report.pdf author=hegel year=1807`
    hint: see `haul meta set --help`
    ");
    check!(env.haul(["meta", "set", "a.txt", "author"]), @r#"
    status 2
    --- err
    error: "author": neither KEY=VALUE nor @FILE
    hint: example: `author=hegel`
    "#);
    check!(env.haul(["meta", "set", "nope", "a=b"]), @"
    status 3
    --- err
    error: nope: no file with this id or name on local
    hint: to list the files: `haul ls -p local`
    ");
    check!(env.haul(["meta", "unset", "a.txt"]), @"
    status 2
    --- err
    error: missing argument KEY
    hint: example: `haul meta unset report.pdf draft reviewer`
    hint: see `haul meta unset --help`
    ");
    check!(env.haul(["meta", "get", "nope", "--json"]), @r#"
    status 3
    --- out
    []
    --- err
    {"error":{"kind":"not_found","exit_code":3,"message":"nope: no file with this id or name on local","details":[],"hints":["to list the files: `haul ls -p local`"],"request_id":null,"ref":"nope"}}
    "#);
    let run = env.haul(["meta", "set", "replicate:x", "a=b"]);
    check!(without_able(&run, "replicate", |can| can.annotate.is_some()), @"
    status 5
    --- err
    error: replicate cannot change a file's metadata
    hint: to upload the file again with other metadata: `haul upload -p replicate FILE --metadata KEY=VALUE`
    hint: supported by: [platforms]
    ");
    check!(env.haul(["meta", "set", "metorial:x", "author=b", "--json"]), @r#"
    status 5
    --- out
    []
    --- err
    {"error":{"kind":"unsupported","exit_code":5,"message":"metorial does not support the metadata key \"author\"","details":[],"hints":["keys: title"],"request_id":null,"ref":"metorial:x"}}
    "#);
}

//! `haul meta`

use crate::check;
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
    error: --name <NAME>: needs a value
    hint: `haul meta set --help` shows how
    ");
}

#[test]
fn what_goes_wrong() {
    let env = Sandbox::with_files(&["a.txt"]);
    check!(env.haul(["meta"]), @"
    status 2
    --- err
    Read and change metadata

    Usage: haul meta [OPTIONS] <COMMAND>

    Commands:
      get    Show a file's metadata
      set    Set keys of a file's metadata, or its name, type or path
      unset  Remove keys from a file's metadata

    Options:
      -h, --help  Print help (see more with '--help')

    Profile:
      -p, --profile <NAME>   Use this profile; a provider's name is a ready-made one
          --set <KEY=VALUE>  Give the platform a setting, such as a workspace or a team

    Output:
          --json            Print one JSON array
          --jsonl           Print one JSON object a line
          --fields <A,B,C>  Print these fields, in this order
      -q, --quiet           Say nothing but data and errors
      -v, --verbose...      Say more; -vv shows each request
    ");
    check!(env.haul(["meta", "sett"]), @"
    status 2
    --- err
    error: sett: no command is called this
    hint: did you mean `haul meta set`?
    hint: `haul meta --help` shows how
    ");
    check!(env.haul(["meta", "set", "a.txt"]), @"
    status 2
    --- err
    error: KEY=VALUE|@FILE: not given
    hint: write it like `haul meta set report.pdf author=hegel year=1807`
    hint: `haul meta set --help` shows how
    ");
    check!(env.haul(["meta", "set", "a.txt", "author"]), @r#"
    status 2
    --- err
    error: "author": neither KEY=VALUE nor @FILE
    hint: write it like `author=hegel`
    "#);
    check!(env.haul(["meta", "set", "nope", "a=b"]), @"
    status 3
    --- err
    error: nope: no file on local has this id or name
    hint: `haul ls -p local` lists what is there
    ");
    check!(env.haul(["meta", "unset", "a.txt"]), @"
    status 2
    --- err
    error: KEY: not given
    hint: write it like `haul meta unset report.pdf draft reviewer`
    hint: `haul meta unset --help` shows how
    ");
    check!(env.haul(["meta", "get", "nope", "--json"]), @r#"
    status 3
    --- out
    []
    --- err
    {"error":{"kind":"not_found","exit_code":3,"message":"nope: no file on local has this id or name","details":[],"hints":["`haul ls -p local` lists what is there"],"request_id":null,"ref":"nope"}}
    "#);
    check!(env.haul(["meta", "set", "replicate:x", "a=b"]), @"
    status 5
    --- err
    error: replicate cannot change a file's metadata
    hint: upload the file again with other metadata
    hint: providers that can: local, activeloop, metorial, xai
    ");
    check!(env.haul(["meta", "set", "metorial:x", "author=b", "--json"]), @r#"
    status 5
    --- out
    []
    --- err
    {"error":{"kind":"unsupported","exit_code":5,"message":"metorial has no place for the metadata key \"author\"","details":[],"hints":["keys: title"],"request_id":null,"ref":"metorial:x"}}
    "#);
}

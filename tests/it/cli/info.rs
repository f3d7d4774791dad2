//! `haul info`, and references to files on the command line.

use crate::check;
use crate::support::sandbox::Sandbox;

#[test]
fn every_field_is_shown() {
    let env = Sandbox::with_files(&["a.txt"]);
    check!(env.haul(["info", "a.txt"]), @r#"
    status 0
    --- out
    provider	local
    profile	local
    id	[id]............
    name	a.txt
    size	5
    content_type	text/plain
    purpose	
    path	
    status	
    created_at	2026-03-01T12:00:00Z
    updated_at	
    expires_at	
    checksums	{"blake3":"0c1b1bc9896253c19131abb26e3b1342f8ea0fb3148a5dcbe06ebe141831a5d5","sha256":"18b7cb099a9ea3f50ba899b5ba81e0d377a5f3b16f8f6eeb8b3e58cd4692b993"}
    metadata	{}
    downloadable	true
    url	
    extra	{}
    "#);
    check!(env.haul(["info", "a.txt", "--json"]), @r#"
    status 0
    --- out
    [
    {"provider":"local","profile":"local","id":"[id]............","name":"a.txt","size":5,"content_type":"text/plain","purpose":null,"path":null,"status":null,"created_at":"2026-03-01T12:00:00Z","updated_at":null,"expires_at":null,"checksums":{"blake3":"0c1b1bc9896253c19131abb26e3b1342f8ea0fb3148a5dcbe06ebe141831a5d5","sha256":"18b7cb099a9ea3f50ba899b5ba81e0d377a5f3b16f8f6eeb8b3e58cd4692b993"},"metadata":{},"downloadable":true,"url":null,"extra":{}}
    ]
    "#);
    check!(env.haul(["show", "a.txt", "--ids"]), @"
    status 0
    --- out
    [id]............
    ");
    check!(env.haul(["info", "a.txt", "--fields", "checksums.sha256,extra,path"]), @"
    status 0
    --- out
    18b7cb099a9ea3f50ba899b5ba81e0d377a5f3b16f8f6eeb8b3e58cd4692b993	{}
    ");
    check!(env.haul(["info"]), @"
    status 2
    --- err
    error: missing argument REF
    hint: example: `haul info report.pdf`
    hint: see `haul info --help`
    ");
}

#[test]
fn some_files_exist_and_others_do_not() {
    let env = Sandbox::with_files(&["report.pdf"]);
    check!(env.haul(["info", "report.pdf", "nope", "--fields", "name"]), @"
    status 3
    --- out
    report.pdf
    --- err
    error: nope: no file with this id or name on local
    hint: to list the files: `haul ls -p local`
    1 shown, 1 failed
    ");
    check!(env.haul(["info", "reprot.pdf"]), @"
    status 3
    --- err
    error: reprot.pdf: no file with this id or name on local
    hint: did you mean `report.pdf`?
    hint: to list the files: `haul ls -p local`
    ");
    check!(env.haul(["info", "nope", "nada", "--json"]), @r#"
    status 3
    --- out
    []
    --- err
    {"error":{"kind":"not_found","exit_code":3,"message":"nope: no file with this id or name on local","details":[],"hints":["to list the files: `haul ls -p local`"],"request_id":null,"ref":"nope"}}
    {"error":{"kind":"not_found","exit_code":3,"message":"nada: no file with this id or name on local","details":[],"hints":["to list the files: `haul ls -p local`"],"request_id":null,"ref":"nada"}}
    {"note":"2 failed"}
    "#);
    check!(env.haul(["info", "*.txt", "--json"]), @r#"
    status 3
    --- out
    []
    --- err
    {"error":{"kind":"not_found","exit_code":3,"message":"*.txt: no file on local matches","details":[],"hints":["to list the files: `haul ls -p local`"],"request_id":null,"ref":"*.txt"}}
    "#);
}

#[test]
fn ids_names_and_profiles() {
    let env = Sandbox::with_files(&["a.txt"]);
    let id = env.ids().remove(0);
    for good in [id.clone(), format!("id:{id}"), format!("local:{id}"), format!("local:id:{id}")] {
        env.haul(["info", &good, "--fields", "name"]).ok();
    }
    env.haul(["info", "name:a.txt", "--fields", "name"]).ok();
    env.haul(["info", "local:name:a.txt", "--fields", "name"]).ok();
    check!(env.haul(["info", "id:a.txt"]), @"
    status 3
    --- err
    error: a.txt: no such file
    hint: to list the files: `haul ls -p local`
    ");
    env.haul(["info", &format!("name:{id}")]).fails(3);
    check!(env.haul(["info", "elsewhere:a.txt"]), @"
    status 3
    --- err
    error: elsewhere:a.txt: no file with this id or name on local
    hint: to list the files: `haul ls -p local`
    ");
    check!(env.haul(["info", ""]), @r#"
    status 2
    --- err
    error: "": not a file reference
    hint: list the files with `haul ls`; if the reference comes from a variable, check whether it is empty
    "#);
    check!(env.haul(["info", "local:"]), @r#"
    status 2
    --- err
    error: "local:": not a file reference
    hint: list the files with `haul ls`; if the reference comes from a variable, check whether it is empty
    "#);
}

#[test]
fn an_ambiguous_name() {
    let env = Sandbox::with_files(&["a.txt", "a.txt"]);
    check!(env.haul(["info", "a.txt"]), @"
    status 2
    --- err
    error: a.txt: 2 files have this name
      [id]............, 5 bytes, created 2026-03-01T12:00:01Z
      [id]............, 5 bytes, created 2026-03-01T12:00:00Z
    hint: select one by its id, or the newest with `--latest`
    ");
    check!(env.haul(["info", "a.txt", "--latest", "--fields", "name,created_at"]), @"
    status 0
    --- out
    a.txt	2026-03-01T12:00:01Z
    ");
    check!(env.haul(["info", "name:a.txt", "--json"]), @r#"
    status 2
    --- out
    []
    --- err
    {"error":{"kind":"usage","exit_code":2,"message":"a.txt: 2 files have this name","details":["[id]............, 5 bytes, created 2026-03-01T12:00:01Z","[id]............, 5 bytes, created 2026-03-01T12:00:00Z"],"hints":["select one by its id, or the newest with `--latest`"],"request_id":null,"ref":"name:a.txt"}}
    "#);
}

#[test]
fn a_name_that_contains_a_star() {
    let env = Sandbox::with_files(&["a*.txt", "ab.txt", "my-name:x*y"]);
    check!(env.haul(["info", "a*.txt", "--fields", "name"]).sorted(), @"
    status 0
    --- out
    a*.txt
    ab.txt
    ");
    check!(env.haul(["info", "name:a*.txt", "--fields", "name"]), @"
    status 0
    --- out
    a*.txt
    ");
    check!(env.haul(["info", "my-name:x*", "--fields", "name"]), @"
    status 0
    --- out
    my-name:x*y
    ");
    check!(env.haul(["info", "--filter", "size < 7", "--fields", "name"]).sorted(), @"
    status 0
    --- out
    a*.txt
    ab.txt
    ");
    check!(env.haul(["info", "ab.txt", "--filter", "size > 100", "--fields", "name"]), @"
    status 0
    --- err
    ab.txt: skipped, does not match the filter
    ");
    check!(env.haul(["info", "ab.txt", "--filter", "size > 1", "--fields", "name"]), @"
    status 0
    --- out
    ab.txt
    ");
}

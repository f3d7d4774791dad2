//! `haul rm`

use serde_json::json;

use crate::check;
use crate::support::sandbox::Sandbox;
use crate::support::terminal::On;

#[test]
fn one_several_and_missing() {
    let env = Sandbox::with_files(&["a", "b", "c", "d"]);
    check!(env.haul(["rm", "a"]), @"
    status 0
    --- out
    [id]............	a	1	true
    ");
    check!(env.haul(["rm", "a"]), @"
    status 3
    --- err
    error: a: no file with this id or name on local
    hint: a local file has this name; to match files on local, quote the pattern: `'*'`
    hint: to list the files: `haul ls -p local`
    ");
    // The shell does not expand a reference with a prefix.
    for reference in ["local:a", "name:a"] {
        let hints = env.haul(["rm", reference, "--json"]).fails(3).errors()[0]["error"]["hints"].clone();
        assert_eq!(hints, json!(["to list the files: `haul ls -p local`"]), "{reference}");
    }
    check!(env.haul(["rm", "b", "nope", "b"]), @"
    status 3
    --- out
    [id]............	b	1	true
    --- err
    error: nope: no file with this id or name on local
    hint: to list the files: `haul ls -p local`
    1 deleted, 1 failed
    ");
    check!(env.haul(["rm", "c", "--ids", "--json"]), @r#"
    status 0
    --- out
    [
    {"id":"[id]............"}
    ]
    "#);
    check!(env.haul(["rm", "d", "-q", "--json", "--fields", "name,deleted"]), @r#"
    status 0
    --- out
    [
    {"name":"d","deleted":true}
    ]
    "#);
    assert!(env.ids().is_empty());
}

#[test]
fn without_a_terminal_a_pattern_needs_yes() {
    let env = Sandbox::with_files(&["a.txt", "b.txt", "c.pdf"]);
    check!(env.haul(["rm", "*.txt"]), @"
    status 2
    --- err
    error: 2 files matched, nothing deleted
    hint: add `--yes` to confirm, or `--dry-run` to see the files
    ");
    check!(env.haul(["rm", "local:*.txt"]), @"
    status 2
    --- err
    error: 2 files matched, nothing deleted
    hint: add `--yes` to confirm, or `--dry-run` to see the files
    ");
    check!(env.haul(["rm", "--filter", "size > 0", "--json"]), @r#"
    status 2
    --- out
    []
    --- err
    {"error":{"kind":"usage","exit_code":2,"message":"3 files matched, nothing deleted","details":[],"hints":["add `--yes` to confirm, or `--dry-run` to see the files"],"request_id":null,"ref":null}}
    "#);
    check!(env.haul(["rm", "*.txt", "--dry-run", "--fields", "name,deleted"]).sorted(), @"
    status 0
    --- out
    a.txt	false
    b.txt	false
    --- err
    dry run: nothing deleted; 2 would be deleted
    ");
    assert_eq!(env.ids().len(), 3);
    check!(env.haul(["rm", "*.txt", "--yes", "--fields", "name,deleted"]).sorted(), @"
    status 0
    --- out
    a.txt	true
    b.txt	true
    --- err
    2 deleted
    ");
    check!(env.haul(["rm", "*.txt", "--yes"]), @"
    status 3
    --- err
    error: *.txt: no file on local matches
    hint: to list the files: `haul ls -p local`
    ");
    check!(env.haul(["rm", "--filter", "size >", "--yes"]), @r#"
    status 2
    --- err
    error: filter, column 7: expected a value for `size`
      size >
            ^
    hint: quote a value that is empty or an operator: `""`, `"AND"`
    "#);
    check!(env.haul(["rm", "c.pdf", "--filter", "size > 1kB", "--yes"]), @"
    status 0
    --- err
    c.pdf: skipped, does not match the filter
    ");
    check!(env.haul(["rm", "--yes"]), @"
    status 2
    --- err
    error: missing argument REF
    hint: example: `haul rm report.pdf`
    hint: see `haul rm --help`
    ");
    check!(env.haul(["rm", "", "--yes"]), @r#"
    status 2
    --- err
    error: "": not a file reference
    hint: list the files with `haul ls`; if the reference comes from a variable, check whether it is empty
    "#);
    assert_eq!(env.ids().len(), 1);
}

#[test]
fn on_a_terminal_it_asks_before_deleting_several() {
    let env = Sandbox::with_files(&["a.txt", "b.txt", "c.txt"]);
    check!(env.terminal(80, "n\n", &["rm", "*.txt"]), @"
    status 1
    --- out
      [id]............  c.txt
      [id]............  b.txt
      [id]............  a.txt
    delete 3 files (15 B) from local? [y/N] nothing deleted
    ");
    check!(env.terminal(80, "\u{4}", &["rm", "a.txt", "b.txt"]), @"
    status 1
    --- out
      [id]............  a.txt
      [id]............  b.txt
    delete 2 files (10 B) from local? [y/N] 
    nothing deleted
    ");
    check!(env.terminal(80, "", &["rm", "a.txt"]), @"
    status 0
    --- out
    ␛[1mID␛[0m                ␛[1mNAME␛[0m   ␛[1mSIZE␛[0m  ␛[1mDELETED␛[0m
    [id]............  a.txt   5 B  yes
    ");
    check!(env.terminal(80, "yes\n", &["rm", "b.txt", "c.txt", "-q", "--ids"]), @"
    status 0
    --- out
    delete 2 files (10 B) from local? [y/N] ␛[1mID␛[0m
    [id]............
    [id]............
    ");
    assert!(env.ids().is_empty());
}

#[test]
fn the_question_goes_to_the_terminal_and_the_rows_to_the_pipe() {
    let env = Sandbox::with_files(&["a.txt"]);
    let mut command = env.command();
    command.args(["rm", "*", "--fields", "name"]);
    check!(env.terminal_of(command, 80, "y\n", On::Err), @"
    status 0
    --- out
    a.txt
    --- err
      [id]............  a.txt
    delete 1 file (5 B) from local? [y/N]
    ");
}

#[test]
fn there_is_no_question_in_ci() {
    let mut env = Sandbox::with_files(&["a.txt"]);
    env.set("CI", "1");
    check!(env.terminal(80, "y\n", &["rm", "*"]), @"
    status 2
    --- out
    ␛[1;31merror:␛[0m 1 file matched, nothing deleted
    ␛[1;36mhint:␛[0m add `--yes` to confirm, or `--dry-run` to see the files
    ");
    assert_eq!(env.ids().len(), 1);
}

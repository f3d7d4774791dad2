//! `--json` always prints one array and `--jsonl` one object per line, with errors as objects on stderr.

use haul::providers::REGISTRY;
use serde_json::Value;

use crate::support::sandbox::Sandbox;

/// Commands that succeed or fail, with their exit status and number of rows.
const COMMANDS: &[(&[&str], i32, usize)] = &[
    (&["upload", "a.txt"], 0, 1),
    (&["upload", "a.txt", "b.txt"], 0, 2),
    (&["upload", "nope"], 3, 0),
    (&["upload", "a.txt", "nope", "."], 1, 1),
    (&["upload", "-n", "a.txt"], 0, 1),
    (&["upload", "-"], 2, 0),
    (&["upload"], 2, 0),
    (&["ls"], 0, 2),
    (&["ls", "none*"], 0, 0),
    (&["ls", "--filter", "x ="], 2, 0),
    (&["ls", "--sort", "x"], 2, 0),
    (&["ls", "--fields", "x"], 2, 0),
    (&["ls", "--bogus"], 2, 0),
    (&["ls", "-p", "nowhere"], 2, 0),
    (&["ls", "--cursor", "x"], 2, 0),
    (&["info", "one"], 0, 1),
    (&["info", "one", "nope", "two"], 3, 2),
    (&["info", "nope"], 3, 0),
    (&["info", "*"], 0, 2),
    (&["get", "one", "-o", "to/"], 0, 1),
    (&["get", "one", "-o", "a.txt"], 1, 0),
    (&["get", "one", "nope", "-o", "to/"], 3, 1),
    (&["get", "one", "-o", "a.txt", "--skip-existing"], 0, 1),
    (&["rm", "one"], 0, 1),
    (&["rm", "*"], 2, 0),
    (&["rm", "*", "-n"], 0, 2),
    (&["rm", "*", "--yes"], 0, 2),
    (&["rm", "one", "nope"], 3, 1),
    (&["meta", "get", "one"], 0, 1),
    (&["meta", "set", "one", "a=b"], 0, 1),
    (&["meta", "set", "one", "a"], 2, 0),
    (&["meta", "unset", "one", "a"], 0, 1),
    (&["meta", "get", "nope"], 3, 0),
    (&["meta"], 2, 0),
    (&["link", "one"], 0, 1),
    (&["link", "one", "--list"], 0, 0),
    (&["link", "one", "--revoke"], 3, 0),
    (&["link", "one", "--expires", "1h"], 5, 0),
    (&["providers"], 0, REGISTRY.len()),
    (&["providers", "local"], 0, 2),
    (&["providers", "nope"], 3, 0),
    (&["help", "nope"], 2, 0),
    (&["bogus"], 2, 0),
    (&[], 2, 0),
];

#[test]
fn the_output_always_parses() {
    let env = Sandbox::with_files(&["one", "two"]);
    env.write("a.txt", "a");
    env.write("b.txt", "b");
    let store = env.home();
    let kept = env.root().join("kept");
    let reset = |from: &std::path::Path, to: &std::path::Path| {
        let _ = std::fs::remove_dir_all(to);
        env.run(env.program("cp").arg("-r").arg(from).arg(to)).ok();
        let _ = std::fs::remove_dir_all(env.work().join("to"));
    };
    reset(&store, &kept);
    for (arguments, status, rows) in COMMANDS {
        let changes = matches!(arguments.first(), Some(&"upload" | &"rm" | &"meta" | &"link" | &"get"));
        let run = env.haul(arguments.iter().chain(&["--json"])).fails(*status);
        assert_eq!(run.json().len(), *rows, "{arguments:?}\n{run}");
        let told = run.errors().iter().filter(|object| object.get("error").is_some()).count();
        assert_eq!(told > 0, *status != 0, "{arguments:?}\n{run}");
        for error in run.errors().iter().filter_map(|object| object.get("error")) {
            assert!(error["message"].is_string() && error["hints"].is_array(), "{error}");
            assert!(*status == 1 || error["exit_code"] == *status, "{error}");
        }
        if changes {
            reset(&kept, &store);
        }
        let run = env.haul(arguments.iter().chain(&["--jsonl"])).fails(*status);
        assert_eq!(run.jsonl().len(), *rows, "{arguments:?}\n{run}");
        if changes {
            reset(&kept, &store);
        }
        let run = env.haul(arguments.iter().chain(&["--jq", "length"])).fails(*status);
        let count = format!("{rows}\n");
        // A command that fails before its first row prints nothing.
        let is_expected = run.stdout() == count || (*status != 0 && *rows == 0 && run.stdout().is_empty());
        assert!(is_expected, "{arguments:?}\n{run}");
        assert_eq!(run.errors().iter().any(|object| object.get("error").is_some()), *status != 0, "{run}");
        if changes {
            reset(&kept, &store);
        }
    }
}

#[test]
fn a_wrong_jq_program_fails_before_anything_is_sent() {
    let env = Sandbox::new();
    env.write("a.txt", "a");
    let run = env.haul(["upload", "a.txt", "--jq", ".[] | nope(1)"]).fails(2);
    assert_eq!(
        run.errors()[0]["error"]["message"],
        r#"--jq <EXPR>: ".[] | nope(1)": undefined filter `nope/1`"#
    );
    assert_eq!(env.haul(["ls", "--ids"]).ok().stdout(), "");
    // An error in the run: the file is uploaded, the results before the error are printed.
    let run = env.haul(["upload", "a.txt", "--jq", ".[] | .name, .name.x"]).fails(1);
    assert_eq!(run.stdout(), "a.txt\n");
    assert_eq!(run.errors()[0]["error"]["message"], r#"--jq: cannot index "a.txt" with "x""#);
    let run = env.haul(["ls", "--jsonl", "--jq", ".name | error"]).fails(1);
    assert_eq!((run.stdout(), &run.errors()[0]["error"]["message"]), (String::new(), &"--jq: a.txt".into()));
    // Commands that print one object.
    assert_eq!(env.haul(["help", "output", "--jq", ".\"$defs\" | has(\"file\")"]).ok().stdout(), "true\n");
    let served = env.haul(["serve", "--only", "xai", "--print-env", "--jq", ".platforms | keys[]"]);
    assert_eq!(served.ok().stdout(), "xai\n");
}

#[test]
fn a_row_has_every_key() {
    let env = Sandbox::with_files(&["one"]);
    let keys = |arguments: &[&str]| {
        let rows = env.haul(arguments).ok().json();
        let Value::Object(row) = &rows[0] else { panic!("{rows:?}") };
        row.keys().map(String::as_str).collect::<Vec<_>>().join(" ")
    };
    let file = "provider profile id name size content_type purpose path status created_at updated_at expires_at \
        checksums metadata downloadable url extra";
    assert_eq!(keys(&["ls", "--json"]), file);
    assert_eq!(keys(&["info", "one", "--json"]), file);
    assert_eq!(keys(&["meta", "set", "one", "a=b", "--json"]), file);
    assert_eq!(keys(&["meta", "get", "one", "--json"]), "id name metadata");
    assert_eq!(keys(&["meta", "get", "one", "--json", "--fields", "size"]), "size");
    assert_eq!(keys(&["upload", "one", "--name", "two", "--json"]), format!("{file} evidence kept"));
    assert_eq!(keys(&["get", "one", "-o", "to", "--json"]), format!("{file} saved_to"));
    assert_eq!(keys(&["rm", "one", "-n", "--json"]), format!("{file} deleted detached_from"));
    assert_eq!(keys(&["link", "one", "--json"]), "url expires_at link_id file");
}

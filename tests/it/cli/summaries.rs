//! The summary of a command that handles several items: one line at the end of stderr.

use crate::support::sandbox::{Run, Sandbox};

/// The lines of stderr that count items.
fn summaries(run: &Run) -> Vec<String> {
    let err = run.stderr();
    let counts = |line: &&str| {
        let line = line.strip_prefix("dry run: ").unwrap_or(line);
        line.starts_with(|c: char| c.is_ascii_digit()) || line.starts_with("nothing")
    };
    err.lines().filter(counts).map(str::to_owned).collect()
}

/// Runs a command and compares its summary, which is the last line of stderr.
#[track_caller]
fn check_summary(env: &Sandbox, line: &str, status: i32, summary: &str) {
    let run = env.line(line).fails(status);
    let expected: Vec<&str> = if summary.is_empty() { Vec::new() } else { vec![summary] };
    assert_eq!(summaries(&run), expected, "{line}\n{run}");
    if !summary.is_empty() {
        assert!(run.stderr().ends_with(&format!("{summary}\n")), "{line}\n{run}");
    }
}

#[test]
fn each_command_on_several_items_ends_with_one_summary() {
    let env = Sandbox::new();
    for name in ["a.txt", "b.txt", "c.txt", "new.txt"] {
        env.write(name, name);
    }
    for (line, status, summary) in [
        ("upload -n a.txt b.txt c.txt", 0, "dry run: nothing uploaded; 3 would be uploaded"),
        ("upload a.txt b.txt c.txt", 0, "3 uploaded"),
        (
            "upload --if-exists skip -n a.txt new.txt",
            0,
            "dry run: nothing uploaded; 1 would be uploaded, 1 unchanged",
        ),
        ("upload --if-exists skip a.txt b.txt c.txt", 0, "3 unchanged"),
        ("upload --if-exists skip a.txt b.txt new.txt missing", 3, "1 uploaded, 2 unchanged, 1 failed"),
        ("get *.txt -o to/", 0, "4 downloaded"),
        ("get *.txt -o to/ --skip-existing", 0, "4 skipped"),
        ("get a.txt b.txt -o to/", 1, "2 failed"),
        ("get *.txt -n -o other/", 0, "dry run: nothing written; 4 would be downloaded"),
        ("get a.txt b.txt -o -", 0, ""),
        ("meta set *.txt k=v -n", 0, "dry run: nothing changed; 4 would be changed"),
        ("meta set *.txt k=v --yes", 0, "4 changed"),
        ("meta get *.txt", 0, ""),
        ("info *.txt", 0, ""),
        ("link a.txt b.txt -n", 0, "dry run: nothing linked; 2 would be linked"),
        ("link a.txt b.txt", 0, "2 linked"),
        ("link a.txt b.txt --list", 0, ""),
        ("rm a.txt b.txt missing --yes", 3, "2 deleted, 1 failed"),
        ("rm *.txt -n", 0, "dry run: nothing deleted; 2 would be deleted"),
        ("rm *.txt --yes", 0, "2 deleted"),
    ] {
        if line.ends_with("-o -") {
            let run = env.line(line).fails(status);
            assert_eq!((run.stdout().as_str(), run.stderr().as_str()), ("a.txtb.txt", "2 downloaded\n"));
        } else {
            check_summary(&env, line, status, summary);
        }
    }
}

#[test]
fn a_single_item_json_and_quiet_have_no_summary() {
    let env = Sandbox::new().with_var("HAUL_LEDGER", "off");
    env.write("a.txt", "a");
    env.write("b.txt", "b");
    for line in ["upload a.txt", "get a.txt -o to/", "link a.txt", "meta set a.txt k=v", "rm a.txt"] {
        check_summary(&env, line, 0, "");
    }
    check_summary(&env, "upload missing", 3, "");
    check_summary(&env, "upload a.txt -n", 0, "dry run: nothing uploaded");
    check_summary(&env, "upload a.txt b.txt -q", 0, "");
    for line in ["upload a.txt b.txt --json", "rm *.txt --yes --jsonl"] {
        let run = env.line(line);
        assert_eq!(run.stderr(), "", "{line}");
    }
    let run = env.line("upload a.txt missing nope --json").fails(3);
    assert_eq!(run.stderr().lines().last(), Some(r#"{"note":"1 uploaded, 2 failed"}"#), "{run}");
}

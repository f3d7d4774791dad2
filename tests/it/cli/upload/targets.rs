//! Two local files with the same target in one command.

use crate::check;
use crate::support::sandbox::Sandbox;

/// A sandbox with two files of the same name in two folders, two spellings of another name, and a file `same.txt` in the
/// store.
fn two_of_a_name() -> Sandbox {
    let env = Sandbox::new();
    env.write("same.txt", "old");
    env.haul(["upload", "same.txt"]).ok();
    env.write("da/same.txt", "first");
    env.write("db/same.txt", "second");
    env.write("da/only-a.txt", "a");
    env.write("u/\u{fc}.txt", "composed");
    env.write("u/u\u{308}.txt", "decomposed");
    env.write("list", "da/same.txt\nda/only-a.txt\ndb/same.txt\n");
    env.write("list0", "da/same.txt\0db/same.txt\0");
    let path = |name: &str| env.work().join(name).display().to_string();
    let failed = |name: &str, called: &str| serde_json::json!({"ref": path(name), "name": called, "outcome": "failed", "id": null, "error": null});
    let lines =
        [failed("da/same.txt", "x.txt"), failed("da/only-a.txt", "y.txt"), failed("db/same.txt", "x.txt")];
    env.write("report", lines.map(|line| format!("{line}\n")).concat());
    env
}

#[test]
fn two_files_with_one_name_are_refused_before_any_request() {
    let env = two_of_a_name();
    check!(env.haul(["upload", "da/same.txt", "db/same.txt", "--if-exists", "replace"]), @"
    status 2
    --- err
    error: da/same.txt and db/same.txt have the same target: both would have the name same.txt
    hint: to upload one under another name: `haul upload -p local db/same.txt --name db/same.txt --if-exists replace`
    hint: to upload both under one name: `--if-exists upload`
    ");
    let root = env.work().display().to_string();
    for (arguments, first, second, name) in [
        (&["da/same.txt", "list", "db/same.txt"][..], "da/same.txt", "db/same.txt", "same.txt"),
        (&["-r", "da", "db"], "da/same.txt", "db/same.txt", "same.txt"),
        (&["-r", "da", "./same.txt"], "da/same.txt", "./same.txt", "same.txt"),
        (&["-r", ".", "--flat", "--include", "same.txt"], "./da/same.txt", "./db/same.txt", "same.txt"),
        (&["-r", "u"], "u/u\u{308}.txt", "u/\u{fc}.txt", "\u{fc}.txt"),
        (&["--files-from", "list"], "da/same.txt", "db/same.txt", "same.txt"),
        (&["--files-from0", "list0"], "da/same.txt", "db/same.txt", "same.txt"),
        (&["da/same.txt", "--files-from", "list"], "da/same.txt", "db/same.txt", "same.txt"),
        (&["--retry-from", "report"], "da/same.txt", "db/same.txt", "x.txt"),
    ] {
        for mode in ["skip", "replace", "fail"] {
            for more in [&[][..], &["-n"], &["--report", "new-report"]] {
                let run = env.haul([&["upload", "--if-exists", mode], more, arguments].concat()).fails(2);
                let said = run.stderr().replace(&format!("{root}/"), "");
                let expected = format!(
                    "error: {first} and {second} have the same target: both would have the name {name}\n\
                     hint: to upload one under another name: `haul upload -p local "
                );
                assert!(said.starts_with(&expected), "{arguments:?}: {run}");
                assert!(run.out.is_empty(), "{run}");
                assert!(!env.files().contains(&"new-report".to_owned()), "{arguments:?}");
            }
            let json = env.haul([&["upload", "--json", "--if-exists", mode], arguments].concat()).fails(2);
            assert_eq!((json.json().len(), json.errors().len()), (0, 1), "{json}");
        }
    }
    assert_eq!(env.ids().len(), 1);
    assert_eq!(env.haul(["get", "same.txt", "-o", "-"]).ok().out, b"old");
}

#[test]
fn the_hint_gives_the_second_file_a_different_name() {
    let env = two_of_a_name();
    for (arguments, called) in [
        ("da/same.txt db/same.txt", "db/same.txt"),
        ("-r da ./same.txt", "2-same.txt"),
        ("--retry-from report", ""),
        ("-r u", "u/\u{fc}.txt"),
    ] {
        let run = env.shell(&format!("haul upload {arguments} --if-exists replace")).fails(2);
        let hint = run.stderr().lines().find_map(|line| {
            line.strip_prefix("hint: to upload one under another name: `")?
                .strip_suffix('`')
                .map(str::to_owned)
        });
        let typed = env.shell(&hint.unwrap_or_else(|| panic!("{run}"))).ok();
        assert_eq!(typed.lines().len(), 1, "{typed}");
        if !called.is_empty() {
            assert!(typed.stdout().contains(&format!("\t{called}\t")), "{called}: {typed}");
        }
    }
}

#[test]
fn both_are_uploaded_where_names_may_repeat() {
    for arguments in [
        &["da/same.txt", "db/same.txt"][..],
        &["-r", "da", "db", "--include", "same.txt"],
        &["--files-from0", "list0"],
        &["--retry-from", "report"],
    ] {
        let env = two_of_a_name();
        env.haul([&["upload"], arguments].concat()).ok();
        let mut contents: Vec<Vec<u8>> = Vec::new();
        for id in env.ids() {
            contents.push(env.haul(["get", &format!("id:{id}"), "-o", "-"]).ok().out);
        }
        for content in ["old", "first", "second"] {
            assert!(contents.contains(&content.into()), "{arguments:?}: {content}");
        }
    }
}

#[test]
fn different_folders_and_repeated_arguments_do_not_conflict() {
    for mode in ["skip", "replace", "fail"] {
        let env = Sandbox::new();
        env.write("docs/a/x.txt", "1");
        env.write("docs/b/x.txt", "2");
        let run = env.haul(["upload", "-r", "docs", "--if-exists", mode, "--fields", "name"]).ok();
        assert_eq!(run.sorted().lines(), ["a/x.txt", "b/x.txt"]);
        let twice = ["docs/a/x.txt", "./docs/a/x.txt", "docs/a/x.txt", "--fields", "name"];
        let run = env.haul([&["upload", "--if-exists", mode], &twice[..]].concat()).ok();
        assert_eq!(run.lines(), ["x.txt"], "{mode}: a file is uploaded once");
        assert_eq!(env.ids().len(), 3);
    }
    let env = Sandbox::new();
    env.write("x.txt", "1");
    assert_eq!(env.haul(["upload", "x.txt", "x.txt"]).ok().lines().len(), 2, "once per argument");
}

#[test]
fn name_and_target_options_need_exactly_one_file() {
    let env = two_of_a_name();
    for option in ["--name", "--to"] {
        for more in
            [&["da/same.txt", "db/same.txt"][..], &["--files-from", "list"], &["--retry-from", "report"]]
        {
            let run = env.haul([&["upload", option, "same.txt"], more].concat()).fails(2);
            assert_eq!(run.stderr(), format!("error: {option} can be used with only one file\n"), "{more:?}");
        }
        let piped = env.haul_reading("piped", ["upload", "-", "da/same.txt", option, "same.txt"]).fails(2);
        assert_eq!(piped.stderr(), format!("error: {option} can be used with only one file\n"));
    }
    assert_eq!(env.haul(["get", "same.txt", "-o", "-"]).ok().out, b"old");
    // A line of a report may give its only file another name.
    let report = String::from_utf8(env.read("report")).unwrap();
    env.write("one", report.lines().next().unwrap());
    let run = env.haul(["upload", "--retry-from", "one", "--name", "z.txt", "--fields", "name"]).ok();
    assert_eq!(run.lines(), ["z.txt"]);
}

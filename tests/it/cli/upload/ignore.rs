//! `haul upload -r`: files that are omitted because of ignore rules, `--exclude` or their type.

use std::fs;
use std::os::unix::fs::symlink;

use crate::check;
use crate::support::sandbox::{Run, Sandbox};

/// A folder with hidden files, a repository and ignore files.
fn project() -> Sandbox {
    let env = Sandbox::new();
    env.write(".haulignore", "*.log\n!keep.log\n/docs/drafts/\n");
    env.write("docs/.haulignore", "secret.txt\n!.well-known\n");
    env.write("docs/.gitignore", "*.tmp\n");
    env.write("docs/.git/config", "");
    env.write("docs/.env", "");
    env.write("docs/.well-known/a", "");
    env.write("docs/a.md", "");
    env.write("docs/a.log", "");
    env.write("docs/keep.log", "");
    env.write("docs/secret.txt", "");
    env.write("docs/drafts/b.md", "");
    env.write("docs/sub/c.tmp", "");
    env.write("docs/sub/c.md", "");
    env
}

#[test]
fn ignored_and_hidden_files_are_skipped_and_counted() {
    let env = project().with_var("HAUL_LEDGER", "off");
    check!(env.haul(["upload", "-r", "docs", "--fields", "name"]).sorted(), @"
    status 0
    --- out
    .well-known/a
    a.md
    keep.log
    sub/c.md
    sub/c.tmp
    --- err
    5 uploaded
    skipped 7 ignored and hidden files and folders; use `--hidden` and `--no-ignore` to include them
    ");
    check!(env.haul(["upload", "-r", "docs", "--hidden", "--fields", "name"]).sorted(), @"
    status 0
    --- out
    .env
    .gitignore
    .haulignore
    .well-known/a
    a.md
    keep.log
    sub/c.md
    sub/c.tmp
    --- err
    8 uploaded
    skipped 4 ignored files and folders; use `--no-ignore` to include them
    ");
    check!(env.haul(["upload", "-r", "docs", "--no-ignore", "--fields", "name"]).sorted(), @"
    status 0
    --- out
    a.log
    a.md
    drafts/b.md
    keep.log
    secret.txt
    sub/c.md
    sub/c.tmp
    --- err
    7 uploaded
    skipped 5 hidden files and folders; use `--hidden` to include them
    ");
    check!(env.haul(["upload", "-r", "docs", "--hidden", "--no-ignore", "--fields", "name"]).sorted(), @"
    status 0
    --- out
    .env
    .git/config
    .gitignore
    .haulignore
    .well-known/a
    a.log
    a.md
    drafts/b.md
    keep.log
    secret.txt
    sub/c.md
    sub/c.tmp
    --- err
    12 uploaded
    ");
    check!(env.haul(["upload", "-r", "docs", "--gitignore", "-j", "1", "--fields", "name", "--json"]), @r#"
    status 0
    --- out
    [
    {"name":".well-known/a"},
    {"name":"a.md"},
    {"name":"keep.log"},
    {"name":"sub/c.md"}
    ]
    --- err
    {"note":"skipped 8 ignored and hidden files and folders; use `--hidden` and `--no-ignore` to include them"}
    "#);
    check!(env.haul(["upload", "-r", "docs/sub", "docs/drafts", "--fields", "name", "--if-exists", "skip"]).sorted(), @"
    status 0
    --- out
    b.md
    c.md
    c.tmp
    --- err
    3 uploaded
    ");
    check!(env.haul(["upload", "-r", "docs", "--gitignore", "--no-ignore"]), @"
    status 2
    --- err
    error: --gitignore cannot be used with --no-ignore
    hint: see `haul upload --help`
    ");
}

#[test]
fn files_named_as_arguments_are_not_ignored() {
    let env = project().with_var("HAUL_LEDGER", "off");
    let names = ["docs/.env", "docs/a.log", "docs/secret.txt", "docs/sub/c.tmp"];
    for flags in [&["-q"][..], &["-r"], &["-r", "--gitignore", "--exclude", "*"]] {
        let run = env.haul([&["upload", "--ids"], flags, &names].concat()).ok();
        assert_eq!(run.lines().len(), names.len());
        let summary = if flags == ["-q"] { "" } else { "4 uploaded\n" };
        assert_eq!(run.stderr(), summary);
    }
    env.write("list", "docs/.env\n");
    assert_eq!(
        env.haul(["upload", "-r", "--files-from", "list", "--fields", "name"]).ok().stdout(),
        ".env\n"
    );
}

#[test]
fn rules_of_a_repository_end_at_its_root() {
    let env = Sandbox::new();
    env.write(".gitignore", "*\n");
    env.write("plain/.gitignore", "/a.txt\n");
    for folder in ["plain", "repository"] {
        env.write(format!("{folder}/a.txt"), "");
        env.write(format!("{folder}/sub/a.txt"), "");
    }
    fs::create_dir(env.work().join("repository/.git")).unwrap();
    check!(env.haul(["upload", "-r", "repository", "--gitignore", "--fields", "name"]).sorted(), @"
    status 0
    --- out
    a.txt
    sub/a.txt
    --- err
    2 uploaded
    skipped 1 hidden file or folder; use `--hidden` to include it
    ");
    check!(env.haul(["upload", "-r", "plain", "--gitignore", "--fields", "name"]), @"
    status 3
    --- err
    skipped 3 ignored and hidden files and folders; use `--hidden` and `--no-ignore` to include them
    error: plain: no files to upload
    ");
    fs::remove_file(env.work().join(".gitignore")).unwrap();
    check!(env.haul(["upload", "-r", "plain", "--gitignore", "--fields", "name"]), @"
    status 0
    --- out
    sub/a.txt
    --- err
    skipped 2 ignored and hidden files and folders; use `--hidden` and `--no-ignore` to include them
    ");
}

#[test]
fn nothing_left_is_an_error() {
    let env = project();
    fs::create_dir(env.work().join("empty")).unwrap();
    env.write("logs/a.log", "");
    check!(env.haul(["upload", "-r", "empty"]), @"
    status 3
    --- err
    error: empty: no files to upload
    ");
    check!(env.haul(["upload", "-r", "logs", "--if-exists", "skip"]), @"
    status 3
    --- err
    skipped 1 ignored file or folder; use `--no-ignore` to include it
    error: logs: no files to upload
    ");
    check!(env.haul(["upload", "-r", "logs", "empty", "--dry-run", "--json"]), @r#"
    status 3
    --- out
    []
    --- err
    {"note":"skipped 1 ignored file or folder; use `--no-ignore` to include it"}
    {"error":{"kind":"not_found","exit_code":3,"message":"no files to upload","details":[],"hints":[],"request_id":null,"ref":null}}
    "#);
    check!(env.haul(["upload", "-r", "docs", "--include", "*.pdf"]), @"
    status 3
    --- err
    `--include '*.pdf'` matches no file or folder
    skipped 7 ignored and hidden files and folders; use `--hidden` and `--no-ignore` to include them
    error: docs: no files to upload
    ");
    check!(env.haul(["upload", "-r", "empty", "docs/sub", "--fields", "name"]).sorted(), @"
    status 0
    --- out
    c.md
    c.tmp
    --- err
    2 uploaded
    ");
}

/// The summary of an upload that printed one line for each file.
fn summary(run: &Run) -> String {
    match run.lines().len() {
        0 | 1 => String::new(),
        files => format!("{files} uploaded\n"),
    }
}

#[test]
fn excluded_folders_are_not_walked() {
    let env = Sandbox::new().with_var("HAUL_LEDGER", "off");
    env.write("docs/a.md", "");
    env.write("docs/target", "");
    env.write("docs/sub/target/b.md", "");
    env.write("docs/sub/c.md", "");
    // A walk into the folder would report the ignore file, and the link would be noted.
    env.write("docs/sub/target/.haulignore", "[z-a]\n");
    symlink("b.md", env.work().join("docs/sub/target/link.md")).unwrap();
    let upload = |pattern: &str| {
        let run = env.haul(["upload", "-r", "docs", "--exclude", pattern, "--fields", "name"]).sorted().ok();
        assert_eq!(run.stderr(), summary(&run), "{pattern}");
        run.stdout()
    };
    for pattern in ["target", "sub/target", "*get", "{x,target}"] {
        assert_eq!(upload(pattern).replace("target\n", ""), "a.md\nsub/c.md\n", "{pattern}");
    }
    for pattern in ["target/", "sub/target/", "sub/target/*", "**/target/**", "s*/t*/"] {
        assert_eq!(upload(pattern), "a.md\nsub/c.md\ntarget\n", "{pattern}");
    }
    for pattern in ["sub", "sub/", "sub/*", "sub/**"] {
        assert_eq!(upload(pattern), "a.md\ntarget\n", "{pattern}");
    }
    let patterns = ["--exclude", "target/", "--exclude", "targets", "--exclude", ".git"];
    let upload_with = || env.haul([&["upload", "-r", "docs", "-n"], &patterns[..]].concat()).ok().stderr();
    let note = |pattern: &str| format!("`--exclude {pattern}` matches no file or folder\n");
    assert!(upload_with().starts_with(&(note("targets") + &note(".git"))), "{}", upload_with());
    env.write("docs/.git/config", "");
    assert!(!upload_with().contains(&note(".git")), "{}", upload_with());
    fs::remove_dir_all(env.work().join("docs/.git")).unwrap();
    // An anchored pattern names only the folder at that path.
    env.write("docs/x/sub/d.md", "");
    assert_eq!(upload("sub/*"), "a.md\ntarget\nx/sub/d.md\n");
}

#[test]
fn unreadable_rules_are_refused() {
    let env = Sandbox::new();
    env.write("docs/a.md", "");
    env.write("docs/sub/b.md", "");
    env.write("docs/sub/deep/c.md", "");
    env.write("docs/sub/.haulignore", "*.md\n[z-a]\n");
    check!(env.haul(["upload", "-r", "docs", "--fields", "name"]), @"
    status 2
    --- out
    a.md
    --- err
    error: docs/sub/.haulignore: line 2: error parsing glob '[z-a]': invalid range; 'z' > 'a'
    hint: correct the ignore rules, or upload without them: `--no-ignore`
    1 uploaded, 1 failed
    ");
    check!(env.haul(["upload", "-r", "docs/sub/deep", "--fields", "name"]), @"
    status 2
    --- err
    error: [box]/work/docs/sub/.haulignore: line 2: error parsing glob '[z-a]': invalid range; 'z' > 'a'
    hint: correct the ignore rules, or upload without them: `--no-ignore`
    ");
    check!(env.haul(["upload", "-r", "docs", "--no-ignore", "--fields", "name"]).sorted(), @"
    status 0
    --- out
    a.md
    sub/b.md
    sub/deep/c.md
    --- err
    3 uploaded
    a.md: another file with this name exists: [id]............
    skipped 1 hidden file or folder; use `--hidden` to include it
    ");
    env.write("docs/sub/.haulignore", b"*.md\n\xff\n");
    check!(env.haul(["upload", "-r", "docs", "-j", "1", "--fields", "name"]), @"
    status 1
    --- out
    a.md
    --- err
    a.md: already uploaded by an earlier run: [id]............
    error: docs/sub/.haulignore: cannot read the ignore rules
    caused by: stream did not contain valid UTF-8
    hint: correct the ignore rules, or upload without them: `--no-ignore`
    1 unchanged, 1 failed
    ");
    fs::remove_file(env.work().join("docs/sub/.haulignore")).unwrap();
    symlink("nowhere", env.work().join("docs/sub/.haulignore")).unwrap();
    check!(env.haul(["upload", "-r", "docs", "-j", "1", "--fields", "name"]), @"
    status 3
    --- out
    a.md
    --- err
    a.md: already uploaded by an earlier run: [id]............
    error: docs/sub/.haulignore: no such file or directory
    hint: correct the ignore rules, or upload without them: `--no-ignore`
    1 unchanged, 1 failed
    ");
}

#[test]
fn files_that_haul_writes_are_not_uploaded() {
    let env = Sandbox::new().with_var("HAUL_LEDGER", "off");
    env.write("docs/a.md", "");
    env.write("docs/haul.lock", "");
    env.write("docs/sub/haul.lock", "");
    env.write("docs/.haul-Ab12.tmp", "");
    let note = r#"{"made_by":"written by haul get to resume this download","of":"","part":null,"have":0,"blake3":null,
        "version":{"validator":null,"total":null,"derived":false}}"#;
    env.write("docs/get.part.json", note);
    env.write("docs/get.part", "");
    // Foreign files with such names.
    env.write("docs/b.part", "");
    env.write("docs/b.part.json", "{}");
    let upload = |options: &[&str]| {
        let run = env.haul([&["upload", "-r", "docs", "--fields", "name"], options].concat()).sorted().ok();
        let expected = if options.contains(&"-q") { String::new() } else { summary(&run) };
        assert_eq!(run.stderr(), expected, "{options:?}");
        run.lines()
    };
    let all = ["a.md", "b.part", "b.part.json"];
    assert_eq!(upload(&["--hidden"]), all);
    symlink("docs/report.jsonl", env.work().join("link")).unwrap();
    for report in ["docs/report.jsonl", "./docs/../docs/report.jsonl", "link"] {
        for if_exists in ["upload", "skip"] {
            assert_eq!(upload(&["--hidden", "--report", report, "--if-exists", if_exists, "-q"]), all);
        }
    }
    symlink("report.jsonl", env.work().join("docs/other")).unwrap();
    assert_eq!(upload(&["--hidden", "--follow", "--report", "link"]), all);
    check!(env.haul(["upload", "docs/a.md", "docs/report.jsonl", "--report", "link", "--fields", "name"]), @"
    status 0
    --- out
    a.md
    --- err
    docs/report.jsonl: skipped: it is the report of this command
    ");
    check!(env.haul(["upload", "docs/haul.lock", "docs/report.jsonl", "--fields", "name"]).sorted(), @"
    status 0
    --- out
    haul.lock
    report.jsonl
    --- err
    2 uploaded
    ");
}

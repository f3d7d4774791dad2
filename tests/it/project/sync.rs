use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::platforms::{dialects, some};
use crate::support::process::read_bytes;
use crate::support::raw::noise;
use crate::support::rig::TOKEN;
use crate::support::sandbox::{Run, Sandbox};
use crate::support::server::{Answer, Server};

fn project() -> Sandbox {
    let env = Sandbox::new().with_real_clock();
    fs::create_dir_all(env.work().join("docs/sub")).unwrap();
    for (name, content) in [("a.txt", "alpha"), ("b.txt", "beta!"), ("sub/c.txt", "gamma")] {
        env.write(format!("docs/{name}"), content);
    }
    env
}

fn lock(env: &Sandbox) -> Value {
    serde_json::from_slice(&env.read("haul.lock")).unwrap()
}

fn files(env: &Sandbox) -> Value {
    lock(env)["targets"]["local"]["files"].clone()
}

fn actions(run: &Run) -> Vec<(String, String)> {
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    let mut actions: Vec<_> = run.json().iter().map(|row| (text(row, "action"), text(row, "path"))).collect();
    actions.sort();
    actions
}

fn expect(run: Run, expected: &[(&str, &str)]) -> Run {
    let expected: Vec<_> =
        expected.iter().map(|(action, path)| ((*action).to_owned(), (*path).to_owned())).collect();
    assert_eq!(actions(&run), expected, "{run}");
    run
}

#[test]
fn a_folder_goes_through_its_life_cycle() {
    let env = project();
    let sync = |more: &[&str]| env.haul([&["sync", "docs", "local:", "--json"], more].concat());
    let all = ["docs/a.txt", "docs/b.txt", "docs/sub/c.txt"];
    expect(sync(&["--check"]).fails(9), &all.map(|path| ("uploaded", path)));
    assert!(!env.work().join("haul.lock").exists() && env.ids().is_empty());
    expect(sync(&[]).ok(), &all.map(|path| ("uploaded", path)));
    let first = files(&env);
    assert_eq!(
        (&first["docs/sub/c.txt"]["name"], &first["docs/a.txt"]["size"], &first["docs/a.txt"]["origin"]),
        (&json!("sub/c.txt"), &json!(5), &json!("uploaded"))
    );
    let before = env.read("haul.lock");
    expect(sync(&["--check"]).ok(), &all.map(|path| ("unchanged", path)));
    expect(sync(&[]).ok(), &all.map(|path| ("unchanged", path)));
    assert_eq!(env.read("haul.lock"), before);
    // The size stays the same.
    env.write("docs/a.txt", "ALPHA");
    let changed = [("replaced", "docs/a.txt"), ("unchanged", "docs/b.txt"), ("unchanged", "docs/sub/c.txt")];
    expect(sync(&["-n"]).ok(), &changed);
    assert_eq!(env.read("haul.lock"), before);
    expect(sync(&[]).ok(), &changed);
    let second = files(&env);
    assert_ne!(first["docs/a.txt"]["id"], second["docs/a.txt"]["id"]);
    assert_eq!(first["docs/b.txt"], second["docs/b.txt"]);
    assert_eq!(env.ids().len(), 3, "the previous version is deleted");
    // A renamed file.
    fs::rename(env.work().join("docs/b.txt"), env.work().join("docs/d.txt")).unwrap();
    let run = env.haul(["sync", "docs", "local:"]).ok();
    assert!(
        run.stderr().contains("1 local file listed in the lock file no longer exists; to delete it"),
        "{run}"
    );
    assert_eq!(env.ids().len(), 4);
    let run = sync(&["--delete"]).ok();
    let deleted = ("deleted".to_owned(), "docs/b.txt".to_owned());
    assert!(actions(&run).contains(&deleted), "{run}");
    assert_eq!((env.ids().len(), files(&env).as_object().unwrap().len()), (3, 3));
}

#[test]
fn without_a_lock_file_equal_files_are_adopted_and_never_deleted() {
    let env = project();
    env.haul(["upload", "-r", "docs"]).ok();
    let ids = env.ids();
    let sync = |more: &[&str]| env.haul([&["sync", "docs", "local:", "--json"], more].concat());
    let all = ["docs/a.txt", "docs/b.txt", "docs/sub/c.txt"];
    let run = expect(sync(&[]).ok(), &all.map(|path| ("adopted", path)));
    assert!(run.json().iter().all(|row| row["evidence"] == "checksum"), "{run}");
    assert_eq!(env.ids(), ids);
    env.write("docs/a.txt", "ALPHA");
    let old = files(&env)["docs/a.txt"]["id"].clone();
    let run = sync(&[]).ok();
    let rows = run.json();
    let row = rows.iter().find(|row| row["path"] == "docs/a.txt").unwrap();
    assert_eq!((&row["action"], &row["kept"]), (&json!("uploaded"), &old), "{run}");
    // Adopted files are deleted only on request.
    fs::remove_file(env.work().join("docs/b.txt")).unwrap();
    let run = sync(&["--delete"]).ok();
    assert!(actions(&run).contains(&("kept".to_owned(), "docs/b.txt".to_owned())), "{run}");
    assert_eq!(env.ids().len(), 4);
    env.write("docs/sub/c.txt", "GAMMA");
    let run = sync(&["--take-over"]).ok();
    assert!(actions(&run).contains(&("replaced".to_owned(), "docs/sub/c.txt".to_owned())), "{run}");
    assert_eq!(env.ids().len(), 4);
}

#[test]
fn a_foreign_change_is_a_conflict() {
    let env = project();
    let sync = |more: &[&str]| env.haul([&["sync", "docs", "local:", "--json"], more].concat());
    sync(&[]).ok();
    env.write("other.txt", "changed by somebody");
    let id = files(&env)["docs/a.txt"]["id"].as_str().unwrap().to_owned();
    env.haul(["upload", "other.txt", "--to", &format!("local:id:{id}")]).ok();
    let run = sync(&[]).fails(5).says("was changed on local");
    assert!(run.stderr().contains("--on-conflict upload"), "{run}");
    fs::remove_file(env.work().join("docs/a.txt")).unwrap();
    sync(&["--delete"]).fails(5).says("docs/a.txt: not deleted");
    env.write("docs/a.txt", "alpha");
    sync(&["--on-conflict", "upload"]).ok();
    assert_eq!(env.ids().len(), 4);
}

#[test]
fn mistakes_are_refused_before_anything_changes() {
    let env = project();
    let sync = |more: &[&str]| env.haul([&["sync"], more].concat());
    sync(&["none", "local:"]).fails(3);
    sync(&["docs/a.txt", "local:"]).fails(2).says("is not a directory");
    sync(&["docs", "local"]).fails(2).says("not a profile");
    sync(&["docs", "local:", "--renew", "soon"]).fails(2);
    fs::create_dir(env.work().join("empty")).unwrap();
    sync(&["empty", "local:"]).fails(3);
    sync(&["docs", "local:", "--lock", "docs/sub/haul.lock"]).fails(2).says("is outside the directory");
    assert!(env.ids().is_empty());
    for number in 0..12 {
        env.write(format!("docs/{number}.txt"), number.to_string());
    }
    sync(&["docs", "local:"]).ok();
    for number in 0..11 {
        fs::remove_file(env.work().join(format!("docs/{number}.txt"))).unwrap();
    }
    // 11 of 15.
    sync(&["docs", "local:", "--delete"]).fails(2).says("11 of the 15 local files");
    assert_eq!(env.ids().len(), 15);
    sync(&["docs", "local:", "--delete", "--exclude", "1*"]).ok();
    assert_eq!(env.ids().len(), 6, "10.txt, 1.txt and 11.txt are excluded");
}

/// Lock files that are half-written, of a newer version, edited by hand or in conflict, with a part of the error.
fn invalid() -> Vec<(String, &'static str)> {
    let row = r#""docs/a.txt":{"id":"f","name":"a.txt","size":5,"sha256":"SUM","uploaded_at":"2026-01-01T00:00:00Z","expires_at":null,"origin":"uploaded"}"#;
    let row = row.replace("SUM", &"0".repeat(64));
    let with = |rows: &str| {
        format!(
            "{{\"version\":1,\"targets\":{{\"p\":{{\"provider\":\"p\",\"base_url\":\"\",\"scope\":{{}},\"files\":{{{rows}}}}}}}}}"
        )
    };
    let whole = with(&row);
    vec![
        (String::new(), "not a valid lock file"),
        (whole[..whole.len() / 2].to_owned(), "not a valid lock file"),
        (whole.replace("\"version\":1", "\"version\":2"), "unsupported version 2"),
        (with(&format!("{row},{row}")), "duplicate key \"docs/a.txt\""),
        (with(&format!("{row},{},{row}", row.replace("a.txt", "b.txt"))), "duplicate key \"docs/a.txt\""),
        (whole.replace("\"size\":5", "\"size\":\"5\""), "not a valid lock file"),
        (whole.replace("\"sha256\":\"00", "\"sha256\":\"0"), "is not a SHA-256"),
        (whole.replace("\"id\":", "\"ID\":"), "unknown field `ID`"),
        (format!("<<<<<<< ours\n{whole}\n=======\n{whole}\n>>>>>>> theirs\n"), "merge conflict on line 1"),
        (format!("{{\n<<<<<<< ours\n{whole}"), "merge conflict on line 2"),
    ]
}

#[test]
fn an_invalid_lock_file_is_an_error_and_nothing_is_sent() {
    let server = Server::new(|_, _| Answer::new(500, b""));
    let mut env = project();
    // Other dialects need further settings.
    let cases = some(dialects().filter(|case| case.is_remote() || case.dialect == "store"));
    let all = invalid();
    // Every text on the first platform, one on each other platform.
    let runs = all.iter().map(|text| (&cases[0], text)).chain(cases[1..].iter().zip(all.iter().cycle()));
    for (case, (text, error)) in runs {
        env.use_platform(case, server.at("/v1").as_ref(), TOKEN);
        env.write("haul.lock", text);
        let run = env.haul(["sync", "docs", "--delete", "--yes"]).fails(1).says(error);
        assert!(run.stderr().contains("\nhint: "), "{}: {run}", case.name());
        assert_eq!(
            (env.read("haul.lock"), server.count()),
            (text.clone().into_bytes(), 0),
            "{}",
            case.name()
        );
    }
}

#[test]
fn a_second_sync_waits_for_the_first() {
    let env = project();
    let held = fs::File::open(env.work()).unwrap();
    held.lock().unwrap();
    let process = env.spawn(env.command().args(["sync", "docs", "local:"]));
    std::thread::sleep(Duration::from_secs(2));
    assert!(env.ids().is_empty());
    drop(held);
    let run = process.end().ok();
    assert!(run.stderr().contains("waiting for another `haul sync`"), "{run}");
    assert_eq!(env.ids().len(), 3);
    let runs = [(); 2].map(|()| env.spawn(env.command().args(["sync", "docs", "local:", "--json"])));
    for run in runs.map(|process| process.end().ok()) {
        assert!(actions(&run).iter().all(|(action, _)| action == "unchanged"), "{run}");
    }
}

#[test]
fn the_lock_file_belongs_to_the_repository_and_rules_of_git_apply() {
    let env = project();
    fs::create_dir(env.work().join(".git")).unwrap();
    env.write("docs/.gitignore", "b.txt\n");
    let command = |folder: &str, arguments: &[&str]| -> Run {
        let mut command: Command = env.command();
        command.current_dir(env.work().join(folder)).args(arguments);
        env.run(&mut command)
    };
    let run = command("docs", &["sync", ".", "local:", "--prefix", "p/", "--json"]).ok();
    expect(run, &[("uploaded", "a.txt"), ("uploaded", "sub/c.txt")]);
    assert!(env.work().join("docs/haul.lock").exists());
    fs::rename(env.work().join("docs/haul.lock"), env.work().join("old.lock")).unwrap();
    env.write("haul.lock", "{\"version\": 1, \"targets\": {}}");
    let run =
        command("docs", &["sync", ".", "local:", "--prefix", "p/", "--no-ignore", "--hidden", "--json"]).ok();
    assert_eq!(actions(&run).len(), 4, "{run}");
    let names: Vec<&str> = vec!["docs/.gitignore", "docs/a.txt", "docs/b.txt", "docs/sub/c.txt"];
    let files = files(&env);
    assert_eq!(files.as_object().unwrap().keys().collect::<Vec<_>>(), names);
    assert_eq!(files["docs/sub/c.txt"]["name"], "p/sub/c.txt");
}

/// A folder with `count` files that are all in the lock file and in the store.
fn large(count: u32) -> Sandbox {
    let env = Sandbox::new().with_real_clock();
    env.seed(count);
    fs::remove_file(env.work().join("seed")).unwrap();
    env.write("docs/0", "seed");
    env.haul(["sync", "docs", "local:"]).ok();
    let text = String::from_utf8(env.read("haul.lock")).unwrap();
    let row = text.lines().find(|line| line.contains("docs/0")).unwrap();
    let id = files(&env)["docs/0"]["id"].as_str().unwrap().to_owned();
    let mut rows = row.to_owned();
    for number in 1..=count {
        env.write(format!("docs/file-{number:07}.txt"), "seed");
        let name = format!("file-{number:07}.txt");
        let row = row.replace(&id, &format!("f{number:07}")).replace("docs/0", &format!("docs/{name}"));
        write!(rows, ",\n{}", row.replace("\"name\":\"0\"", &format!("\"name\":\"{name}\""))).unwrap();
    }
    env.write("haul.lock", text.replace(row, &rows));
    env
}

#[test]
fn unchanged_files_take_little_memory() {
    // The peaks for few and many files are compared.
    let [few, many] = [500, 5_500].map(|count| {
        let env = large(count);
        let (run, peak) = env.measure(env.command().args(["sync", "docs", "local:"]));
        assert!(run.ok().stderr().ends_with(&format!("{} unchanged\n", count + 1)));
        peak.data
    });
    // 1.5 KiB for each of the 5,000 files.
    assert!(many.saturating_sub(few) < 7_500, "{few} KiB and {many} KiB");
}

#[test]
fn an_unchanged_file_is_read_once() {
    const SIZE: usize = 32 << 20;
    let env = Sandbox::new().with_real_clock();
    let path = env.write("docs/a.bin", noise(SIZE));
    // A hash is not recorded for a file that was modified a moment ago.
    fs::File::open(path).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    let read = || {
        let mut read = 0;
        let mut command = env.command();
        let run =
            env.watch(command.args(["sync", "docs", "local:"]), |id| read = read_bytes(id).unwrap_or(read));
        run.ok();
        read / SIZE as u64
    };
    assert_eq!((read(), read()), (1, 0), "its hash is recorded");
    fs::remove_dir_all(env.home().join("state")).unwrap();
    assert_eq!(read(), 1, "without the ledger");
}

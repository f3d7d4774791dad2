//! A damaged store, and concurrent changes to one file.

use std::fs;

use rusqlite::Connection;

use crate::check;
use crate::support::process::ServeProcess;
use crate::support::sandbox::{Sandbox, script};

impl Sandbox {
    /// The index of the store.
    fn index(&self) -> Connection {
        Connection::open(self.store().join("index.sqlite")).unwrap()
    }
}

#[test]
fn damaged_or_missing_content_is_uploaded_again() {
    let env = Sandbox::with_files(&["a.txt"]);
    let skip = || env.haul(["upload", "a.txt", "--if-exists", "skip", "--fields", "name,size"]);
    let id = env.ids();
    check!(skip(), @"
    status 0
    --- out
    a.txt	5
    --- err
    a.txt: reused [id]............
    ");
    fs::write(env.blob(), "wrong").unwrap();
    check!(env.haul(["upload", "a.txt", "--if-exists", "skip", "--dry-run", "--fields", "name,size"]), @"
    status 0
    --- out
    a.txt	5
    --- err
    a.txt: would replace [id]............
    dry run: nothing uploaded
    ");
    let damaged = skip();
    check!(damaged, @"
    status 0
    --- out
    a.txt	5
    --- err
    a.txt: repaired the content of [id]............
    ");
    assert_eq!(env.haul(["get", "a.txt", "-o", "-"]).ok().out, b"a.txt");
    fs::remove_file(env.blob()).unwrap();
    assert_eq!(skip().to_string(), damaged.to_string());
    assert_eq!(env.haul(["get", "a.txt", "-o", "-"]).ok().out, b"a.txt");
    assert_eq!(env.ids(), id);
    check!(skip(), @"
    status 0
    --- out
    a.txt	5
    --- err
    a.txt: reused [id]............
    ");
    // The same upload repairs another file with the same content.
    fs::write(env.blob(), "wrong").unwrap();
    env.haul(["upload", "a.txt", "--name", "b.txt"]).ok();
    assert_eq!(env.haul(["get", "a.txt", "-o", "-"]).ok().out, b"a.txt");
    assert_eq!(env.haul(["get", "b.txt", "-o", "-"]).ok().out, b"a.txt");
}

#[test]
fn a_link_to_damaged_content_is_refused() {
    let env = Sandbox::with_files(&["a.txt"]);
    fs::write(env.blob(), "wrong").unwrap();
    check!(env.haul(["link", "a.txt"]), @"
    status 1
    --- err
    error: a.txt: cannot be copied
    caused by: its content is damaged
    ");
}

#[test]
fn a_damaged_record_is_reported_and_hides_only_itself() {
    let env = Sandbox::with_files(&["a.txt", "b.txt", "c.txt"]);
    env.index().execute("UPDATE files SET expires_at = 'soon' WHERE name = 'b.txt'", []).unwrap();
    let id = env.index().query_row("SELECT id FROM files WHERE name = 'b.txt'", [], |row| row.get(0));
    let id: String = id.unwrap();
    check!(env.haul(["ls", "--fields", "name"]), @"
    status 0
    --- out
    c.txt
    a.txt
    --- err
    warning: [id]............: its record in the store's index is damaged (`expires_at`): skipped
    ");
    check!(env.haul(["ls", "--json", "--fields", "name"]), @r#"
    status 0
    --- out
    [
    {"name":"c.txt"},
    {"name":"a.txt"}
    ]
    --- err
    {"warning":"[id]............: its record in the store's index is damaged (`expires_at`): skipped"}
    "#);
    check!(env.haul(["info", &format!("id:{id}")]), @"
    status 1
    --- err
    error: [id]............: its record in the store's index is damaged
    caused by: `expires_at` cannot be read
    ");
    check!(env.haul(["get", "b.txt", "-o", "-"]), @"
    status 3
    --- err
    warning: [id]............: its record in the store's index is damaged (`expires_at`): skipped
    error: b.txt: no file with this id or name on local
    hint: did you mean `c.txt`?
    hint: to list the files: `haul ls -p local`
    ");
    check!(env.haul(["get", "c.txt", "-o", "-"]), @"
    status 0
    --- out
    c.txt
    ");
    check!(env.haul(["rm", "a.txt", "--yes", "--fields", "name"]), @"
    status 0
    --- out
    a.txt
    ");
    env.write("d.txt", "d");
    env.haul(["upload", "d.txt"]).ok();
    check!(env.haul(["ls", "--fields", "name", "--page-size", "1"]), @"
    status 0
    --- out
    d.txt
    c.txt
    --- err
    warning: [id]............: its record in the store's index is damaged (`expires_at`): skipped
    ");
    // Completion prints no warnings.
    let run = env.run(env.command().env("COMPLETE", "fish").args(["--", "haul", "get", "c"])).ok();
    assert_eq!((run.stdout().split('\t').next(), run.stderr().as_str()), (Some("c.txt"), ""));
}

#[test]
fn a_missing_empty_or_foreign_index_is_an_error() {
    let env = Sandbox::with_files(&["a.txt", "b.txt"]);
    env.write("c.txt", "c");
    let index = env.store().join("index.sqlite");
    let good = fs::read(&index).unwrap();
    fs::remove_file(&index).unwrap();
    check!(env.haul(["ls"]), @"
    status 1
    --- err
    error: [box]/home/data/store/index.sqlite: the store's index is missing
    caused by: 2 blobs are still in [box]/home/data/store/blobs
    hint: to repair the store: `haul local check --repair --data [box]/home/data/store`
    hint: to move the store aside and start with an empty one: `mv [box]/home/data/store [box]/home/data/store.damaged`
    ");
    check!(env.haul(["upload", "c.txt"]), @"
    status 1
    --- err
    error: [box]/home/data/store/index.sqlite: the store's index is missing
    caused by: 2 blobs are still in [box]/home/data/store/blobs
    hint: to repair the store: `haul local check --repair --data [box]/home/data/store`
    hint: to move the store aside and start with an empty one: `mv [box]/home/data/store [box]/home/data/store.damaged`
    ");
    fs::write(&index, "").unwrap();
    check!(env.haul(["get", "a.txt", "--json"]), @r#"
    status 1
    --- out
    []
    --- err
    {"error":{"kind":"failed","exit_code":1,"message":"[box]/home/data/store/index.sqlite: the store's index is empty: 2 blobs are still in [box]/home/data/store/blobs","details":[],"hints":["to repair the store: `haul local check --repair --data [box]/home/data/store`","to move the store aside and start with an empty one: `mv [box]/home/data/store [box]/home/data/store.damaged`"],"request_id":null,"ref":null}}
    "#);
    fs::write(&index, "this is no database, but long enough to look like one").unwrap();
    check!(env.haul(["ls"]), @"
    status 1
    --- err
    error: [box]/home/data/store/index.sqlite: the store's index is damaged
    caused by: file is not a database
    hint: to repair the store: `haul local check --repair --data [box]/home/data/store`
    hint: to move the store aside and start with an empty one: `mv [box]/home/data/store [box]/home/data/store.damaged`
    ");
    check!(env.haul(["serve", "--listen", "127.0.0.1:0"]), @"
    status 1
    --- err
    error: [box]/home/data/store/index.sqlite: the store's index is damaged
    caused by: file is not a database
    hint: to repair the store: `haul local check --repair --data [box]/home/data/store`
    hint: to move the store aside and start with an empty one: `mv [box]/home/data/store [box]/home/data/store.damaged`
    ");
    fs::write(&index, &good).unwrap();
    fs::remove_file(env.store().join("generation")).unwrap();
    env.index().pragma_update(None, "user_version", 1).unwrap();
    check!(env.haul(["ls"]), @"
    status 1
    --- err
    error: [box]/home/data/store/index.sqlite: the store's index is damaged
    caused by: index files_by_creation already exists
    hint: to repair the store: `haul local check --repair --data [box]/home/data/store`
    hint: to move the store aside and start with an empty one: `mv [box]/home/data/store [box]/home/data/store.damaged`
    ");
    env.index().pragma_update(None, "user_version", 9).unwrap();
    check!(env.haul(["ls"]), @"
    status 1
    --- err
    error: [box]/home/data/store/index.sqlite: unsupported store format 9: this version of haul supports formats up to 3
    hint: update haul, or use another store: `export HAUL_HOME=DIR`
    ");
    // Restores the index as it was before the last change.
    fs::write(&index, &good).unwrap();
    env.haul(["rm", "b.txt", "--yes"]).ok();
    fs::write(&index, &good).unwrap();
    check!(env.haul(["ls"]), @"
    status 1
    --- err
    error: [box]/home/data/store/index.sqlite: the store's index has lost its last change
    caused by: [box]/home/data/store/index.sqlite-wal is missing or damaged, or the index was replaced with an older one
    hint: to repair the store: `haul local check --repair --data [box]/home/data/store`
    hint: to move the store aside and start with an empty one: `mv [box]/home/data/store [box]/home/data/store.damaged`
    hint: to accept the index as it is: `rm [box]/home/data/store/generation`
    ");
    fs::remove_file(env.store().join("generation")).unwrap();
    assert_eq!(env.ids().len(), 2);
}

#[test]
fn the_hint_can_be_typed_for_any_folder_name() {
    let mut env = Sandbox::new();
    let home = env.root().join("it's mine");
    env.set("HAUL_HOME", home.to_str().unwrap());
    env.write("a.txt", "a");
    env.haul(["upload", "a.txt"]).ok();
    fs::remove_file(home.join("data/store/index.sqlite")).unwrap();
    let hints: Vec<String> = env
        .haul(["ls"])
        .fails(1)
        .stderr()
        .lines()
        .filter_map(|line| line.strip_prefix("hint: ").map(|hint| hint.split('`').nth(1).unwrap().to_owned()))
        .collect();
    let [repair, away] = hints.as_slice() else { panic!("{hints:?}") };
    let run = env.shell(&script(repair)).ok();
    assert!(run.stdout().contains("index\t") && run.stdout().contains("\trebuilt\n"), "{run}");
    assert_eq!(env.ids().len(), 1);
    env.shell(away).ok();
    assert!(env.ids().is_empty());
    assert_eq!(fs::read_dir(home.join("data/store.damaged/blobs")).unwrap().count(), 1);
}

#[test]
fn a_check_reports_and_repairs() {
    let env = Sandbox::with_files(&["a.txt", "b.txt"]);
    check!(env.haul(["local", "check"]), @"
    status 0
    --- err
    2 files checked, no problems
    ");
    env.index().execute("UPDATE files SET expires_at = 'soon' WHERE name = 'b.txt'", []).unwrap();
    check!(env.haul(["local", "check", "--fields", "problem,detail,name,repair"]), @"
    status 1
    --- out
    record	expires_at	b.txt	
    --- err
    error: [box]/home/data/store: 1 problem in the store
    hint: to repair the store: `haul local check --repair`
    ");
    check!(env.haul(["local", "check", "--repair", "--jsonl"]), @r#"
    status 0
    --- out
    {"problem":"record","detail":"expires_at","space":"local","id":"[id]............","name":"b.txt","size":5,"sha256":"ffa0da5d885fba09d903c782713b6b098c8cf21f56a3a35d9aa920613220d2e1","repair":"mended"}
    --- err
    {"note":"2 files checked, 1 repaired"}
    "#);
    assert_eq!(env.ids().len(), 2);
    env.run(env.program("find").arg(env.store().join("blobs")).args(["-type", "f", "-delete"])).ok();
    check!(env.haul(["local", "check", "--fields", "problem,name"]), @"
    status 1
    --- out
    missing	a.txt
    missing	b.txt
    --- err
    error: [box]/home/data/store: 2 problems in the store
    hint: to restore missing or damaged content, upload the file again: `haul upload -p local FILE`
    ");
    check!(env.haul(["local", "check", "--data", "nowhere"]), @"
    status 3
    --- err
    error: nowhere: no store found
    ");
}

#[test]
fn concurrent_changes_of_content_and_metadata_are_both_kept() {
    let env = Sandbox::with_files(&["a.txt"]);
    let id = format!("id:{}", env.ids()[0]);
    let start = |arguments: &[&str]| env.spawn(env.command().args(arguments));
    for round in 0..15 {
        env.write("new.txt", format!("content {round}"));
        let (key, name) = (format!("key{round}={round}"), format!("{round}.txt"));
        let path = format!("folder{round}");
        let children = [
            start(&["upload", "new.txt", "--to", &id]),
            start(&["meta", "set", &id, &key]),
            start(&["meta", "set", &id, "--name", &name]),
            start(&["upload", "new.txt", "--to", &id]),
            start(&["meta", "set", &id, "--path", &path]),
        ];
        for child in children {
            child.end().ok();
        }
        let file = env.haul(["info", &id, "--json"]).ok().json().remove(0);
        assert_eq!((&file["name"], &file["path"]), (&name.into(), &path.into()), "round {round}");
        for earlier in 0..=round {
            assert_eq!(file["metadata"][format!("key{earlier}")], earlier, "round {round}: {file}");
        }
        assert_eq!(env.haul(["get", &id, "-o", "-"]).ok().out, format!("content {round}").as_bytes());
    }
}

#[test]
fn a_store_without_write_access_is_read() {
    let env = Sandbox::with_files(&["a.txt"]);
    let store = env.store();
    let log = store.join("index.sqlite-wal");
    // The connection keeps the log of the last change.
    let index = env.index();
    index.execute("UPDATE files SET purpose = 'logged'", []).unwrap();
    for has_log in [true, false] {
        if has_log {
            fs::copy(&log, env.work().join("log")).unwrap();
            drop(env.index());
            fs::remove_file(store.join("index.sqlite-shm")).unwrap();
        } else {
            fs::remove_file(&log).unwrap();
        }
        env.open_to_all();
        env.run(env.program("chmod").args(["-R", "a-w"]).arg(&store)).ok();
        let unprivileged = |arguments: &[&str]| env.run(&mut env.unprivileged(arguments));
        let listed = unprivileged(&["ls", "--fields", "name,purpose"]);
        let purpose = if has_log { "logged" } else { "" };
        assert_eq!(listed.ok().lines(), [format!("a.txt\t{purpose}")]);
        assert_eq!(unprivileged(&["get", "a.txt", "-o", "-"]).ok().out, b"a.txt");
        let refused = unprivileged(&["rm", "a.txt", "--yes"]).fails(1);
        assert!(refused.stderr().contains("/store: the store cannot be changed"), "{refused}");
        assert!(refused.stderr().contains("Permission denied"), "{refused}");
        env.run(env.program("chmod").args(["-R", "u+w"]).arg(&store)).ok();
    }
    drop(index);
    env.haul(["rm", "a.txt", "--yes"]).ok();
}

#[test]
#[cfg(unix)]
fn a_store_in_use_is_not_repaired() {
    let env = Sandbox::with_files(&["a.txt"]);
    let mut served = ServeProcess::start(&env, [""; 0]);
    env.haul(["local", "check", "--repair"]).fails(1).says("store: another process is using the store");
    env.haul(["local", "check"]).ok();
    served.stop(rustix::process::Signal::TERM).fails(143);
    env.haul(["local", "check", "--repair"]).ok();
}

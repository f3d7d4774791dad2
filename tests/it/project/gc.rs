use std::fs;

use serde_json::{Value, json};

use crate::support::rig::Case;
use crate::support::sandbox::{HAUL, Run, Sandbox};
use crate::support::server::{Answer, Server};

/// A store with files of different ages: `a.txt` three times, once with different content, and `b.txt`.
fn store() -> Sandbox {
    let mut env = Sandbox::new();
    for (day, name, content) in
        [(1, "a.txt", "one"), (2, "a.txt", "one"), (3, "a.txt", "other"), (4, "b.txt", "two")]
    {
        env.set("HAUL_NOW", &format!("2026-03-0{day}T00:00:00Z"));
        env.write(name, content);
        env.haul(["upload", name]).ok();
    }
    env.set("HAUL_NOW", "2026-03-10T00:00:00Z");
    env
}

fn names(run: &Run) -> Vec<String> {
    let name = |row: &Value| {
        format!("{} {}", row["name"].as_str().unwrap(), &row["created_at"].as_str().unwrap()[8..10])
    };
    let mut names: Vec<String> = run.json().iter().map(name).collect();
    names.sort();
    names
}

#[test]
fn criteria_are_joined_and_nothing_is_deleted_without_yes() {
    let env = store();
    let gc = |more: &[&str]| env.haul([&["gc", "local:", "--json"], more].concat());
    gc(&[]).fails(2).says("no criterion");
    for (options, expected) in [
        (&["--older", "8d"][..], &["a.txt 01"][..]),
        (&["--older", "5d"], &["a.txt 01", "a.txt 02", "a.txt 03", "b.txt 04"]),
        (&["--duplicates"], &["a.txt 01"]),
        (&["--keep", "1"], &["a.txt 01", "a.txt 02"]),
        (&["--keep", "1", "--older", "8d"], &["a.txt 01"]),
        (&["--filter", "name = 'b.txt'"], &["b.txt 04"]),
        (&["--filter", "name = 'b.txt'", "--older", "8d"], &[]),
        (&["--older", "1d", "--min-age", "8d"], &["a.txt 01", "a.txt 02"]),
    ] {
        let run = gc(options).ok();
        assert_eq!(names(&run), expected, "{options:?}: {run}");
        assert!(run.json().iter().all(|row| row["deleted"] == false), "{run}");
    }
    assert_eq!(env.ids().len(), 4);
    let run = env.haul(["gc", "local:", "--keep", "1"]).ok();
    assert!(run.stderr().contains("2 files (6 B); nothing deleted"), "{run}");
    let run = gc(&["--keep", "1", "--yes"]).ok();
    assert!(run.json().iter().all(|row| row["deleted"] == true), "{run}");
    assert_eq!(env.ids().len(), 2);
}

#[test]
fn young_locked_and_foreign_files_are_protected() {
    let mut env = store();
    env.set("HAUL_NOW", "2026-03-04T12:00:00Z");
    let gc = |env: &Sandbox, more: &[&str]| env.haul([&["gc", "local:", "--json"], more].concat());
    let all = ["--filter", "size > 0"];
    assert_eq!(
        names(&gc(&env, &all).ok()),
        ["a.txt 01", "a.txt 02", "a.txt 03"],
        "b.txt is younger than a day"
    );
    env.set("HAUL_NOW", "2026-03-10T00:00:00Z");
    gc(&env, &["--unlocked"]).fails(2).says("requires a lock file");
    fs::create_dir(env.work().join("docs")).unwrap();
    env.write("docs/b.txt", "two");
    env.haul(["sync", "docs", "local:"]).ok();
    assert_eq!(
        names(&gc(&env, &all).ok()),
        ["a.txt 01", "a.txt 02", "a.txt 03"],
        "b.txt is in the lock file"
    );
    assert_eq!(gc(&env, &["--unlocked"]).ok().json().len(), 3);
    let lock = env.work().join("haul.lock");
    let moved = env.work().join("docs/other.lock");
    fs::rename(&lock, &moved).unwrap();
    let run = gc(&env, &[&all[..], &["--lock", "docs/other.lock"]].concat()).ok();
    assert_eq!(run.json().len(), 3, "{run}");
    assert_eq!(gc(&env, &all).ok().json().len(), 4, "without the lock file");
    // Without the ledger, haul does not know that it uploaded the files.
    fs::remove_dir_all(env.home().join("state")).unwrap();
    let unlocked = ["--unlocked", "--lock", "docs/other.lock"];
    assert_eq!(gc(&env, &unlocked).ok().json().len(), 0);
    assert_eq!(gc(&env, &[&unlocked[..], &["--foreign"]].concat()).ok().json().len(), 3);
}

#[test]
fn a_plan_is_applied_later_to_what_has_not_changed() {
    let env = store();
    env.haul(["gc", "local:", "--older", "1d", "--plan", "plan.json"]).ok();
    assert_eq!(env.ids().len(), 4);
    let plan: Value = serde_json::from_slice(&env.read("plan.json")).unwrap();
    let id = |at: usize| plan["files"][at]["id"].as_str().unwrap().to_owned();
    env.haul(["rm", &format!("id:{}", id(0))]).ok();
    env.haul(["meta", "set", &format!("id:{}", id(1)), "--name", "new.txt"]).ok();
    let run = env.haul(["gc", "--apply", "plan.json", "--json"]).ok();
    assert_eq!(run.json().iter().filter(|row| row["deleted"] == true).count(), 3, "{run}");
    assert_eq!(env.ids(), [id(1)]);
    env.write("plan.json", "[]");
    env.haul(["gc", "--apply", "plan.json"]).fails(2).says("not a plan");
}

#[test]
fn a_plan_keeps_files_that_were_added_to_a_lock_file() {
    let env = store();
    env.haul(["gc", "local:", "--older", "1d", "--plan", "plan.json"]).ok();
    env.write("docs/b.txt", "two");
    let run = env.haul(["sync", "docs", "local:", "--json"]).ok();
    let id = run.json()[0]["id"].as_str().unwrap().to_owned();
    let run = env.haul(["gc", "--apply", "plan.json", "--json"]).ok();
    assert!(run.stderr().contains("kept 1 file"), "{run}");
    assert_eq!((run.json().len(), env.ids()), (3, vec![id]), "{run}");
}

#[test]
fn a_file_of_unknown_age_is_protected() {
    let record = |id: &str, created: &str| {
        format!(
            r#"{{"id":"{id}","object":"file","bytes":5,"created_at":{created},"filename":"a.txt","purpose":""}}"#
        )
    };
    let files = [record("file_1", "null"), record("file_2", "1767225600")].join(",");
    let server = Server::new(move |_, _| {
        Answer::json(format!(r#"{{"object":"list","data":[{files}],"has_more":false}}"#))
    });
    let mut env = Sandbox::new();
    env.use_platform(&Case::of("xai", "openai"), server.at("/v1").as_ref(), "t");
    let run = env.haul(["gc", "--filter", "size > 0", "--json", "--fields", "id"]).ok();
    assert_eq!(run.json(), [json!({"id": "file_2"})], "{run}");
    assert!(run.stderr().contains("kept 1 file"), "{run}");
}

#[test]
fn files_of_a_vector_store_are_protected() {
    let env = Sandbox::with_files(&["a.txt", "b.txt", "c.txt"]);
    let gc = |rest: &str| {
        let script = format!(
            r#"set -eu
            post() {{ curl -sf -X POST -H "Authorization: Bearer $OPENAI_API_KEY" -H 'Content-Type: application/json' \
              -d "$2" "$OPENAI_BASE_URL/vector_stores$1"; }}
            store=$(post "" '{{}}' | sed 's/.*"id":"\([^"]*\)".*/\1/')
            {HAUL} upload -q -p openai a.txt > /dev/null
            {HAUL} upload -q -p openai b.txt --set "vector_store=$store" > /dev/null
            c=$({HAUL} upload -q -p openai c.txt --ids)
            {rest} --json --fields name,deleted"#
        );
        let run = env.haul(["serve", "--ephemeral", "--only", "openai", "--", "sh", "-c", &script]).ok();
        let rows: Vec<Value> = serde_json::from_str(&run.stdout()).unwrap();
        let mut names: Vec<String> =
            rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        (names.join(" "), run)
    };
    let all = format!("{HAUL} gc openai: --filter 'size > 0' --min-age 0s");
    let (names, run) = gc(&format!("{all} --yes"));
    assert_eq!(names, "a.txt c.txt", "{run}");
    assert!(run.stderr().contains("kept 1 file: used by a vector store"), "{run}");
    // A file that is added to the store after the plan.
    let (names, run) = gc(&format!(
        r#"{all} --plan plan.json > /dev/null; post "/$store/files" "{{\"file_id\":\"$c\"}}" > /dev/null
        {HAUL} gc --apply plan.json"#
    ));
    assert_eq!(names, "a.txt", "{run}");
}

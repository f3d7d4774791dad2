//! `replace` and `update` on a platform that refuses to delete the old file.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use haul::model::Clock;
use haul::providers::Download;
use serde_json::json;

use super::proxy::refusing;
use super::{machine, remote_cases, stored, tally};
use crate::platforms::some;
use crate::support::emulator::Emulator;
use crate::support::sandbox::Run;

#[test]
fn only_the_deletion_is_tried_again() {
    let cases = remote_cases().filter(|case| case.can().delete && case.deletes() && !case.can().replace);
    for (number, case) in some(cases).into_iter().enumerate() {
        // `update` requires contents that can be compared.
        let compares = case.can().download == Download::Any;
        let mode = if number % 2 == 0 || !compares { "replace" } else { "update" };
        let served = Arc::new(Emulator::start(&case.setup(Clock(None))));
        let refuses = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&refuses);
        let proxy = refusing(served.address, "DELETE", move || flag.load(Ordering::SeqCst));
        let env = machine(&case, &served, &proxy.origin());
        let upload = |more: &[&str]| {
            let mode = ["upload", "--json", "--if-exists", mode, "--compare", "download"];
            env.haul([&mode[..], more].concat())
        };
        let ids = || -> Vec<String> { stored(&case, &served).into_iter().map(|file| file.id.0).collect() };
        let id_of = |run: &Run| run.json()[0]["id"].as_str().unwrap().to_owned();
        env.write("a.txt", "first");
        env.write("b.txt", "other");
        let old = id_of(&upload(&["a.txt"]).ok());
        env.write("a.txt", "again");
        refuses.store(true, Ordering::SeqCst);
        let run = upload(&["a.txt", "b.txt", "--report", "report"]).fails(4);
        let rows = run.json();
        let row = rows.iter().find(|row| row["name"] == "a.txt").unwrap();
        let new = row["id"].as_str().unwrap();
        assert_eq!((&row["kept"], ids().len()), (&json!(old), 3), "{}: {run}", case.name());
        let errors = run.errors();
        let hint = format!("to delete the old file: `haul rm -p {} id:{old}`", case.provider);
        let hints = errors[0]["error"]["hints"].as_array().unwrap();
        assert_eq!(hints.last(), Some(&json!(hint)), "{}: {run}", case.name());
        let report = String::from_utf8(env.read("report")).unwrap();
        let line = report.lines().find(|line| line.contains("a.txt")).unwrap();
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(
            (&line["outcome"], &line["id"], &line["kept"]),
            (&json!("failed"), &json!(new), &json!(old))
        );
        // The same command and `--retry-from` both retry the deletion, the latter even without the ledger.
        upload(&["a.txt", "b.txt"]).fails(4);
        assert_eq!(ids().len(), 3, "{}", case.name());
        refuses.store(false, Ordering::SeqCst);
        let again = if number % 3 == 0 {
            upload(&["a.txt", "b.txt"])
        } else {
            std::fs::remove_dir_all(env.home().join("state")).unwrap();
            env.haul(["upload", "--json", "--retry-from", "report"])
        };
        let rows = again.ok().json();
        let row = rows.iter().find(|row| row["name"] == "a.txt").unwrap();
        assert_eq!((&row["id"], &row["kept"]), (&json!(new), &json!(null)), "{}", case.name());
        assert!(!ids().contains(&old) && ids().contains(&new.to_owned()), "{}", case.name());
        assert_eq!(ids().len(), 2, "{}", case.name());
        tally(&case, &format!("`{mode}`, deletion refused, then run again"), "2 files, the old one is gone");
    }
}

//! Option values that begin with a minus sign.

use crate::find::support::{LOCAL, haul, names};
use crate::support::rig::Rig;

#[test]
fn a_value_may_begin_with_a_minus_sign() {
    let rig = Rig::new(LOCAL);
    for name in ["-draft.txt", "report.txt", "other.txt"] {
        rig.put(name, "x");
    }
    for (arguments, found) in [
        (&["ls", "--filter", "-name:report"][..], &["other.txt", "-draft.txt"][..]),
        (&["ls", "--filter", "-name:report -name:draft"], &["other.txt"]),
        (&["ls", "--since", "-7d", "--filter", "-name:report"], &["other.txt", "-draft.txt"]),
        (&["ls", "--name", "-draft.txt"], &["-draft.txt"]),
        (&["ls", "--type", "-zzz"], &[]),
        (&["info", "--filter", "-name:report"], &["other.txt", "-draft.txt"]),
        (&["meta", "get", "--filter", "-name:report"], &["other.txt", "-draft.txt"]),
        (&["meta", "set", "k=v", "--yes", "--filter", "-name:report"], &["other.txt", "-draft.txt"]),
        (&["get", "-n", "--filter", "-name:report"], &["other.txt", "-draft.txt"]),
        (&["rm", "-n", "--filter", "-name:report"], &["other.txt", "-draft.txt"]),
        (&["meta", "set", "other.txt", "--name", "-other.txt"], &["-other.txt"]),
        (&["rm", "--yes", "--filter", "-name:report"], &["-other.txt", "-draft.txt"]),
        (&["ls"], &["report.txt"]),
    ] {
        let ran = haul(&rig, &[arguments, &["--jsonl"]].concat());
        let mut named: Vec<String> = ran
            .lines()
            .iter()
            .map(|row| {
                serde_json::from_str::<serde_json::Value>(row).unwrap()["name"].as_str().unwrap().to_owned()
            })
            .collect();
        let mut found = found.to_vec();
        // Only a listing has an order; other commands print results as they arrive.
        if arguments[0] != "ls" {
            named.sort();
            found.sort_unstable();
        }
        assert_eq!(named, found, "{arguments:?}");
    }
    for (arguments, message) in [
        (&["ls", "--expiring", "-1h"][..], "--expiring -1h: invalid duration"),
        (&["ls", "--filter", "-nope"], "filter, column 2: expected an operator after `nope`"),
        // An option is not parsed as the value of the preceding option.
        (&["ls", "--filter", "--long"], "--filter requires a value"),
        (&["rm", "--filter", "--dry-run"], "--filter requires a value"),
        (&["rm", "--filter", "-n"], "--filter requires a value"),
        (&["meta", "set", "report.txt", "--name", "--yes"], "--name requires a value"),
        (&["upload", "report.txt", "--name", "--dry-run"], "--name requires a value"),
    ] {
        let ran = haul(&rig, arguments);
        assert_eq!((ran.status, ran.stdout().as_str()), (2, ""), "{arguments:?}: {ran:?}");
        assert_eq!(ran.stderr().lines().next(), Some(&*format!("error: {message}")), "{arguments:?}");
    }
    let ran = haul(&rig, &["meta", "set", "report.txt", "--name=--yes", "--jsonl"]);
    assert_eq!(names(&ran.files()), ["--yes"]);
}

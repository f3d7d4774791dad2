//! "Did you mean": whatever is misspelt, the hint comes first and can be typed.

use crate::check;
use crate::support::sandbox::Sandbox;

/// What is typed, and what was meant.
const TYPED: &[(&[&str], &str)] = &[
    (&["lss"], "haul ls"),
    (&["uplaod", "a.txt"], "haul upload"),
    (&["delte", "a.txt"], "haul delete"),
    (&["login"], "haul auth login"),
    (&["unset", "a.txt", "key"], "haul meta unset"),
    (&["version"], "haul --version"),
    (&["meta", "sett"], "haul meta set"),
    (&["ls", "--jsn"], "--json"),
    (&["ls", "--limt=3"], "--limit"),
    (&["upload", "--dryrun", "a.txt"], "--dry-run"),
    (&["ls", "--color", "allways"], "always"),
    (&["upload", "a.txt", "--if-exists", "skp"], "skip"),
    (&["ls", "--fields", "nmae"], "name"),
    (&["link", "a.txt", "--fields", "lnk_id"], "link_id"),
    (&["ls", "--sort", "creatd_at"], "created_at"),
    (&["ls", "--filter", "sise > 1"], "size"),
    (&["ls", "--filter", "metdata.author = 1"], "metadata.author"),
    (&["ls", "-p", "xia"], "xai"),
    (&["profile", "add", "work", "--provider", "lamacloud"], "llamacloud"),
    (&["providers", "metoral"], "metorial"),
    (&["ls", "-p", "activeloop", "--set", "workspac=x"], "workspace"),
    (&["ls", "-p", "xai", "--wire-dialect", "gatway"], "gateway"),
    (&["help", "filtrs"], "haul help filters"),
    (&["help", "uplod"], "haul help upload"),
    (&["serve", "--only", "replcate"], "replicate"),
    (&["serve", "--dialect", "metorial=pulsr"], "pulsar"),
    (&["serve", "--quirk", "dfl-id"], "dfl-ids"),
    (&["serve", "--fault", "loose"], "lose"),
    (&["info", "reprot.pdf"], "report.pdf"),
    (&["get", "report"], "report.pdf"),
    (&["upload", "docs/reprot.pdf"], "docs/report.pdf"),
];

#[test]
fn a_misspelt_word_is_understood() {
    let env = Sandbox::with_files(&["report.pdf"]);
    env.write("docs/report.pdf", "");
    for (arguments, meant) in TYPED {
        let run = env.haul(arguments.iter().chain(&["--json"]));
        assert!(matches!(run.status, 2 | 3), "{arguments:?}\n{run}");
        let hints = &run.errors()[0]["error"]["hints"];
        assert_eq!(hints[0], format!("did you mean `{meant}`?"), "{arguments:?}\n{run}");
    }
}

#[test]
fn what_is_like_nothing_is_not_guessed_at() {
    let env = Sandbox::with_files(&["report.pdf"]);
    for arguments in [
        &["zzz"][..],
        &["ls", "--zzz"],
        &["ls", "--fields", "zzz"],
        &["ls", "--filter", "zzz = 1"],
        &["ls", "-p", "zzz"],
        &["info", "zzz"],
        &["upload", "zzz"],
        &["providers", "zzz"],
        &["help", "zzz"],
    ] {
        let run = env.haul(arguments);
        assert!(!run.stderr().contains("did you mean"), "{arguments:?}\n{run}");
    }
    check!(env.haul(["upload", "docs/*.pdf"]), @"
    status 3
    --- err
    error: docs/*.pdf: no such file or directory
    hint: `haul upload -r docs --include '*.pdf'`
    ");
}

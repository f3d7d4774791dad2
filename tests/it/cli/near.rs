//! "Did you mean": for any misspelling the hint comes first and can be typed.

use haul::emulator::PLATFORMS;
use haul::providers::REGISTRY;

use crate::check;
use crate::support::sandbox::Sandbox;

/// The typed arguments, and the expected suggestion.
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
    (&["help", "filtrs"], "haul help filters"),
    (&["help", "uplod"], "haul help upload"),
    (&["serve", "--fault", "loose"], "lose"),
    (&["info", "reprot.pdf"], "report.pdf"),
    (&["get", "report"], "report.pdf"),
    (&["upload", "docs/reprot.pdf"], "docs/report.pdf"),
];

#[test]
fn a_misspelled_word_gets_a_suggestion() {
    let env = Sandbox::with_files(&["report.pdf"]);
    env.write("docs/report.pdf", "");
    for (arguments, meant) in TYPED {
        is_understood(&env, arguments, meant);
    }
}

fn is_understood(env: &Sandbox, arguments: &[&str], meant: &str) {
    let run = env.haul(arguments.iter().chain(&["--json"]));
    assert!(matches!(run.status, 2 | 3), "{arguments:?}\n{run}");
    let hints = &run.errors()[0]["error"]["hints"];
    assert_eq!(hints[0], format!("did you mean `{meant}`?"), "{arguments:?}\n{run}");
}

/// The word with its last two letters swapped.
fn misspelled(word: &str) -> String {
    let (rest, last) = word.split_at(word.len() - 2);
    rest.chars().chain(last.chars().rev()).collect()
}

#[test]
fn a_misspelled_platform_gets_a_suggestion() {
    let env = Sandbox::new();
    for spec in REGISTRY {
        let (name, wrong) = (spec.name, misspelled(spec.name));
        is_understood(&env, &["ls", "-p", &wrong], name);
        is_understood(&env, &["profile", "add", "work", "--provider", &wrong], name);
        is_understood(&env, &["providers", &wrong], name);
        for setting in
            spec.settings.iter().filter(|setting| !setting.secret && !setting.key.ends_with("NAME"))
        {
            is_understood(
                &env,
                &["ls", "-p", name, "--set", &format!("{}=x", misspelled(setting.key))],
                setting.key,
            );
        }
        for dialect in spec.dialects {
            is_understood(
                &env,
                &["ls", "-p", name, "--wire-dialect", &misspelled(dialect.name)],
                dialect.name,
            );
        }
    }
    for platform in PLATFORMS {
        is_understood(&env, &["serve", "--only", &misspelled(platform.name)], platform.name);
        for dialect in platform.dialects {
            let wrong = format!("{}={}", platform.name, misspelled(dialect));
            is_understood(&env, &["serve", "--dialect", &wrong], dialect);
        }
        for quirk in platform.quirks {
            is_understood(&env, &["serve", "--quirk", &misspelled(quirk.name)], quirk.name);
        }
    }
}

#[test]
fn words_of_other_programs_get_a_hint() {
    let env = Sandbox::with_files(&["a.txt"]);
    for (line, hint) in [
        ("haul mv a.txt b.txt", "to rename a file: `haul meta set REF --name NAME`"),
        ("haul move a.txt b.txt", "to rename a file: `haul meta set REF --name NAME`"),
        ("haul find a.txt", "to search for files: `haul ls --filter 'name:report'`"),
        ("haul search a.txt", "to search for files: `haul ls --filter 'name:report'`"),
        ("haul profile show", "to show the settings of a profile: `haul config show -p xai`"),
        ("haul upload -f a.txt", "to replace existing files: `--if-exists replace`"),
        ("haul upload --force a.txt", "to replace existing files: `--if-exists replace`"),
        ("haul upload --overwrite a.txt", "to replace existing files: `--if-exists replace`"),
        ("haul ls -r", "to reverse the order: `--sort name --reverse`"),
        ("haul ls -p claude", "did you mean `anthropic`?"),
        ("haul ls -p chatgpt", "did you mean `openai`?"),
        ("haul ls -p gpt", "did you mean `openai`?"),
        ("haul ls -p google", "did you mean `gemini`?"),
        ("haul profile add work --provider claude", "did you mean `anthropic`?"),
        ("haul init", "to store a token: `haul auth login xai`"),
        ("haul whoami", "did you mean `haul auth status`?"),
        (
            "haul config set timeout 3s",
            "to print the settings and the path of the config file: `haul config show`",
        ),
        ("haul ls -o json", "for JSON: `--json`"),
        ("haul ls --format=json", "for JSON: `--json`"),
        ("haul ls -t", "to sort by time: `--sort -created_at`"),
        ("haul ls -S", "to sort by size: `--sort -size`"),
        ("haul rm -f a.txt", "to skip the confirmation: `--yes`"),
        ("haul get -f a.txt", "to overwrite files: `--overwrite`"),
        ("haul lint a.txt", "example: `haul lint "),
    ] {
        env.shell(line).fails(2).says(&format!("hint: {hint}"));
    }
    env.haul(["meta", "set", "a.txt", "author=kim"]).ok();
    env.haul(["meta", "get", "a.txt", "author"])
        .fails(3)
        .says("`haul meta get a.txt --fields metadata.author`");
    assert_eq!(env.haul(["meta", "get", "a.txt", "--fields", "metadata.author"]).ok().stdout(), "kim\n");
    env.haul(["cp", "a", "b"]).fails(2).says("a and b are local paths").says("`PROFILE:REF`");
}

#[test]
fn an_unrelated_word_gets_no_suggestion() {
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

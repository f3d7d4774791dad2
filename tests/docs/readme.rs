//! Runs the `console` blocks of the README in order, in an empty home, beside platforms that `haul serve` serves; and
//! looks up what else the README refers to.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::support::process::ServeProcess;
use crate::support::sandbox::Sandbox;

const TOKEN: &str = "the-right-token";

fn readme() -> String {
    fs::read_to_string("README.md").unwrap()
}

#[test]
fn the_readme_does_what_it_says() {
    // The tour fetches a file into the folder that it runs in; a failed run has left it there.
    let forget = || drop(fs::remove_file("COPY"));
    forget();
    let env = Sandbox::new().with_real_clock();
    let served = ServeProcess::start(&env, ["--ephemeral", "--token", TOKEN]);
    let cases = trycmd::TestCases::new();
    cases
        .env("HAUL_HOME", env.home().to_string_lossy())
        .env("HAUL_TOKEN", "")
        .env("NO_COLOR", "1")
        .default_bin_name("haul")
        .case("README.md");
    for (name, value) in served.variables() {
        // The README tells what happens with a wrong token, and with none.
        let value = match name.as_str() {
            "XAI_API_KEY" => "a-wrong-token",
            "LLAMA_CLOUD_BASE_URL" | "LLAMA_CLOUD_API_KEY" => "",
            _ => &value,
        };
        cases.env(name, value);
    }
    cases.run();
    forget();
}

/// Every block is of a language that some test runs or that is no command, and no block hides a command in `text`.
#[test]
fn no_block_is_left_out() {
    let readme = readme();
    let (mut seen, mut inside) = (BTreeSet::new(), None);
    for line in readme.lines() {
        match (inside, line.strip_prefix("```")) {
            (None, Some(language)) => {
                seen.insert(language);
                inside = Some(language);
            }
            (Some(_), Some("")) => inside = None,
            (Some("text" | ""), _) => assert!(!line.contains("haul ") && !line.contains("cargo "), "{line}"),
            _ => {}
        }
    }
    let known = BTreeSet::from(["console", "sh", "yaml", "python", "text"]);
    assert!(seen.is_subset(&known), "{seen:?}");
}

/// Each promise names the tests that hold it: `tests/FILE.rs` or a folder, and `test_of_that_file` after it.
#[test]
fn named_tests_exist() {
    let readme = readme();
    let mut file = String::new();
    let (mut files, mut functions) = (0, 0);
    for line in readme.lines() {
        let words = line.split('`').skip(1).step_by(2);
        for word in words {
            if word.starts_with("tests/") {
                assert!(Path::new(word).exists(), "{word} is not there");
                file =
                    if Path::new(word).is_file() { fs::read_to_string(word).unwrap() } else { String::new() };
                files += 1;
            } else if word.matches('_').count() > 2
                && word.chars().all(|c| c.is_ascii_lowercase() || c == '_')
            {
                let test = format!("fn {word}(");
                assert!(file.contains(&test), "{word} is no test of the file before it");
                functions += 1;
            }
        }
    }
    assert!(files > 10 && functions > 10, "{files} files, {functions} functions");
}

/// The links within the page lead to its headings, and those to files to files.
#[test]
fn links_lead_somewhere() {
    let readme = readme();
    let anchor = |heading: &str| -> String {
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        heading.to_lowercase().chars().filter(kept).map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    let anchors: BTreeSet<String> = readme
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| anchor(line.trim_start_matches('#').trim()))
        .collect();
    let mut links = 0;
    for (at, _) in readme.match_indices("](") {
        let target = readme[at + 2..].split(')').next().unwrap();
        match target.strip_prefix('#') {
            Some(anchor) => assert!(anchors.contains(anchor), "no heading is called {anchor}: {anchors:?}"),
            None => assert!(Path::new(target).exists(), "{target} is not there"),
        }
        links += 1;
    }
    assert!(links > 10, "{links}");
}

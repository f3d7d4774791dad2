//! The documents: their commands run, their generated parts are up to date, and their links are valid.
//!
//! - `console` blocks run here, with the output that the page shows.
//! - `sh` blocks and the commands of `yaml` blocks run in `tests/readme.sh`, `python` blocks in `tests/clients/run`.
//! - Commands that build or test haul are compared with the scripts that run them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use haul::cli::Cli;
use haul::commands::help::topics;
use haul::commands::providers;
use haul::settings::env;

use crate::platforms;
use crate::support::generated::{agree, root};
use crate::support::process::ServeProcess;
use crate::support::sandbox::{HAUL, Sandbox};

const TOKEN: &str = "the-right-token";

/// A page, with its path from the root of the repository.
struct Document {
    path: String,
    text: String,
}

/// A fenced block: its language, the number of its first line and its lines.
struct Block<'a> {
    language: &'a str,
    line: usize,
    lines: Vec<&'a str>,
}

impl Document {
    fn blocks(&self) -> Vec<Block<'_>> {
        let (mut blocks, mut open) = (Vec::new(), None);
        for (line, text) in (1..).zip(self.text.lines()) {
            match (open.take(), text.strip_prefix("```")) {
                (None, Some(language)) => open = Some(Block { language, line, lines: Vec::new() }),
                (Some(block), Some("")) => blocks.push(block),
                (Some(mut block), _) => {
                    block.lines.push(text);
                    open = Some(block);
                }
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a block is not closed", self.path);
        blocks
    }

    /// The text outside of blocks.
    fn prose(&self) -> String {
        let mut inside = false;
        let lines = self.text.lines().filter(|line| {
            let fence = line.starts_with("```");
            inside ^= fence;
            !inside && !fence
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Whether the page is for users, so that `tests/readme.sh` runs its `sh` blocks.
    fn is_for_users(&self) -> bool {
        !["CONTRIBUTING.md", "docs/architecture.md", "docs/adding-a-platform.md"].contains(&&*self.path)
    }
}

/// The README, CONTRIBUTING, the changelog and every page of `docs/`.
fn documents() -> Vec<Document> {
    fn walk(folder: &str, paths: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.to_str().unwrap().to_owned();
            if path.is_dir() {
                walk(&name, paths);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                paths.push(name);
            }
        }
    }
    let mut paths = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(str::to_owned).to_vec();
    walk("docs", &mut paths);
    paths.sort();
    let read = |path: String| Document { text: fs::read_to_string(&path).unwrap(), path };
    paths.into_iter().map(read).collect()
}

/// Each page runs with an empty home, and with platforms that `haul serve` emulates.
#[test]
fn console_blocks_produce_the_shown_output() {
    // A page downloads into the folder that it runs in, and a failed run may have left the file.
    let clean = || drop(fs::remove_file("COPY"));
    // Some commands run haul within `haul serve`.
    let path = std::env::join_paths(
        std::iter::once(Path::new(HAUL).parent().unwrap().to_owned())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let path = path.unwrap().into_string().unwrap();
    let mut pages = 0;
    for document in documents() {
        if !document.blocks().iter().any(|block| block.language == "console") {
            continue;
        }
        clean();
        let env = Sandbox::new().with_real_clock();
        let served = ServeProcess::start(&env, ["--ephemeral", "--token", TOKEN]);
        let cases = trycmd::TestCases::new();
        cases
            .env("HAUL_HOME", env.home().to_string_lossy())
            .env("HAUL_TOKEN", "")
            .env("PATH", &path)
            .env("NO_COLOR", "1")
            .default_bin_name("haul")
            .case(&document.path);
        for (name, value) in served.variables() {
            // The pages show the errors for a wrong token and for a missing one.
            let value = match name.as_str() {
                "XAI_API_KEY" => "a-wrong-token",
                "LLAMA_CLOUD_BASE_URL" | "LLAMA_CLOUD_API_KEY" | "HAUL_PROFILE_LLAMACLOUD_BASE_URL" => "",
                _ => &value,
            };
            cases.env(name, value);
        }
        cases.run();
        pages += 1;
    }
    clean();
    assert!(pages >= 6, "{pages}");
}

/// Every block has a language that some test runs, or one without commands.
#[test]
fn every_command_is_tested() {
    for document in documents() {
        let known: &[&str] = match document.path.as_str() {
            path if path.starts_with("docs/platforms/") => &["console", "sh", "http", "json", "text"],
            path if document.is_for_users() && path != "CHANGELOG.md" => {
                &["console", "sh", "yaml", "python", "toml", "text"]
            }
            _ => &["sh", "rust", "text"],
        };
        for Block { language, line, lines } in document.blocks() {
            let place = format!("{}:{line}", document.path);
            assert!(known.contains(&language), "{place}: no test runs blocks of {language:?}");
            if ["text", "json", "http", "rust"].contains(&language) {
                let is_command = |line: &&&str| line.starts_with("haul ") || line.starts_with("cargo ");
                assert_eq!(
                    lines.iter().find(is_command),
                    None,
                    "{place}: a command in a block of {language}"
                );
            }
            assert!(
                language != "python" || document.path == "README.md",
                "{place}: tests/clients/run reads the README"
            );
        }
    }
}

/// The systemd unit and the compose file of a shared server use existing options.
#[test]
fn options_of_examples_exist() {
    let all = Cli::tree();
    let serve = all.find_subcommand("serve").unwrap();
    let page = documents().into_iter().find(|document| document.path == "docs/shared-server.md").unwrap();
    let mut count = 0;
    for block in page.blocks().iter().filter(|block| ["text", "yaml"].contains(&block.language)) {
        let words = block.lines.iter().flat_map(|line| line.split([' ', '"', ',']));
        for option in words.filter_map(|word| word.strip_prefix("--")) {
            let is_known = serve.get_arguments().any(|known| known.get_long() == Some(option));
            assert!(is_known, "{}: haul serve has no option --{option}", page.path);
            count += 1;
        }
    }
    assert!(count > 5, "{count}");
}

/// Config files in the documents are valid, as `haul config show` reads them.
#[test]
fn config_files_are_valid() {
    let mut count = 0;
    for document in documents() {
        for block in document.blocks().iter().filter(|block| block.language == "toml") {
            let run = Sandbox::new().with_config(&block.lines.join("\n")).haul(["config", "show"]);
            assert_eq!(run.status, 0, "{}:{}: {run}", document.path, block.line);
            assert!(!run.to_string().contains("warning"), "{}:{}: {run}", document.path, block.line);
            count += 1;
        }
    }
    assert!(count > 0);
}

/// Documented commands that build, test or measure haul occur in the repository's scripts, or name an existing recipe,
/// test, benchmark or script.
#[test]
fn commands_of_the_build_exist() {
    let read = |path: &str| fs::read_to_string(path).unwrap();
    let justfile = read("justfile");
    let scripts = [".ci/run", "tests/package.sh", "tests/readme.sh"].map(read).join("\n") + &justfile;
    let sources = sources("tests") + &sources("src");
    let speed = read("docs/speed.md");
    let rows: Vec<&str> = speed
        .lines()
        .skip_while(|line| !line.starts_with("<!-- measured"))
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next())
        .collect();

    let check = |line: &str| -> bool {
        let line = line.trim_start_matches("sudo ").trim_start_matches("HAUL_TEST_BLESS=1 ");
        let line = line.split("  #").next().unwrap().trim();
        if let Some(recipe) = line.strip_prefix("just ") {
            let name = recipe.split(' ').next().unwrap();
            return justfile
                .lines()
                .any(|line| line.starts_with(&format!("{name}:")) || line.starts_with(&format!("{name} ")));
        }
        if let Some(row) = line.strip_prefix("cargo bench --bench speed -- ") {
            let row = row.trim_matches('"');
            return ["guards", "--markdown"].contains(&row) || rows.iter().any(|name| name.contains(row));
        }
        if let Some(filter) = line.strip_prefix("cargo test ").filter(|filter| !filter.starts_with('-')) {
            let name = filter.rsplit("::").next().unwrap();
            return sources.contains(&format!("fn {name}(")) || sources.contains(&format!("mod {name};"));
        }
        if let Some(packages) =
            line.strip_prefix("apt-get install ").filter(|packages| !packages.starts_with('.'))
        {
            return packages.split(' ').all(|package| scripts.contains(package));
        }
        if line.starts_with("tests/") || line.starts_with(".ci/") {
            return Path::new(line.split(' ').next().unwrap()).is_file();
        }
        line == "cargo bench --bench speed"
            || line.starts_with("cargo nextest run")
            || line.starts_with("git ")
            || scripts.contains(line)
    };
    let is_build = |line: &&str| {
        let words = ["cargo ", "just ", "sudo ", "git ", "tests/", ".ci/", "HAUL_TEST_BLESS="];
        words.iter().any(|word| line.starts_with(word))
    };
    let mut count = 0;
    for document in documents() {
        let blocks = document.blocks();
        let lines =
            blocks.iter().filter(|block| block.language == "sh").flat_map(|block| block.lines.clone());
        let prose = document.prose();
        let words = prose.split('`').skip(1).step_by(2);
        let quoted = words.filter(|word| word.starts_with("cargo bench") || word.starts_with("just "));
        for line in lines.filter(is_build).chain(quoted) {
            assert!(check(line), "{}: nothing runs this command: {line}", document.path);
            count += 1;
        }
        for block in blocks.iter().filter(|block| block.language == "sh" && !document.is_for_users()) {
            for line in block.lines.iter().filter(|line| !line.is_empty() && !line.starts_with('#')) {
                assert!(
                    is_build(line),
                    "{}:{}: no test runs this command: {line}",
                    document.path,
                    block.line
                );
            }
        }
    }
    assert!(count > 20, "{count}");
}

/// The text of all Rust files below a folder.
fn sources(folder: &str) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text += &sources(path.to_str().unwrap());
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text += &fs::read_to_string(path).unwrap();
        }
    }
    text
}

/// A promise names its tests: a folder below `tests`, or `tests/FILE.rs` followed by the names of tests in that file.
#[test]
fn named_tests_exist() {
    let document = fs::read_to_string("docs/security.md").unwrap();
    let mut file = String::new();
    let (mut files, mut functions) = (0, 0);
    for line in document.lines() {
        for word in line.split('`').skip(1).step_by(2) {
            if word.starts_with("tests/") {
                assert!(Path::new(word).exists(), "{word} does not exist");
                file =
                    if Path::new(word).is_file() { fs::read_to_string(word).unwrap() } else { String::new() };
                files += 1;
            } else if word.matches('_').count() > 2
                && word.chars().all(|c| c.is_ascii_lowercase() || c == '_')
            {
                assert!(
                    file.contains(&format!("fn {word}(")),
                    "{word} is not a test of the file named before it"
                );
                functions += 1;
            }
        }
    }
    assert!(files > 10 && functions > 10, "{files} files, {functions} functions");
}

/// Files of the repository that the contributor's pages name exist.
#[test]
fn named_files_exist() {
    let mut count = 0;
    for document in documents() {
        // The platforms' pages name files of other repositories.
        if document.path == "CHANGELOG.md" || document.path.starts_with("docs/platforms/") {
            continue;
        }
        for word in document.prose().split('`').skip(1).step_by(2) {
            let is_path = ["src/", "tests/", "docs/", "benches/", "packaging/", ".ci/", ".github/"];
            let is_pattern = word.contains(|c: char| "<*{ ".contains(c));
            if is_path.iter().any(|start| word.starts_with(start)) && !is_pattern && !word.contains("NAME") {
                assert!(Path::new(word).exists(), "{}: {word} does not exist", document.path);
                count += 1;
            }
        }
    }
    assert!(count > 20, "{count}");
}

/// The targets of all links exist: files, and headings of this or another page.
#[test]
fn links_are_valid() {
    let anchor = |heading: &str| -> String {
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        heading.to_lowercase().chars().filter(kept).map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    let documents = documents();
    let anchors: BTreeMap<String, BTreeSet<String>> = documents
        .iter()
        .map(|document| {
            let prose = document.prose();
            let headings = prose.lines().filter(|line| line.starts_with('#'));
            let anchors = headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect();
            (document.path.clone(), anchors)
        })
        .collect();
    let (mut links, mut linked) = (0, BTreeSet::from(["README.md".to_owned()]));
    for document in &documents {
        let prose = document.prose();
        for (at, _) in prose.match_indices("](") {
            let target = prose[at + 2..].split(')').next().unwrap();
            if target.starts_with("https://") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = if file.is_empty() { document.path.clone() } else { resolved(&document.path, file) };
            assert!(Path::new(&path).exists(), "{}: {target} does not exist", document.path);
            let headings = anchors.get(&path);
            let found = heading.is_empty() || headings.is_some_and(|anchors| anchors.contains(heading));
            assert!(found, "{}: no heading {target}: {headings:?}", document.path);
            if path != document.path {
                linked.insert(path);
            }
            links += 1;
        }
    }
    assert!(links > 40, "{links}");
    for document in &documents {
        assert!(linked.contains(&document.path), "no page links to {}", document.path);
    }
}

/// The path of a link from the root of the repository.
fn resolved(from: &str, link: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." | "" => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The README is a landing page.
#[test]
fn the_readme_is_short() {
    let readme = fs::read_to_string("README.md").unwrap();
    assert!(readme.lines().count() <= 200);
}

/// Parts between `<!-- generated: NAME -->` and `<!-- end -->` match the code that generates them.
#[test]
fn generated_parts() {
    let mut parts: BTreeMap<String, String> = BTreeMap::from([
        ("providers".to_owned(), providers::table()),
        ("exit-codes".to_owned(), topics::exit_code_table()),
        ("environment".to_owned(), environment_table()),
    ]);
    for (name, part) in platforms::parts() {
        parts.insert(format!("platform {name}"), part);
    }
    let mut missing: BTreeSet<String> = parts.keys().cloned().collect();
    for Document { path, text } in documents() {
        let mut wanted = String::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once("\n<!-- generated: ") {
            let (name, after) = after.split_once(" -->\n").unwrap();
            let (_, after) = after.split_once("<!-- end -->").unwrap();
            let part = parts.get(name).unwrap_or_else(|| panic!("{path}: nothing generates {name}"));
            wanted.extend([before, "\n<!-- generated: ", name, " -->\n", part, "<!-- end -->"]);
            missing.remove(name);
            rest = after;
        }
        agree(&root().join(path), &(wanted + rest));
    }
    assert!(missing.is_empty(), "no page has these parts: {missing:?}");
}

fn environment_table() -> String {
    let mut table = String::from("| variable | meaning |\n| --- | --- |\n");
    for (name, about) in env::DOCUMENTED {
        let _ = writeln!(table, "| `{name}` | {about} |");
    }
    table
}

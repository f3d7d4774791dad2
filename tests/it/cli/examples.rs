//! Runs every example in the help of every command and topic, in a home with the files that the examples name.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::fs::symlink;
use std::process::Command;

use haul::cli::Cli;
use haul::commands::help::topics::TOPICS;

use crate::cli::completions::{TOKEN, put, serve};
use crate::platforms;
use crate::support::process::ServeProcess;
use crate::support::rig::Case;
use crate::support::sandbox::{HAUL, Run, Sandbox};

/// Examples that are not simply run to their end.
enum Instead {
    /// Serves until it is stopped, on a port other than the default.
    Serves,
    /// Run by another test.
    Elsewhere,
}

use Instead::{Elsewhere, Serves};

/// The exceptions and their reasons.
const EXCEPTIONS: &[(&str, Instead, &str)] = &[
    ("haul auth login xai", Elsewhere, "it writes to the keyring of whoever runs this: tests/keyring.sh"),
    ("pass show xai | haul auth login xai", Elsewhere, "likewise"),
    (
        "haul get openai:batch:batch_1 -o results/",
        Elsewhere,
        "the emulator has no batches: tests/it/cli/lint.rs",
    ),
    ("haul sync docs xai: --check", Elsewhere, "it fails because there is something to change"),
    ("haul serve", Serves, "it serves until Ctrl-C"),
    ("haul serve --only xai --fault '429 POST times=2 retry-after=1'", Serves, "likewise"),
];

/// The lines of the block under `Examples:`.
fn examples_of(text: &str) -> Vec<String> {
    let block = text.lines().skip_while(|line| *line != "Examples:").skip(1);
    block.map_while(|line| line.strip_prefix("  ")).map(str::to_owned).collect()
}

/// The examples by command or topic: `haul meta set`, `haul help filters`.
fn all() -> Vec<(String, Vec<String>)> {
    fn walk(command: &clap::Command, name: &str, into: &mut Vec<(String, Vec<String>)>) {
        let text = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
        // A command that only has subcommands has its examples in them.
        if !command.has_subcommands() || !text.is_empty() {
            into.push((name.to_owned(), examples_of(&text)));
        }
        for below in command.get_subcommands() {
            walk(below, &format!("{name} {}", below.get_name()), into);
        }
    }
    let mut all = Vec::new();
    walk(&Cli::tree(), "haul", &mut all);
    all.extend(TOPICS.iter().map(|topic| (format!("haul help {}", topic.name), examples_of(&topic.text()))));
    all
}

/// Replacements for programs in examples that not every system has. Each checks that it received its input.
const PROGRAMS: &[(&str, &str)] = &[
    ("pass", "test \"$1\" = show && echo token-of-pass"),
    ("pytest", "test -n \"$XAI_BASE_URL$REPLICATE_BASE_URL\""),
    ("curl", "case \"$*\" in *\"Bearer sk-\"*) ;; *) exit 1 ;; esac"),
];

/// A home with the files and profiles that the examples name.
struct Stage {
    env: Sandbox,
    _served: ServeProcess,
}

impl Stage {
    fn new() -> Self {
        let mut env = Sandbox::new();
        let served = serve(&mut env);
        for platform in platforms::served().map(|(platform, _)| platform.name) {
            env.add_profile(platform, &Case::of(platform, "auto"), &served.base(platform), TOKEN);
        }
        env.set("HAUL_PROFILE_WORK_TOKEN", TOKEN);
        let config = format!("[profiles.work]\nprovider = 'xai'\nbase_url = '{}'\n", served.base("xai"));
        fs::write(env.home().join("config.toml"), config).unwrap();

        for (name, content) in [
            ("report.pdf", "%PDF"),
            ("final.csv", "a,b"),
            ("draft.tmp", "t"),
            ("video.mp4", "v"),
            ("docs/a.md", "# a"),
            ("notes.md", "# n"),
            ("requests.jsonl", r#"{"custom_id":"1","method":"POST","url":"/v1/responses","body":{}}"#),
            ("train.jsonl", r#"{"messages":[{"role":"user","content":"a"}]}"#),
            ("valid.jsonl", r#"{"messages":[{"role":"user","content":"b"}]}"#),
            ("src/main.rs", "fn main() {}"),
            ("haul.lock", r#"{"version":1,"targets":{}}"#),
            ("metadata.json", r#"{"author":"hegel"}"#),
        ] {
            env.write(name, content);
        }
        put(&env, [("file_1".to_owned(), "file_1.txt".to_owned())]);
        let metadata = ["--metadata", "author=hegel", "--metadata", "draft=true", "--metadata", "reviewer=x"];
        env.haul([&["upload", "report.pdf"][..], &metadata].concat()).ok();
        env.haul(["upload", "final.csv", "draft.tmp", "video.mp4", "notes.md"]).ok();
        env.haul(["link", "report.pdf"]).ok();
        // Platforms assign ids themselves, so the ids in examples are names here.
        env.write("file_1", "1");
        env.write("NGZi", "2");
        env.haul(["upload", "-p", "xai", "file_1", "report.pdf"]).ok();
        env.haul(["upload", "-p", "replicate", "NGZi"]).ok();
        env.haul(["upload", "-p", "llamacloud", "report.pdf"]).ok();
        // A report of an earlier run with failures, whose cause no longer exists.
        env.write("big/video.mp4", "in the way");
        env.haul(["get", "video.mp4", "-o", "big/", "--report", "r.jsonl"]).fails(1);
        for path in ["big/video.mp4", "report.pdf.part", "file_1", "NGZi"] {
            let _ = fs::remove_file(env.work().join(path));
        }
        for folder in [
            ".local/share/bash-completion/completions",
            ".zfunc",
            ".config/fish/completions",
            ".config/nushell/autoload",
        ] {
            fs::create_dir_all(env.home().join(folder)).unwrap();
        }
        let bin = env.root().join("bin");
        fs::create_dir(&bin).unwrap();
        symlink(HAUL, bin.join("haul")).unwrap();
        for (name, script) in PROGRAMS {
            fs::write(bin.join(name), format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self { env, _served: served }
    }

    /// Runs a line in a copy of the home, so that examples do not affect each other.
    fn run(&self, number: usize, example: &str) -> Run {
        let copy = self.env.root().join(format!("example-{number}"));
        fs::create_dir(&copy).unwrap();
        for folder in [self.env.home(), self.env.work()] {
            let copied = Command::new("cp").arg("-a").arg(folder).arg(&copy).status().unwrap();
            assert!(copied.success());
        }
        // `report.pdf` exists locally for uploads, but not for downloads.
        if example.starts_with("haul get") {
            fs::remove_file(copy.join("work/report.pdf")).unwrap();
        }
        let mut command = self.env.program("bash");
        command
            .args(["-o", "pipefail", "-c", example])
            .env("HAUL_HOME", copy.join("home"))
            .env("HOME", copy.join("home"))
            .env("PATH", format!("{}:/usr/bin:/bin", self.env.root().join("bin").display()))
            .current_dir(copy.join("work"));
        // The token comes from a pipe.
        self.env.run_reading(TOKEN, &mut command)
    }

    /// Starts a server and stops it once it has printed its address.
    fn serves(&self, example: &str) -> bool {
        let mut command = self.env.program("bash");
        command
            .args(["-c", &format!("exec {example} --listen 127.0.0.1:0")])
            .env("HAUL_HOME", self.env.root().join("serving"))
            .env("PATH", format!("{}:/usr/bin:/bin", self.env.root().join("bin").display()));
        ServeProcess::of(&self.env, &mut command).line.starts_with("http://127.0.0.1:")
    }
}

#[test]
fn every_command_has_examples() {
    for (name, examples) in all() {
        assert!(examples.len() >= 2, "{name} has {} examples", examples.len());
        for example in &examples {
            assert!(example.contains("haul "), "{name}: {example}");
            // Examples fit a terminal and can be copied unchanged.
            assert!(example.chars().count() <= 96, "{name}: {example}");
        }
    }
}

#[test]
#[allow(clippy::print_stderr, reason = "reports skipped tests")]
fn every_example_runs() {
    let has_jq = Command::new("jq").arg("--version").output().is_ok();
    assert!(has_jq || std::env::var_os("HAUL_TEST_CI").is_none(), "jq is not installed");
    let stage = Stage::new();
    let mut left: BTreeSet<&str> = EXCEPTIONS.iter().map(|(example, ..)| *example).collect();
    let mut wrong = Vec::new();
    for (number, (name, example)) in all()
        .into_iter()
        .flat_map(|(name, all)| all.into_iter().map(move |one| (name.clone(), one)))
        .enumerate()
    {
        if example.contains("jq ") && !has_jq {
            eprintln!("skipped, since jq is not installed: {example}");
            continue;
        }
        left.remove(example.as_str());
        let exception = EXCEPTIONS.iter().find(|(listed, ..)| *listed == example);
        match exception.map(|(_, instead, _)| instead) {
            None => {}
            Some(Elsewhere) => continue,
            Some(Serves) => {
                if !stage.serves(&example) {
                    wrong.push(format!("{name}: {example}: does not serve"));
                }
                continue;
            }
        }
        let run = stage.run(number, &example);
        if run.status != 0 {
            wrong.push(format!("{name}: {example}\n{run}"));
        }
    }
    assert!(left.is_empty(), "listed examples that no help contains: {left:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

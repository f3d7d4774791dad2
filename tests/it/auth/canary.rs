//! A token from any source appears in no output.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::thread;
use std::time::Duration;

use haul::settings::{Env, Flags, Settings};
use haul::vault::{self, Timeout};

use super::support::Server;
use crate::platforms::served;
use crate::support::sandbox::{Run, Sandbox};

const CANARY: &str = "canary-6f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// Whether text contains any part of the token that helps to guess the rest.
fn leaks(text: &str) -> bool {
    text.contains(&CANARY[5..25]) || text.contains(&CANARY[15..35])
}

fn command_lines() -> Vec<String> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|process| fs::read(process.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).into_owned())
        .collect()
}

/// A server that inspects all command lines while haul waits, and then refuses.
fn refusing_and_inspecting() -> Server {
    Server::new(401, |authorization| {
        let seen = command_lines().iter().any(|line| leaks(line));
        format!(r#"{{"error":"in a command line: {seen}, {authorization}"}}"#)
    })
}

fn check(ran: &Run, what: &str) {
    assert!(!leaks(&ran.stdout()) && !leaks(&ran.stderr()), "{what}: {ran:?}");
    assert!(!ran.stderr().contains("panicked"), "{what}: {ran:?}");
    assert!(!ran.stderr().contains("in a command line: true"), "{what} has it in a command line: {ran:?}");
}

/// Commands that send the token, and commands that read settings.
const COMMANDS: &[&str] = &[
    "-vvv ls",
    "-vvv --json ls",
    "-vvv info f1",
    "-vvv get f1 -o -",
    "-vvv rm f1",
    "-vvv upload - --name x.txt",
    "-vvv meta set f1 a=b",
    "-vvv link f1",
    "-vvv auth status",
    "-vvv --json auth status",
    "-vvv auth status --offline",
    "-vvv config show",
    "-vvv profile ls",
    "-vvv --json profile ls",
];

fn run_all(home: &Sandbox, profile: &str, server: &Server) {
    let before = server.seen().len();
    for command in COMMANDS {
        check(&home.line(&format!("-p {profile} {command} --retries 0")), &format!("{profile}: {command}"));
    }
    let seen = server.seen()[before..].to_vec();
    assert!(seen.len() > 6, "{profile} sent {} requests", seen.len());
    let bearer = format!("Bearer {CANARY}");
    assert!(seen.iter().all(|token| *token == bearer), "{profile} did not send it");
    for (path, text) in home.contents() {
        let may = path.ends_with("tokens/xai") || path.ends_with("pass.txt");
        assert!(may || !leaks(&text), "{} has it", path.display());
    }
}

#[test]
fn a_token_of_a_variable_is_never_shown() {
    let server = refusing_and_inspecting();
    for variable in ["HAUL_TOKEN", "XAI_API_KEY", "HAUL_PROFILE_XAI_TOKEN"] {
        let home = Sandbox::new()
            .with_config(&format!("[profiles.xai]\nbase_url = '{}'\n", server.url))
            .with_var(variable, CANARY);
        run_all(&home, "xai", &server);
    }
}

#[test]
fn a_token_of_a_command_is_never_shown() {
    let server = refusing_and_inspecting();
    let home = Sandbox::new().with_config("");
    let path = home.home().join("pass.txt");
    fs::write(&path, CANARY).unwrap();
    let command = format!("cat {}", path.display());
    let home = home
        .with_config(&format!("[profiles.xai]\nbase_url = '{}'\ntoken_command = '{command}'\n", server.url));
    run_all(&home, "xai", &server);
}

#[test]
fn a_token_of_a_login_is_never_shown() {
    let server = refusing_and_inspecting();
    let home = Sandbox::new().with_config(&format!("[profiles.xai]\nbase_url = '{}'\n", server.url));
    check(&home.line_reading(CANARY, "-vvv auth login xai --insecure-storage"), "a refused login");
    check(&home.line_reading(CANARY, "-vvv auth login xai --insecure-storage --no-check"), "a login");
    run_all(&home, "xai", &server);
    check(&home.line("-vvv auth logout xai"), "a logout");
    assert!(!home.contents().iter().any(|(_, text)| leaks(text)));
}

#[test]
fn no_platform_reveals_a_token() {
    let server = refusing_and_inspecting();
    for platform in served().map(|(platform, _)| platform.name) {
        let home =
            Sandbox::new().with_config(&format!("[profiles.{platform}]\nbase_url = '{}'\n", server.url));
        let home = home.with_var("HAUL_TOKEN", CANARY);
        for command in COMMANDS {
            check(
                &home.line(&format!("-p {platform} {command} --retries 0")),
                &format!("{platform}: {command}"),
            );
        }
    }
    assert!(server.seen().contains(&format!("Bearer {CANARY}")));
}

#[test]
fn debug_output_contains_no_token() {
    let home = Sandbox::new().with_config("[profiles.replicate.set]\nsigning_secret = 'canary-set'\n");
    let variables = [
        ("HAUL_HOME", home.home().display().to_string()),
        ("HAUL_TOKEN", CANARY.to_owned()),
        ("HAUL_PROFILE", "xai".to_owned()),
    ];
    let env: Env = variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let settings = Settings::load(Flags::default(), env).unwrap();
    let profile = settings.profile("xai").unwrap();
    let token = vault::token(&settings, &profile, &Timeout::after(std::time::Duration::from_secs(3)))
        .unwrap()
        .unwrap();
    assert_eq!(token.secret.expose(), CANARY);
    let shown = format!("{settings:?} {settings:#?} {token:?} {:?}", settings.env);
    assert!(shown.contains("HAUL_TOKEN"), "{shown}");
    assert!(!leaks(&shown) && !shown.contains("canary-set"), "{shown}");
}

#[test]
fn the_search_finds_a_word_in_a_command_line() {
    // Not the canary itself: other tests run at the same time.
    let word = "sparrow-in-a-command-line";
    let mut child = std::process::Command::new("sleep").arg0(word).arg("60").spawn().unwrap();
    let found = (0..100).any(|_| {
        thread::sleep(Duration::from_millis(20));
        command_lines().iter().any(|line| line.contains(word))
    });
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(found);
}

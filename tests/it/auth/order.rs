//! The precedence of token sources, and the servers that never receive a token.

use super::support::{Server, set_mode};
use crate::support::sandbox::Sandbox;

fn sent(home: &Sandbox, profile: &str, server: &Server) -> String {
    let before = server.seen().len();
    home.line(&format!("-p {profile} ls")).ok();
    let seen = server.seen();
    assert_eq!(seen.len(), before + 1, "{seen:?}");
    seen.last().unwrap().trim_start_matches("Bearer ").to_owned()
}

#[test]
fn the_flag_beats_the_variable_and_the_variable_the_file() {
    let servers = ["flag", "variable", "config"].map(|name| (name, Server::willing()));
    let profile = |(name, server): &(&str, Server)| {
        format!("[profiles.{name}]\nprovider = 'xai'\nbase_url = '{}'\n", server.url)
    };
    let text = format!("default_profile = 'config'\n{}", servers.iter().map(profile).collect::<String>());
    let counts = || servers.each_ref().map(|(_, server)| server.seen().len());
    let home = Sandbox::new().with_config(&text);
    home.line("ls").ok();
    assert_eq!(counts(), [0, 0, 1]);
    let home = home.with_var("HAUL_PROFILE", "variable");
    home.line("ls").ok();
    assert_eq!(counts(), [0, 1, 1]);
    home.line("-p flag ls").ok();
    assert_eq!(counts(), [1, 1, 1]);
}

#[test]
fn a_built_in_profile_prefers_the_official_variable_to_its_command() {
    let server = Server::willing();
    let config = |home: Sandbox| {
        home.with_config(&format!(
            "[profiles.xai]\nbase_url = '{}'\ntoken_command = 'echo command'\n",
            server.url
        ))
    };
    let home = config(Sandbox::new());
    assert_eq!(sent(&home, "xai", &server), "command");
    let home = home.with_var("XAI_API_KEY", "official");
    assert_eq!(sent(&home, "xai", &server), "official");
    let home = home.with_var("HAUL_PROFILE_XAI_TOKEN", "own");
    assert_eq!(sent(&home, "xai", &server), "own");
    let home = home.with_var("HAUL_TOKEN", "first");
    assert_eq!(sent(&home, "xai", &server), "first");
}

#[test]
fn a_named_profile_never_sends_the_vendors_variable_to_a_foreign_host() {
    let server = Server::willing();
    let text = format!("[profiles.work]\nprovider = 'xai'\nbase_url = '{}'\n", server.url);
    let home = Sandbox::new().with_config(&text).with_var("XAI_API_KEY", "official");
    assert_eq!(sent(&home, "work", &server), "");
    let home = home.with_config(&format!("{text}token_command = ['echo', 'command']\n"));
    assert_eq!(sent(&home, "work", &server), "command");
    let home = home.with_var("HAUL_PROFILE_WORK_TOKEN", "own");
    assert_eq!(sent(&home, "work", &server), "own");
}

#[test]
fn a_named_profile_of_the_vendors_host_uses_its_variable_last() {
    let text = "[profiles.work]\nprovider = 'xai'\n";
    let home = Sandbox::new().with_config(text).with_var("XAI_API_KEY", "official");
    let source =
        |home: &Sandbox| home.line("auth status work --offline --json").ok().json()[0]["source"].clone();
    assert_eq!(source(&home), "XAI_API_KEY");
    let home = home.with_config(&format!("{text}token_command = 'echo command'\n"));
    assert_eq!(source(&home), "token_command");
    // Uploads to another host would send the token there.
    let moved = "upload_base_url = 'https://files.example.com'\n";
    let home = home.with_config(&format!("{text}{moved}"));
    home.line("auth status work --offline").fails(4).says("no token");
}

#[test]
fn a_second_profile_in_a_command_does_not_get_the_token_of_the_first() {
    let (first, second) = (Server::willing(), Server::willing());
    let home = Sandbox::new().with_var("HAUL_TOKEN", "first");
    let home = home.with_config(&format!(
        "[profiles.a]\nprovider = 'xai'\nbase_url = '{}'\n[profiles.b]\nprovider = 'xai'\nbase_url = '{}'\n",
        first.url, second.url
    ));
    let _ = home.line("-p a info a:f1 b:f2");
    assert!(first.seen().iter().all(|token| token == "Bearer first"), "{:?}", first.seen());
    assert!(!second.seen().is_empty());
    assert!(second.seen().iter().all(String::is_empty), "{:?}", second.seen());
}

#[test]
fn a_failed_token_command_is_reported_without_its_output() {
    let home = Sandbox::new().with_config("[profiles.xai]\ntoken_command = 'echo half-a-token; exit 3'\n");
    let ran = home.line("-p xai ls").fails(4).says("token_command failed").says("exit status: 3");
    assert!(!ran.stderr().contains("half-a-token"), "{ran:?}");
    let home = home.with_config("[profiles.xai]\ntoken_command = ['no-such-program-here']\n");
    home.line("-p xai ls").fails(4).says("no-such-program-here");
    let home = home.with_config("[profiles.xai]\ntoken_command = 'cat'\n");
    home.line_reading("piped input is not for it", "-p xai ls")
        .fails(4)
        .says("the first line of the output is empty");
}

#[test]
fn a_command_that_others_can_change_is_not_run() {
    let home = Sandbox::new().with_config("[profiles.xai]\ntoken_command = 'touch ran; echo tok'\n");
    set_mode(&home.config_path(), 0o620);
    let chmod = format!("chmod go-w {}", home.config_path().display());
    home.line("-p xai ls").fails(4).says(":2: token_command is not run").says(&chmod);
    assert!(home.files().is_empty());
    set_mode(&home.config_path(), 0o644);
    assert_eq!(home.line("auth token xai").ok().stdout(), "tok\n");
}

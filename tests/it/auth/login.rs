//! `haul auth` on a machine without a keyring.

use super::support::{Server, mode, set_mode};
use crate::support::sandbox::Sandbox;

const TOKEN: &str = "tok-abcdefghijklmnopqrstuvwxyz";

#[test]
fn a_refused_token_is_not_kept() {
    let (home, server) = (Sandbox::new(), Server::refusing());
    let ran =
        home.line_reading(TOKEN, &format!("auth login xai --insecure-storage --base-url {}", server.url));
    let ran =
        ran.fails(4).says("xai: the platform rejected the token; it was not stored").says("was sent to");
    assert!(!ran.stderr().contains(TOKEN) && !ran.stderr().contains("--no-check"), "{ran:?}");
    assert_eq!(server.seen(), [format!("Bearer {TOKEN}")]);
    assert!(home.contents().is_empty(), "{:?}", home.contents());
}

#[test]
fn a_token_in_a_file_is_stored_used_replaced_and_removed() {
    use std::os::unix::fs::PermissionsExt as _;
    let (home, server) = (Sandbox::new(), Server::willing());
    let url = format!("--base-url {}", server.url);
    let ran = home.line_reading(TOKEN, &format!("auth login xai --insecure-storage {url} --json")).ok();
    let path = home.home().join("tokens/xai");
    let ran = ran.says(&format!("token stored in {}", path.display())).says("plain text");
    assert_eq!(ran.json()[0]["stored_in"], "file");
    assert_eq!(ran.json()[0]["token"], "tok-…wxyz");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(home.config_text(), "[profiles.xai]\ntoken_store = \"file\"\n");

    home.line(&format!("-p xai ls {url}")).ok();
    assert_eq!(server.seen(), [format!("Bearer {TOKEN}"), format!("Bearer {TOKEN}")]);
    let status = home.line(&format!("auth status xai {url} --json")).ok().json().remove(0);
    assert_eq!((&status["status"], &status["source"]), (&"ok".into(), &"file".into()));
    assert_eq!(home.line("auth token xai").ok().stdout(), format!("{TOKEN}\n"));

    home.line_reading("Bearer tok-2\n", "auth login xai --insecure-storage --no-check").ok();
    assert_eq!(home.line("auth token xai").ok().stdout(), "tok-2\n");

    let ran = home.line("auth logout xai --json").ok();
    assert_eq!(ran.json()[0]["removed_from"], "file");
    assert!(!path.exists());
    assert_eq!(home.config_text(), "");
    home.line("auth token xai").fails(4).says("xai: no token").says("XAI_API_KEY");
    home.line("auth logout xai").ok().says("no token is stored on this machine");
}

#[test]
fn a_token_file_that_others_can_read_is_not_used() {
    let (home, server) = (Sandbox::new(), Server::willing());
    home.line_reading(TOKEN, "auth login xai --insecure-storage --no-check").ok();
    let path = home.home().join("tokens/xai");
    set_mode(&path, 0o640);
    let chmod = format!("chmod 600 {}", path.display());
    home.line(&format!("-p xai ls --base-url {}", server.url)).fails(4).says("mode 0640").says(&chmod);
    assert!(server.seen().is_empty());
    set_mode(&path, 0o600);
    home.line(&format!("-p xai ls --base-url {}", server.url)).ok();
}

#[test]
fn a_linked_token_file_stays_a_link() {
    let home = Sandbox::new();
    let (path, real) = (home.home().join("tokens/xai"), home.home().join("secret"));
    std::fs::create_dir_all(home.home().join("tokens")).unwrap();
    std::os::unix::fs::symlink(&real, &path).unwrap();
    for _ in 0..2 {
        home.line_reading(TOKEN, "auth login xai --no-check --insecure-storage").ok();
        assert!(path.is_symlink());
        assert_eq!(std::fs::read_to_string(&real).unwrap(), format!("{TOKEN}\n"));
        assert_eq!(mode(&real), 0o600);
        // Logging in again makes the file private again.
        set_mode(&real, 0o644);
    }
    home.line("auth logout xai").ok();
    assert!(!real.exists(), "the token is removed, not only the link");
}

#[test]
fn there_is_no_prompt_without_a_terminal() {
    for home in [Sandbox::new(), Sandbox::new().with_var("CI", "true")] {
        home.line("auth login xai").fails(2).says("no token was provided");
        home.line_reading("two\nlines\n", "auth login xai").fails(2).says("more than one line");
        home.line_reading("has space", "auth login xai").fails(2).says("invalid token: it contains a space");
    }
    Sandbox::new().line("auth login").fails(2).says("local does not use a token");
    Sandbox::new()
        .line("-p xai auth login metorial")
        .fails(2)
        .says("two different profiles are specified: xai and metorial");
}

#[test]
fn without_a_token_no_request_is_sent_and_the_variable_is_named() {
    // A request to files.invalid would make haul exit with 7.
    let home = Sandbox::new();
    let away = "--base-url https://files.invalid --retries 0";
    home.line(&format!("-p replicate ls {away}")).fails(4).says("set REPLICATE_API_TOKEN");
    let home = home.with_config("[profiles.work]\nprovider = 'xai'\n");
    home.line(&format!("-p work ls {away}")).fails(4).says("set HAUL_PROFILE_WORK_TOKEN");
    home.line("auth status work").fails(4).says("work: no token").says("haul auth login work");
    home.line("auth status").ok();
}

#[test]
fn status_shows_the_source_and_offline_sends_no_request() {
    let server = Server::refusing();
    let home = Sandbox::new().with_var("XAI_API_KEY", TOKEN).with_var("HAUL_PROFILE_CI_PROVIDER", "xai");
    let home =
        home.with_var("HAUL_PROFILE_CI_BASE_URL", &server.url).with_var("HAUL_PROFILE_CI_TOKEN", "tok-ci");
    let rows = home.line("auth status --offline --json").ok().json();
    let row = |name: &str| rows.iter().find(|row| row["profile"] == name).unwrap().clone();
    assert_eq!(row("xai")["source"], "XAI_API_KEY");
    assert_eq!(row("xai")["status"], "not checked");
    assert_eq!(row("ci")["source"], "HAUL_PROFILE_CI_TOKEN");
    assert_eq!(row("ci")["token"], "***");
    assert_eq!(row("local")["status"], "not needed");
    assert_eq!(row("metorial")["status"], "no token");
    assert!(server.seen().is_empty());

    let ran = home.line("auth status ci --json").fails(4).says("HAUL_PROFILE_CI_TOKEN");
    assert_eq!(ran.json()[0]["status"], "refused");
    assert_eq!(server.seen(), ["Bearer tok-ci"]);
    let gone = "auth status ci --json --retries 0 --base-url http://127.0.0.1:1";
    assert_eq!(home.line(gone).fails(7).json()[0]["status"], "unreachable");
}

#[test]
fn a_login_hidden_by_another_source_is_reported() {
    let home = Sandbox::new().with_var("XAI_API_KEY", "tok-env");
    let ran = home.line_reading(TOKEN, "auth login xai --insecure-storage --no-check").ok();
    ran.says("while XAI_API_KEY is set, it is used");
    assert_eq!(home.line("auth token xai").stdout(), "tok-env\n");
    home.line("auth logout xai").ok().says("xai still has a token from XAI_API_KEY");
}

#[test]
fn traces_show_one_line_per_request() {
    let server = Server::willing();
    let home = Sandbox::new().with_var("XAI_API_KEY", TOKEN);
    let quiet = home.line(&format!("-p xai -v ls --base-url {}", server.url)).ok();
    assert!(!quiet.stderr().contains("GET"), "{quiet:?}");
    let ran = home.line(&format!("-p xai -vv ls --base-url {}", server.url)).ok();
    assert_eq!(ran.stderr().lines().count(), 1, "{ran:?}");
    assert!(ran.stderr().starts_with(&format!("GET {}/v1/files", server.url)), "{ran:?}");
    assert!(ran.stderr().contains(": 200 in "), "{ran:?}");
    let ran = home.line(&format!("-p xai -vvv ls --base-url {}", server.url)).ok();
    ran.says("sent authorization: ***").says("received content-type: application/json").says("x-echo: ***");
}

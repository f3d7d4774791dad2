//! A real Secret Service: gnome-keyring on its own bus, with secrets read back by `secret-tool`.
//!
//! `tests/keyring.sh` sets it up, runs these tests one by one with `--ignored`, and fails if something is missing.
//! They are ignored in an ordinary run, which must not touch the user's keyring.

use std::fs;
use std::process::Command;

use super::support::Server;
use crate::support::sandbox::Sandbox;

const IGNORED: &str = "HAUL_TEST_BUS";

/// A sandbox on the bus of `tests/keyring.sh`. It fails on any other bus, because these tests lock and unlock
/// keyrings.
fn on_bus() -> Sandbox {
    assert_eq!(std::env::var(IGNORED).as_deref(), Ok("1"), "run tests/keyring.sh");
    Sandbox::new().with_var("DBUS_SESSION_BUS_ADDRESS", &std::env::var("DBUS_SESSION_BUS_ADDRESS").unwrap())
}

/// The secret that another program finds in the keyring.
fn lookup(account: &str) -> Option<String> {
    let found = Command::new("secret-tool")
        .args(["lookup", "service", "haul", "username", account])
        .output()
        .unwrap();
    found.status.success().then(|| String::from_utf8(found.stdout).unwrap())
}

/// Everything that haul stored in the keyring.
fn everything() -> String {
    let found = Command::new("secret-tool").args(["search", "--all", "service", "haul"]).output().unwrap();
    String::from_utf8_lossy(&[found.stdout, found.stderr].concat()).into_owned()
}

fn service(method: &str) {
    let mut call = Command::new("busctl");
    call.args(["--user", "call", "org.freedesktop.secrets", "/org/freedesktop/secrets"]);
    call.args([
        "org.freedesktop.Secret.Service",
        method,
        "ao",
        "1",
        "/org/freedesktop/secrets/collection/login",
    ]);
    assert!(call.output().unwrap().status.success());
}

#[test]
#[ignore = "needs a Secret Service: tests/keyring.sh"]
fn service_stores_reads_replaces_and_deletes() {
    let (home, server) = (on_bus(), Server::willing());
    let url = format!("--base-url {}", server.url);
    let ran = home.line_reading("tok-first-first-first-first", &format!("auth login xai {url} --json")).ok();
    let ran = ran.says("xai: token stored in the desktop keyring (Secret Service)");
    assert_eq!(ran.json()[0]["stored_in"], "secret-service");
    assert_eq!(lookup("xai").as_deref(), Some("tok-first-first-first-first"));
    // The probe is deleted, and the token is nowhere else.
    assert!(!everything().contains("probe"), "{}", everything());
    assert_eq!(home.config_text(), "[profiles.xai]\ntoken_store = \"secret-service\"\n");
    assert_eq!(home.contents().len(), 1);

    home.line(&format!("-p xai ls {url}")).ok();
    assert_eq!(server.seen().last().unwrap(), "Bearer tok-first-first-first-first");
    let row = home.line(&format!("auth status xai {url} --json")).ok().json().remove(0);
    assert_eq!((&row["source"], &row["status"]), (&"secret-service".into(), &"ok".into()));
    assert_eq!(row["token"], "tok-…irst");

    home.line_reading("tok-second", &format!("auth login xai {url}")).ok();
    assert_eq!(lookup("xai").as_deref(), Some("tok-second"));
    assert_eq!(home.line("auth token xai").ok().stdout(), "tok-second\n");

    // Each profile has its own account.
    home.line_reading("tok-other", "auth login replicate --no-check").ok();
    assert_eq!(lookup("xai").as_deref(), Some("tok-second"));
    assert_eq!(lookup("replicate").as_deref(), Some("tok-other"));
    home.line("auth logout replicate").ok();

    // After a move to another store the first one contains no copy.
    home.line_reading("tok-third", "auth login xai --no-check --insecure-storage").ok();
    assert_eq!(lookup("xai"), None);
    home.line_reading("tok-fourth", "auth login xai --no-check").ok();
    assert!(!home.home().join("tokens/xai").exists());

    home.line("auth logout xai").ok();
    assert_eq!(lookup("xai"), None);
    assert_eq!(home.config_text(), "");
    home.line("auth token xai").fails(4).says("xai: no token");
}

#[test]
#[ignore = "needs a Secret Service: tests/keyring.sh"]
fn service_without_the_token_is_reported() {
    let home = on_bus();
    home.line_reading("tok-1", "auth login xai --no-check").ok();
    let clear = Command::new("secret-tool").args(["clear", "service", "haul", "username", "xai"]).status();
    assert!(clear.unwrap().success());
    home.line("auth token xai")
        .fails(4)
        .says("xai: the token is no longer in the desktop keyring")
        .says("haul auth login xai");
    assert_eq!(home.line("auth logout xai --json").ok().json()[0]["removed"], false);
}

#[test]
#[ignore = "needs a Secret Service: tests/keyring.sh"]
fn service_is_used_for_completions() {
    let (home, server) = (on_bus(), Server::willing());
    home.line_reading("tok-tab", "auth login xai --no-check").ok();
    let home = home.with_var("COMPLETE", "fish");
    home.line(&format!("-- haul -p xai --base-url {} get f", server.url)).ok();
    assert_eq!(server.seen(), ["Bearer tok-tab"]);
    home.with_var("COMPLETE", "").line("auth logout xai").ok();
}

#[test]
#[ignore = "needs a Secret Service: tests/keyring.sh"]
fn locked_keyring_is_reported_and_skipped() {
    let (home, server) = (on_bus(), Server::willing());
    home.line_reading("tok-1", "auth login xai --no-check").ok();
    service("Lock");
    // TAB neither prompts to unlock the keyring nor queries the platform.
    let home = home.with_var("COMPLETE", "fish");
    let ran = home.line(&format!("-- haul -p xai --base-url {} get f", server.url)).ok();
    assert_eq!((ran.stdout().as_str(), ran.stderr().as_str()), ("", ""));
    assert_eq!(server.seen(), [""; 0]);
    let home = home.with_var("COMPLETE", "");
    let ran = home.line("auth token xai").fails(4).says("it is locked").says("HAUL_PROFILE_XAI_TOKEN");
    assert_eq!(ran.stdout(), "");
    home.line("auth status xai --offline").fails(4).says("it is locked");
    home.line("auth logout xai").fails(4).says("it is locked").says("config.toml:2");
    assert!(home.config_text().contains("secret-service"));
    let ran = home.line_reading("tok-2", "auth login metorial --no-check --json");
    // The kernel keyring is tried next. Without one, the command fails instead of storing the token in plain text.
    if ran.status == 0 {
        assert_eq!(ran.says("it is locked").json()[0]["stored_in"], "kernel-keyring");
        home.line("auth logout metorial").ok();
    } else {
        ran.fails(1).says("it is locked").says("--insecure-storage");
    }
    assert_eq!(lookup("metorial"), None);
}

#[test]
#[ignore = "needs a session bus without a Secret Service: tests/keyring.sh"]
fn absent_service_is_skipped() {
    let home = on_bus().with_config("[profiles.xai]\ntoken_store = 'secret-service'\n");
    home.line("auth token xai").fails(4).says("the desktop keyring (Secret Service) cannot be used");
}

#[test]
#[ignore = "needs a silent Secret Service: tests/keyring.sh"]
fn silent_service_times_out() {
    let home = on_bus().with_config("[profiles.xai]\ntoken_store = 'secret-service'\n");
    let owned = Command::new("busctl").args(["--user", "list", "--no-legend"]).output().unwrap();
    let names = String::from_utf8(owned.stdout).unwrap();
    assert!(
        names.lines().any(|line| line.contains("org.freedesktop.secrets") && !line.contains("activatable")),
        "{names}"
    );
    home.line("auth token xai").fails(4).says("cannot be used").says("no response");
    let ran = home.line_reading("tok-1", "auth login metorial --no-check");
    assert!(ran.stderr().contains("no response"), "{ran:?}");
    let _ = home.line("auth logout metorial");
}

#[test]
#[ignore = "needs the kernel's persistent keyring: tests/keyring.sh"]
fn kernel_keyring_stores_reads_replaces_and_deletes() {
    assert!(fs::exists("/proc/sys/kernel/keys/persistent_keyring_expiry").unwrap());
    // Without a bus the kernel keyring remains.
    let (home, server) = (Sandbox::new(), Server::willing());
    let url = format!("--base-url {}", server.url);
    let ran = home.line_reading("tok-first-first-first-first", &format!("auth login xai {url} --json")).ok();
    let ran = ran.says("no D-Bus session").says("the kernel keyring until 2");
    let row = ran.json().remove(0);
    assert_eq!(row["stored_in"], "kernel-keyring");
    assert!(row["expires_at"].is_string());
    home.line(&format!("-p xai ls {url}")).ok();
    assert_eq!(server.seen().last().unwrap(), "Bearer tok-first-first-first-first");
    home.line_reading("tok-second", "auth login xai --no-check").ok();
    assert_eq!(home.line("auth token xai").ok().stdout(), "tok-second\n");
    home.line("auth logout xai").ok();
    assert_eq!(home.config_text(), "");
    let home = home.with_config("[profiles.xai]\ntoken_store = 'kernel-keyring'\n");
    home.line("auth token xai")
        .fails(4)
        .says("xai: the token is no longer in the kernel keyring")
        .says("reboot");
}

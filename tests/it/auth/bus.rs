//! A real Secret Service: gnome-keyring on a bus of its own, its secrets read back with `secret-tool`.
//!
//! `tests/keyring.sh` sets it up, runs these with `--ignored` one by one, and fails where something is missing. They are
//! ignored in the ordinary run, which must not touch the keyring of whoever runs it.


use std::fs;
use std::process::Command;

use super::support::{Sealed, Server};

const IGNORED: &str = "HAUL_TEST_BUS";

/// A box on the bus of `tests/keyring.sh`. It fails on any other: these tests lock and unlock what they find.
fn on_bus() -> Sealed {
    assert_eq!(std::env::var(IGNORED).as_deref(), Ok("1"), "run tests/keyring.sh");
    Sealed::new().var("DBUS_SESSION_BUS_ADDRESS", &std::env::var("DBUS_SESSION_BUS_ADDRESS").unwrap())
}

/// What another program finds in the keyring.
fn lookup(account: &str) -> Option<String> {
    let found = Command::new("secret-tool")
        .args(["lookup", "service", "haul", "username", account])
        .output()
        .unwrap();
    found.status.success().then(|| String::from_utf8(found.stdout).unwrap())
}

/// All that haul has in the keyring.
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
    let ran = home.pipe("tok-first-first-first-first", &format!("auth login xai {url} --json")).code(0);
    let ran = ran.says("xai: the token is kept in the keyring of this desktop (Secret Service)");
    assert_eq!(ran.rows()[0]["stored_in"], "secret-service");
    assert_eq!(lookup("xai").as_deref(), Some("tok-first-first-first-first"));
    // The probe is gone, and the token is nowhere else.
    assert!(!everything().contains("probe"), "{}", everything());
    assert_eq!(home.config_text(), "[profiles.xai]\ntoken_store = \"secret-service\"\n");
    assert_eq!(home.files().len(), 1);

    home.run(&format!("-p xai ls {url}")).code(0);
    assert_eq!(server.seen().last().unwrap(), "Bearer tok-first-first-first-first");
    let row = home.run(&format!("auth status xai {url} --json")).code(0).rows().remove(0);
    assert_eq!((&row["source"], &row["status"]), (&"secret-service".into(), &"ok".into()));
    assert_eq!(row["token"], "tok-…irst");

    home.pipe("tok-second", &format!("auth login xai {url}")).code(0);
    assert_eq!(lookup("xai").as_deref(), Some("tok-second"));
    assert_eq!(home.run("auth token xai").code(0).out, "tok-second\n");

    // Each profile has an account of its own.
    home.pipe("tok-other", "auth login replicate --no-check").code(0);
    assert_eq!(lookup("xai").as_deref(), Some("tok-second"));
    assert_eq!(lookup("replicate").as_deref(), Some("tok-other"));
    home.run("auth logout replicate").code(0);

    // To another store: the first does not keep a copy.
    home.pipe("tok-third", "auth login xai --no-check --insecure-storage").code(0);
    assert_eq!(lookup("xai"), None);
    home.pipe("tok-fourth", "auth login xai --no-check").code(0);
    assert!(!home.home().join("tokens/xai").exists());

    home.run("auth logout xai").code(0);
    assert_eq!(lookup("xai"), None);
    assert_eq!(home.config_text(), "");
    home.run("auth token xai").code(4).says("xai: no token");
}

#[test]
#[ignore = "needs a Secret Service: tests/keyring.sh"]
fn service_that_lost_the_token_is_told() {
    let home = on_bus();
    home.pipe("tok-1", "auth login xai --no-check").code(0);
    let clear = Command::new("secret-tool").args(["clear", "service", "haul", "username", "xai"]).status();
    assert!(clear.unwrap().success());
    home.run("auth token xai")
        .code(4)
        .says("xai: its token is no longer in the keyring")
        .says("haul auth login xai");
    assert_eq!(home.run("auth logout xai --json").code(0).rows()[0]["removed"], false);
}

#[test]
#[ignore = "needs a Secret Service: tests/keyring.sh"]
fn service_serves_a_tab() {
    let (home, server) = (on_bus(), Server::willing());
    home.pipe("tok-tab", "auth login xai --no-check").code(0);
    let home = home.var("COMPLETE", "fish");
    home.run(&format!("-- haul -p xai --base-url {} get f", server.url)).code(0);
    assert_eq!(server.seen(), ["Bearer tok-tab"]);
    home.var("COMPLETE", "").run("auth logout xai").code(0);
}

#[test]
#[ignore = "needs a Secret Service: tests/keyring.sh"]
fn locked_keyring_is_told_and_passed_over() {
    let (home, server) = (on_bus(), Server::willing());
    home.pipe("tok-1", "auth login xai --no-check").code(0);
    service("Lock");
    // A TAB does not have it unlocked: nobody is asked, and the platform neither.
    let home = home.var("COMPLETE", "fish");
    let ran = home.run(&format!("-- haul -p xai --base-url {} get f", server.url)).code(0);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""));
    assert_eq!(server.seen(), [""; 0]);
    let home = home.var("COMPLETE", "");
    let ran = home.run("auth token xai").code(4).says("it is locked").says("HAUL_PROFILE_XAI_TOKEN");
    assert_eq!(ran.out, "");
    home.run("auth status xai --offline").code(4).says("it is locked");
    home.run("auth logout xai").code(4).says("it is locked").says("config.toml:2");
    assert!(home.config_text().contains("secret-service"));
    let ran = home.pipe("tok-2", "auth login metorial --no-check --json");
    // The kernel's keyring is the next; where the sandbox has none, nothing is kept in plain text.
    if ran.code == 0 {
        assert_eq!(ran.says("it is locked").rows()[0]["stored_in"], "kernel-keyring");
        home.run("auth logout metorial").code(0);
    } else {
        ran.code(1).says("it is locked").says("--insecure-storage");
    }
    assert_eq!(lookup("metorial"), None);
}

#[test]
#[ignore = "needs a session bus without a Secret Service: tests/keyring.sh"]
fn nobody_offers_the_service() {
    let home = on_bus().config("[profiles.xai]\ntoken_store = 'secret-service'\n");
    home.run("auth token xai").code(4).says("the keyring of this desktop (Secret Service) cannot be used");
}

#[test]
#[ignore = "needs a silent Secret Service: tests/keyring.sh"]
fn silence_is_not_waited_for() {
    let home = on_bus().config("[profiles.xai]\ntoken_store = 'secret-service'\n");
    let owned = Command::new("busctl").args(["--user", "list", "--no-legend"]).output().unwrap();
    let names = String::from_utf8(owned.stdout).unwrap();
    assert!(
        names.lines().any(|line| line.contains("org.freedesktop.secrets") && !line.contains("activatable")),
        "{names}"
    );
    home.run("auth token xai").code(4).says("cannot be used").says("it does not answer");
    let ran = home.pipe("tok-1", "auth login metorial --no-check");
    assert!(ran.err.contains("it does not answer"), "{ran:?}");
    home.run("auth logout metorial");
}

#[test]
#[ignore = "needs the kernel's persistent keyring: tests/keyring.sh"]
fn kernel_keyring_stores_reads_replaces_and_deletes() {
    assert!(fs::exists("/proc/sys/kernel/keys/persistent_keyring_expiry").unwrap());
    // No bus: the kernel's keyring is what is left.
    let (home, server) = (Sealed::new(), Server::willing());
    let url = format!("--base-url {}", server.url);
    let ran = home.pipe("tok-first-first-first-first", &format!("auth login xai {url} --json")).code(0);
    let ran = ran.says("there is no D-Bus session here").says("the kernel keyring until 2");
    let row = ran.rows().remove(0);
    assert_eq!(row["stored_in"], "kernel-keyring");
    assert!(row["expires_at"].is_string());
    home.run(&format!("-p xai ls {url}")).code(0);
    assert_eq!(server.seen().last().unwrap(), "Bearer tok-first-first-first-first");
    home.pipe("tok-second", "auth login xai --no-check").code(0);
    assert_eq!(home.run("auth token xai").code(0).out, "tok-second\n");
    home.run("auth logout xai").code(0);
    assert_eq!(home.config_text(), "");
    let home = home.config("[profiles.xai]\ntoken_store = 'kernel-keyring'\n");
    home.run("auth token xai")
        .code(4)
        .says("xai: its token is no longer in the kernel keyring")
        .says("restart");
}

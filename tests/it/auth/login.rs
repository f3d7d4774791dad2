//! `haul auth` on a machine without a keyring.

use super::support::{Sealed, Server, set_mode};

const TOKEN: &str = "tok-abcdefghijklmnopqrstuvwxyz";

#[test]
fn a_refused_token_is_not_kept() {
    let (home, server) = (Sealed::new(), Server::refusing());
    let ran = home.pipe(TOKEN, &format!("auth login xai --insecure-storage --base-url {}", server.url));
    let ran = ran.code(4).says("xai: the token was refused, and is not kept").says("--no-check");
    assert!(!ran.err.contains(TOKEN), "{ran:?}");
    assert_eq!(server.seen(), [format!("Bearer {TOKEN}")]);
    assert!(home.files().is_empty(), "{:?}", home.files());
}

#[test]
fn a_token_in_a_file_is_stored_used_replaced_and_removed() {
    use std::os::unix::fs::PermissionsExt as _;
    let (home, server) = (Sealed::new(), Server::willing());
    let url = format!("--base-url {}", server.url);
    let ran = home.pipe(TOKEN, &format!("auth login xai --insecure-storage {url} --json")).code(0);
    let ran = ran.says("the token is kept in a file").says("plain text");
    assert_eq!(ran.rows()[0]["stored_in"], "file");
    assert_eq!(ran.rows()[0]["token"], "tok-…wxyz");
    let path = home.home().join("tokens/xai");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(home.config_text(), "[profiles.xai]\ntoken_store = \"file\"\n");

    home.run(&format!("-p xai ls {url}")).code(0);
    assert_eq!(server.seen(), [format!("Bearer {TOKEN}"), format!("Bearer {TOKEN}")]);
    let status = home.run(&format!("auth status xai {url} --json")).code(0).rows().remove(0);
    assert_eq!((&status["status"], &status["source"]), (&"ok".into(), &"file".into()));
    assert_eq!(home.run("auth token xai").code(0).out, format!("{TOKEN}\n"));

    home.pipe("Bearer tok-2\n", "auth login xai --insecure-storage --no-check").code(0);
    assert_eq!(home.run("auth token xai").code(0).out, "tok-2\n");

    let ran = home.run("auth logout xai --json").code(0);
    assert_eq!(ran.rows()[0]["removed_from"], "file");
    assert!(!path.exists());
    assert_eq!(home.config_text(), "");
    home.run("auth token xai").code(4).says("xai: no token").says("XAI_API_KEY");
    home.run("auth logout xai").code(0).says("no token is kept on this machine");
}

#[test]
fn a_token_file_that_others_can_read_is_not_used() {
    let (home, server) = (Sealed::new(), Server::willing());
    home.pipe(TOKEN, "auth login xai --insecure-storage --no-check").code(0);
    let path = home.home().join("tokens/xai");
    set_mode(&path, 0o640);
    let chmod = format!("chmod 600 {}", path.display());
    home.run(&format!("-p xai ls --base-url {}", server.url)).code(4).says("mode 0640").says(&chmod);
    assert!(server.seen().is_empty());
    set_mode(&path, 0o600);
    home.run(&format!("-p xai ls --base-url {}", server.url)).code(0);
}

#[test]
fn nothing_is_asked_where_nobody_can_answer() {
    for home in [Sealed::new(), Sealed::new().var("CI", "true")] {
        home.run("auth login xai").code(2).says("no token was given");
        home.pipe("two\nlines\n", "auth login xai").code(2).says("more than one line");
        home.pipe("has space", "auth login xai").code(2).says("a space");
    }
    Sealed::new().run("auth login").code(2).says("local needs no token");
    Sealed::new().run("-p xai auth login metorial").code(2).says("two profiles are named: xai and metorial");
}

#[test]
fn without_a_token_no_request_leaves_and_the_variable_is_named() {
    // Reaching this host would be exit 7.
    let home = Sealed::new();
    let away = "--base-url https://files.invalid --retries 0";
    home.run(&format!("-p replicate ls {away}")).code(4).says("set REPLICATE_API_TOKEN");
    let home = home.config("[profiles.work]\nprovider = 'xai'\n");
    home.run(&format!("-p work ls {away}")).code(4).says("set HAUL_PROFILE_WORK_TOKEN");
    home.run("auth status work").code(4).says("work: no token").says("haul auth login work");
    home.run("auth status").code(0);
}

#[test]
fn status_tells_where_from_and_offline_asks_nobody() {
    let server = Server::refusing();
    let home = Sealed::new().var("XAI_API_KEY", TOKEN).var("HAUL_PROFILE_CI_PROVIDER", "xai");
    let home = home.var("HAUL_PROFILE_CI_BASE_URL", &server.url).var("HAUL_PROFILE_CI_TOKEN", "tok-ci");
    let rows = home.run("auth status --offline --json").code(0).rows();
    let row = |name: &str| rows.iter().find(|row| row["profile"] == name).unwrap().clone();
    assert_eq!(row("xai")["source"], "XAI_API_KEY");
    assert_eq!(row("xai")["status"], "not checked");
    assert_eq!(row("ci")["source"], "HAUL_PROFILE_CI_TOKEN");
    assert_eq!(row("ci")["token"], "***");
    assert_eq!(row("local")["status"], "not needed");
    assert_eq!(row("metorial")["status"], "no token");
    assert!(server.seen().is_empty());

    let ran = home.run("auth status ci --json").code(4).says("HAUL_PROFILE_CI_TOKEN");
    assert_eq!(ran.rows()[0]["status"], "refused");
    assert_eq!(server.seen(), ["Bearer tok-ci"]);
    let gone = "auth status ci --json --retries 0 --base-url http://127.0.0.1:1";
    assert_eq!(home.run(gone).code(7).rows()[0]["status"], "unreachable");
}

#[test]
fn a_login_that_another_place_hides_is_told() {
    let home = Sealed::new().var("XAI_API_KEY", "tok-env");
    let ran = home.pipe(TOKEN, "auth login xai --insecure-storage --no-check").code(0);
    ran.says("XAI_API_KEY goes before the stored token");
    assert_eq!(home.run("auth token xai").out, "tok-env\n");
    home.run("auth logout xai").code(0).says("xai still has a token, from XAI_API_KEY");
}

#[test]
fn traces_show_one_line_a_request() {
    let server = Server::willing();
    let home = Sealed::new().var("XAI_API_KEY", TOKEN);
    let quiet = home.run(&format!("-p xai -v ls --base-url {}", server.url)).code(0);
    assert!(!quiet.err.contains("GET"), "{quiet:?}");
    let ran = home.run(&format!("-p xai -vv ls --base-url {}", server.url)).code(0);
    assert_eq!(ran.err.lines().count(), 1, "{ran:?}");
    assert!(ran.err.starts_with(&format!("GET {}/v1/files", server.url)), "{ran:?}");
    assert!(ran.err.contains(": 200 in "), "{ran:?}");
    let ran = home.run(&format!("-p xai -vvv ls --base-url {}", server.url)).code(0);
    ran.says("sent authorization: ***").says("received content-type: application/json").says("x-echo: ***");
}

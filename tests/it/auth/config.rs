//! The config file and `haul config show`.

use std::fs;

use super::support::set_mode;
use crate::support::sandbox::{Run, Sandbox};

fn origin(ran: &Run, setting: &str) -> (String, String) {
    let rows = ran.json();
    let row =
        rows.iter().find(|row| row["setting"] == setting).unwrap_or_else(|| panic!("{setting}: {ran:?}"));
    (row["value"].as_str().unwrap().to_owned(), row["origin"].as_str().unwrap().to_owned())
}

#[test]
fn mistakes_name_the_file_and_the_line() {
    let check = |text: &str, message: &str| {
        let home = Sandbox::new().with_config(text);
        let place = home.config_path().display().to_string();
        home.line("ls").fails(2).says(&format!("{place}:{message}"));
    };
    check("a = 1\nb = = 2\n", "2: invalid TOML");
    check("\ndefault_profil = 'w'\n", "2: unknown key \"default_profil\"");
    check("[profiles.w]\nbase_ulr = 'x'\n", "2: unknown key \"base_ulr\" in profile w");
    check("\nversion = 9\n", "2: unsupported version 9: this version of haul supports up to version 1");
    check(
        "[profiles.w]\nprovider = 'xai'\ntoken = 'secret-text'\n",
        "3: tokens are not allowed in the config file",
    );
    check("[profiles.local]\n\ndialect = 3\n", "3: dialect must be a string");
    check("\ndefault_profile = 'gone'\n", "2: unknown profile \"gone\"");
    check("default_profile = 'w'\n[profiles.w]\nprovider = 'xia'\n", "3: unknown provider \"xia\"");
    check("default_profile = 'w'\n\n[profiles.w]\n", "3: profile w has no provider");
    check(
        "default_profile = 'xai'\n[profiles.xai]\nbase_url = 'ftp://x'\n",
        "3: invalid base URL \"ftp://x\"",
    );
    check("default_profile = 'xai'\n[profiles.xai.set]\nteam = 't'\n", "3: xai has no setting \"team\"");
    check(
        "default_profile = 'xai'\n[profiles.xai]\ntoken_store = 'sock'\n",
        "3: unknown token store \"sock\"",
    );
}

#[test]
fn a_token_in_a_config_file_is_refused_and_never_repeated() {
    let home = Sandbox::new().with_config("[profiles.w]\nprovider = 'xai'\ntoken = 'secret-text'\n");
    set_mode(&home.config_path(), 0o644);
    let ran = home
        .line("ls")
        .fails(2)
        .says(":3: tokens are not allowed in the config file, and other users can access");
    assert!(!ran.stderr().contains("secret-text"), "{ran:?}");
    // A secret setting is accepted if only the owner can read the file.
    let text = "default_profile = 'replicate'\n[profiles.replicate.set]\nsigning_secret = 'secret-text'\n";
    let home = home.with_config(text);
    assert_eq!(origin(&home.line("config show --json").ok(), "set.signing_secret").0, "***");
    set_mode(&home.config_path(), 0o644);
    let ran = home.line("config show").fails(2).says(":3: signing_secret is a secret").says("chmod 600");
    assert!(!ran.stderr().contains("secret-text"), "{ran:?}");
}

#[test]
fn an_unreadable_config_file_is_reported() {
    let home = Sandbox::new().with_config("");
    fs::write(home.config_path(), b"a = 1\nb = '\xff'\n").unwrap();
    home.line("ls").fails(2).says("config.toml:2: invalid UTF-8");
    fs::remove_file(home.config_path()).unwrap();
    fs::create_dir(home.config_path()).unwrap();
    home.line("ls").fails(2).says("config.toml: cannot read the config file");
    home.line("ls --config /nowhere/config.toml").fails(2).says("/nowhere/config.toml: no such config file");
}

#[test]
fn every_value_has_its_origin() {
    let home = Sandbox::new()
        .with_config("default_profile = 'work'\n[profiles.work]\nprovider = 'xai'\n[profiles.work.set]\nteam_id = 't1'\n")
        .with_var("HAUL_BASE_URL", "files.example.com")
        .with_var("HAUL_RETRIES", "2")
        .with_var("HAUL_TOKEN", "tok-secret-secret-secret");
    let ran = home.line("config show --timeout 5s --json").ok();
    let file = home.config_path().display().to_string();
    let pair = |value: &str, origin: &str| (value.to_owned(), origin.to_owned());
    assert_eq!(origin(&ran, "profile"), pair("work", &format!("{file}:1")));
    assert_eq!(origin(&ran, "provider"), pair("xai", &format!("{file}:3")));
    assert_eq!(origin(&ran, "base_url"), pair("https://files.example.com/v1", "HAUL_BASE_URL"));
    assert_eq!(origin(&ran, "set.team_id"), pair("t1", &format!("{file}:5")));
    assert_eq!(origin(&ran, "timeout").1, "--timeout");
    assert_eq!(origin(&ran, "retries"), pair("2", "HAUL_RETRIES"));
    assert_eq!(origin(&ran, "wire_dialect"), pair("auto", "built in"));
    assert_eq!(origin(&ran, "token"), pair("***", "HAUL_TOKEN"));
    assert!(!ran.stdout().contains("tok-"), "{ran:?}");
    // Flags override the environment, which overrides the file.
    let ran = home.line("config show --base-url https://flag.example.com --set team_id=t2 --json").ok();
    assert_eq!(origin(&ran, "base_url"), pair("https://flag.example.com/v1", "--base-url"));
    assert_eq!(origin(&ran, "set.team_id"), pair("t2", "--set"));
}

#[test]
fn official_base_url_variables_are_accepted_in_common_spellings() {
    for text in
        ["https://api.example.com", "https://api.example.com/v1/", "api.example.com", "api.example.com/v1"]
    {
        let home = Sandbox::new().with_var("REPLICATE_BASE_URL", text);
        let ran = home.line("-p replicate config show --json").ok();
        let expected = ("https://api.example.com/v1".to_owned(), "REPLICATE_BASE_URL".to_owned());
        assert_eq!(origin(&ran, "base_url"), expected, "{text}");
    }
}

#[test]
fn a_mistake_in_a_variable_is_reported() {
    let home = Sandbox::new();
    home.clone().with_var("HAUL_TOKN", "x").line("ls").ok().says("HAUL_TOKN (did you mean HAUL_TOKEN?)");
    let token = home.clone().with_var("XAI_API_KEY", "\"tok\"");
    token.line("-p xai ls").fails(4).says("XAI_API_KEY: invalid token: it has quotes around it");
    let proxy = home.clone().with_var("XAI_API_KEY", "tok").with_var("HTTP_PROXY", "ht!tp://user:secret@%%%");
    let ran = proxy.line("-p xai --base-url http://files.example.com --insecure-http ls");
    assert!(!ran.fails(2).says("HTTP_PROXY: invalid proxy URL").stderr().contains("secret"));
    let host = home.with_var("XAI_API_KEY", "tok");
    host.line("-p xai ls --base-url https:///v1").fails(2).says("it has no host");
}

#[test]
fn a_proxy_is_checked_only_if_a_base_url_is_remote() {
    let home = Sandbox::new().with_var("METORIAL_API_KEY", "tok").with_var("HTTP_PROXY", "socks5://p:1");
    home.line("ls").ok();
    let loopback = home.with_var("HAUL_BASE_URL", "http://127.0.0.1:9");
    let dry = "-p metorial upload a.txt --retries 0";
    loopback.write("a.txt", "a");
    assert!(!loopback.line(dry).stderr().contains("HTTP_PROXY"));
    let remote = loopback.with_var("HAUL_UPLOAD_BASE_URL", "https://files.example.com");
    remote.line(dry).fails(2).says("HTTP_PROXY: unsupported proxy: the scheme must be http or https");
}

#[test]
fn paths_in_variables_may_be_any_bytes() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let home = Sandbox::new();
    home.write("a.txt", "a");
    let folder = home.root().join(OsStr::from_bytes(b"home-\xff"));
    let run = |words: &[&str], name: &str| {
        home.command().args(words).env(name, &folder).output().unwrap().status.code()
    };
    assert_eq!(run(&["upload", "a.txt"], "HAUL_HOME"), Some(0));
    assert!(folder.join("data/store").is_dir());
    assert_eq!(run(&["ls"], "HAUL_PROFILE"), Some(2));
}

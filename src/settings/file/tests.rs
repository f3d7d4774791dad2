//! Tests for the config file.

use super::*;

fn parse(text: &str) -> Result<File> {
    File::parse(Path::new("config.toml"), text, 0)
}

#[test]
fn mistakes_name_the_line() {
    let message = |text: &str| parse(text).expect_err("a mistake").message().to_owned();
    assert_eq!(message("a = 1\nb = = 2\n"), "config.toml:2: invalid TOML");
    assert_eq!(message("\n\ndefault_profile = 3"), "config.toml:3: default_profile must be a string");
    assert_eq!(
        message("[profiles.w]\nprovider = 'xai'\ntoken = 't'"),
        "config.toml:3: tokens are not allowed in the config file"
    );
    assert_eq!(
        message("version = 2"),
        "config.toml:1: unsupported version 2: this version of haul supports up to version 1"
    );
    assert_eq!(message("version = 1\nmine = 2"), "config.toml:2: unknown key \"mine\"");
    assert_eq!(
        message("[profiles.w]\nprovider = 'xai'\n[profiles.batch]\nprovider = 'xai'"),
        "config.toml:3: batch is not a valid profile name: `batch:` has a different meaning"
    );
    let unknown = parse("[profiles.w]\nprovider = 'xai'\nbase_ulr = 'x'").expect_err("an unknown key");
    assert_eq!(unknown.message(), "config.toml:3: unknown key \"base_ulr\" in profile w");
    assert_eq!(unknown.hints()[0], "did you mean `base_url`?");
}

#[test]
fn a_profile_on_one_line_keeps_its_form_and_its_comment() {
    let mut file = parse("[profiles]\nw = { provider = \"xai\" } # mine\n").expect("valid");
    file.set_token_store("w", Some("keyring"));
    let text = file.document.to_string();
    assert!(text.contains("# mine") && !text.contains("[profiles.w]"), "{text}");
    assert_eq!(parse(&text).expect("valid").profiles["w"].token_store.as_deref(), Some("keyring"));
}

#[test]
fn writing_keeps_comments() {
    let mut file = parse("# mine\n[profiles.w]\nprovider = \"xai\" # here\n").expect("valid");
    let mut profile = file.profiles["w"].clone();
    profile.set.insert("team_id".to_owned(), "t1".to_owned());
    file.put_profile("w", profile.clone());
    file.set_default(Some("w"));
    let text = file.document.to_string();
    for kept in ["# mine", "# here", "team_id = \"t1\"", "default_profile = \"w\""] {
        assert!(text.contains(kept), "{kept} is missing from\n{text}");
    }
    assert_eq!(parse(&text).expect("valid").profiles["w"], profile);
}

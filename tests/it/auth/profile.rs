//! `haul profile`

use super::support::{mode, set_mode};
use crate::support::sandbox::{HAUL, Sandbox};
use haul::providers::REGISTRY;

#[test]
fn a_profile_is_added_selected_and_removed_and_comments_stay() {
    let home = Sandbox::new().with_config("# mine\nversion = 1\n");
    let line = "profile add work --provider xai --base-url files.example.com --set team_id=t1 --json";
    let row = home.line(line).ok().json().remove(0);
    assert_eq!(row["base_url"], "https://files.example.com/v1");
    assert_eq!(row["set"]["team_id"], "t1");
    assert_eq!(home.line("profile default").ok().stdout().split('\t').next(), Some("local"));
    home.line("profile default work").ok();
    let row = home.line("profile default --json").ok().json().remove(0);
    assert_eq!((&row["name"], &row["default"]), (&"work".into(), &true.into()));
    home.line("profile add work --provider xai").fails(2).says("profile work already exists");
    home.line("profile rm work").ok();
    assert_eq!(home.config_text().trim(), "# mine\nversion = 1");
    home.line("profile rm work").fails(2).says("unknown profile \"work\"");
    home.line("profile rm xai").fails(2).says("built in");
}

#[test]
fn an_invalid_profile_is_refused_before_it_is_written() {
    let home = Sandbox::new();
    let refused = |line: &str, why: &str| {
        home.line(&format!("profile add {line}")).fails(2).says(why);
        assert!(home.contents().is_empty(), "{line}: {:?}", home.contents());
    };
    refused("eu", "profile eu requires a provider");
    refused("eu --provider xia", "--provider: unknown provider \"xia\"");
    refused("e_u --provider xai", "is not a valid profile name");
    refused("a:b --provider xai", "is not a valid profile name");
    refused("../x --provider xai", "is not a valid profile name");
    for name in ["id", "name", "batch", "file", "https"] {
        refused(&format!("{name} --provider xai"), &format!("{name} is not a valid profile name"));
    }
    refused("eu --provider xai --set team=1", "--set: xai has no setting \"team\"");
    refused("eu --provider xai --base-url ftp://x", "--base-url");
    for spec in REGISTRY {
        let name = spec.name;
        let message = format!("--wire-dialect: {name} has no dialect \"klingon\"");
        refused(&format!("eu --provider {name} --wire-dialect klingon"), &message);
    }
    refused("eu --provider replicate --set signing_secret=s", "signing_secret is a secret");
}

#[test]
fn a_profile_can_be_defined_by_the_environment_alone() {
    let home = Sandbox::new()
        .with_var("HAUL_PROFILE_WORK_EU_PROVIDER", "llamacloud")
        .with_var("HAUL_PROFILE_WORK_EU_BASE_URL", "https://api.cloud.eu.example.com")
        .with_var("HAUL_PROFILE_WORK_EU_TOKEN", "tok-eu");
    let rows = home.line("profile ls --json").ok().json();
    let row = rows.iter().find(|row| row["name"] == "work-eu").unwrap();
    assert_eq!(row["origin"], "HAUL_PROFILE_WORK_EU_PROVIDER");
    assert_eq!(row["token_from"], "HAUL_PROFILE_WORK_EU_TOKEN");
    assert_eq!(row["base_url"], "https://api.cloud.eu.example.com/");
    home.line("profile rm work-eu").fails(2).says("unset HAUL_PROFILE_WORK_EU_PROVIDER");
    home.line("profile default work-eu").fails(2).says("export HAUL_PROFILE=work-eu");
    let home = home.with_var("HAUL_PROFILE", "work-eu");
    assert_eq!(home.line("auth token work-eu").ok().stdout(), "tok-eu\n");
}

#[test]
fn removing_a_profile_removes_its_token() {
    let home = Sandbox::new();
    home.line("profile add work --provider xai").ok();
    home.line_reading("tok-1", "auth login work --no-check --insecure-storage").ok();
    assert!(home.home().join("tokens/work").exists());
    home.line("profile rm work").ok();
    assert!(!home.home().join("tokens/work").exists());
    assert_eq!(home.config_text(), "");
}

#[test]
fn a_built_in_profile_stays_the_default_without_its_settings() {
    let home = Sandbox::new();
    home.line("profile default xai").ok();
    home.line_reading("tok-1", "auth login xai --no-check --insecure-storage").ok();
    home.line("auth logout xai").ok();
    assert_eq!(home.config_text(), "default_profile = \"xai\"\n");
    home.line("profile add xai --set team_id=t1").ok();
    home.line("profile rm xai").ok();
    assert_eq!(home.config_text(), "default_profile = \"xai\"\n");
}

#[test]
fn a_linked_config_file_stays_a_link() {
    let home = Sandbox::new().with_config("");
    let real = home.home().join("dotfiles.toml");
    std::fs::rename(home.config_path(), &real).unwrap();
    std::os::unix::fs::symlink(&real, home.config_path()).unwrap();
    home.line("profile add work --provider xai").ok();
    assert!(home.config_path().is_symlink());
    assert!(std::fs::read_to_string(&real).unwrap().contains("[profiles.work]"));
    // The mode is kept; a new file has mode 0600.
    set_mode(&real, 0o644);
    home.line("profile add other --provider xai").ok();
    assert_eq!(mode(&real), 0o644);
    std::fs::remove_file(&real).unwrap();
    home.line("profile add work --provider xai").ok();
    assert!(home.config_path().is_symlink(), "even if the link dangles");
    assert!(std::fs::read_to_string(&real).unwrap().contains("[profiles.work]"));
    assert_eq!(mode(&real), 0o600);
}

#[test]
fn a_device_is_not_replaced() {
    use std::os::unix::fs::FileTypeExt as _;
    let home = Sandbox::new();
    home.line("profile add work --provider xai --config /dev/null")
        .fails(2)
        .says("/dev/null: not a regular file");
    assert!(std::fs::metadata("/dev/null").unwrap().file_type().is_char_device());
}

#[test]
fn a_killed_command_leaves_no_temporary_file() {
    let home = Sandbox::new();
    // The first write to a file ends the process.
    let mut limited = home.program("sh");
    limited.args(["-c", "ulimit -c 0; ulimit -f 0; exec \"$0\" profile add w --provider xai", HAUL]);
    assert!(!limited.output().unwrap().status.success());
    assert!(home.contents().is_empty(), "{:?}", home.contents());
}

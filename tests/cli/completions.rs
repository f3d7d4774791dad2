//! `haul completions`

use crate::check;
use crate::support::TestEnv;

#[test]
fn a_script_for_each_shell() {
    let env = TestEnv::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = env.haul(["completions", shell]).ok().stdout();
        assert!(script.contains("haul"), "{shell}: {script}");
    }
    check!(env.haul(["completions", "tcsh"]), @r#"
    status 2
    --- err
    error: <SHELL>: "tcsh" is not one of its values
    hint: values: bash, elvish, fish, powershell, zsh
    hint: `haul completions --help` shows how
    "#);
    check!(env.haul(["completions"]), @"
    status 2
    --- err
    error: SHELL: not given
    hint: write it like `haul completions bash > ~/.local/share/bash-completion/completions/haul`
    hint: `haul completions --help` shows how
    ");
    env.shell("haul completions bash | bash -n").ok();
}

#[test]
fn words_are_completed() {
    let env = TestEnv::new();
    let mut command = env.command();
    command.env("COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", "1").env("_CLAP_COMPLETE_COMP_TYPE", "9");
    let run = env.run(command.args(["--", "haul", "upl"])).ok();
    assert_eq!(run.stdout(), "upload");
}

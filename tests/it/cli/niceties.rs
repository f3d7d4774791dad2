//! Output for people, which is omitted where programs read.

use crate::check;
use crate::platforms::all;
use crate::support::sandbox::{Run, Sandbox, script};
use crate::support::terminal::On;

fn on(env: &Sandbox, on: On, arguments: &[&str]) -> Run {
    let mut command = env.command();
    command.args(arguments);
    env.terminal_of(command, 80, "", on)
}

#[test]
fn the_next_command_is_suggested_once_after_the_first_upload() {
    let hints = |run: &Run| [run.stdout(), run.stderr()].concat().matches("hint:").count();
    let new = || {
        let env = Sandbox::new();
        env.write("a.txt", "a");
        env.write("b.txt", "b");
        env
    };
    let env = new();
    check!(on(&env, On::All, &["upload", "a.txt", "b.txt", "--fields", "size"]), @"
    status 0
    --- out
    ␛[1mSIZE␛[0m
     1 B
     1 B
    2 uploaded
    ␛[1;36mhint:␛[0m to list the files: `haul ls`
    ");
    env.write("c.txt", "c");
    assert_eq!(hints(&on(&env, On::All, &["upload", "c.txt"])), 0);
    check!(on(&new(), On::All, &["upload", "a.txt", "-p", "local", "--fields", "name"]), @"
    status 0
    --- out
    ␛[1mNAME␛[0m
    a.txt
    ␛[1;36mhint:␛[0m to show it: `haul info local:[id]............`
    ");
    check!(on(&new(), On::All, &["upload", "a.txt", "b.txt", "-p", "local", "--fields", "size"]), @"
    status 0
    --- out
    ␛[1mSIZE␛[0m
     1 B
     1 B
    2 uploaded
    ␛[1;36mhint:␛[0m to list the files: `haul ls -p local`
    ");
    for arguments in
        [&["upload", "a.txt", "-q"][..], &["upload", "a.txt", "--json"], &["upload", "a.txt", "-n"]]
    {
        assert_eq!(hints(&on(&new(), On::All, arguments)), 0, "{arguments:?}");
    }
    // Neither in a script's output, nor in a log, nor without a record of uploads.
    assert_eq!(hints(&on(&new(), On::Err, &["upload", "a.txt", "--ids"])), 0);
    assert_eq!(hints(&on(&new(), On::Out, &["upload", "a.txt"])), 0);
    assert_eq!(hints(&new().haul(["upload", "a.txt"]).ok()), 0);
    let env = new().with_var("HAUL_LEDGER", "off");
    assert_eq!(hints(&on(&env, On::All, &["upload", "a.txt"])), 0);
}

#[test]
fn times_sizes_and_colors_are_readable_on_a_terminal() {
    let mut env = Sandbox::new();
    env.write("a.txt", vec![b'x'; 1_234_567]);
    env.haul(["upload", "a.txt", "--expires", "2h"]).ok();
    env.set("HAUL_NOW", "2026-03-01T12:45:00Z");
    let fields = ["ls", "--fields", "name,size,created_at,expires_at"];
    check!(on(&env, On::Out, &fields), @"
    status 0
    --- out
    ␛[1mNAME␛[0m     ␛[1mSIZE␛[0m  ␛[1mCREATED_AT␛[0m      ␛[1mEXPIRES_AT␛[0m
    a.txt  1.2 MB  45 minutes ago  ␛[33min 1 hour␛[0m
    ");
    check!(env.haul(fields), @"
    status 0
    --- out
    a.txt	1234567	2026-03-01T12:00:00Z	2026-03-01T14:00:00Z
    ");
}

#[test]
fn a_question_states_the_action_and_the_size() {
    let mut env = Sandbox::with_files(&["a.txt", "b.txt"]);
    env.set("HAUL_PROFILE_WORK_PROVIDER", "local");
    check!(env.terminal(80, "n\n", &["rm", "a.txt", "work:b.txt"]), @"
    status 1
    --- out
      [id]............  a.txt
      [id]............  b.txt
    delete 2 files (10 B) from local, work? [y/N] nothing deleted
    ");
    check!(env.terminal(80, "n\n", &["meta", "set", "*", "k=v"]), @"
    status 1
    --- out
      [id]............  b.txt
      [id]............  a.txt
    change the metadata of 2 files (10 B) on local? [y/N] nothing changed
    ");
    check!(env.terminal(80, "n\n", &["link", "*"]), @"
    status 1
    --- out
      [id]............  b.txt
      [id]............  a.txt
    create links to 2 files (10 B) on local? [y/N] nothing linked
    ");
    // A listing without sizes.
    let silent = all().find(|platform| !platform.facts.lists_sizes_and_times).unwrap().name;
    let line = script(&format!("haul upload -p {silent} a.txt -q > /dev/null; haul rm '{silent}:*'"));
    let asked =
        env.terminal(80, "n\n", &["serve", "--ephemeral", "--only", silent, "--", "bash", "-c", &line]);
    assert!(asked.stdout().contains(&format!("delete 1 file from {silent}? [y/N] ")), "{asked}");
    assert_eq!(env.ids().len(), 2);
}

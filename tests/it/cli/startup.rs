//! Commands about the program itself open no files and start no threads.

use crate::support::sandbox::{HAUL, Sandbox};

#[test]
fn version_help_and_completions_need_no_home() {
    let mut env = Sandbox::new();
    for home in ["/dev/null/x", ""] {
        env.set("HAUL_HOME", home);
        env.set("HOME", "/dev/null");
        for arguments in
            [&["--version"][..], &["--help"], &["help", "ls"], &["help", "filters"], &["completions", "fish"]]
        {
            let run = env.haul(arguments).ok();
            assert!(!run.out.is_empty() && run.err.is_empty(), "{run}");
        }
    }
    let mut env = Sandbox::new();
    env.set("HAUL_CONFIG", "broken.toml");
    env.write("broken.toml", "= = =");
    env.haul(["completions", "zsh"]).ok();
}

#[test]
fn version_help_and_completions_start_no_thread() {
    // The limit counts the threads of a user and does not apply to root. For a user without other processes the
    // main thread is the only one allowed.
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let env = Sandbox::with_files(&["a.txt"]);
    env.open_to_all();
    let alone = |arguments: &str| {
        let mut command = env.program("setpriv");
        let line = format!("ulimit -u 1; exec '{HAUL}' {arguments}");
        env.run(command.args(["--reuid=61234", "--regid=61234", "--clear-groups", "bash", "-c", &line]))
    };
    for arguments in ["--version", "--help", "help ls", "completions bash", "providers"] {
        assert!(!alone(arguments).ok().out.is_empty());
    }
    assert_ne!(alone("ls").status, 0, "the limit has no effect");
}

#[test]
fn listing_leaves_no_lock_behind() {
    let env = Sandbox::with_files(&["a.txt"]);
    env.haul(["ls"]).ok();
    env.haul(["ls"]).ok();
    assert_eq!(env.files(), ["a.txt"]);
}

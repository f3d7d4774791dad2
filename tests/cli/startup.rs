//! What tells about the program itself opens nothing and starts nothing.

use crate::support::TestEnv;

#[test]
fn version_help_and_completions_need_no_home() {
    let mut env = TestEnv::new();
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
    let mut env = TestEnv::new();
    env.set("HAUL_CONFIG", "broken.toml");
    env.write("broken.toml", "= = =");
    env.haul(["completions", "zsh"]).ok();
}

/// A thread, a socket or a file beyond the program's own would need memory that is locked here.
#[test]
fn they_start_no_thread() {
    let env = TestEnv::new();
    // The limit counts the threads of the user: as a user that runs nothing else, one more is one too many.
    for arguments in ["--version", "--help", "help ls", "completions bash"] {
        let line = format!("ulimit -u 1; exec '{}' {arguments}", crate::support::HAUL);
        if rustix::process::geteuid().is_root() {
            env.open_to_all();
            let mut command = env.program("setpriv");
            command.args(["--reuid=61234", "--regid=61234", "--clear-groups", "bash", "-c", &line]);
            assert!(!env.run(&mut command).ok().out.is_empty());
        }
    }
}

#[test]
fn listing_leaves_no_lock_behind() {
    let env = TestEnv::with_files(&["a.txt"]);
    env.haul(["ls"]).ok();
    env.haul(["ls"]).ok();
    assert_eq!(env.files(), ["a.txt"]);
}

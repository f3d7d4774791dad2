//! TAB in real shells, with a thousand files to choose from. The completed line is then run.

use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::Duration;

use crate::cli::completions::{fill, serve};
use crate::support::sandbox::{HAUL, Sandbox};
use crate::support::terminal::{On, Terminal};

/// The maximum number of attempts for a line.
const ATTEMPTS: usize = 5;

/// The set-up of a shell.
struct Shell {
    name: &'static str,
    flags: &'static [&'static str],
    /// Commands typed first.
    setup: &'static str,
    /// The keys that list completions.
    tabs: &'static str,
    /// The question before a thousand names are listed, and the answer to it.
    thousand: (&'static str, &'static str),
}

const BASH: Shell = Shell {
    name: "bash",
    flags: &["--norc", "--noprofile", "-i"],
    setup: "bind 'set page-completions off'; bind 'set bell-style none'; source <(haul completions bash)",
    tabs: "\t\t",
    thousand: ("Display all 10", "n"),
};
const ZSH: Shell = Shell {
    name: "zsh",
    flags: &["-f", "-i"],
    setup: "unsetopt prompt_cr prompt_sp; autoload -Uz compinit; compinit -u -D; source <(haul completions zsh)",
    tabs: "\t",
    thousand: ("do you wish to see all 10", "n"),
};
const FISH: Shell = Shell {
    name: "fish",
    flags: &["--no-config", "-i"],
    setup: "set -g fish_autosuggestion_enabled 0; function fish_prompt; end; haul completions fish | source",
    tabs: "\t",
    thousand: ("more rows", ""),
};

/// Whether the shell is installed. A missing shell is skipped with a note, except in CI, where it fails.
#[allow(clippy::print_stderr, reason = "reports skipped tests")]
fn is_there(shell: &Shell) -> bool {
    let found = Command::new(shell.name).arg("--version").output().is_ok();
    let is_ci = std::env::var_os("HAUL_TEST_CI").is_some();
    assert!(found || !is_ci, "{} is not installed", shell.name);
    if !found {
        eprintln!("skipped: {} is not installed", shell.name);
    }
    found
}

struct Session {
    terminal: Terminal,
}

impl Session {
    fn start(env: &Sandbox, shell: &Shell) -> Self {
        let bin = env.root().join("bin");
        std::fs::create_dir(&bin).unwrap();
        symlink(HAUL, bin.join("haul")).unwrap();
        // A shell needs a controlling terminal.
        let mut command = env.program("setsid");
        command
            .args(["--ctty", "--wait", shell.name])
            .args(shell.flags)
            .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
            .env("TERM", "xterm")
            .env("LC_ALL", "C.UTF-8")
            .env("PS1", "")
            .env("PS2", "");
        let mut session = Self { terminal: Terminal::start(env, command, 80, On::All) };
        session.run(shell.setup, "");
        session
    }

    fn types(&mut self, keys: &str) {
        self.terminal.types(keys);
    }

    /// Types a line, which may contain TABs, and waits for its output. Completion gives up after half a second,
    /// which is short while many tests run: a line without completions is typed again.
    #[track_caller]
    fn run(&mut self, keys: &str, printed: &str) {
        let mut screen = String::new();
        for _ in 0..ATTEMPTS {
            self.types(&format!("{keys}\recho end''ed\r"));
            screen += &self.terminal.sees(&["ended"]);
            if screen.contains(printed) {
                return;
            }
        }
        panic!("{keys:?} does not print {printed:?}:\n{screen}");
    }

    /// Types the keys, waits for the texts, types the answer and clears the line. Ctrl-C would discard the input
    /// that follows, so it is not used for that.
    #[track_caller]
    fn lists(&mut self, keys: &str, shown: &[&str], answer: &str) {
        let mut screen = String::new();
        for _ in 0..ATTEMPTS {
            self.types(keys);
            let seen = self.terminal.sees_within(shown, Duration::from_secs(10));
            self.types(&format!("{answer}\u{15}"));
            self.run("true", "");
            match seen {
                Ok(_) => return,
                Err(new) => screen += &new,
            }
        }
        panic!("{keys:?} does not show {shown:?}:\n{screen}");
    }
}

fn press(shell: &Shell) {
    if !is_there(shell) {
        return;
    }
    let mut env = Sandbox::new();
    let served = serve(&mut env);
    env.write("far away.txt", "from afar");
    env.haul(["-p", "far", "upload", "far away.txt"]).ok();
    fill(
        &env,
        1000,
        &[
            "unique.txt",
            "my own file.txt",
            "it's \"quoted\" $HOME `!`.txt",
            "-dash.txt",
            "Übung 日本.txt",
            "a*b?[c].txt",
        ],
    );
    let mut session = Session::start(&env, shell);

    // A unique prefix: the name is inserted and quoted, so that the line runs. The content is not on the line.
    session.run("haul get -o - uniq\t", "content of unique.txt.");
    session.run("haul get -o - my\t", "content of my own file.txt.");
    session.run("haul get -o - it\t", "content of it's \"quoted\" $HOME `!`.txt.");
    session.run("haul get -o - 'my own\t", "content of my own file.txt.");
    session.run("haul get -o - \"my own\t", "content of my own file.txt.");
    session.run("haul get -o - my\\ own\t", "content of my own file.txt.");
    session.run("haul get -o - name:-d\t", "content of -dash.txt.");
    session.run("haul get -o - Ü\t", "content of Übung 日本.txt.");
    session.run("haul get -o - name:a\t", "content of a*b?[c].txt.");

    // An ambiguous prefix: the names are listed.
    let ten: Vec<String> = (0..10).map(|n| format!("data-012{n}.csv")).collect();
    let ten: Vec<&str> = ten.iter().map(String::as_str).collect();
    session.lists(&format!("haul get data-012{}", shell.tabs), &ten, "");
    let (asked, answer) = shell.thousand;
    session.lists(&format!("haul get {}", shell.tabs), &[asked], answer);

    // Profiles, before a file and after a flag. The platform of a profile is queried over the network.
    session.run("haul get -o - loc\tuniq\t", "content of unique.txt.");
    session.run("haul get -o - far:far\t", "from afar");
    session.run("haul -p fa\t get -o - far\t", "from afar");

    // Options, fields, ids.
    session.run("haul get --overw\t -o - uniq\t", "content of unique.txt.");
    session.run("haul ls --jsonl --name unique.txt --fields size,na\t", "\"name\":\"unique.txt\"}");
    session.run("haul get -o - 0spec\t", "content of unique.txt.");

    session.types("exit\r");
    drop(served);
    session.terminal.end().ok();
}

#[test]
fn completion_works_in_bash() {
    press(&BASH);
}

#[test]
fn completion_works_in_zsh() {
    press(&ZSH);
}

#[test]
fn completion_works_in_fish() {
    press(&FISH);
}

//! TAB pressed in real shells, with a thousand files to choose from; what it makes of a line is then run.

use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::Duration;

use crate::cli::completions::{fill, serve};
use crate::support::sandbox::{HAUL, Sandbox};
use crate::support::terminal::{On, Terminal};

/// How often a line is typed at most.
const ATTEMPTS: usize = 5;

/// What a shell needs to be at home here.
struct Shell {
    name: &'static str,
    flags: &'static [&'static str],
    /// Typed first.
    setup: &'static str,
    /// What makes it show what there is to choose from.
    tabs: &'static str,
    /// What it asks or tells before it lists a thousand names, and what makes it go on.
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

/// Whether the shell is there. A missing one is said and passed over, but not where everything has to be tested.
#[allow(clippy::print_stderr, reason = "what is passed over has to be said")]
fn is_there(shell: &Shell) -> bool {
    let found = Command::new(shell.name).arg("--version").output().is_ok();
    let is_ci = std::env::var_os("HAUL_CI").is_some();
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
        // A shell wants the terminal to be its own.
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

    /// Types a line, in which there may be TABs, and sees what it prints. haul gives up after half a second, which is not
    /// much where many tests run at once: a line that came to nothing is typed again, as people do.
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

    /// Types this, sees all of that, types the answer, and takes the line back: not with Ctrl-C, which would take back
    /// what is typed next, too.
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

    // One that begins like this: it is put in, quoted, so that the line can be run. The content is not on the line.
    session.run("haul get -o - uniq\t", "content of unique.txt.");
    session.run("haul get -o - my\t", "content of my own file.txt.");
    session.run("haul get -o - it\t", "content of it's \"quoted\" $HOME `!`.txt.");
    session.run("haul get -o - 'my own\t", "content of my own file.txt.");
    session.run("haul get -o - \"my own\t", "content of my own file.txt.");
    session.run("haul get -o - my\\ own\t", "content of my own file.txt.");
    session.run("haul get -o - name:-d\t", "content of -dash.txt.");
    session.run("haul get -o - Ü\t", "content of Übung 日本.txt.");
    session.run("haul get -o - name:a\t", "content of a*b?[c].txt.");

    // Several do: they are shown.
    let ten: Vec<String> = (0..10).map(|n| format!("data-012{n}.csv")).collect();
    let ten: Vec<&str> = ten.iter().map(String::as_str).collect();
    session.lists(&format!("haul get data-012{}", shell.tabs), &ten, "");
    let (asked, answer) = shell.thousand;
    session.lists(&format!("haul get {}", shell.tabs), &[asked], answer);

    // Profiles, in front of a file and after a flag; the platform behind one is asked over the network.
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
fn in_bash() {
    press(&BASH);
}

#[test]
fn in_zsh() {
    press(&ZSH);
}

#[test]
fn in_fish() {
    press(&FISH);
}

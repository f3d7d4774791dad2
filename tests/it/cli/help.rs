//! Help screens and topics.

use haul::cli::Cli;
use haul::commands::help::topics::TOPICS;

use crate::check;
use crate::support::sandbox::Sandbox;

#[test]
fn the_first_screen() {
    let env = Sandbox::new();
    check!(env.haul::<&str>([]), @"
    status 2
    --- err
    One command line for the Files APIs of AI platforms

    Usage: haul [OPTIONS] <COMMAND>

    Commands:
      upload       Upload files [aliases: put, up]
      ls           List files [alias: list]
      info         Show details of files [alias: show]
      get          Download files [alias: download]
      cat          Print the content of files
      cp           Copy files between platforms, and to and from this machine [alias: copy]
      rm           Delete files [alias: delete]
      sync         Upload what has changed in a folder, and record the ids in a lock file
      gc           Delete files that are no longer needed
      du           Show the number, size and age of files
      meta         Show and change metadata
      link         Create, list and revoke links to files
      ref          Print a snippet that uses a file, for an API or a program
      lint         Check JSONL files for batches and fine-tuning
      auth         Store, check and remove tokens
      profile      List, add and remove profiles
      config       Show all settings and their sources
      serve        Emulate the platforms' APIs offline, with a store on this machine
      local        Check and repair this machine's store
      providers    List the platforms and their capabilities
      skill        Print instructions for agents, or install them as a skill
      completions  Print a shell completion script
      help         Show help for a command or a topic

    Options:
      -h, --help     Print help (see more with '--help')
      -V, --version  Print version

    Profile:
      -p, --profile <NAME>   Use this profile; each platform's name is a built-in profile
          --set <KEY=VALUE>  Set a platform setting, such as a workspace or a team

    Output:
          --json            Print a JSON array
          --jsonl           Print one JSON object per line
          --jq <EXPR>       Run a jq program on the JSON and print its results
          --fields <A,B,C>  Print only these fields, in this order
      -q, --quiet           Print only data, warnings and errors
      -v, --verbose...      Print more details; -vv shows each request

    With nothing configured, files go to `local`, an embedded store on this machine.
    `haul providers` lists the platforms, `haul COMMAND --help` has examples,
    `haul help TOPIC` describes filters, output, environment and exit-codes.
    ");
    check!(env.haul(["--version"]), @"
    status 0
    --- out
    haul 0.1.0
    ");
    let help = env.haul(["help"]).ok();
    assert_eq!(help.stdout(), env.haul(["--help"]).ok().stdout());
    assert_eq!(help.stderr(), "");
}

#[test]
fn every_command_has_help_with_examples() {
    let env = Sandbox::new();
    let commands = ["upload", "ls", "info", "get", "cat", "rm", "link", "providers", "completions", "serve"];
    for command in commands {
        let long = env.haul([command, "--help"]).ok().stdout();
        assert!(long.contains("Examples:\n  haul "), "{command}\n{long}");
        assert!(!env.haul([command, "-h"]).ok().stdout().contains("Examples:"), "{command}");
        assert_eq!(env.haul(["help", command]).ok().stdout(), long);
    }
    for command in ["get", "set", "unset"] {
        let long = env.haul(["meta", command, "--help"]).ok().stdout();
        assert!(long.contains("Examples:\n  haul meta "), "{command}\n{long}");
        assert_eq!(env.haul(["help", "meta", command]).ok().stdout(), long);
    }
    check!(env.haul(["ls", "-h"]), @"
    status 0
    --- out
    List files

    Usage: haul ls [OPTIONS] [REF]...

    Arguments:
      [REF]...  Only these files: ids, names or patterns such as '*.pdf', as `[PROFILE:]REF`; `PROFILE:`
                lists all files of a profile, and `-` reads references from standard input

    Options:
          --filter <EXPR>      Only files that match this expression (`haul help filters`)
          --expiring <TIME>    Only files that expire within this time, such as 24h
          --since <TIME|DATE>  Only files created within this time, such as 7d, or since a date
          --name <NAME>        Only files with exactly this name
          --type <TYPE>        Only files whose media type contains this, such as pdf or 'image/*'
          --sort <FIELD>       Sort by this field or metadata.KEY, in ascending order; `-FIELD` reverses
                               it
          --reverse            Reverse the order
          --limit <N>          Maximum number of files
          --ids                Print ids only
          --count              Print only the number of files
          --print0             End each name (or id) with NUL, for `xargs -0`
      -l, --long               Show more columns
      -h, --help               Print help (see more with '--help')

    Profile:
      -p, --profile <NAME>   Use this profile; each platform's name is a built-in profile
          --set <KEY=VALUE>  Set a platform setting, such as a workspace or a team

    Output:
          --json            Print a JSON array
          --jsonl           Print one JSON object per line
          --jq <EXPR>       Run a jq program on the JSON and print its results
          --fields <A,B,C>  Print only these fields, in this order
      -q, --quiet           Print only data, warnings and errors
      -v, --verbose...      Print more details; -vv shows each request
    ");
}

#[test]
fn topics() {
    let env = Sandbox::new();
    check!(env.haul(["help", "exit-codes"]), @r#"
    status 0
    --- out
    Exit codes:

        0  success, even if the reader closes the pipe
        1  any other failure, or several items failed for different reasons
        2  invalid arguments, settings or filter
        3  file not found, locally or on the platform
        4  token missing or rejected
        5  not supported by the platform, or over one of its limits
        5  conflict: an existing file has or may have different content
        6  rate limit or quota exceeded, after retries
        7  platform unreachable, after retries
        8  platform error or invalid response
        9  size or checksum mismatch after a transfer
        9  out of date: `haul sync --check` found something to change
      129  interrupted by SIGHUP
      130  interrupted by Ctrl-C (SIGINT)
      143  interrupted by SIGTERM

    If several items fail for the same reason, the exit code is the one for that
    reason; if the reasons differ, it is 1.

    Examples:
      haul info report.pdf || echo "status $?"
      haul info no-such.pdf; test $? -eq 3 && echo "no such file"
    "#);
    check!(env.haul(["help", "filter"]), @r#"
    status 2
    --- err
    error: unknown command or topic "filter"
    hint: did you mean `haul help filters`?
    hint: `haul help` lists the commands
    "#);
    check!(env.haul(["help", "ls", "more"]), @r#"
    status 2
    --- err
    error: unknown command or topic "more"
    hint: `haul help` lists the commands
    "#);
}

/// The words of every command.
fn commands() -> Vec<Vec<String>> {
    fn walk(command: &clap::Command, words: &[String], into: &mut Vec<Vec<String>>) {
        into.push(words.to_vec());
        for below in command.get_subcommands() {
            walk(below, &[words, &[below.get_name().to_owned()]].concat(), into);
        }
    }
    let mut all = Vec::new();
    walk(&Cli::tree(), &[], &mut all);
    all
}

#[test]
fn help_fits_the_terminal() {
    let (mut env, mut wide) = (Sandbox::new(), Vec::new());
    for width in [40, 60, 80, 200] {
        env.set("COLUMNS", &width.to_string());
        let screens = commands()
            .into_iter()
            .flat_map(|words| ["-h", "--help"].map(|flag| [&words[..], &[flag.to_owned()]].concat()));
        let topics = TOPICS.iter().map(|topic| vec!["help".to_owned(), topic.name.to_owned()]);
        for words in screens.chain(topics) {
            let text = env.haul(&words).ok().stdout();
            let lines = text.lines().map(str::trim_end).filter(|line| line.chars().count() > width.min(100));
            // Text for copying is not wrapped, and a line with a single word cannot be.
            let is_whole = |line: &str| {
                line.starts_with("Usage: ")
                    || line.starts_with("       haul ")
                    || (line.starts_with("  ")
                        && !line.starts_with("   ")
                        && (line.contains("haul ") || line.contains('{')))
                    || !line.trim().contains(' ')
            };
            wide.extend(lines.filter(|line| !is_whole(line)).map(|line| format!("{width} {words:?} {line}")));
        }
    }
    assert!(wide.is_empty(), "{}", wide.join("\n"));
}

#[test]
fn the_short_help_is_short_and_in_groups() {
    let mut env = Sandbox::new();
    env.set("COLUMNS", "100");
    for words in commands() {
        let screen = |flag: &str| env.haul([&words[..], &[flag.to_owned()]].concat()).ok().stdout();
        let (short, long) = (screen("-h"), screen("--help"));
        assert!(short.lines().count() <= 48, "{words:?}\n{short}");
        assert!(short.lines().count() < long.lines().count());
        for group in ["Options:", "Profile:", "Output:"] {
            assert!(short.lines().any(|line| line == group), "{words:?}\n{short}");
        }
    }
}

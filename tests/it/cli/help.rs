//! Help screens and topics.

use clap::CommandFactory as _;
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
      info         Show all that is known about files [alias: show]
      get          Download files [alias: download]
      rm           Delete files [alias: delete]
      meta         Read and change metadata
      link         Make, list and revoke links to files
      auth         Give haul a token, check it, take it back
      profile      List, add and remove profiles
      config       Show every setting and where it comes from
      serve        Serve the platforms' own APIs offline, from a store on this machine
      providers    List the platforms and what they can do
      completions  Print a shell completion script
      help         Show the help of a command, or a topic of the manual

    Options:
      -h, --help     Print help (see more with '--help')
      -V, --version  Print version

    Profile:
      -p, --profile <NAME>   Use this profile; a provider's name is a ready-made one
          --set <KEY=VALUE>  Give the platform a setting, such as a workspace or a team

    Output:
          --json            Print one JSON array
          --jsonl           Print one JSON object a line
          --fields <A,B,C>  Print these fields, in this order
      -q, --quiet           Say nothing but data and errors
      -v, --verbose...      Say more; -vv shows each request

    With nothing configured, files go to `local`, an embedded store on this machine.
    `haul providers` lists the platforms, `haul COMMAND --help` has examples,
    `haul help TOPIC` tells of filters, output, environment and exit-codes.
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
    let commands = ["upload", "ls", "info", "get", "rm", "link", "providers", "completions", "serve"];
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

    Usage: haul ls [OPTIONS] [GLOB]

    Arguments:
      [GLOB]  List files whose name matches, such as '*.pdf'

    Options:
          --filter <EXPR>      List files that this expression matches (`haul help filters`)
          --expiring <TIME>    List files that end within this time, such as 24h
          --since <TIME|DATE>  List files made within this time, such as 7d, or since a date
          --name <NAME>        List files of exactly this name
          --type <TYPE>        List files whose media type has this in it, such as pdf or 'image/*'
          --sort <FIELD>       Sort by this field or metadata.KEY, smallest first
          --reverse            Turn the order round
          --limit <N>          List at most this many
          --ids                Print ids only
          --print0             End each id or name with NUL, for `xargs -0`
      -l, --long               Show more columns
      -h, --help               Print help (see more with '--help')

    Profile:
      -p, --profile <NAME>   Use this profile; a provider's name is a ready-made one
          --set <KEY=VALUE>  Give the platform a setting, such as a workspace or a team

    Output:
          --json            Print one JSON array
          --jsonl           Print one JSON object a line
          --fields <A,B,C>  Print these fields, in this order
      -q, --quiet           Say nothing but data and errors
      -v, --verbose...      Say more; -vv shows each request
    ");
}

#[test]
fn topics() {
    let env = Sandbox::new();
    check!(env.haul(["help", "exit-codes"]), @r#"
    status 0
    --- out
    Exit codes:

        0  done, also when a reader closes the pipe
        1  any other failure, or several items failed for different reasons
        2  invalid arguments, settings or filter
        3  file not found, locally or on the platform
        4  token missing or rejected
        5  not supported by the platform, or over one of its limits
        6  rate limit or quota exceeded, after retries
        7  platform unreachable, after retries
        8  platform error or invalid response
        9  size or checksum mismatch after a transfer
      130  interrupted

    Several failures for one reason give that reason's code, for different reasons
    1.

    Examples:
      haul info report.pdf || echo "status $?"
      haul info no-such.pdf; test $? -eq 3 && echo "it is not there"
    "#);
    check!(env.haul(["help", "filter"]), @"
    status 2
    --- err
    error: filter: no command or topic is called this
    hint: did you mean `haul help filters`?
    hint: `haul help` lists the commands
    ");
    check!(env.haul(["help", "ls", "more"]), @"
    status 2
    --- err
    error: more: no command or topic is called this
    hint: `haul help` lists the commands
    ");
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
    walk(&Cli::command(), &[], &mut all);
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
            // Text for copying is not wrapped, and a line of one word cannot be.
            let is_whole = |line: &str| {
                line.starts_with("Usage: ")
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
        assert!(short.lines().count() <= 45, "{words:?}\n{short}");
        assert!(short.lines().count() < long.lines().count());
        for group in ["Options:", "Profile:", "Output:"] {
            assert!(short.lines().any(|line| line == group), "{words:?}\n{short}");
        }
    }
}

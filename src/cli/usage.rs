//! Converts usage errors of the command-line parser to [`Error`], with hints that can be typed as printed.

use std::ffi::OsString;
use std::num::ParseIntError;
use std::path::Path;

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::error::{Error, nearest};

/// Converts a parser error. Help and version output are not errors.
pub fn error(wrong: &clap::Error, root: &Command, arguments: &[OsString]) -> Error {
    let text = |kind| wrong.get(kind).map(words).unwrap_or_default();
    let (command, path) = command(root, arguments);
    let given = |kind| text(kind).join(", ");
    let message = match wrong.kind() {
        ErrorKind::InvalidSubcommand => {
            format!("unrecognized subcommand '{}'", given(ContextKind::InvalidSubcommand))
        }
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            format!("`{path}` requires a subcommand")
        }
        ErrorKind::MissingRequiredArgument => {
            let missing = text(ContextKind::InvalidArg);
            let missing: Vec<&str> = missing.iter().map(|argument| bare(argument)).collect();
            format!(
                "missing {} {}",
                if missing.len() == 1 { "argument" } else { "arguments" },
                missing.join(", ")
            )
        }
        ErrorKind::UnknownArgument => {
            let argument = given(ContextKind::InvalidArg);
            let what = if argument.starts_with('-') { "unrecognized option" } else { "unexpected argument" };
            format!("{what} '{argument}'")
        }
        ErrorKind::ArgumentConflict => {
            let (argument, other) = (given(ContextKind::InvalidArg), given(ContextKind::PriorArg));
            if argument == other {
                format!("{argument} can be given only once")
            } else {
                format!("{argument} cannot be used with {other}")
            }
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let (argument, value) = (given(ContextKind::InvalidArg), given(ContextKind::InvalidValue));
            match std::error::Error::source(wrong) {
                _ if value.is_empty() => format!("{argument} requires a value"),
                Some(why)
                    if why.is::<ParseIntError>() && value.parse::<i64>().is_ok_and(i64::is_negative) =>
                {
                    format!("{argument}: {value} is less than 0")
                }
                Some(why) if why.is::<ParseIntError>() => {
                    format!("{argument}: {value:?} is not a whole number")
                }
                // The reason already contains the value.
                Some(why) if why.to_string().starts_with(&value) => {
                    let why =
                        why.to_string().replace(" is not in ", " is not between ").replace("..=", " and ");
                    format!("{argument}: {why}")
                }
                Some(why) => format!("{argument}: {value:?}: {why}"),
                None => format!("{argument}: invalid value {value:?}"),
            }
        }
        ErrorKind::InvalidUtf8 => "an argument is not valid UTF-8".to_owned(),
        _ => first_line(wrong),
    };
    let mut error = Error::usage(message);
    let argument = given(ContextKind::InvalidArg);
    let hint = match wrong.kind() {
        ErrorKind::InvalidSubcommand => {
            let typed = given(ContextKind::InvalidSubcommand);
            other_way(command, &typed).or_else(|| {
                meant_command(command, &typed).map(|meant| format!("did you mean `{path} {meant}`?"))
            })
        }
        ErrorKind::UnknownArgument if argument.starts_with('-') => option_hint(command, &argument),
        ErrorKind::MissingRequiredArgument => {
            // For an option, an example that uses it; otherwise, the first example.
            let option = argument.split(' ').next().filter(|word| word.starts_with('-')).unwrap_or_default();
            example(command, option).map(|line| format!("example: `{line}`"))
        }
        _ => None,
    };
    error = hint.into_iter().fold(error, Error::hint);
    let values = text(ContextKind::ValidValue);
    if !values.is_empty() {
        let value = given(ContextKind::InvalidValue);
        error = error
            .did_you_mean(&value, values.iter().map(String::as_str))
            .hint(format!("possible values: {}", values.join(", ")));
    }
    error.hint(format!("see `{path} --help`"))
}

/// The error for an option whose value is missing because another option follows, as in `--name --json`. Clap takes
/// the second option as the value if values may begin with a minus sign. `--name=--json` is not an error.
pub fn missing_value(root: impl Fn() -> Command, arguments: &[OsString]) -> Option<Error> {
    let words = arguments.iter().skip(1).take_while(|word| *word != "--");
    let words: Vec<&str> = words.map(|word| word.to_str().unwrap_or_default()).collect();
    let mut pairs =
        words.windows(2).filter(|pair| pair[0].starts_with("--") && pair[1].starts_with('-')).peekable();
    pairs.peek()?;
    let root = root();
    let (command, path) = command(&root, arguments);
    let option = |word: &str| {
        let name = word.split('=').next().unwrap_or_default();
        command.get_arguments().find(|option| match name.strip_prefix("--") {
            Some(long) => option.get_long() == Some(long),
            None => option.get_short().is_some_and(|short| name == format!("-{short}")),
        })
    };
    let takes_any =
        |word: &str| !word.contains('=') && option(word).is_some_and(clap::Arg::is_allow_hyphen_values_set);
    let pair = pairs.find(|pair| takes_any(pair[0]) && option(pair[1]).is_some())?;
    Some(
        Error::usage(format!("{} requires a value", pair[0]))
            .hint(format!("to pass `{1}` as the value, write `{0}={1}`", pair[0], pair[1]))
            .hint(format!("see `{path} --help`")),
    )
}

/// The error for several different profiles. Other options can be repeated; the last value wins.
pub fn several_profiles(arguments: &[OsString]) -> Option<Error> {
    let mut words =
        arguments.iter().skip(1).take_while(|word| *word != "--").filter_map(|word| word.to_str());
    let mut profiles: Vec<&str> = Vec::new();
    while let Some(word) = words.next() {
        let value = match word {
            "-p" | "--profile" => words.next(),
            _ => word
                .strip_prefix("--profile=")
                .or_else(|| word.strip_prefix("-p").filter(|rest| !rest.is_empty()))
                .map(|value| value.strip_prefix('=').unwrap_or(value)),
        };
        profiles.extend(value);
    }
    profiles.dedup();
    let references: Vec<String> =
        profiles.iter().map(|name| crate::error::word(&format!("{name}:")).into()).collect();
    (profiles.len() > 1).then(|| {
        Error::usage(format!("--profile selects only one profile: {}", profiles.join(", "))).hint(format!(
            "to use several profiles, name them in references: `haul ls {}`",
            references.join(" ")
        ))
    })
}

/// The command selected by the arguments, with its full name, such as `haul meta set`.
fn command<'a>(root: &'a Command, arguments: &[OsString]) -> (&'a Command, String) {
    let (mut command, mut path) = (root, root.get_name().to_owned());
    for word in arguments.iter().skip(1).take_while(|word| *word != "--") {
        if let Some(below) = command.find_subcommand(word) {
            (command, path) = (below, format!("{path} {}", below.get_name()));
        }
    }
    (command, path)
}

/// The hint for a nonexistent subcommand whose task other commands perform with certain arguments.
fn other_way(command: &Command, typed: &str) -> Option<String> {
    let hint = match (command.get_name(), typed) {
        ("haul", "mv" | "move" | "rename" | "ren") => "to rename a file: `haul meta set REF --name NAME`",
        ("haul", "find" | "search" | "grep") => "to search for files: `haul ls --filter 'name:report'`",
        ("profile", "show" | "get" | "info") => {
            "to show the settings of a profile: `haul config show -p xai`"
        }
        ("haul", "init" | "setup" | "configure") => {
            "to store a token: `haul auth login xai`; to add a profile: `haul profile add NAME --provider xai`"
        }
        ("config", "set" | "get" | "edit" | "path" | "add") => {
            "to print the settings and the path of the config file: `haul config show`; \
             to add a profile: `haul profile add NAME --provider xai`"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

/// The suggestion for an unknown subcommand: a subcommand of a group (`auth login` for `login`), an option
/// (`--version`), the equivalent of another program's command (`upload` for `push`), or the most similar name.
fn meant_command(command: &Command, typed: &str) -> Option<String> {
    let below = || command.get_subcommands().filter(|below| !below.is_hide_set());
    if let Some(group) = below().find(|group| group.find_subcommand(typed).is_some()) {
        return Some(format!("{} {typed}", group.get_name()));
    }
    if options(command).any(|option| option == typed) {
        return Some(format!("--{typed}"));
    }
    // Command names used by similar programs.
    let other = match typed {
        "push" | "add" | "create" => "upload",
        "pull" | "fetch" => "get",
        "del" | "remove" | "unlink" => "rm",
        "stat" | "head" | "describe" => "info",
        "whoami" => "auth status",
        "dir" => "ls",
        "share" | "url" | "presign" => "link",
        _ => "",
    };
    if !other.is_empty() && command.get_name() == "haul" {
        return Some(other.to_owned());
    }
    let names =
        below().flat_map(|below| std::iter::once(below.get_name()).chain(below.get_visible_aliases()));
    nearest(typed, names).map(str::to_owned)
}

/// The hint for an unknown option: an option of another program, the most similar one, or a file of this name.
fn option_hint(command: &Command, argument: &str) -> Option<String> {
    let has = |name: &str| options(command).any(|option| option == name);
    match argument.split('=').next().unwrap_or_default() {
        "--format" | "--output" | "-o" => {
            return Some("for JSON: `--json`, or `--jsonl` for one object per line".to_owned());
        }
        "-f" | "--force" if has("overwrite") => return Some("to overwrite files: `--overwrite`".to_owned()),
        "-f" | "--force" if has("yes") => return Some("to skip the confirmation: `--yes`".to_owned()),
        "-f" | "--force" | "--overwrite" if has("if-exists") => {
            return Some("to replace existing files: `--if-exists replace`".to_owned());
        }
        "-r" if has("reverse") => {
            return Some("to reverse the order: `--sort name --reverse`".to_owned());
        }
        "-l" if has("long") => return Some("did you mean `--long`?".to_owned()),
        "-t" if has("sort") => return Some("to sort by time: `--sort -created_at`".to_owned()),
        "-S" if has("sort") => return Some("to sort by size: `--sort -size`".to_owned()),
        _ => {}
    }
    match meant_option(command, argument) {
        Some(meant) => Some(format!("did you mean `--{meant}`?")),
        None if Path::new(argument).exists() => {
            Some(format!("for the file with this name, write `-- {argument}`"))
        }
        None => None,
    }
}

/// The most similar option of the command.
fn meant_option<'a>(command: &'a Command, typed: &str) -> Option<&'a str> {
    let name = typed.strip_prefix("--")?.split('=').next()?;
    nearest(name, options(command))
}

fn options(command: &Command) -> impl Iterator<Item = &str> {
    command.get_arguments().filter(|option| !option.is_hide_set()).filter_map(|option| option.get_long())
}

/// The first example in a command's help that contains this text.
fn example(command: &Command, text: &str) -> Option<String> {
    let help = command.get_after_long_help()?.to_string();
    let mut examples = help.lines().skip_while(|line| *line != "Examples:").skip(1);
    examples.find(|line| line.contains(text)).map(|line| line.trim().to_owned())
}

/// Strips the brackets from a positional argument: `PATH` for `<PATH>...`. `--name <NAME>` is returned unchanged.
fn bare(argument: &str) -> &str {
    argument.strip_prefix('<').and_then(|rest| rest.split('>').next()).unwrap_or(argument)
}

fn words(value: &ContextValue) -> Vec<String> {
    match value {
        ContextValue::String(word) => vec![word.clone()],
        ContextValue::Strings(words) => words.clone(),
        ContextValue::StyledStr(text) => vec![text.to_string()],
        ContextValue::StyledStrs(texts) => texts.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    }
}

fn first_line(wrong: &clap::Error) -> String {
    let text = wrong.to_string();
    text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

//! What the parser of the command line says about wrong usage, as an [`Error`] like any other: in the same words, with
//! hints that can be typed, and as JSON where that was asked for.

use std::ffi::OsString;
use std::num::ParseIntError;

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::error::Error;

/// The error of these arguments to `root`. What the parser prints itself (help, version) is none.
pub fn error(wrong: &clap::Error, root: &Command, arguments: &[OsString]) -> Error {
    let text = |kind| wrong.get(kind).map(words).unwrap_or_default();
    let command = command(root, arguments);
    let given = |kind| text(kind).join(", ");
    let message = match wrong.kind() {
        ErrorKind::InvalidSubcommand => {
            format!("{}: no command is called this", given(ContextKind::InvalidSubcommand))
        }
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            format!("{command}: a command is missing")
        }
        ErrorKind::MissingRequiredArgument => format!("{}: not given", given(ContextKind::InvalidArg)),
        ErrorKind::UnknownArgument => {
            let argument = given(ContextKind::InvalidArg);
            let what = if argument.starts_with('-') { "no such option" } else { "one argument too many" };
            format!("{argument}: {what}")
        }
        ErrorKind::ArgumentConflict => {
            let (argument, other) = (given(ContextKind::InvalidArg), given(ContextKind::PriorArg));
            if argument == other {
                format!("{argument}: given twice")
            } else {
                format!("{argument}: cannot be used with {other}")
            }
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let (argument, value) = (given(ContextKind::InvalidArg), given(ContextKind::InvalidValue));
            match std::error::Error::source(wrong) {
                _ if value.is_empty() => format!("{argument}: needs a value"),
                Some(why) if why.is::<ParseIntError>() => {
                    format!("{argument}: {value:?} is not a whole number")
                }
                // It names the value itself.
                Some(why) if why.to_string().starts_with(&value) => format!("{argument}: {why}"),
                Some(why) => format!("{argument}: {value:?}: {why}"),
                None => format!("{argument}: {value:?} is not one of its values"),
            }
        }
        ErrorKind::InvalidUtf8 => "an argument is not UTF-8, and every id and name is".to_owned(),
        _ => first_line(wrong),
    };
    let mut error = Error::usage(message);
    let near = [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg, ContextKind::SuggestedValue];
    let near: Vec<String> = near.into_iter().flat_map(text).collect();
    if !near.is_empty() {
        // The parser's list ends with the nearest.
        let near: Vec<String> = near.iter().rev().map(|word| format!("`{word}`")).collect();
        error = error.hint(format!("did you mean {}?", near.join(" or ")));
    }
    let values = text(ContextKind::ValidValue);
    if !values.is_empty() {
        error = error.hint(format!("values: {}", values.join(", ")));
    }
    let argument = given(ContextKind::InvalidArg);
    if wrong.kind() == ErrorKind::UnknownArgument && argument.starts_with('-') && near.is_empty() {
        error = error.hint(format!("`-- {argument}` if that is a name"));
    }
    error.hint(format!("`{command} --help` shows how"))
}

/// `haul meta set`: the command that the arguments are for.
fn command(root: &Command, arguments: &[OsString]) -> String {
    let (mut command, mut path) = (root, root.get_name().to_owned());
    for word in arguments.iter().skip(1).take_while(|word| *word != "--") {
        if let Some(below) = command.find_subcommand(word) {
            (command, path) = (below, format!("{path} {}", below.get_name()));
        }
    }
    path
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

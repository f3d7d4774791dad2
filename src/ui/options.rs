//! The output options.

use clap::ValueEnum;

use super::Jq;
use crate::model::Clock;

/// When to use a terminal feature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// How progress is shown. Bars appear after 250 ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ProgressMode {
    /// Bars on a terminal
    #[default]
    Auto,
    /// Bars on a terminal, otherwise a line every few seconds
    Always,
    /// Nothing
    Never,
    /// One JSON event per line on standard error
    Json,
}

/// How data is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// A table on a terminal, tab-separated in a pipe.
    #[default]
    Text,
    /// One JSON array, written incrementally and always closed.
    Json,
    /// One JSON object per line.
    Jsonl,
}

/// The output options, from flags and environment variables.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How data is printed.
    pub format: Format,
    /// The program given with `--jq`; the format is JSON.
    pub jq: Option<Jq>,
    /// The columns selected with `--fields`.
    pub fields: Option<Vec<String>>,
    /// Suppresses notes, hints and progress.
    pub quiet: bool,
    /// The number of `-v` flags.
    pub verbose: u8,
    /// `--color`.
    pub color: When,
    /// `--progress`.
    pub progress: ProgressMode,
    /// The environment variables for terminals: `NO_COLOR`, `CLICOLOR_FORCE`, `TERM`, `COLUMNS`, `CI`.
    pub env: Environment,
    /// The clock, for relative times.
    pub clock: Clock,
}

/// The environment variables for terminals, as read by `settings/env.rs`.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `NO_COLOR` is set and not empty.
    pub no_color: bool,
    /// `CLICOLOR_FORCE` is set, not empty and not 0.
    pub force_color: bool,
    /// `TERM` is `dumb`.
    pub dumb: bool,
    /// The variables name a terminal that shows hyperlinks.
    pub hyperlinks: bool,
    /// `COLUMNS`, if it is a number.
    pub columns: Option<u16>,
    /// `CI` is set, not empty and not `false`: there is no interactive user.
    pub ci: bool,
}

/// The columns in a command's rows.
#[derive(Clone, Copy, Debug)]
pub struct Columns {
    /// All fields that `--fields` accepts.
    pub all: &'static [&'static str],
    /// The default columns.
    pub shown: &'static [&'static str],
    /// The default columns in a pipe, if different.
    pub piped: Option<&'static [&'static str]>,
}

impl Options {
    /// Whether text on a stream is colored. The flag overrides the variables, and `NO_COLOR` overrides
    /// `CLICOLOR_FORCE`.
    pub(super) fn color_on(&self, terminal: bool) -> bool {
        match self.color {
            When::Always => true,
            When::Never => false,
            When::Auto if self.env.no_color => false,
            When::Auto => self.env.force_color || (terminal && !self.env.dumb),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn color_flag_overrides_variables_and_no_color_overrides_force() {
        let on = |color, no_color, force_color, dumb, terminal| {
            let env = Environment { no_color, force_color, dumb, ..Environment::default() };
            Options { color, env, ..Options::default() }.color_on(terminal)
        };
        assert!(on(When::Auto, false, false, false, true));
        assert!(!on(When::Auto, false, false, false, false));
        assert!(!on(When::Auto, false, false, true, true));
        assert!(!on(When::Auto, true, true, false, true));
        assert!(on(When::Auto, false, true, false, false));
        assert!(on(When::Always, true, false, true, false));
        assert!(!on(When::Never, false, true, false, true));
    }
}

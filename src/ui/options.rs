//! What a command line asks of the output.

use clap::ValueEnum;

use crate::model::Clock;

/// When to do something that depends on a terminal.
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
    /// Bars on a terminal, else a line every few seconds
    Always,
    /// Nothing
    Never,
    /// One JSON event a line on stderr
    Json,
}

/// How data is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// A table on a terminal, tab-separated in a pipe.
    #[default]
    Text,
    /// One JSON array, written as it arrives, always closed.
    Json,
    /// One JSON object a line.
    Jsonl,
}

/// What the user asked of the output, from flags and environment.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How data is printed.
    pub format: Format,
    /// `--fields`: which columns, in which order.
    pub fields: Option<Vec<String>>,
    /// Silences talk, never data or errors.
    pub quiet: bool,
    /// How often `-v` was given.
    pub verbose: u8,
    /// `--color`.
    pub color: When,
    /// `--progress`.
    pub progress: ProgressMode,
    /// Environment that bears on the terminal: `NO_COLOR`, `CLICOLOR_FORCE`, `TERM`, `COLUMNS`, `CI`.
    pub env: Environment,
    /// What now is, for relative times.
    pub clock: Clock,
}

/// What the environment says about the terminal; read by `settings/env.rs`.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `NO_COLOR` is set and not empty.
    pub no_color: bool,
    /// `CLICOLOR_FORCE` is set, not empty and not 0.
    pub force_color: bool,
    /// `TERM` is `dumb`.
    pub dumb: bool,
    /// `COLUMNS`, if it is a number.
    pub columns: Option<u16>,
    /// `CI` is set, not empty and not `false`: nobody can answer.
    pub ci: bool,
}

/// The columns of one command's rows.
#[derive(Clone, Copy, Debug)]
pub struct Columns {
    /// Every field that `--fields` can name.
    pub all: &'static [&'static str],
    /// Those shown unasked, in a table and a pipe.
    pub shown: &'static [&'static str],
    /// Those shown unasked in a pipe, where that differs.
    pub piped: Option<&'static [&'static str]>,
}

impl Options {
    /// Whether text on a stream is coloured. The flag beats the variables, and `NO_COLOR` beats `CLICOLOR_FORCE`.
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
    fn the_flag_beats_the_variables_and_no_color_beats_force() {
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

//! The topics of `haul help`, and the table of exit codes for the documentation.

use super::output;
use crate::error::Kind;
use crate::settings::env;

/// A help page that does not belong to a command.
pub struct Topic {
    /// The word in `haul help WORD`.
    pub name: &'static str,
    /// A one-line description.
    pub about: &'static str,
    text: fn() -> String,
}

impl Topic {
    /// The text of the page.
    pub fn text(&self) -> String {
        (self.text)()
    }
}

/// All topics.
pub static TOPICS: &[Topic] = &[
    Topic {
        name: "filters",
        about: "the `--filter` language, and name patterns",
        text: || include_str!("filters.txt").to_owned(),
    },
    Topic { name: "output", about: "formats, JSON fields, errors, color", text: output::text },
    Topic { name: "environment", about: "environment variables", text: environment },
    Topic { name: "exit-codes", about: "exit codes and their meanings", text: exit_codes },
];

/// Finds a topic by name.
pub fn topic(name: &str) -> Option<&'static Topic> {
    TOPICS.iter().find(|topic| topic.name == name)
}

/// Every exit code with its meaning.
pub fn exit_code_rows() -> Vec<(u8, &'static str)> {
    let failures = Kind::ALL.into_iter().map(|kind| (kind.exit_code(), kind.meaning()));
    std::iter::once((0, "success, even if the reader closes the pipe")).chain(failures).collect()
}

fn exit_codes() -> String {
    let mut text = String::from("Exit codes:\n\n");
    for (code, meaning) in exit_code_rows() {
        text.extend([&format!("  {code:>3}  "), meaning, "\n"]);
    }
    text + "\nIf several items fail for the same reason, the exit code is the one for that reason; if the reasons differ, it is 1.\n\n\
        Examples:\n  haul info report.pdf || echo \"status $?\"\n  \
        haul info no-such.pdf; test $? -eq 3 && echo \"no such file\"\n"
}

fn environment() -> String {
    let mut text =
        String::from("Environment variables. Flags override them, and they override the config file:\n\n");
    for (name, about) in env::DOCUMENTED {
        text.extend(["  ", name, "\n      ", about, "\n"]);
    }
    text + "\nExamples:\n  HAUL_PROFILE=xai haul ls\n  NO_COLOR=1 haul --help\n  \
        HAUL_PROFILE_CI_PROVIDER=xai HAUL_PROFILE_CI_TOKEN=… haul -p ci config show\n"
}

/// The table of exit codes in Markdown, for the documentation and the skill.
pub fn exit_code_table() -> String {
    let mut table = String::from("| code | meaning |\n| ---: | --- |\n");
    for (code, meaning) in exit_code_rows() {
        table.extend(["| ", &code.to_string(), " | ", meaning, " |\n"]);
    }
    table
}

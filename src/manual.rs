//! The manual: topics of `haul help`, the man pages, and the tables that the README shares with them.

mod output;

use clap::{Arg, Command, CommandFactory as _};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::cli::Cli;
use crate::error::{Error, Kind, Result};
use crate::settings::env;

/// A page of the manual that is about no command.
pub struct Topic {
    /// The word in `haul help WORD`.
    pub name: &'static str,
    /// What it is about, in one line.
    pub about: &'static str,
    text: fn() -> String,
}

impl Topic {
    /// What it says.
    pub fn text(&self) -> String {
        (self.text)()
    }
}

/// All topics.
pub static TOPICS: &[Topic] = &[
    Topic {
        name: "filters",
        about: "the language of `--filter`, and globs",
        text: || include_str!("manual/filters.txt").to_owned(),
    },
    Topic { name: "output", about: "formats, the fields of JSON, errors, colour", text: output::text },
    Topic { name: "environment", about: "the variables that haul reads", text: environment },
    Topic { name: "exit-codes", about: "what the exit codes mean", text: exit_codes },
];

/// The topic of that name.
pub fn topic(name: &str) -> Option<&'static Topic> {
    TOPICS.iter().find(|topic| topic.name == name)
}

/// Every exit code with its meaning.
pub fn exit_code_rows() -> Vec<(u8, &'static str)> {
    let failures = Kind::ALL.into_iter().map(|kind| (kind.exit_code(), kind.meaning()));
    std::iter::once((0, "done, also when a reader closes the pipe")).chain(failures).collect()
}

fn exit_codes() -> String {
    let mut text = String::from("Exit codes:\n\n");
    for (code, meaning) in exit_code_rows() {
        text.extend([&format!("  {code:>3}  "), meaning, "\n"]);
    }
    text + "\nSeveral failures for one reason give that reason's code, for different reasons 1.\n\n\
        Examples:\n  haul info report.pdf || echo \"status $?\"\n  \
        haul info no-such.pdf; test $? -eq 3 && echo \"it is not there\"\n"
}

fn environment() -> String {
    let mut text =
        String::from("Environment variables; a flag beats them, and they beat the config file:\n\n");
    for (name, about) in env::DOCUMENTED {
        text.extend(["  ", name, "\n      ", about, "\n"]);
    }
    text + "\nExamples:\n  HAUL_PROFILE=xai haul ls\n  NO_COLOR=1 haul --help\n  \
        HAUL_PROFILE_CI_PROVIDER=xai HAUL_PROFILE_CI_TOKEN=… haul -p ci config show\n"
}

/// The table of exit codes in Markdown, for the README.
pub fn exit_code_table() -> String {
    let mut table = String::from("| code | meaning |\n| ---: | --- |\n");
    for (code, meaning) in exit_code_rows() {
        table.extend(["| ", &code.to_string(), " | ", meaning, " |\n"]);
    }
    table
}

/// Lays text out: a paragraph fills the width, a line that is indented stays one. What of it does not fit goes on under
/// its last column, if it has several; an example has one, and is left whole, so that it can be copied.
pub fn laid_out(text: &str, width: usize) -> String {
    let mut laid = String::with_capacity(text.len() + text.len() / 8);
    let mut paragraph = String::new();
    for line in text.lines() {
        let is_indented = line.starts_with(' ');
        if !line.is_empty() && !is_indented {
            paragraph.extend([if paragraph.is_empty() { "" } else { " " }, line]);
        }
        if line.is_empty() || is_indented || line.ends_with(':') {
            fill(&std::mem::take(&mut paragraph), 0, width, &mut laid);
        }
        if !line.is_empty() && !is_indented {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let column = line[indent..].rfind("  ").map(|gap| indent + gap + 2);
        let (first, second) = line.split_at(column.unwrap_or(indent));
        match column {
            _ if line.chars().count() <= width => laid.extend([line, "\n"]),
            Some(column) if column < width / 2 => {
                laid.push_str(first);
                fill(second, column, width, &mut laid);
            }
            Some(_) => {
                laid.extend([first.trim_end(), "\n", &" ".repeat(indent + 4)]);
                fill(second, indent + 4, width, &mut laid);
            }
            None if indent > 2 => {
                laid.push_str(first);
                fill(second, indent, width, &mut laid);
            }
            None => laid.extend([line, "\n"]),
        }
    }
    fill(&paragraph, 0, width, &mut laid);
    laid
}

/// Writes words into lines, all but the first indented; the first begins where the text has come to.
fn fill(text: &str, indent: usize, width: usize, into: &mut String) {
    if text.is_empty() {
        return;
    }
    let mut column = indent;
    for (index, word) in text.split(' ').enumerate() {
        let length = word.chars().count();
        if index > 0 && column + 1 + length > width {
            into.extend(["\n", &" ".repeat(indent)]);
            column = indent;
        } else if index > 0 {
            into.push(' ');
            column += 1;
        }
        into.push_str(word);
        column += length;
    }
    into.push('\n');
}

/// The man pages by file name: one of haul, one of each command, one of each command below it, one of each topic.
pub fn pages() -> Result<Vec<(String, String)>> {
    let mut root = with_long_help(Cli::command().disable_help_subcommand(true));
    root.build();
    let mut pages = Vec::new();
    add_pages(&root, "haul", &mut pages)?;
    pages.extend(TOPICS.iter().map(|topic| (format!("haul-{}.1", topic.name), topic_page(topic))));
    Ok(pages)
}

/// An option that `-h` leaves out has no words in a page, unless they are its long help.
fn with_long_help(command: Command) -> Command {
    let told = |arg: Arg| match arg.get_help().cloned() {
        Some(help) if arg.get_long_help().is_none() => arg.long_help(help),
        _ => arg,
    };
    command.mut_args(told).mut_subcommands(with_long_help)
}

/// The page of a topic: what `haul help` says, its paragraphs filled by whoever shows the page.
fn topic_page(topic: &Topic) -> String {
    let name = format!("haul-{}", topic.name);
    let mut roff = Roff::new();
    roff.control("TH", [name.to_uppercase().as_str(), "1", "\"\"", "\"\"", "haul"]);
    roff.control("SH", ["NAME"]).text([roman(format!("{name} - {}", topic.about))]);
    roff.control("SH", ["DESCRIPTION"]);
    let mut is_filled = true;
    for line in laid_out(&topic.text(), 72).lines() {
        let is_indented = line.starts_with(' ');
        if is_indented == is_filled && !line.is_empty() {
            roff.control(if is_indented { "nf" } else { "fi" }, []);
            is_filled = !is_indented;
        }
        if line.is_empty() {
            roff.control("PP", []);
        } else {
            roff.text([roman(line)]);
        }
    }
    roff.render()
}

fn add_pages(command: &Command, name: &str, pages: &mut Vec<(String, String)>) -> Result<()> {
    let commands: Vec<&Command> = command.get_subcommands().filter(|below| !below.is_hide_set()).collect();
    pages.push((format!("{name}.1"), page(command, name, !commands.is_empty())?));
    commands
        .into_iter()
        .try_for_each(|below| add_pages(below, &format!("{name}-{}", below.get_name()), pages))
}

fn page(command: &Command, name: &str, has_commands: bool) -> Result<String> {
    let failed =
        |error: std::io::Error| Error::failed("the man page cannot be made").cause(error.to_string());
    let man = Man::new(command.clone()).title(name.to_uppercase()).manual("haul");
    let mut page = Vec::new();
    let out = &mut page;
    man.render_title(out).map_err(failed)?;
    man.render_name_section(out).map_err(failed)?;
    man.render_synopsis_section(out).map_err(failed)?;
    man.render_description_section(out).map_err(failed)?;
    man.render_options_section(out).map_err(failed)?;
    if has_commands {
        man.render_subcommands_section(out).map_err(failed)?;
    }
    if command.get_after_long_help().or(command.get_after_help()).is_some() {
        man.render_extra_section(out).map_err(failed)?;
    }
    sections(name == "haul").to_writer(out).map_err(failed)?;
    String::from_utf8(page).map_err(|error| Error::failed(error.to_string()))
}

/// What every page ends with; the page of haul itself has the environment, too.
fn sections(all: bool) -> Roff {
    let mut roff = Roff::new();
    if all {
        roff.control("SH", ["ENVIRONMENT"]);
        for (name, about) in env::DOCUMENTED {
            roff.control("TP", []);
            roff.text([bold(*name)]).text([roman(*about)]);
        }
    }
    roff.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in exit_code_rows() {
        roff.control("TP", []);
        roff.text([bold(code.to_string())]).text([roman(meaning)]);
    }
    roff
}

//! Renders the man pages from the definition of the command line.

use clap::{Arg, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::topics::{TOPICS, Topic, exit_code_rows};
use crate::error::{Error, Result};
use crate::settings::env;
use crate::ui::wrap_text;

/// The width of indented lines. A pager indents them by 7 columns, and most terminals have 80.
const WIDTH: usize = 72;

/// The man pages by file name: one each for haul, every command, every subcommand and every topic.
pub fn pages(root: Command) -> Result<Vec<(String, String)>> {
    let root = with_long_help(root);
    let mut pages = Vec::new();
    add_pages(&root, "haul", &mut pages)?;
    pages.extend(TOPICS.iter().map(|topic| (format!("haul-{}.1", topic.name), topic_page(topic))));
    Ok(pages)
}

/// Copies each argument's help to its long help, because man pages show only the long help of options hidden from
/// `-h`.
fn with_long_help(command: Command) -> Command {
    let copy_help = |arg: Arg| match arg.get_help().cloned() {
        Some(help) if arg.get_long_help().is_none() => arg.long_help(help),
        _ => arg,
    };
    command.mut_args(copy_help).mut_subcommands(with_long_help)
}

/// The page for a topic: the text of `haul help`.
fn topic_page(topic: &Topic) -> String {
    let name = format!("haul-{}", topic.name);
    let mut roff = Roff::new();
    roff.control("TH", [name.to_uppercase().as_str(), "1", "\"\"", "\"\"", "haul"]);
    roff.control("SH", ["NAME"]).text([roman(format!("{name} - {}", topic.about))]);
    roff.control("SH", ["DESCRIPTION"]);
    add_text(&mut roff, &topic.text());
    roff.render()
}

/// Adds text. The pager fills paragraphs; indented lines stay as they are.
fn add_text(roff: &mut Roff, text: &str) {
    let mut is_filled = true;
    for line in wrap_text(text, WIDTH).lines() {
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
    if !is_filled {
        roff.control("fi", []);
    }
}

fn add_pages(command: &Command, name: &str, pages: &mut Vec<(String, String)>) -> Result<()> {
    let commands: Vec<&Command> = command.get_subcommands().filter(|below| !below.is_hide_set()).collect();
    pages.push((format!("{name}.1"), page(command, name, !commands.is_empty())?));
    commands
        .into_iter()
        .try_for_each(|below| add_pages(below, &format!("{name}-{}", below.get_name()), pages))
}

fn page(command: &Command, name: &str, has_commands: bool) -> Result<String> {
    let failed = |error: std::io::Error| Error::failed("cannot render the man page").caused_by(error);
    let man = Man::new(command.clone().subcommand_help_heading("COMMANDS"))
        .title(name.to_uppercase())
        .manual("haul");
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
    if let Some(text) = command.get_after_long_help().or(command.get_after_help()) {
        let mut roff = Roff::new();
        for (heading, text) in split(&text.to_string()) {
            roff.control("SH", [heading.as_str()]);
            add_text(&mut roff, &text);
        }
        roff.to_writer(out).map_err(failed)?;
    }
    sections(name == "haul").to_writer(out).map_err(failed)?;
    String::from_utf8(page).map_err(|error| Error::failed(error.to_string()))
}

/// Splits the text after the options into sections with headings. A word with a colon before indented lines, such as
/// `Examples:`, is a heading. A paragraph before the first heading or after the examples goes into `NOTES`; other
/// paragraphs continue a section.
fn split(text: &str) -> Vec<(String, String)> {
    let mut sections: Vec<(String, String)> = Vec::new();
    for paragraph in text.split("\n\n") {
        let last = sections.last_mut().filter(|(heading, _)| heading != "EXAMPLES");
        match (titled(paragraph), last) {
            (Some((title, text)), _) => sections.push((title.to_uppercase(), text)),
            (None, Some((_, text))) => text.extend(["\n\n", paragraph]),
            (None, None) => sections.push(("NOTES".to_owned(), paragraph.to_owned())),
        }
    }
    sections
}

/// The title of a paragraph and the text below it, if it has a title.
fn titled(paragraph: &str) -> Option<(&str, String)> {
    let (first, lines) = paragraph.split_once('\n')?;
    let (title, rest) = first.split_once(':')?;
    let has_title = title.chars().all(char::is_alphabetic) && lines.starts_with(' ');
    has_title.then(|| (title, format!("{}\n{lines}", rest.trim_start()).trim_start_matches('\n').to_owned()))
}

/// The final sections of a page. haul's own page also lists the environment variables.
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
    for rows in exit_code_rows().chunk_by(|(code, _), (next, _)| code == next) {
        let meanings: Vec<&str> = rows.iter().map(|(_, meaning)| *meaning).collect();
        roff.control("TP", []);
        roff.text([bold(rows[0].0.to_string())]).text([roman(meanings.join("; "))]);
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_tables_and_notes_are_sections() {
        let headings = |text: &str| split(text).into_iter().map(|(heading, _)| heading).collect::<Vec<_>>();
        assert_eq!(headings("Examples:\n  haul ls"), ["EXAMPLES"]);
        let table = "Problems:\n  index  damaged\n\nNothing else.\n\nExamples:\n  haul local check";
        assert_eq!(headings(table), ["PROBLEMS", "EXAMPLES"]);
        assert_eq!(split(table)[0].1, "  index  damaged\n\nNothing else.");
        let notes = "Examples:\n  haul serve\n\nA note: one.\n\nAnother.\n\nFaults: WORD [PATH]\n  lose  x\n\nPATH is a";
        assert_eq!(headings(notes), ["EXAMPLES", "NOTES", "FAULTS"]);
        assert_eq!(split(notes)[1].1, "A note: one.\n\nAnother.");
        assert_eq!(split(notes)[2].1, "WORD [PATH]\n  lose  x\n\nPATH is a");
    }
}

//! `haul help`, and the man pages, topics and output schema generated from the same definitions.

pub mod man;
mod output;
pub mod schema;
pub mod topics;

use clap::{Args, Command};

use self::topics::{TOPICS, topic};
use crate::error::{Error, Result, nearest};
use crate::ui::{Ui, wrap_text};

/// The maximum width of wrapped text.
const WIDEST: usize = 100;

/// The output of `haul help output --json`.
const SCHEMA: &str = include_str!("../../../haul.schema.json");

/// The arguments of `haul help`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  haul help upload\n  haul help meta set\n  haul help output")]
pub struct HelpArgs {
    /// A command or a topic: filters, output, environment, exit-codes
    #[arg(value_name = "COMMAND|TOPIC")]
    words: Vec<String>,
}

impl HelpArgs {
    /// Prints the long help for a command below `root`, or a topic.
    pub fn run(&self, ui: &Ui, mut root: Command) -> Result<()> {
        if ui.is_json() && self.words == ["output"] {
            return ui.write_json(SCHEMA);
        }
        if let [word] = self.words.as_slice()
            && let Some(topic) = topic(word)
        {
            return ui.write_text(&wrap_text(&topic.text(), ui.width().min(WIDEST)));
        }
        let mut command = &mut root;
        for word in &self.words {
            let names = || {
                let commands = command.get_subcommands().map(|below| below.get_name().to_owned());
                let topics = TOPICS.iter().map(|topic| topic.name.to_owned());
                commands.chain(topics).collect::<Vec<_>>()
            };
            if command.find_subcommand(word).is_none() {
                let mut error = Error::usage(format!("unknown command or topic {word:?}"));
                if let Some(near) = nearest(word, names().iter().map(String::as_str)) {
                    error = error.hint(format!("did you mean `haul help {near}`?"));
                }
                return Err(error.hint("`haul help` lists the commands"));
            }
            command = command.find_subcommand_mut(word).expect("found above");
        }
        let help = command.render_long_help();
        ui.write_text(&if ui.out_is_colored() { help.ansi().to_string() } else { help.to_string() })
    }
}

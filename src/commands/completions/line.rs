//! The command line before the cursor, and the candidates for its arguments.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Instant;

use clap::{Arg, ArgMatches, Command};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};

use crate::commands::help::{schema, topics::TOPICS};
use crate::commands::ls;
use crate::model::{Clock, File};
use crate::providers::{self, REGISTRY, Spec};
use crate::settings::{Env, Flags, Settings};

/// The command line before the word being completed.
pub(super) struct Line {
    /// The definition of all commands.
    tree: Command,
    /// The words, including the program's name.
    words: Vec<String>,
    /// The names of the command and its subcommands.
    commands: Vec<String>,
    /// The value of `profile add --provider`.
    provider: Option<String>,
    /// The global flags.
    pub(super) flags: Flags,
    /// The environment.
    pub(super) env: Env,
    /// The settings with these flags; `None` if they are invalid.
    pub(super) settings: Option<Settings>,
    /// The clock.
    pub(super) clock: Clock,
    /// The deadline of the completion.
    pub(super) deadline: Instant,
}

/// The kind of an argument's values.
#[derive(Clone, Copy)]
enum Meaning {
    Reference,
    Profile,
    Provider,
    Field,
    SortField,
    Filter,
    Setting,
    Purpose,
    Dialect,
    HelpWord,
}

/// Completes a reference to a file.
pub(super) type References = fn(&Line, &str) -> Option<Vec<CompletionCandidate>>;

impl Line {
    /// Parses the words with `root`. Errors are ignored because the line is usually incomplete. `tree` contains the
    /// arguments of all commands.
    pub(super) fn read(
        words: &[String],
        env: &Env,
        root: &Command,
        tree: Command,
        flags: impl Fn(&ArgMatches) -> Flags,
        deadline: Instant,
    ) -> Arc<Self> {
        let matches = root.clone().ignore_errors(true).try_get_matches_from(words).unwrap_or_default();
        let (mut commands, mut innermost) = (Vec::new(), &matches);
        while let Some((name, below)) = innermost.subcommand() {
            commands.push(name.to_owned());
            innermost = below;
        }
        let flags = flags(&matches);
        Arc::new(Self {
            tree,
            words: words.to_vec(),
            provider: text(innermost, "provider"),
            commands,
            settings: Settings::load(flags.clone(), env.clone()).ok(),
            clock: Clock(Settings::fixed_now(env).ok().flatten()),
            env: env.clone(),
            flags,
            deadline,
        })
    }

    /// Attaches a completer to each argument that clap cannot complete itself.
    pub(super) fn attach(self: &Arc<Self>, command: Command, references: References) -> Command {
        let name = command.get_name().to_owned();
        let of = |arg: Arg| match meaning(&name, arg.get_id().as_str()) {
            None => arg,
            Some(meaning) => {
                let line = Arc::clone(self);
                let complete =
                    move |typed: &OsStr| line.complete(meaning, &typed.to_string_lossy(), references);
                arg.add(ArgValueCompleter::new(complete))
            }
        };
        command.mut_args(of).mut_subcommands(|below| self.attach(below, references))
    }

    fn complete(&self, meaning: Meaning, typed: &str, references: References) -> Vec<CompletionCandidate> {
        let starting = |words: Vec<(String, String)>| {
            let words = words.into_iter().filter(|(word, _)| word.starts_with(typed));
            words.map(|(word, help)| candidate(word, help)).collect()
        };
        let spec = || self.spec();
        match meaning {
            Meaning::Reference => references(self, typed).unwrap_or_default(),
            Meaning::Profile => starting(self.profiles()),
            Meaning::Provider => {
                starting(REGISTRY.iter().map(|spec| (spec.name.to_owned(), spec.title.to_owned())).collect())
            }
            Meaning::Field => starting(without_help(self.fields())),
            Meaning::SortField => starting(without_help(ls::sortable().chain(["metadata."]))),
            Meaning::Filter => filter(typed, spec()),
            Meaning::Setting => {
                let settings = spec().map_or(&[][..], |spec| spec.settings);
                // Secret settings cannot be given as arguments.
                let open = settings.iter().filter(|setting| !setting.secret);
                starting(open.map(|setting| (format!("{}=", setting.key), setting.help.to_owned())).collect())
            }
            Meaning::Purpose => {
                let dialects = spec().map_or(&[][..], |spec| spec.dialects);
                starting(without_help(
                    dialects.iter().flat_map(|dialect| dialect.can.upload.purposes).copied(),
                ))
            }
            Meaning::Dialect => {
                let title = |name: &str| {
                    let dialects = spec().map_or(&[][..], |spec| spec.dialects);
                    let dialect = dialects.iter().find(|dialect| dialect.name == name);
                    dialect.map_or_else(String::new, |dialect| dialect.title.to_owned())
                };
                let names = spec().map_or_else(|| vec!["auto"], Spec::dialect_names);
                starting(names.into_iter().map(|name| (name.to_owned(), title(name))).collect())
            }
            Meaning::HelpWord => starting(self.help_words()),
        }
    }

    /// The profiles, each with its platform.
    pub(super) fn profiles(&self) -> Vec<(String, String)> {
        let Some(settings) = &self.settings else { return Vec::new() };
        let title = |name: &str| {
            settings.profile(name).map_or(String::new(), |profile| profile.spec.title.to_owned())
        };
        settings.profile_names().into_iter().map(|name| (name.clone(), title(&name))).collect()
    }

    /// The platform that the command uses.
    fn spec(&self) -> Option<&'static Spec> {
        if let Some(provider) = &self.provider {
            return providers::find(provider);
        }
        let settings = self.settings.as_ref()?;
        settings.profile(&settings.profile_name().value).ok().map(|profile| profile.spec)
    }

    /// The values for `--fields`; the fields of a file if no command has been typed yet.
    fn fields(&self) -> Vec<&'static str> {
        if self.commands.is_empty() { File::FIELDS.into() } else { schema::fields(&self.commands) }
    }

    /// The candidates after `haul help`: commands, subcommands of the command typed so far, and topics.
    fn help_words(&self) -> Vec<(String, String)> {
        let named = self.words.iter().skip_while(|word| *word != "help").skip(1);
        let command = named.clone().try_fold(&self.tree, |command, word| command.find_subcommand(word));
        let below = command.into_iter().flat_map(Command::get_subcommands).map(|below| {
            (below.get_name().to_owned(), below.get_about().map(ToString::to_string).unwrap_or_default())
        });
        let topics = TOPICS.iter().filter(|_| named.clone().next().is_none());
        below.chain(topics.map(|topic| (topic.name.to_owned(), topic.about.to_owned()))).collect()
    }
}

/// The kind of values that `command` accepts for the argument `arg`; `None` if clap completes them itself.
fn meaning(command: &str, arg: &str) -> Option<Meaning> {
    Some(match (command, arg) {
        (_, "refs" | "reference" | "to") | ("cp", "places") => Meaning::Reference,
        (_, "profile" | "named") | ("rm" | "default", "name") => Meaning::Profile,
        (_, "provider" | "only") | ("providers", "name") => Meaning::Provider,
        (_, "fields") => Meaning::Field,
        (_, "sort") => Meaning::SortField,
        (_, "filter") => Meaning::Filter,
        (_, "set") => Meaning::Setting,
        (_, "purpose") => Meaning::Purpose,
        (_, "dialect") => Meaning::Dialect,
        ("help", "words") => Meaning::HelpWord,
        _ => return None,
    })
}

fn text(matches: &ArgMatches, id: &str) -> Option<String> {
    matches.try_get_one::<String>(id).ok().flatten().cloned()
}

/// A candidate with a description.
pub(super) fn candidate(word: String, help: String) -> CompletionCandidate {
    CompletionCandidate::new(word).help(Some(help).filter(|help| !help.is_empty()).map(Into::into))
}

fn without_help(words: impl IntoIterator<Item = &'static str>) -> Vec<(String, String)> {
    let mut seen = std::collections::HashSet::new();
    words.into_iter().filter(|word| seen.insert(*word)).map(|word| (word.to_owned(), String::new())).collect()
}

/// The fields that can come next in a filter; empty in the middle of a comparison.
fn filter(typed: &str, spec: Option<&'static Spec>) -> Vec<CompletionCandidate> {
    let start = typed.rfind([' ', '(']).map_or(0, |at| at + 1);
    let (before, word) = typed.split_at(start);
    let last = before.trim_end().rsplit(' ').next().unwrap_or_default();
    if !(matches!(last, "" | "AND" | "OR" | "NOT") || last.ends_with('(')) {
        return Vec::new();
    }
    let checksums = ["checksums.sha256", "checksums.md5", "checksums.blake3"];
    let own = spec.map(Spec::filter_fields).unwrap_or_default();
    let fields = ls::sortable()
        .chain(["metadata."])
        .chain(checksums)
        .chain(own)
        .filter(|field| field.starts_with(word));
    fields.map(|field| candidate(format!("{before}{field}"), String::new())).collect()
}

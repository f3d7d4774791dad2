//! `haul meta`

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};

use futures_util::stream::{self, StreamExt as _};

use super::batch::{self, BatchArgs, Labels};
use super::confirm::{ConfirmArgs, Operation};
use super::report::Outcome;
use super::select::{Chosen, Selector};
use super::upload::read_metadata;
use crate::context::Context;
use crate::error::{Error, Kind, Result, word};
use crate::model::{File, Object, Patch};
use crate::providers::{Annotate, Op, Provider, require};
use crate::ui::{Columns, Rows};

/// The subcommands of `haul meta`.
#[derive(Debug, Subcommand)]
pub enum MetaCommand {
    /// Show a file's metadata
    Get(GetArgs),
    /// Set metadata keys, or a file's name, type or path
    Set(SetArgs),
    /// Remove metadata keys from a file
    Unset(UnsetArgs),
}

/// The arguments of `haul meta get`.
#[derive(Args, Debug)]
#[command(
    after_long_help = "Examples:\n  haul meta get report.pdf\n  haul meta get report.pdf --json | jq -r '.[0].metadata.author'"
)]
#[command(mut_arg("refs", |refs| refs.required_unless_present("retry_from")))]
pub struct GetArgs {
    #[command(flatten)]
    selector: Selector,
    #[command(flatten)]
    batch: BatchArgs,
}

/// The arguments that select the files to change: a reference, a pattern, a filter, or a pattern with a filter.
#[derive(Args, Debug)]
struct Changed {
    /// Id, exact name or pattern, as `[PROFILE:]REF`; `-` reads them from standard input
    #[arg(value_name = "REF", required_unless_present_any = ["filter", "retry_from"])]
    reference: Option<String>,
    /// Change the files that match this expression
    #[arg(long, value_name = "EXPR", allow_hyphen_values = true)]
    filter: Option<String>,
    /// If several files have the same name, use the newest
    #[arg(long)]
    latest: bool,
    /// Succeed even if the file does not exist or the pattern matches no files
    #[arg(long, hide_short_help = true)]
    ignore_missing: bool,
    #[command(flatten)]
    confirm: ConfirmArgs,
    #[command(flatten)]
    batch: BatchArgs,
}

impl Changed {
    async fn selector(&self, ctx: &Context) -> Result<Selector> {
        let selector = Selector {
            refs: self.reference.iter().cloned().collect(),
            filter: self.filter.clone(),
            latest: self.latest,
            ignore_missing: self.ignore_missing,
        };
        selector.prepare(ctx, &self.batch, None).await
    }

    /// Moves the reference to the front of `operands` if it is an operand. With a filter or a report, the reference
    /// is optional, but clap assigns the first word to it.
    fn restore_operand(&mut self, operands: &mut Vec<String>, is_operand: impl Fn(&str) -> bool) {
        let optional = self.filter.is_some() || self.batch.retry_from.is_some();
        if optional && self.reference.as_deref().is_some_and(is_operand) {
            operands.splice(0..0, self.reference.take());
        }
    }
}

/// The arguments of `haul meta set`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    haul meta set report.pdf author=hegel year=1807\n  \
    haul meta set report.pdf @metadata.json --replace\n  \
    haul meta set report.pdf --name final.pdf\n  \
    haul meta set '*.csv' reviewed=true --dry-run\n  \
    haul meta set --filter 'created_at < -1d' archived=true --yes")]
pub struct SetArgs {
    #[command(flatten)]
    changed: Changed,
    /// Keys and values (JSON if valid, otherwise text), or a JSON file with keys and values
    #[arg(help_heading = None, value_name = "KEY=VALUE|@FILE", required_unless_present_any = ["name", "content_type", "path", "replace", "filter", "retry_from"])]
    values: Vec<String>,
    /// Remove all other keys
    #[arg(long, help_heading = None)]
    replace: bool,
    /// New name
    #[arg(help_heading = None, long, value_name = "NAME", allow_hyphen_values = true, value_parser = NonEmptyStringValueParser::new())]
    name: Option<String>,
    /// New media type
    #[arg(help_heading = None, long = "type", value_name = "TYPE", allow_hyphen_values = true)]
    content_type: Option<String>,
    /// New folder path
    #[arg(help_heading = None, long, value_name = "PATH", allow_hyphen_values = true)]
    path: Option<String>,
}

/// The arguments of `haul meta unset`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    haul meta unset report.pdf draft reviewer\n  \
    haul meta unset --filter 'metadata.draft = true' draft --dry-run")]
pub struct UnsetArgs {
    #[command(flatten)]
    changed: Changed,
    /// Keys to remove
    #[arg(help_heading = None, value_name = "KEY", required_unless_present_any = ["filter", "retry_from"])]
    keys: Vec<String>,
}

const META_COLUMNS: Columns = Columns { all: &File::FIELDS, shown: &["id", "name", "metadata"], piped: None };

impl MetaCommand {
    /// Reads or changes metadata.
    pub async fn run(self, ctx: &Context) -> Result<()> {
        match self {
            Self::Get(args) => {
                let selector = args.selector.prepare(ctx, &args.batch, None).await?;
                let first = selector.refs.first().cloned().unwrap_or_default();
                let files = selector
                    .files(ctx, None)
                    .map(|found| found.map_err(|error| key_hint(ctx, &first, error)));
                let rows = ctx.ui.rows(META_COLUMNS)?.only(META_COLUMNS.shown);
                let show = |rows: &mut Rows, file: File| {
                    rows.push(&file)?;
                    rows.flush()?;
                    Ok(vec![Outcome::Done(Some(file.id))])
                };
                let work = async |chosen: Chosen| Ok(chosen.file);
                batch::run(ctx, &args.batch, Labels::of("shown").without_summary(), files, work, rows, show)
                    .await
            }
            Self::Set(mut args) => {
                args.changed
                    .restore_operand(&mut args.values, |word| word.contains('=') || word.starts_with('@'));
                let set = read_metadata(&args.values)?;
                let SetArgs { changed, replace, name, content_type, path, .. } = args;
                let patch = Patch { set, replace, name, content_type, path, unset: Vec::new() };
                if patch == Patch::default() {
                    return Err(Error::usage("nothing to set").hint("add `KEY=VALUE` after the files"));
                }
                change(ctx, &changed, &patch).await
            }
            Self::Unset(mut args) => {
                args.changed.restore_operand(&mut args.keys, |word| !word.contains(['*', '?', '[']));
                if args.keys.is_empty() {
                    return Err(Error::usage("nothing to unset").hint("add `KEY` after the files"));
                }
                change(ctx, &args.changed, &Patch { unset: args.keys, ..Patch::default() }).await
            }
        }
    }
}

/// Adds a hint to the error that `meta get FILE KEY` causes.
fn key_hint(ctx: &Context, first: &str, error: Error) -> Error {
    let key = error.reference().unwrap_or_default();
    let is_key = key != first && key.chars().all(|c| c.is_alphanumeric() || c == '_') && !key.is_empty();
    if !is_key || error.kind() != Kind::NotFound {
        return error;
    }
    let hint = format!(
        "to get one key: `{} {} --fields metadata.{key}`",
        ctx.command("meta get", None),
        word(first)
    );
    error.hint(hint)
}

async fn change(ctx: &Context, changed: &Changed, patch: &Patch) -> Result<()> {
    let selector = changed.selector(ctx).await?;
    let is_pattern = selector.is_pattern(ctx);
    if let Some(name) = patch.name.as_deref().filter(|_| is_pattern) {
        return Err(Error::usage("--name can be used with only one file").hint(format!(
            "select one file by its id: `{} id:ID --name {}`",
            ctx.command("meta set", None),
            word(name)
        )));
    }
    let default = ["REF".to_owned()];
    for shown in if selector.refs.is_empty() { &default[..] } else { &selector.refs } {
        let provider = ctx.open(ctx.address(shown).profile.as_deref())?;
        require_patch(provider.as_ref(), patch, shown).map_err(|error| error.about(shown))?;
    }
    let chosen: Vec<Result<Chosen>> = selector.files_once(ctx, None).collect().await;
    let operation = Operation { verb: "change the metadata of", done: "changed", preposition: "on" };
    changed.confirm.confirm(ctx, &chosen, is_pattern, operation).await?;
    let dry_run = changed.confirm.dry_run;
    let rows = ctx.ui.rows(META_COLUMNS)?;
    let work = async |chosen: Chosen| {
        if dry_run {
            return Ok(preview(chosen.file, patch));
        }
        let changed = chosen.provider.annotate(&chosen.file.id, patch).await;
        changed.map_err(|error| chosen.failed(error))
    };
    let show = |rows: &mut Rows, file: File| {
        rows.push(&file)?;
        Ok(vec![Outcome::Done(Some(file.id))])
    };
    let words = Labels::of(if dry_run { "would be changed" } else { "changed" });
    let words = words.in_dry_run(dry_run.then_some("nothing changed"));
    batch::run(ctx, &changed.batch, words, stream::iter(chosen), work, rows, show).await
}

/// The file as it would be after the change.
fn preview(mut file: File, patch: &Patch) -> File {
    file.metadata = patch.apply(&file.metadata);
    file.name = patch.name.clone().unwrap_or(file.name);
    file.content_type = patch.content_type.clone().or(file.content_type);
    file.path = patch.path.clone().or(file.path);
    file
}

/// Returns an error if the platform cannot store the change.
fn require_patch(provider: &dyn Provider, patch: &Patch, about: &str) -> Result<()> {
    require(provider, Op::Annotate, about)?;
    let Some(can) = provider.capabilities().annotate else { return Ok(()) };
    let platform = provider.spec().name;
    let refuse =
        |what: &str| Err(Error::new(Kind::Unsupported, format!("{platform} cannot change a file's {what}")));
    let Annotate { metadata, keys, name, content_type, path } = can;
    if patch.name.is_some() && !name {
        return refuse("name");
    }
    if patch.content_type.is_some() && !content_type {
        return refuse("type");
    }
    if patch.path.is_some() && !path {
        return refuse("path");
    }
    if patch.touches_metadata() && !metadata {
        return refuse("metadata");
    }
    let known = |key: &&String| keys.is_empty() || keys.contains(&key.as_str());
    let touched = |set: &Object, unset: &[String]| set.keys().chain(unset).find(|key| !known(key)).cloned();
    match touched(&patch.set, &patch.unset) {
        Some(key) => Err(Error::new(
            Kind::Unsupported,
            format!("{platform} does not support the metadata key {key:?}"),
        )
        .hint(format!("keys: {}", keys.join(", ")))),
        None => Ok(()),
    }
}

//! `haul meta`

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};

use super::select::resolve;
use super::upload::read_metadata;
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::model::{File, Object, Patch};
use crate::providers::{Annotate, Op, Provider, require};
use crate::ui::Columns;

/// The commands below `haul meta`.
#[derive(Debug, Subcommand)]
pub enum MetaCommand {
    /// Show a file's metadata
    Get(GetArgs),
    /// Set keys of a file's metadata, or its name, type or path
    Set(SetArgs),
    /// Remove keys from a file's metadata
    Unset(UnsetArgs),
}

/// Which one file.
#[derive(Args, Debug)]
struct One {
    /// The file, by id or exact name, as `[PROFILE:]REF`
    #[arg(value_name = "REF")]
    reference: String,
    /// Where several files have the name, take the newest
    #[arg(long)]
    latest: bool,
}

/// The arguments of `haul meta get`.
#[derive(Args, Debug)]
#[command(
    after_long_help = "Examples:\n  haul meta get report.pdf\n  haul meta get report.pdf --json | jq -r '.[0].metadata.author'"
)]
pub struct GetArgs {
    #[command(flatten)]
    one: One,
}

/// The arguments of `haul meta set`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    haul meta set report.pdf author=hegel year=1807\n  \
    haul meta set report.pdf @metadata.json --replace\n  \
    haul meta set report.pdf --name final.pdf")]
pub struct SetArgs {
    #[command(flatten)]
    one: One,
    /// Keys with values (JSON if it parses as JSON, else text), or all keys of a JSON file
    #[arg(value_name = "KEY=VALUE|@FILE", required_unless_present_any = ["name", "content_type", "path", "replace"])]
    values: Vec<String>,
    /// Remove the keys that are not named
    #[arg(long)]
    replace: bool,
    /// Give the file this name
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    name: Option<String>,
    /// Give the file this media type
    #[arg(long = "type", value_name = "TYPE")]
    content_type: Option<String>,
    /// Move the file to this folder path
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
}

/// The arguments of `haul meta unset`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  haul meta unset report.pdf draft reviewer")]
pub struct UnsetArgs {
    #[command(flatten)]
    one: One,
    /// Keys
    #[arg(value_name = "KEY", required = true)]
    keys: Vec<String>,
}

const META_COLUMNS: Columns = Columns { all: &File::FIELDS, shown: &["id", "name", "metadata"], piped: None };

impl MetaCommand {
    /// Reads or changes metadata.
    pub async fn run(self, ctx: &Context) -> Result<()> {
        let (one, patch) = match self {
            Self::Get(args) => (args.one, None),
            Self::Set(args) => {
                let set = read_metadata(&args.values)?;
                let SetArgs { one, replace, name, content_type, path, .. } = args;
                (one, Some(Patch { set, replace, name, content_type, path, unset: Vec::new() }))
            }
            Self::Unset(args) => (args.one, Some(Patch { unset: args.keys, ..Patch::default() })),
        };
        let address = ctx.address(&one.reference);
        if let Some(patch) = &patch {
            require_patch(ctx.open(address.profile.as_deref())?.as_ref(), patch, &address.to_string())?;
        }
        let chosen = resolve(ctx, &address, one.latest, None).await?;
        let file = match patch {
            None => chosen.file,
            Some(patch) => chosen
                .provider
                .annotate(&chosen.file.id, &patch)
                .await
                .map_err(|error| error.about(address.to_string()))?,
        };
        let mut rows = ctx.ui.rows(META_COLUMNS)?;
        rows.push(&file)?;
        rows.finish()
    }
}

/// Refuses a change that the platform has no place for, before any work.
fn require_patch(provider: &dyn Provider, patch: &Patch, about: &str) -> Result<()> {
    require(provider.spec(), provider.capabilities(), Op::Annotate, about)?;
    let Some(can) = provider.capabilities().annotate else { return Ok(()) };
    let platform = provider.spec().name;
    let refuse = |what: &str| {
        Err(Error::new(Kind::Unsupported, format!("{platform} does not let a caller change a file's {what}")))
    };
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
            format!("{platform} has no place for the metadata key {key:?}"),
        )
        .hint(format!("keys: {}", keys.join(", ")))),
        None => Ok(()),
    }
}

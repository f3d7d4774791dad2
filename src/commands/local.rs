//! `haul local`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::Serialize;

use crate::context::Context;
use crate::error::{Error, Result};
use crate::human;
use crate::store::{self, Action, Finding, Options, Problem};
use crate::ui::Columns;

const FIELDS: &[&str] = &["problem", "detail", "space", "id", "name", "size", "sha256", "repair"];
pub(super) const COLUMNS: Columns = Columns {
    all: FIELDS,
    shown: &["problem", "detail", "id", "name", "size", "sha256", "repair"],
    piped: None,
};

/// The commands of `haul local`.
#[derive(Debug, Subcommand)]
pub enum LocalCommand {
    /// Compare the store's index with its content
    ///
    /// Reads all content. Prints each problem as a row, and the number of files checked to standard error.
    Check(CheckArgs),
}

/// The arguments of `haul local check`.
#[derive(Args, Debug)]
#[command(after_long_help = "Problems:\n  \
    index      the index is missing, empty or damaged, or has lost changes\n  \
    record     a record cannot be read\n  \
    missing    a file's content does not exist\n  \
    damaged    content does not match its checksum\n  \
    orphaned   content has no record\n\n\
    Repairs:\n  \
    rebuilt    a new index was built from all readable records; the damaged index is kept in the store\n  \
    mended     unreadable columns were reset to their defaults\n  \
    removed    a record without a checksum was removed\n  \
    recovered  content was given a record named `recovered-` plus the start of its SHA-256\n  \
    set aside  damaged content without a record was moved next to the damaged index\n\n\
    Missing or damaged content has to be uploaded again.\n\
    A store in use by another process, such as `haul serve`, is not repaired.\n\n\
    Examples:\n  \
    haul local check\n  \
    haul local check --repair")]
pub struct CheckArgs {
    /// Repair as much as possible; no content is deleted
    #[arg(long)]
    repair: bool,
    /// Folder of the store, as in `haul serve --data`
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// A problem in the store.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "store_problem")]
pub(super) struct Row {
    /// The kind of problem: `index`, `record`, `missing`, `damaged` or `orphaned`.
    problem: &'static str,
    /// The reason, or the name of the column that cannot be read.
    detail: Option<String>,
    /// The space that contains the file: `local`, or the name of the emulated platform.
    space: Option<String>,
    /// The file's id.
    id: Option<String>,
    /// The file's name.
    name: Option<String>,
    /// The size of the content in bytes.
    size: Option<u64>,
    /// The SHA-256 of the content.
    sha256: Option<String>,
    /// The repair that was made: `rebuilt`, `mended`, `removed`, `recovered` or `set aside`.
    repair: Option<&'static str>,
}

impl Row {
    fn of(finding: Finding) -> Self {
        let Finding { problem, detail, space, file, action } = finding;
        let id = file.id.to_string();
        Self {
            problem: match problem {
                Problem::Index => "index",
                Problem::Record => "record",
                Problem::Missing => "missing",
                Problem::Damaged => "damaged",
                Problem::Orphaned => "orphaned",
            },
            detail,
            space,
            id: Some(id).filter(|id| !id.is_empty()),
            name: Some(file.name).filter(|name| !name.is_empty()),
            size: file.size,
            sha256: file.checksums.sha256,
            repair: action.map(|action| match action {
                Action::Rebuilt => "rebuilt",
                Action::Mended => "mended",
                Action::Removed => "removed",
                Action::Recovered => "recovered",
                Action::SetAside => "set aside",
            }),
        }
    }
}

impl LocalCommand {
    /// Runs the command.
    pub fn run(&self, ctx: &Context) -> Result<()> {
        let Self::Check(arguments) = self;
        arguments.run(ctx)
    }
}

impl CheckArgs {
    fn run(&self, ctx: &Context) -> Result<()> {
        let root = self.data.clone().unwrap_or_else(|| ctx.settings.folders.data.join("store"));
        let mut rows = ctx.ui.rows(COLUMNS)?;
        let options = Options { clock: ctx.clock, ..Options::default() };
        let (mut can_be_repaired, mut is_lost) = (false, false);
        let summary = store::check(&root, &options, self.repair, &mut |finding| {
            let has_content = !matches!(finding.problem, Problem::Missing | Problem::Damaged);
            can_be_repaired |= has_content && finding.action.is_none();
            is_lost |= !has_content;
            rows.push(&Row::of(finding))
        })?;
        rows.finish()?;
        let files = human::count(summary.files, "file");
        if summary.open == 0 {
            let repaired = match summary.problems {
                0 => "no problems".to_owned(),
                count => format!("{count} repaired"),
            };
            ctx.ui.note(&format!("{files} checked, {repaired}"));
            return Ok(());
        }
        let problems = human::count(summary.open, "problem");
        let mut error = Error::failed(format!("{}: {problems} in the store", root.display()));
        if can_be_repaired {
            let data = self.data.as_ref().map_or_else(String::new, |data| {
                format!(" --data {}", crate::error::word(&data.to_string_lossy()))
            });
            error = error.hint(format!("to repair the store: `haul local check --repair{data}`"));
        }
        if is_lost {
            let hint = "to restore missing or damaged content, upload the file again";
            error = error.hint(match &self.data {
                Some(_) => hint.to_owned(),
                None => format!("{hint}: `haul upload -p local FILE`"),
            });
        }
        Err(error)
    }
}

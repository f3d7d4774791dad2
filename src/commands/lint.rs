//! `haul lint`

use std::path::{Path, PathBuf};

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use super::jsonl::{self, Finding, Purpose, Severity};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::human::count;
use crate::model::{NewFile, Source};
use crate::source::{Opened, Watched};
use crate::ui::Columns;

/// The arguments of `haul lint`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    haul lint requests.jsonl --purpose batch\n  \
    haul lint train.jsonl valid.jsonl --purpose fine-tune --json\n\n\
    `haul upload` performs the same check on JSONL files for batches and fine-tuning; `--no-lint` turns it off. Errors are \
    problems that make every platform reject the file, and batches over OpenAI's limits; anything else is a warning.")]
pub struct LintArgs {
    /// JSONL files to check
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Purpose of the files
    #[arg(long, value_name = "PURPOSE")]
    purpose: Purpose,
}

/// A problem found in a JSONL file.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "finding")]
pub(super) struct Row {
    /// The file.
    file: String,
    /// The line number, starting at 1; null if the finding concerns the whole file.
    line: Option<u64>,
    /// The severity.
    severity: Severity,
    /// The reason.
    message: String,
}

const FIELDS: &[&str] = &["file", "line", "severity", "message"];

pub(super) const COLUMNS: Columns = Columns { all: FIELDS, shown: FIELDS, piped: None };

impl LintArgs {
    /// Prints the findings. The command fails if one of them is an error.
    pub fn run(&self, ctx: &Context) -> Result<()> {
        let mut rows = ctx.ui.rows(COLUMNS)?;
        let mut wrong = 0_u64;
        for path in &self.files {
            let name = path.to_string_lossy();
            let file = Watched::open(path)?;
            for Finding { severity, line, message } in findings(file, &name, self.purpose, Severity::Error)? {
                wrong += u64::from(severity == Severity::Error);
                rows.push(&Row { file: path.display().to_string(), line, severity, message })?;
            }
        }
        rows.finish()?;
        match wrong {
            0 => Ok(()),
            _ => Err(Error::failed(format!("{} found", count(wrong, "error")))),
        }
    }
}

fn findings(mut file: Watched, name: &str, purpose: Purpose, limits: Severity) -> Result<Vec<Finding>> {
    let size = file.size().unwrap_or_default();
    let found = jsonl::check(&mut file, size, purpose, limits);
    let mut findings = found.map_err(|error| file.unreadable(error))?;
    if !Path::new(name).extension().is_some_and(|word| word.eq_ignore_ascii_case("jsonl")) {
        let message = "the name does not end in .jsonl".to_owned();
        findings.insert(0, Finding { severity: Severity::Warning, line: None, message });
    }
    Ok(findings)
}

/// Checks a file before uploading it. Warnings are printed, and the first error is returned.
pub(super) async fn before_upload(
    ctx: &Context,
    new: &NewFile,
    purpose: Purpose,
    limits: Severity,
) -> Result<()> {
    let shown = match &new.source {
        Source::Path(path) => path.display().to_string(),
        Source::Spooled(_) => new.name.clone(),
        Source::Bytes(_) | Source::Remote(_) => return Ok(()),
    };
    let place = |line: Option<u64>| line.map_or_else(|| shown.clone(), |line| format!("{shown}:{line}"));
    let (name, source) = (new.name.clone(), new.source.clone());
    let check = move || {
        let Opened::Disk(file) = Opened::open(&source)? else { return Ok(Vec::new()) };
        findings(file, &name, purpose, limits)
    };
    let findings = ctx.interrupt.unblock(check).await?;
    let (errors, warnings): (Vec<_>, Vec<_>) =
        findings.into_iter().partition(|finding| finding.severity == Severity::Error);
    for warning in warnings.iter().take(SHOWN) {
        ctx.ui.warn(&format!("{}: {}", place(warning.line), warning.message));
    }
    if let more @ 1.. = warnings.len().saturating_sub(SHOWN) {
        ctx.ui.warn(&format!("{shown}: {}", count(more as u64, "more warning")));
    }
    let Some(first) = errors.first() else { return Ok(()) };
    let error = Error::failed(format!("{}: {}", place(first.line), first.message)).about(&shown);
    let rest = errors.iter().skip(1).take(SHOWN);
    let error =
        rest.fold(error, |error, other| error.detail(format!("{}: {}", place(other.line), other.message)));
    Err(error.hint("to upload it anyway: `--no-lint`"))
}

/// Maximum number of warnings, and of errors after the first one, printed per file.
const SHOWN: usize = 5;

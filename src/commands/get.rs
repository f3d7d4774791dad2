//! `haul get`

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use futures_util::stream::{self, LocalBoxStream, StreamExt as _};
use schemars::JsonSchema;
use serde::Serialize;

use super::batch::{self, BatchArgs, Labels};
use super::report::Outcome;
use super::select::{Chosen, Selector};
use super::upload::ledger_of;
use crate::context::Context;
use crate::error::{Error, Result, reference, word};
use crate::files;
use crate::model::{File, FileId, hash_of};
use crate::providers::{Op, require_download};
use crate::transfer::{
    self, DownloadOptions, Existing, Ledger, Target, base_name, inside, marked, safe_path,
};
use crate::ui::Columns;

/// The arguments of `haul get`.
#[derive(Args, Debug, Default)]
#[command(after_long_help = "Examples:\n  \
    haul get report.pdf\n  \
    haul get '*.csv' -o data/ --skip-existing\n  \
    haul get --filter 'size > 1GB' -o big/ --report r.jsonl\n  \
    haul get --retry-from r.jsonl -o big/\n  \
    haul get id:file_1 -o - | wc -c\n  \
    haul get openai:batch:batch_1 -o results/\n\n\
    A path in a file's name is created as folders, unless `--flat` is given. If several files in one command have the \
    same name, the first keeps it and the id is added to the others: `report (file_2).pdf`.\n\n\
    An interrupted download resumes where it stopped, in the same run or the next; the received bytes are kept in \
    NAME.part.")]
#[command(mut_arg("refs", |refs| refs.required_unless_present("retry_from")))]
pub struct GetArgs {
    #[command(flatten)]
    pub(super) selector: Selector,
    /// File or folder to write to; - is standard output
    #[arg(short, long, value_name = "FILE|DIR|-")]
    pub(super) output: Option<PathBuf>,
    /// Do not create the folders in names and paths
    #[arg(long)]
    pub(super) flat: bool,
    /// Overwrite existing files
    #[arg(long, conflicts_with = "skip_existing")]
    pub(super) overwrite: bool,
    /// Skip files that already exist
    #[arg(long)]
    pub(super) skip_existing: bool,
    /// Start over instead of resuming an earlier download
    #[arg(long)]
    pub(super) no_resume: bool,
    #[command(flatten)]
    pub(super) content: ContentArgs,
    /// Show what would be downloaded and where, without downloading anything
    #[arg(short = 'n', long)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    pub(super) batch: BatchArgs,
}

/// The options of commands that read content.
#[derive(Args, Debug, Default)]
pub struct ContentArgs {
    /// Download through this signed link, for platforms that require one
    #[arg(long, value_name = "URL")]
    pub link: Option<String>,
    /// Do not verify sizes and checksums
    #[arg(long)]
    pub(super) no_verify: bool,
    /// Also try files whose download the platform is known to reject
    #[arg(long)]
    pub(super) force: bool,
}

const SAVED_FIELDS: [&str; 18] = File::fields_and(&["saved_to"]);

pub(super) const SAVED_COLUMNS: Columns =
    Columns { all: &SAVED_FIELDS, shown: &["id", "name", "size", "saved_to"], piped: None };

/// A downloaded file.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "saved_file")]
pub(super) struct Saved {
    #[serde(flatten)]
    file: File,
    /// The local path, even in a dry run; null for standard output.
    saved_to: Option<String>,
}

impl GetArgs {
    /// The signed link given with `--link`.
    pub fn link(&self) -> Option<&str> {
        self.content.link.as_deref()
    }

    /// Downloads files.
    pub async fn run(mut self, ctx: &Context) -> Result<()> {
        self.selector = self.selector.prepare(ctx, &self.batch, Some(Op::Download)).await?;
        let options = DownloadOptions {
            existing: match (self.overwrite, self.skip_existing) {
                (true, _) => Existing::Overwrite,
                (_, true) => Existing::Skip,
                _ => Existing::Refuse,
            },
            verify: !self.content.no_verify,
            resume: !self.no_resume,
        };
        let (dry_run, force, flat) = (self.dry_run, self.content.force, self.flat);
        if self.output.as_deref().is_some_and(files::is_standard_output) {
            if !dry_run {
                return to_stdout(ctx, &self.selector, &self.content, true).await;
            }
            self.output = Some(PathBuf::from("-"));
        }
        let rows = ctx.ui.rows(SAVED_COLUMNS)?;
        let progress = ctx.ui.progress();
        let (output, progress) = (Output::of(self.output.as_deref(), &self.selector, ctx)?, &progress);
        let (output, places, ledgers) = (&output, &Places::default(), &Ledgers::default());
        let resume_hint = match options.existing {
            Existing::Skip => "run the same command again to continue",
            Existing::Overwrite => "to continue, replace `--overwrite` with `--skip-existing`",
            Existing::Refuse => "to continue, add `--skip-existing`",
        };
        let words = Labels::of(if dry_run { "would be downloaded" } else { "downloaded" });
        let words = Labels { resume_hint, ..words.in_dry_run(dry_run.then_some("nothing written")) };
        let files = self.selector.files_once(ctx, Some(Op::Download));
        let files = if flat { with_different_names(files).await? } else { files };
        batch::run(
            ctx,
            &self.batch,
            words,
            files,
            move |chosen: Chosen| async move {
                let Chosen { provider, file, .. } = &chosen;
                if !force {
                    require_content(ctx, ledgers, &chosen)?;
                }
                let (target, path) = match output {
                    Output::File(path) => (Target::Path(path.clone()), path.clone()),
                    Output::Folder(folder) => {
                        let path = places.take(&path_in(folder, file, flat)?, file);
                        (Target::Inside(path.clone()), path)
                    }
                };
                let moved = if dry_run {
                    transfer::preview(&target, options.existing)
                } else {
                    transfer::download(provider, file, target, options, progress.as_ref(), &ctx.interrupt)
                        .await
                };
                let moved = moved.map_err(|error| chosen.failed(error))?;
                let mut file = chosen.file;
                if file.size.is_none() && moved && !dry_run {
                    file.size =
                        path.metadata().ok().filter(fs::Metadata::is_file).map(|written| written.len());
                }
                Ok((file, path, moved))
            },
            rows,
            |rows, (file, path, moved)| {
                if !moved {
                    ctx.ui.note(&format!("{}: already exists, skipped", path.display()));
                }
                let id = Some(file.id.clone());
                let saved_to = (path != Path::new("-")).then(|| path.display().to_string());
                rows.push(&Saved { file, saved_to })?;
                Ok(vec![if moved { Outcome::Done(id) } else { Outcome::Skipped(id) }])
            },
        )
        .await
    }
}

/// Writes the files to standard output, one after another in the order of the arguments. All are found before the first
/// is written. Binary content is written to a terminal only if `forced`.
pub(super) async fn to_stdout(
    ctx: &Context,
    selector: &Selector,
    content: &ContentArgs,
    forced: bool,
) -> Result<()> {
    if files::is_closed_output() {
        return Err(Error::failed("standard output is closed")
            .hint(format!("write to a file: `{} REF -o FILE`", ctx.command("get", None))));
    }
    // Mark stdout as written so that an error does not append `[]` to the content.
    ctx.ui.write_bytes(b"")?;
    let ledgers = Ledgers::default();
    let mut files = Vec::new();
    let mut found = selector.files(ctx, Some(Op::Download));
    while let Some(chosen) = found.next().await {
        let chosen = chosen?;
        if !content.force {
            require_content(ctx, &ledgers, &chosen)?;
        }
        files.push(chosen);
    }
    drop(found);
    let options = DownloadOptions { existing: Existing::Refuse, verify: !content.no_verify, resume: false };
    let progress = ctx.ui.progress();
    for chosen in &files {
        let mut refuses_binary = !forced && ctx.ui.out_is_terminal();
        let ui = ctx.ui.clone();
        let mut sink = move |bytes: &[u8]| {
            if std::mem::take(&mut refuses_binary) && bytes.contains(&0) {
                return Err(binary(chosen));
            }
            ui.write_bytes(bytes)
        };
        let target = Target::Sink(&mut sink);
        transfer::download(
            &chosen.provider,
            &chosen.file,
            target,
            options,
            progress.as_ref(),
            &ctx.interrupt,
        )
        .await
        .map_err(|error| chosen.failed(error))?;
    }
    if files.len() > 1 && !ctx.ui.is_json() {
        ctx.ui.note(&format!("{} downloaded", files.len()));
    }
    Ok(())
}

/// The error for binary content on a terminal.
fn binary(Chosen { provider, file, .. }: &Chosen) -> Error {
    let reference = reference(provider.profile(), &file.id);
    Error::usage(format!("{}: binary content is not written to a terminal", file.name))
        .hint(format!("to save it: `haul get {reference}`"))
        .hint(format!("to write it anyway: `haul get {reference} -o -`"))
}

/// Reads all files and returns them if their names differ without folders. Two files with the same name are an error,
/// before anything is written.
async fn with_different_names(
    mut files: LocalBoxStream<'_, Result<Chosen>>,
) -> Result<LocalBoxStream<'_, Result<Chosen>>> {
    let (places, mut found) = (Places::default(), Vec::new());
    let mut first: HashMap<PathBuf, String> = HashMap::new();
    while let Some(chosen) = files.next().await {
        if let Ok(Chosen { file, .. }) = &chosen
            && let Ok(path) = path_in(Path::new(""), file, true)
        {
            let shown = format!("{} ({})", full_name(file), file.id);
            if !places.reserve(&path) {
                let other = first.get(&path).map_or("another", String::as_str);
                let path = path.display();
                return Err(Error::usage(format!("--flat: {other} and {shown} have the same name {path}"))
                    .hint(
                        "omit `--flat`: files then keep their folders, and ids are added to names that are still equal",
                    ));
            }
            first.insert(path, shown);
        }
        found.push(chosen);
    }
    Ok(stream::iter(found).boxed_local())
}

/// The name of a file, preceded by its path.
fn full_name(file: &File) -> String {
    match file.path.as_deref().filter(|path| !path.is_empty()) {
        Some(path) => format!("{path}/{}", file.name),
        None => file.name.clone(),
    }
}

/// Rejects a file that the platform is known not to return. A hint names the local file that it was uploaded from, if
/// known.
pub(super) fn require_content(ctx: &Context, ledgers: &Ledgers, chosen: &Chosen) -> Result<()> {
    let Chosen { provider, file, .. } = chosen;
    require_download(provider.as_ref(), file).map_err(|error| {
        let error = match ledgers.uploaded_from(ctx, provider.profile(), &file.id) {
            Some(path) => {
                error.hint(format!("the file was uploaded from {} on this machine", path.display()))
            }
            None => error,
        };
        chosen.failed(error)
    })
}

/// The ledgers of the profiles, opened read-only when the first file of a profile is rejected.
#[derive(Default)]
pub(super) struct Ledgers(RefCell<BTreeMap<String, Ledger>>);

impl Ledgers {
    /// The local file that the file `id` was uploaded from, if the ledger records it.
    fn uploaded_from(&self, ctx: &Context, profile: &str, id: &FileId) -> Option<PathBuf> {
        let open = || ledger_of(ctx, Some(profile), "").unwrap_or_default().read_only();
        self.0.borrow_mut().entry(profile.to_owned()).or_insert_with(open).uploaded_from(id)
    }
}

/// Where downloads are written.
enum Output {
    /// A folder; an empty path is the working directory. A path in the file's name becomes subfolders.
    Folder(PathBuf),
    /// A single file.
    File(PathBuf),
}

impl Output {
    fn of(output: Option<&Path>, selector: &Selector, ctx: &Context) -> Result<Self> {
        let Some(path) = output else { return Ok(Self::Folder(PathBuf::new())) };
        let looks_like_folder = path.as_os_str().to_string_lossy().ends_with(std::path::is_separator);
        if path == Path::new("-") {
            return Ok(Self::File(path.to_owned()));
        }
        if path.is_dir() || looks_like_folder {
            return Ok(Self::Folder(path.to_owned()));
        }
        if selector.refs.len() > 1 || selector.is_pattern(ctx) {
            return Err(Error::usage(format!(
                "{}: must be a folder, because several files may be downloaded",
                path.display()
            ))
            .hint(format!("add a slash: `-o {}`", word(&format!("{}/", path.display())))));
        }
        Ok(Self::File(path.to_owned()))
    }
}

/// The local path of a file, which is directly in the folder if `flat`. It stays inside the folder, whatever name the
/// server reports.
fn path_in(folder: &Path, file: &File, flat: bool) -> Result<PathBuf> {
    let name = if flat { base_name(&file.name) } else { safe_path(&full_name(file)) };
    // Use the id if the name cannot be used as a file name.
    let name = name.or_else(|| base_name(&file.id.0)).ok_or_else(|| {
        Error::failed(format!("{}: {:?} is not a valid local file name", file.id, file.name))
            .hint("choose a name: `-o FILE`")
    })?;
    inside(folder, &name)
}

/// Hashes of the paths that this command writes to. Different names on the server can map to the same path, and a
/// file that was just downloaded must not be overwritten or skipped as if it were an older one, even with
/// `--overwrite`.
#[derive(Default)]
struct Places(RefCell<HashSet<u64>>);

impl Places {
    /// Reserves the path for a file, or a path with the id in the name if that one is already reserved.
    fn take(&self, path: &Path, file: &File) -> PathBuf {
        let id: String =
            base_name(&file.id.0).unwrap_or_default().to_string_lossy().chars().take(50).collect();
        let mut free = path.to_owned();
        let mut number = 1_u64;
        while !self.reserve(&free) {
            let mark = if number == 1 { id.clone() } else { format!("{id} {number}") };
            free = marked(path, mark.trim_start());
            number += 1;
        }
        free
    }

    /// Reserves a path and its `.part` files. Returns false if the path is already reserved.
    fn reserve(&self, path: &Path) -> bool {
        let shown = path.display().to_string();
        let mut place = shown.as_str();
        while let Some(shorter) = place.strip_suffix(".part").or_else(|| place.strip_suffix(".part.json")) {
            place = shorter;
        }
        // File systems on these platforms usually ignore case.
        let folded = cfg!(any(windows, target_os = "macos")).then(|| place.to_lowercase());
        let place = hash_of(&folded.as_deref().unwrap_or(place));
        self.0.borrow_mut().insert(place)
    }
}

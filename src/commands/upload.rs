//! `haul upload`

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use futures_util::stream::{self, StreamExt as _};
use futures_util::{FutureExt as _, Stream};
use jiff::{SignedDuration, Timestamp};

use super::batch::{self, BatchArgs, Labels};
use super::jsonl::{Purpose, Severity};
use super::media;
use super::planned;
use super::report::{Entry, Outcome, Reported};
use super::select::resolve;
use super::sources::{self, FolderArgs, Sources, Work, read_paths};
use crate::context::Context;
use crate::error::{Error, Result, word};
use crate::files;
use crate::human;
use crate::model::{File, FileId, NewFile, Object, Source, names_match};
use crate::providers::{BatchFormat, Op, Provider, require, require_together, require_upload, states};
use crate::settings::{Origin, Profile, env, parse_lifetime};
use crate::spool::Spool;
use crate::transfer::{
    Action, COMPARE_LIMIT, Compare, IfExists, Ledger, LeftOut, Twin, UploadOptions, Uploaded, Uploads,
};

/// The arguments of `haul upload`.
#[derive(Args, Debug, Default)]
#[command(after_long_help = "Examples:\n  \
    haul upload report.pdf\n  \
    haul upload -r docs --include '*.md' --if-exists skip\n  \
    tar c src | haul upload - --name src.tar --metadata commit=abc123\n\n\
    An incomplete upload resumes when you run the same command again: finished files are not sent again, \
    and haul first checks whether an interrupted one arrived. After all files are uploaded, the same command \
    uploads all of them again; `--if-exists skip` sends only changed files.")]
pub struct UploadArgs {
    /// Files to upload; - is standard input
    #[arg(required_unless_present_any = ["files_from", "files_from0", "retry_from"], value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,
    /// Upload folders recursively
    #[arg(short, long)]
    pub(super) recursive: bool,
    /// Name on the platform
    #[arg(long, value_name = "NAME", allow_hyphen_values = true, value_parser = NonEmptyStringValueParser::new())]
    pub(super) name: Option<String>,
    /// Media type [default: guessed from the name]
    #[arg(long = "type", value_name = "TYPE", allow_hyphen_values = true)]
    pub(super) content_type: Option<String>,
    /// Purpose, one of the platform's own values
    #[arg(long, value_name = "WORD", allow_hyphen_values = true)]
    pub(super) purpose: Option<String>,
    /// Metadata key and value, or a JSON file with keys and values
    #[arg(short, long, value_name = "KEY=VALUE|@FILE", allow_hyphen_values = true)]
    pub(super) metadata: Vec<String>,
    /// Lifetime on the platform, such as 24h
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(super) expires: Option<String>,
    /// Replace the content of this file; its id stays the same
    #[arg(long, value_name = "REF", conflicts_with_all = ["if_exists", "recursive"])]
    pub(super) to: Option<String>,
    /// What to do if a file with this name exists
    #[arg(long, value_name = "WHAT", default_value = "upload")]
    pub(super) if_exists: IfExists,
    /// How --if-exists skip and update compare files
    #[arg(long, value_name = "BY", default_value = "auto", conflicts_with = "to", hide_short_help = true)]
    pub(super) compare: Compare,
    /// Send several files in one request, where supported
    #[arg(long, conflicts_with = "to", hide_short_help = true)]
    pub(super) together: bool,
    /// Wait until the platform has processed the file
    #[arg(long)]
    pub(super) wait: bool,
    /// Do not verify checksums
    #[arg(long, hide_short_help = true)]
    pub(super) no_verify: bool,
    /// Do not check JSONL files for batches and fine-tuning
    #[arg(long, hide_short_help = true)]
    pub(super) no_lint: bool,
    /// Show what would be uploaded, without uploading anything
    #[arg(short = 'n', long)]
    pub(super) dry_run: bool,
    /// Print ids only
    #[arg(long, conflicts_with = "dry_run")]
    pub(super) ids: bool,
    #[command(flatten)]
    pub(super) folders: FolderArgs,
    /// Read paths from this file, one per line; - is standard input
    #[arg(long, value_name = "FILE", help_heading = "Many files", hide_short_help = true)]
    pub(super) files_from: Option<PathBuf>,
    /// Read paths from this file, each terminated by NUL
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "files_from",
        help_heading = "Many files",
        hide_short_help = true
    )]
    pub(super) files_from0: Option<PathBuf>,
    #[command(flatten)]
    pub(super) batch: BatchArgs,
    /// The profile, if it is not the profile of the command
    #[arg(skip)]
    pub(super) on: Option<String>,
}

/// The ledger of a profile (by default the command's profile), for a command given as text.
pub(super) fn ledger_of(ctx: &Context, profile: Option<&str>, command: &str) -> Result<Ledger> {
    if ctx.settings.env.get(env::LEDGER) == Some("off") {
        return Ok(Ledger::default());
    }
    let target = target_of(&ctx.profile(profile)?);
    Ok(Ledger::open(&ctx.settings.folders.state, &target, command, ctx.warn()))
}

/// The options that a profile sets.
pub(super) fn options_of(profile: &Profile) -> UploadOptions {
    UploadOptions {
        compare_limit: profile.compare_limit.as_ref().map_or(COMPARE_LIMIT, |limit| limit.value),
        appears_within: profile.appears_within.as_ref().map(|time| time.value),
        ..UploadOptions::default()
    }
}

/// The platform, base URL and scope of a profile, as text.
pub(super) fn target_of(profile: &Profile) -> String {
    let scope: Vec<_> = profile.scope().collect();
    format!("{} {} {scope:?}", profile.spec.name, profile.base_url.value)
}

impl UploadArgs {
    /// Uploads files.
    pub async fn run(self, ctx: &Context) -> Result<()> {
        sources::check_paths(ctx, &self.paths, self.recursive)?;
        let provider = ctx.open(self.on.as_deref())?;
        let template = self.template()?;
        let sources = self.sources(ctx).await?;
        let (ui, interrupt) = (ctx.ui.clone(), ctx.interrupt.clone());
        let left_out = LeftOut::new(move |note| {
            if !interrupt.is_stopped() {
                ui.note(note);
            }
        });
        let (works, names) = sources.distinct(provider.as_ref(), self.if_exists, &left_out)?;
        let (mut options, old) = self.options(ctx).await?;
        options.leftovers = sources.leftovers();
        options.names = names;
        let op = if options.to.is_some() { Op::Replace } else { Op::Upload };
        require(provider.as_ref(), op, "REF")?;
        if self.together {
            require_together(provider.spec(), provider.capabilities())?;
        }
        let together = self.together && !self.dry_run;
        let per_request = if together { provider.capabilities().upload.files_per_request } else { 1 };
        let prepared = stream::iter(works).then(async |work| {
            let work = work.map_err(with_absolute_path)?;
            let entry = (absolute(work.path()), Some(work.name().to_owned()));
            let prepared = prepare(work, &template, provider.as_ref(), ctx).await;
            let checked = async {
                let new = prepared?;
                self.lint(ctx, provider.as_ref(), &new).await.map(|()| new)
            };
            let mut new = checked.await.map_err(|error| error.with_item(entry.0, entry.1))?;
            // Without `--name`, the replaced file keeps its name. The name copied here is only used in messages: the
            // file can be renamed before its content is replaced.
            new.keeps_name = self.to.is_none() || self.name.is_none();
            if let Some(old) = old.as_ref().filter(|_| new.keeps_name) {
                new.name.clone_from(&old.name);
            }
            Ok(new)
        });
        let chunks = in_groups(prepared, per_request);
        let transfer = Uploading {
            provider: Arc::clone(&provider),
            options,
            ledger: self.ledger(ctx)?,
            batch: &self.batch,
            words: ["uploaded", "would be uploaded", "nothing uploaded"],
            together,
            dry_run: self.dry_run,
            ids: self.ids,
            expires: template.expires,
            is_named: self.on.is_some(),
            note: &|| None,
        };
        transfer.run(ctx, chunks).await
    }

    /// The ledger for this command, which is identified by the working directory and the arguments that select or
    /// describe files.
    fn ledger(&self, ctx: &Context) -> Result<Ledger> {
        let files = (&self.paths, &self.files_from, &self.files_from0, &self.batch.retry_from);
        let choice = (self.recursive, &self.folders);
        let wish = (&self.name, &self.content_type, &self.purpose, &self.metadata, &self.to, self.if_exists);
        let command = format!("{:?}", (std::env::current_dir().ok(), files, choice, wish));
        ledger_of(ctx, self.on.as_deref(), &command)
    }

    /// Checks a JSONL file for a batch or for fine-tuning.
    async fn lint(&self, ctx: &Context, provider: &dyn Provider, new: &NewFile) -> Result<()> {
        let limits = &provider.capabilities().upload;
        let word = new.purpose.as_deref().or(limits.default_purpose).unwrap_or_default();
        let Some(purpose) = Purpose::of(word) else { return Ok(()) };
        // If the platform does not have this purpose, the word may have a different meaning there.
        let is_known = limits.purposes.contains(&word);
        let extension = Path::new(&new.name).extension();
        let is_jsonl =
            new.purpose.is_some() || extension.is_some_and(|word| word.eq_ignore_ascii_case("jsonl"));
        if self.no_lint || !is_known || !is_jsonl || ctx.interrupt.is_stopped() {
            return Ok(());
        }
        let limits = match (purpose, provider.batch_format()) {
            (Purpose::Batch, BatchFormat::Unknown) => return Ok(()),
            (_, BatchFormat::OpenAi { limited: true }) => Severity::Error,
            _ => Severity::Warning,
        };
        super::lint::before_upload(ctx, new, purpose, limits).await
    }

    /// The properties shared by all files in this command.
    fn template(&self) -> Result<NewFile> {
        let expires = match &self.expires {
            None => None,
            Some(text) => Some(lifetime(text)?),
        };
        Ok(NewFile {
            purpose: self.purpose.clone(),
            metadata: read_metadata(&self.metadata)?,
            expires,
            content_type: self.content_type.clone().unwrap_or_default(),
            ..NewFile::from_bytes("", Vec::new())
        })
    }

    async fn options(&self, ctx: &Context) -> Result<(UploadOptions, Option<File>)> {
        let to = match &self.to {
            None => None,
            Some(text) => Some(resolve(ctx, &ctx.address(text), false, Some(Op::Replace)).await?.file),
        };
        let id = to.as_ref().map(|file| file.id.clone());
        let profile = ctx.profile(self.on.as_deref())?;
        Ok((
            UploadOptions {
                if_exists: self.if_exists,
                verify: !self.no_verify,
                wait: self.wait,
                to: id,
                compare: self.compare,
                ..options_of(&profile)
            },
            to,
        ))
    }

    /// The files to upload, from arguments, lists and `--retry-from`.
    async fn sources(&self, ctx: &Context) -> Result<Sources> {
        let command = ctx.command("upload", self.on.as_deref());
        let selection = self.folders.selection(command, self.recursive, self.batch.report.as_deref())?;
        let retried = self.batch.unfinished()?;
        if retried.is_some() && !self.paths.is_empty() {
            return Err(Error::usage("--retry-from cannot be combined with files").hint("omit the files"));
        }
        let mut arguments = self.paths.clone();
        for (list, end) in [(&self.files_from, b'\n'), (&self.files_from0, b'\0')] {
            if let Some(list) = list {
                arguments.extend(read_paths(ctx, list, end).await?);
            }
        }
        let retried = retried.unwrap_or_default();
        let sources = Sources { retried, arguments, name: self.name.clone(), selection };
        if self.name.is_some() && sources.are_several() {
            return Err(Error::usage("--name can be used with only one file"));
        }
        if self.to.is_some() && sources.are_several() {
            return Err(Error::usage("--to can be used with only one file"));
        }
        Ok(sources)
    }
}

/// The uploads of a command to one platform.
pub(super) struct Uploading<'a> {
    /// The platform.
    pub(super) provider: Arc<dyn Provider>,
    pub(super) options: UploadOptions,
    pub(super) ledger: Ledger,
    pub(super) batch: &'a BatchArgs,
    /// The operation as a participle, the same for a dry run, and the statement that a dry run changed nothing.
    pub(super) words: [&'static str; 3],
    /// Whether several files are sent in one request.
    pub(super) together: bool,
    pub(super) dry_run: bool,
    /// Whether only ids are printed.
    pub(super) ids: bool,
    /// The lifetime that the command requests for each file.
    pub(super) expires: Option<SignedDuration>,
    /// Whether the hint after the command names the profile.
    pub(super) is_named: bool,
    /// A note before the summary.
    pub(super) note: &'a dyn Fn() -> Option<String>,
}

impl Uploading<'_> {
    /// Uploads each group of files, prints the rows and the summary.
    pub(super) async fn run(
        self,
        ctx: &Context,
        chunks: impl Stream<Item = Result<Vec<NewFile>>>,
    ) -> Result<()> {
        let Self { provider, options, ledger, batch, words, together, expires, .. } = self;
        let [done, would_be_done, nothing_done] = words;
        let columns = if self.ids { super::ls::ID_COLUMNS } else { planned::UPLOADED_COLUMNS };
        let rows = ctx.ui.rows(columns)?;
        let progress = ctx.ui.progress();
        let ledger = if self.dry_run { ledger.read_only() } else { ledger };
        let is_first = ctx.ui.out_is_terminal() && ledger.is_new();
        let uploads = Uploads::new(Arc::clone(&provider), options, ledger, ctx.clock, ctx.interrupt.clone());
        uploads.check()?;
        let compared = || {
            if let Some(note) = (self.note)() {
                ctx.ui.note(&note);
            }
            planned::compared(&uploads)
        };
        let words = Labels { skipped: "unchanged", note: Some(&compared), ..Labels::of(done) };
        if self.dry_run {
            let words = Labels { done: would_be_done, ..words }.in_dry_run(Some(nothing_done));
            return planned::preview(ctx, batch, provider.as_ref(), &uploads, chunks, rows, words).await;
        }
        let (uploads, progress) = (&uploads, &progress);
        let last = || note_twins(ctx, uploads).boxed_local();
        let words = Labels { last: Some(&last), ..words };
        let (mut count, mut last) = (0, None);
        let mut repeated = Vec::new();
        let result = batch::run(
            ctx,
            batch,
            words,
            chunks,
            move |group: Vec<NewFile>| async move {
                match group.as_slice() {
                    [file] if !together => Ok(vec![uploads.upload(file, progress.as_ref()).await?]),
                    files => uploads.upload_together(files, progress.as_ref()).await,
                }
            },
            rows,
            |rows, uploaded| {
                let mut ended = Vec::new();
                for uploaded in uploaded {
                    note_action(ctx, &uploaded);
                    warn_of_expiry(ctx, provider.as_ref(), &uploaded, expires);
                    let Uploaded { file, action, evidence, kept, before, .. } = uploaded;
                    if action == Action::Uploaded {
                        repeated.extend(before.filter(|before| *before != file.id));
                    }
                    count += 1;
                    let id = file.id.clone();
                    last = Some(id.clone());
                    let (kept, error) = kept.unzip();
                    rows.push(&planned::Row { file, evidence, kept: kept.clone() })?;
                    ended.push(match (kept.zip(error), action) {
                        (Some((old, error)), _) => Outcome::Kept { id, old, error },
                        (None, Action::Uploaded | Action::Replaced | Action::Repaired) => {
                            Outcome::Done(Some(id))
                        }
                        (None, Action::Reused | Action::Resumed) => Outcome::Skipped(Some(id)),
                    });
                }
                Ok(ended)
            },
        )
        .await;
        if result.is_ok()
            && !note_repetition(ctx, provider.as_ref(), uploads, &repeated).await
            && let Some(id) = last.filter(|_| is_first)
        {
            ctx.ui.suggest(&next(ctx, provider.as_ref(), self.is_named, count, &id));
        }
        // The last step: if the process is killed before this call, the same command prints the ids again instead of
        // sending the files again.
        uploads.end(result.is_ok());
        result
    }
}

/// Notes that earlier uploads of the same local files still exist. Only the last one is looked up. Returns whether a
/// note was printed.
async fn note_repetition(
    ctx: &Context,
    provider: &dyn Provider,
    uploads: &Uploads,
    repeated: &[FileId],
) -> bool {
    let Some(id) = repeated.last() else { return false };
    let Ok(file) = ctx.interrupt.until_cancelled(provider.stat(id)).await else { return false };
    if !uploads.is_usable(&file) {
        return false;
    }
    let count = match repeated.len() {
        1 => String::new(),
        count => format!(" ({count} of the uploaded files had been uploaded before)"),
    };
    ctx.ui.note(&format!("{}: another file with this name exists: {id}{count}", file.name));
    ctx.ui.suggest(
        "to upload only files that have changed, and replace the earlier ones: add `--if-exists update`",
    );
    true
}

/// Notes the files that other commands uploaded at the same time.
async fn note_twins(ctx: &Context, uploads: &Uploads) {
    // All files have been processed. A kill during this or a later request does not lose what was uploaded.
    uploads.record();
    for Twin { name, id, other } in uploads.twins().await {
        note_twin(ctx, &name, &id, &other);
    }
}

fn note_twin(ctx: &Context, name: &str, id: &FileId, twin: &FileId) {
    ctx.ui.note(&format!(
        "{name}: uploaded as {id}; another command uploaded a file with this name at the same time: {twin}"
    ));
}

/// Reports the action taken for a file on stderr, unless it is a plain upload.
fn note_action(ctx: &Context, uploaded: &Uploaded) {
    let Uploaded { file, action, evidence, different, twin, .. } = uploaded;
    let (name, id) = (&file.name, &file.id);
    if let Some(twin) = twin {
        note_twin(ctx, name, id, twin);
    }
    match action {
        Action::Uploaded => {
            if let Some(other) = different {
                ctx.ui.note(&format!("{name}: uploaded as {id}; the existing {other} has different content"));
            }
        }
        Action::Reused if !names_match(name, &uploaded.name) => {
            ctx.ui.note(&format!(
                "{}: reused {id}, which has the same content and the name {name}",
                uploaded.name
            ));
        }
        Action::Reused => ctx.ui.note(&match evidence {
            Some(evidence) if ctx.ui.verbosity() > 0 => {
                format!("{name}: reused {id} (matched by {})", evidence.word())
            }
            _ => format!("{name}: reused {id}"),
        }),
        Action::Replaced if uploaded.keeps_id => ctx.ui.note(&format!("{name}: content replaced")),
        Action::Replaced => ctx.ui.note(&format!("{name}: replaced, now {id}")),
        Action::Resumed => {
            ctx.ui.note(&format!("{name}: already uploaded by an earlier run: {id}"));
        }
        Action::Repaired => ctx.ui.note(&format!("{name}: repaired the content of {id}")),
    }
}

/// Warns if the platform will not delete a new file at the requested time. The unit of a platform's lifetimes may be
/// uncertain.
fn warn_of_expiry(
    ctx: &Context,
    provider: &dyn Provider,
    uploaded: &Uploaded,
    requested: Option<SignedDuration>,
) {
    let Uploaded { file, action, .. } = uploaded;
    let is_new = matches!(action, Action::Uploaded | Action::Replaced);
    let Some(requested) = requested.filter(|_| is_new && states(provider.stated(), "expires_at")) else {
        return;
    };
    let wanted = file.created_at.unwrap_or_else(|| ctx.clock.now()).checked_add(requested).ok();
    let tolerance = SignedDuration::from_secs(60 + requested.as_secs() / 100);
    let is_near = |at: Timestamp| wanted.is_some_and(|wanted| at.duration_since(wanted).abs() <= tolerance);
    let actual = match file.expires_at {
        Some(at) if is_near(at) => return,
        Some(at) => format!("expires at {at}"),
        None => "does not expire".to_owned(),
    };
    let wanted = wanted.map_or_else(|| format!("after {requested:#}"), |at| format!("at {at}"));
    let (name, profile) = (&file.name, provider.profile());
    ctx.ui.warn(&format!("{name}: the file {actual}, but should expire {wanted}"));
    let id = format!("id:{}", file.id);
    ctx.ui.hint(&format!("to delete it: `haul rm -p {} {}`", word(profile), word(&id)));
}

/// Copies standard input or a descriptor to a temporary file, so that its length is known and it can be sent again. A
/// signal ends the wait for input.
async fn spool(ctx: &Context, stream: PathBuf) -> Result<(Source, u64)> {
    let is_input = stream == Path::new("-");
    if is_input && files::is_closed_input() {
        return Err(Error::usage("standard input is closed")
            .hint(format!("to upload a file: `{} FILE`", ctx.command("upload", None))));
    }
    if is_input && ctx.ui.in_is_terminal() {
        ctx.ui.note("reading standard input; end it with Ctrl-D");
    }
    // On Windows, Ctrl-C before the first await kills the process, which would leave the temporary file behind.
    tokio::task::yield_now().await;
    let file = Spool::new().map_err(|error| Error::io("write", &std::env::temp_dir(), error))?;
    let what = if is_input { "standard input".to_owned() } else { stream.display().to_string() };
    let failed = move |error| Error::io(&format!("save {what}"), &std::env::temp_dir(), error);
    // The thread has its own handle, because it may still be waiting for input after a signal, when `file` has been
    // removed.
    let mut copy = file.writer().map_err(&failed)?;
    let saving = move || {
        let copied = if is_input {
            std::io::copy(&mut std::io::stdin().lock(), &mut copy)
        } else {
            std::fs::File::open(&stream).and_then(|mut stream| std::io::copy(&mut stream, &mut copy))
        };
        copied.map_err(failed)
    };
    let size = ctx.interrupt.unblock(saving).await?;
    Ok((Source::Spooled(Arc::new(file)), size))
}

/// The hint after the first upload from this machine, of `count` files; `id` is the id of the last one.
fn next(ctx: &Context, provider: &dyn Provider, is_named: bool, count: u64, id: &FileId) -> String {
    if count > 1 {
        return format!("to list the files: `{}`", ctx.command("ls", is_named.then(|| provider.profile())));
    }
    // A profile selected by a flag applies to one command only, so the hint repeats it.
    let is_named = is_named || matches!(ctx.settings.profile_name().origin, Origin::Flag(_));
    let named = is_named.then(|| provider.profile());
    let file = named.map_or_else(|| id.to_string(), |name| format!("{name}:{id}"));
    format!("to show it: `haul info {}`", word(&file))
}

/// Parses the value of `--expires`.
pub fn lifetime(text: &str) -> Result<SignedDuration> {
    let wrong = |what: &str| Error::usage(format!("--expires {text}: {what}")).hint("write `24h` or `7d`");
    let span = parse_lifetime(text).ok_or_else(|| wrong("invalid duration"))?;
    if span.is_positive() { Ok(span) } else { Err(wrong("must be positive")) }
}

impl Reported for Vec<NewFile> {
    fn entries(&self) -> Vec<Entry> {
        let entry = |new: &NewFile| {
            let reference = match &new.source {
                Source::Path(path) => absolute(path),
                source => source.place().unwrap_or(Path::new("-")).to_string_lossy().into_owned(),
            };
            Entry { reference: Some(reference), name: Some(new.name.clone()) }
        };
        self.iter().map(entry).collect()
    }
}

/// Replaces the path in an error with its absolute path, for reports.
fn with_absolute_path(error: Error) -> Error {
    match error.reference() {
        Some(path) => {
            let path = absolute(Path::new(path));
            error.with_item(path, None)
        }
        None => error,
    }
}

/// Makes a path absolute, except `-`, which means standard input.
fn absolute(path: &Path) -> String {
    let path = if path == Path::new("-") { path.to_owned() } else { files::absolute(path) };
    path.to_string_lossy().into_owned()
}

/// Builds the new file. Fails before sending anything if the file exceeds one of the platform's limits.
pub(super) async fn prepare(
    work: Work,
    template: &NewFile,
    provider: &dyn Provider,
    ctx: &Context,
) -> Result<NewFile> {
    let name = work.name().to_owned();
    let is_stopped = ctx.interrupt.is_stopped();
    let (source, size) = match work {
        Work::File(planned) => (Source::Path(planned.path), planned.size),
        Work::Stream { .. } if is_stopped => return Err(ctx.interrupt.error()),
        Work::Stream { path, .. } => spool(ctx, path).await?,
    };
    let content_type =
        if template.content_type.is_empty() { media::type_of(&name) } else { template.content_type.clone() };
    let new = NewFile { source, name, size, content_type, ..template.clone() };
    check_limits(new, provider, ctx)
}

/// Fails if a new file exceeds one of the platform's limits.
pub(super) fn check_limits(new: NewFile, provider: &dyn Provider, ctx: &Context) -> Result<NewFile> {
    if ctx.interrupt.is_stopped() {
        // The file is only listed in the report.
        return Ok(new);
    }
    require_upload(provider.spec(), provider.capabilities(), &new)?;
    if provider.capabilities().upload.warn_bytes.is_some_and(|limit| new.size > limit) {
        let platform = provider.spec().name;
        ctx.ui.warn(&format!("{} is {}; {platform} may reject it", new.name, human::size(new.size)));
    }
    Ok(new)
}

/// Groups files into chunks of up to `size`. An error is an item of its own.
fn in_groups(
    files: impl Stream<Item = Result<NewFile>>,
    size: usize,
) -> impl Stream<Item = Result<Vec<NewFile>>> {
    files.ready_chunks(size).flat_map(|chunk| {
        let (good, bad): (Vec<_>, Vec<_>) = chunk.into_iter().partition(Result::is_ok);
        let good: Vec<NewFile> = good.into_iter().flatten().collect();
        let good = (!good.is_empty()).then_some(Ok(good));
        let bad = bad.into_iter().filter_map(|result| Some(Err(result.err()?)));
        stream::iter(bad.chain(good).collect::<Vec<_>>())
    })
}

/// Parses metadata arguments of the form `KEY=VALUE` or `@FILE`; later ones win. A value that is not valid JSON is a
/// string.
pub fn read_metadata(words: &[String]) -> Result<Object> {
    let mut metadata = Object::new();
    for word in words {
        if let Some(path) = word.strip_prefix('@') {
            let path = Path::new(path);
            let text = std::fs::read_to_string(path).map_err(|error| Error::io("read", path, error))?;
            let object: Object = serde_json::from_str(&text).map_err(|error| {
                Error::usage(format!("{}: not a JSON object", path.display())).caused_by(error)
            })?;
            metadata.extend(object);
            continue;
        }
        let Some((key, value)) = word.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            return Err(Error::usage(format!("{word:?}: neither KEY=VALUE nor @FILE"))
                .hint("example: `author=hegel`"));
        };
        let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
        metadata.insert(key.to_owned(), value);
    }
    Ok(metadata)
}

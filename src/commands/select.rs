//! Selects a command's files by reference, glob or filter.

use std::collections::HashSet;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use clap::Args;
use futures_util::stream::{self, LocalBoxStream, StreamExt as _};
use jiff::SignedDuration;

use super::batch::BatchArgs;
use super::report::{Entry, Reported};
use crate::context::Context;
use crate::error::{Error, Kind, Result, nearest, word};
use crate::filter::{self, Equality, Filter};
use crate::model::{Address, File, FileId, Ref};
use crate::providers::{
    Listing, Op, Provider, Query, Spec, files_named, left_to_check, passes, require, require_ages,
};
use crate::settings::parse_lifetime;

/// The page size of listings for downloads. Each file needs a request anyway, so a few more listing requests cost
/// little, and small pages save memory because two of them are held at once.
const DOWNLOADED_PAGE: u32 = 250;

/// A selected file and its platform.
pub struct Chosen {
    /// The platform that stores the file.
    pub provider: Arc<dyn Provider>,
    /// The properties of the file.
    pub file: File,
    /// The reference as typed; `None` if a pattern or filter selected the file.
    pub typed: Option<String>,
}

impl Chosen {
    /// Attaches this file to an operation's error, using the reference as typed instead of the id.
    pub fn failed(&self, error: Error) -> Error {
        self.typed
            .iter()
            .fold(error, |error, typed| error.called(self.file.id.as_str(), typed))
            .about(self.file.id.as_str())
    }
}

/// The arguments that select files. A command with [`BatchArgs`] also accepts `--retry-from` instead of references.
#[derive(Args, Clone, Debug, Default)]
pub struct Selector {
    /// Files by id, exact name or pattern, as `[PROFILE:]REF`; `-` reads them from standard input
    #[arg(value_name = "REF", required_unless_present = "filter")]
    pub refs: Vec<String>,
    /// Select the files that match this expression
    #[arg(long, value_name = "EXPR", allow_hyphen_values = true)]
    pub filter: Option<String>,
    /// If several files have the same name, use the newest
    #[arg(long)]
    pub latest: bool,
    /// Succeed even if a file does not exist or a pattern matches no files
    #[arg(long, hide_short_help = true)]
    pub ignore_missing: bool,
}

impl Reported for Chosen {
    fn entries(&self) -> Vec<Entry> {
        let reference = format!("{}:id:{}", self.file.profile, self.file.id);
        vec![Entry { reference: Some(reference), name: Some(self.file.name.clone()) }]
    }
}

impl Selector {
    /// Replaces the references with the items of `--retry-from`, if given, reads references from standard input, and
    /// replaces a pattern that is a file's exact name with that name.
    pub async fn prepare(self, ctx: &Context, batch: &BatchArgs, op: Option<Op>) -> Result<Self> {
        if let Some(entries) = batch.retried()? {
            if !self.refs.is_empty() || self.filter.is_some() {
                return Err(Error::usage("--retry-from cannot be combined with files or --filter")
                    .hint("omit the files and `--filter`"));
            }
            let refs = entries.into_iter().filter_map(|entry| entry.reference).collect();
            return Ok(Self { refs, ..self });
        }
        let mut refs = read_references(ctx, &self.refs).await?;
        for text in &mut refs {
            if let Some(name) = self.exact_name(ctx, op, text).await {
                *text = name;
            }
        }
        // If standard input contains no references, the filter must not select from all files.
        let filter = self.filter.filter(|_| self.refs.is_empty() || !refs.is_empty());
        Ok(Self { refs, filter, ..self })
    }

    /// A reference by name, if the pattern is the exact name of a file.
    async fn exact_name(&self, ctx: &Context, op: Option<Op>, text: &str) -> Option<String> {
        let address = ctx.address(text);
        let pattern = glob_of(&address)?;
        let provider = ctx.open(address.profile.as_deref()).ok()?;
        check(&provider, op, text).ok()?;
        let filter = combine(ctx, provider.spec(), self.filter.as_deref(), None).ok()?.unwrap_or_default();
        left_to_check(provider.as_ref(), &filter).ok()?;
        let is_name = !exactly_named(ctx, &provider, pattern).await.is_empty();
        is_name.then(|| Address { reference: Ref::Name(pattern.to_owned()), ..address.clone() }.to_string())
    }

    /// Whether a filter or pattern is used, so that any number of files can match.
    pub fn is_pattern(&self, ctx: &Context) -> bool {
        let is_pattern = |address: &Address| glob_of(address).is_some() || batch_of(address).is_some();
        self.filter.is_some() || self.refs.iter().any(|text| is_pattern(&ctx.address(text)))
    }

    /// Streams the files in the order of the arguments. A reference that cannot be resolved yields an error at its
    /// position. If the platform does not support `op`, every reference to it yields an error without a request.
    pub fn files<'a>(&'a self, ctx: &'a Context, op: Option<Op>) -> LocalBoxStream<'a, Result<Chosen>> {
        let by_filter = self
            .filter
            .as_deref()
            .filter(|_| self.refs.is_empty())
            .map(|text| matching(ctx, op, None, Some(text), None, None));
        let by_ref = stream::iter(&self.refs).flat_map(move |text| self.named(ctx, op, text));
        by_ref.chain(stream::iter(by_filter).flatten()).boxed_local()
    }

    /// Like [`files`](Self::files), without duplicates.
    pub fn files_once<'a>(&'a self, ctx: &'a Context, op: Option<Op>) -> LocalBoxStream<'a, Result<Chosen>> {
        // Storing only hashes limits the memory needed for a million files.
        let mut seen = HashSet::new();
        let mut is_new = move |chosen: &Result<Chosen>| match chosen {
            Ok(Chosen { file, .. }) => {
                let mut hasher = blake3::Hasher::new();
                hasher.update(file.profile.as_bytes()).update(b"\0").update(file.id.0.as_bytes());
                seen.insert(u128::from_le_bytes(
                    *hasher.finalize().as_bytes().first_chunk().expect("a hash has 32 bytes"),
                ))
            }
            Err(_) => true,
        };
        self.files(ctx, op).filter(move |chosen| std::future::ready(is_new(chosen))).boxed_local()
    }

    fn named<'a>(
        &'a self,
        ctx: &'a Context,
        op: Option<Op>,
        text: &'a str,
    ) -> LocalBoxStream<'a, Result<Chosen>> {
        let address = ctx.address(text);
        if let Some(pattern) = glob_of(&address) {
            let missing = (!self.ignore_missing && self.filter.is_none()).then(|| text.to_owned());
            let profile = address.profile.as_deref();
            return matching(ctx, op, profile, self.filter.as_deref(), Some(pattern), missing);
        }
        if op == Some(Op::Download) && self.filter.is_none() && batch_of(&address).is_some() {
            return of_batch(ctx, address, text);
        }
        let found = async move {
            let rest = |error: Error| if self.filter.is_none() { error.about(text) } else { error };
            if ctx.interrupt.is_stopped() {
                return Some(Err(rest(ctx.interrupt.error())));
            }
            let found = ctx.interrupt.until_cancelled(self.exactly(ctx, op, &address)).await;
            let found = match found {
                Err(error) if self.ignore_missing && error.kind() == Kind::NotFound => {
                    ctx.ui.note(error.message());
                    Ok(None)
                }
                found => found,
            };
            found.map_err(|error| if error.is_interrupted() { rest(error) } else { error }).transpose()
        };
        stream::once(found).filter_map(std::future::ready).boxed_local()
    }

    /// Resolves an address. Returns `None` if the file does not match the filter, so that `rm report.pdf --filter …`
    /// does not delete it.
    async fn exactly(&self, ctx: &Context, op: Option<Op>, address: &Address) -> Result<Option<Chosen>> {
        let Some(text) = self.filter.as_deref() else {
            return resolve(ctx, address, self.latest, op).await.map(Some);
        };
        let about = |error: Error| error.about(address.to_string());
        let provider = ctx.open(address.profile.as_deref())?;
        let filter = combine(ctx, provider.spec(), Some(text), None)?.unwrap_or_default();
        left_to_check(provider.as_ref(), &filter).map_err(about)?;
        let chosen = resolve(ctx, address, self.latest, op).await?;
        if passes(&provider, &filter, &chosen.file).await.map_err(about)? {
            return Ok(Some(chosen));
        }
        ctx.ui.note(&format!("{address}: skipped, does not match the filter"));
        Ok(None)
    }
}

/// Replaces `-` with the references from standard input, which are separated by newlines or NUL bytes.
pub async fn read_references(ctx: &Context, refs: &[String]) -> Result<Vec<String>> {
    let Some(at) = refs.iter().position(|text| text == "-") else { return Ok(refs.to_vec()) };
    if ctx.ui.in_is_terminal() {
        return Err(Error::usage("-: standard input is a terminal").hint(format!(
            "pipe the references, for example `{} --ids | {} -`",
            ctx.command("ls", None),
            ctx.command("info", None)
        )));
    }
    let read = || {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    };
    let bytes = ctx
        .interrupt
        .unblock(move || {
            read().map_err(|error| Error::failed("standard input: cannot read").caused_by(error))
        })
        .await?;
    let text = String::from_utf8(bytes).map_err(|_| Error::usage("standard input: invalid UTF-8"))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let end = if text.contains('\0') { '\0' } else { '\n' };
    let read = text.split(end).map(|line| if end == '\n' { line.trim_end_matches('\r') } else { line });
    let read = read.filter(|line| !line.is_empty()).map(str::to_owned);
    let after = refs[at..].iter().filter(|text| *text != "-").cloned();
    Ok(refs[..at].iter().cloned().chain(read).chain(after).collect())
}

/// The files whose exact name is this pattern. A pattern whose only wildcard is `*` is not looked up: such names are
/// rare, and the search may have to list all files.
pub async fn exactly_named(ctx: &Context, provider: &Arc<dyn Provider>, pattern: &str) -> Vec<File> {
    if !pattern.contains(['[', '?']) {
        return Vec::new();
    }
    ctx.interrupt.until_cancelled(files_named(provider, pattern)).await.unwrap_or_default()
}

/// Streams the files of a platform that match a filter and a glob, page by page. If none matches, yields an error for
/// the reference `missing`, or prints a note if `missing` is `None`.
fn matching<'a>(
    ctx: &'a Context,
    op: Option<Op>,
    profile: Option<&str>,
    filter: Option<&str>,
    glob: Option<&str>,
    missing: Option<String>,
) -> LocalBoxStream<'a, Result<Chosen>> {
    let what = [glob, filter].into_iter().flatten().collect::<Vec<_>>().join(" and ");
    // A pattern alone is a reference that `--retry-from` can use. With a filter, it would select more files.
    let shown = glob
        .filter(|_| filter.is_none())
        .map(|glob| profile.map_or(glob.to_owned(), |profile| format!("{profile}:{glob}")));
    let about = move |error: Error| shown.iter().fold(error, |error, shown| error.about(shown.clone()));
    match start_listing(ctx, op, profile, filter, glob) {
        Ok((provider, listing)) => {
            let state = (provider, listing, 0, what, missing, about);
            stream::unfold(Some(state), move |state| async move {
                let (provider, mut listing, mut count, what, missing, about) = state?;
                let page = tokio::select! {
                    biased;
                    // The end of the listing may be known without another request.
                    page = listing.next() => page,
                    () = ctx.interrupt.cancelled() => Err(ctx.interrupt.error()),
                };
                match page {
                    Ok(None) => {
                        let none = format!("{what}: no file on {} matches", provider.profile());
                        match missing {
                            _ if count > 0 => None,
                            None => {
                                ctx.ui.note(&none);
                                None
                            }
                            Some(text) => {
                                let error = Error::not_found(none).about(text).hint(lists(provider.as_ref()));
                                Some((stream::iter([Err(error)]).right_stream(), None))
                            }
                        }
                    }
                    Ok(Some(files)) => {
                        count += files.len();
                        let found = Arc::clone(&provider);
                        let chosen = files
                            .into_iter()
                            .map(move |file| Ok(Chosen { provider: Arc::clone(&found), file, typed: None }));
                        Some((
                            stream::iter(chosen).left_stream(),
                            Some((provider, listing, count, what, missing, about)),
                        ))
                    }
                    Err(error) => Some((stream::iter([Err(about(error))]).right_stream(), None)),
                }
            })
            .flatten()
            .boxed_local()
        }
        Err(error) => stream::iter([Err(about(error))]).boxed_local(),
    }
}

/// Parses a duration that is not negative, and converts it with `read`.
pub fn duration<T>(option: &str, text: &str, read: impl FnOnce(SignedDuration) -> Option<T>) -> Result<T> {
    let span = parse_lifetime(text).filter(|span| !span.is_negative());
    span.and_then(read).ok_or_else(|| {
        Error::usage(format!("--{option} {text}: invalid duration")).hint("write `24h` or `7d`")
    })
}

/// The pattern in an address with wildcards. `name:…` is always an exact name.
pub fn glob_of(address: &Address) -> Option<&str> {
    match &address.reference {
        Ref::Any(text) if text.contains(['*', '?', '[']) => Some(text),
        _ => None,
    }
}

/// The id of the batch in an address of the form `batch:ID`.
fn batch_of(address: &Address) -> Option<&str> {
    match &address.reference {
        Ref::Any(text) => text.strip_prefix("batch:"),
        _ => None,
    }
}

/// Streams a batch's output files.
fn of_batch<'a>(ctx: &'a Context, address: Address, text: &'a str) -> LocalBoxStream<'a, Result<Chosen>> {
    let found = async move {
        let provider = ctx.open(address.profile.as_deref())?;
        let mut files = Vec::new();
        for id in provider.batch_files(batch_of(&address).unwrap_or_default()).await? {
            let file = provider.stat(&id).await?;
            files.push(Ok(Chosen { provider: Arc::clone(&provider), file, typed: None }));
        }
        Ok(files)
    };
    let found = async move {
        let found = ctx.interrupt.until_cancelled(found).await;
        found.unwrap_or_else(|error: Error| vec![Err(error.about(text))])
    };
    stream::once(found).flat_map(stream::iter).boxed_local()
}

fn start_listing(
    ctx: &Context,
    op: Option<Op>,
    profile: Option<&str>,
    filter: Option<&str>,
    glob: Option<&str>,
) -> Result<(Arc<dyn Provider>, Listing)> {
    let provider = ctx.open(profile)?;
    check(&provider, op, "REF")?;
    let filter = combine(ctx, provider.spec(), filter, glob)?;
    let page_size = (op == Some(Op::Download)).then_some(DOWNLOADED_PAGE);
    let listing = Listing::new(Arc::clone(&provider), Query { filter, page_size, ..Query::default() }, None)?;
    Ok((provider, listing))
}

/// Combines a filter expression and a glob for names into one filter.
pub fn combine(
    ctx: &Context,
    spec: &Spec,
    filter: Option<&str>,
    glob: Option<&str>,
) -> Result<Option<Filter>> {
    let parse = |text| Filter::parse_with(text, ctx.clock.now(), &spec.filter_fields());
    let filter = filter.map(parse).transpose()?;
    if let Some(comparison) = filter.as_ref().and_then(Filter::pattern_as_text)
        && spec.equality == Equality::Exact
    {
        let (field, op) = (&comparison.field, comparison.op.symbol());
        let negation = if comparison.op == filter::Op::Ne { "NOT " } else { "" };
        ctx.note_once(&format!(
            "`{comparison}`: `{op}` compares the whole value; for a pattern, write `{negation}{field} ~ {}`",
            comparison.value
        ));
    }
    let glob = glob.map(Filter::glob).transpose()?;
    Ok(match (filter, glob) {
        (Some(filter), Some(glob)) => Some(glob.and(filter)),
        (filter, glob) => filter.or(glob),
    })
}

/// Finds the file for an address: first by id, with a single request, then by exact name.
pub async fn resolve(ctx: &Context, address: &Address, latest: bool, op: Option<Op>) -> Result<Chosen> {
    let provider = ctx.open(address.profile.as_deref())?;
    let shown = address.to_string();
    if address.reference.text().is_empty() {
        return Err(Error::usage(format!("{shown:?}: not a file reference"))
            .hint(format!(
                "list the files with `{}`; if the reference comes from a variable, check whether it is empty",
                ctx.command("ls", address.profile.as_deref())
            ))
            .about(shown));
    }
    check(&provider, op, &shown)?;
    let file = match &address.reference {
        Ref::Id(id) => provider.stat(&FileId::from(id.as_str())).await.map_err(|error| match error.kind() {
            Kind::NotFound => error.hint(lists(provider.as_ref())),
            _ => error,
        }),
        Ref::Name(_) => by_name(ctx, &provider, address, latest).await,
        Ref::Any(text) => match provider.stat(&FileId::from(text.as_str())).await {
            Err(error) if means_no_such_id(&error) => by_name(ctx, &provider, address, latest).await,
            found => found,
        },
    };
    match file {
        Ok(file) => Ok(Chosen { provider, file, typed: Some(shown) }),
        Err(error) => Err(error.about(shown)),
    }
}

/// The file with this id, or all files with this name; empty if the platform has neither.
pub async fn all_of(provider: &Arc<dyn Provider>, address: &Address) -> Result<Vec<File>> {
    let text = address.reference.text();
    if text.is_empty() {
        return Err(Error::usage(format!("{:?}: not a file reference", address.to_string())));
    }
    if let Ref::Name(name) = &address.reference {
        return files_named(provider, name).await;
    }
    match provider.stat(&FileId::from(text)).await {
        Ok(file) => Ok(vec![file]),
        Err(error) if !means_no_such_id(&error) => Err(error),
        Err(_) if matches!(address.reference, Ref::Any(_)) => files_named(provider, text).await,
        Err(_) => Ok(Vec::new()),
    }
}

fn check(provider: &Arc<dyn Provider>, op: Option<Op>, about: &str) -> Result<()> {
    op.map_or(Ok(()), |op| require(provider.as_ref(), op, about))
}

/// Whether an error for a request by id means that no file has the id. Some platforms validate the format of ids and
/// reject invalid ones with 400 or 422.
fn means_no_such_id(error: &Error) -> bool {
    match error.kind() {
        Kind::NotFound | Kind::Usage => true,
        _ => matches!(error.status(), Some(400 | 422)),
    }
}

async fn by_name(
    ctx: &Context,
    provider: &Arc<dyn Provider>,
    address: &Address,
    latest: bool,
) -> Result<File> {
    let name = address.reference.text();
    let mut found = files_named(provider, name).await?;
    found.sort_by_key(|file| std::cmp::Reverse(file.created_at));
    let has_newest = require_ages(provider.as_ref(), &found);
    match found.len() {
        0 => Err(no_such_file(ctx, provider, address).await),
        1 => Ok(found.remove(0)),
        _ if latest => has_newest.map(|()| found.remove(0)),
        count => Err(ambiguous(name, &found, count, has_newest.is_ok())),
    }
}

fn ambiguous(name: &str, found: &[File], count: usize, has_newest: bool) -> Error {
    let shown = 10;
    let mut error = Error::usage(format!("{name}: {count} files have this name"));
    for file in found.iter().take(shown) {
        let size = file.size.map_or_else(String::new, |size| format!(", {size} bytes"));
        let created = file.created_at.map_or_else(String::new, |time| format!(", created {time}"));
        error = error.detail(format!("{}{size}{created}", file.id));
    }
    if count > shown {
        error = error.detail(format!("and {} more", count - shown));
    }
    error.hint(if has_newest {
        "select one by its id, or the newest with `--latest`"
    } else {
        "select one by its id"
    })
}

/// The error for an unknown name; suggests the most similar name among the newest files.
async fn no_such_file(ctx: &Context, provider: &Arc<dyn Provider>, address: &Address) -> Error {
    let (name, platform) = (address.reference.text(), provider.spec().name);
    let mut error = Error::not_found(format!("{name}: no file with this id or name on {platform}"));
    let query = Query { limit: Some(100), page_size: Some(100), ..Query::default() };
    let newest = async { Listing::new(Arc::clone(provider), query, None)?.next().await };
    match newest.await {
        Ok(Some(newest)) => {
            if let Some(near) = nearest(name, newest.iter().map(|file| file.name.as_str())) {
                error = error.hint(format!("did you mean `{}`?", word(&reference(near))));
            }
        }
        Ok(None) => {
            let profile = provider.profile();
            let upload = ctx.command("upload", Some(profile));
            return error.hint(format!("no files on {profile} yet; to upload one: `{upload} FILE`"));
        }
        Err(_) => {}
    }
    // The shell has probably expanded an unquoted pattern to local file names, which have no prefix.
    let is_bare = address.profile.is_none() && matches!(address.reference, Ref::Any(_));
    if is_bare && error.hints().is_empty() && Path::new(name).exists() {
        error = error.hint(format!(
            "a local file has this name; to match files on {}, quote the pattern: `'{}'`",
            provider.profile(),
            pattern_like(name)
        ));
    }
    error.hint(lists(provider.as_ref()))
}

/// A pattern that the shell may have expanded to the name of this local file.
pub fn pattern_like(name: &str) -> String {
    let extension = Path::new(name).extension().and_then(|text| text.to_str());
    extension.map_or_else(|| "*".to_owned(), |extension| format!("*.{extension}"))
}

/// A reference to the file with this name, for hints.
fn reference(name: &str) -> String {
    // A prefix that is not a profile here can be one elsewhere.
    if name.starts_with('-') || name.contains(['*', '?', '[', ':']) {
        return format!("name:{name}");
    }
    name.to_owned()
}

fn lists(provider: &dyn Provider) -> String {
    format!("to list the files: `haul ls -p {}`", word(provider.profile()))
}

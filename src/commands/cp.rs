//! `haul cp`

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use futures_util::stream::StreamExt as _;
use jiff::SignedDuration;

use super::batch::BatchArgs;
use super::get::{ContentArgs, GetArgs, Ledgers, require_content};
use super::media;
use super::report::{Reported as _, Unfinished};
use super::select::{Chosen, Selector};
use super::sources::{FolderArgs, Names};
use super::upload::{UploadArgs, Uploading, check_limits, ledger_of, options_of, target_of};
use crate::context::Context;
use crate::error::{Error, Kind, Result, nearest, word};
use crate::model::{File, NewFile, Object, Ref, Source};
use crate::providers::{NameSlash, Op, Overwrites, Provider, described, require, states};
use crate::transfer::{Claim, Compare, IfExists, RemoteFile, Targets, UploadOptions};

/// The arguments of `haul cp`.
#[derive(Args, Debug)]
#[command(
    override_usage = "haul cp [OPTIONS] <SRC>... <DST>\n       haul cp [OPTIONS] --retry-from <FILE> <DST>"
)]
#[command(after_long_help = "Examples:\n  \
    haul cp xai:report.pdf openai:\n  \
    haul cp 'xai:*.pdf' local: --if-exists skip\n  \
    haul cp xai: backup/ --report r.jsonl\n  \
    haul cp -r docs openai:\n  \
    haul cp --retry-from r.jsonl backup/\n\n\
    Name, media type, metadata and remaining lifetime are kept if the destination stores them; a note lists the \
    properties that are lost. When haul copies between platforms, the content is not saved on this machine, unless its size \
    is unknown, or the destination needs its checksum first or receives it in parts.")]
pub struct CpArgs {
    /// Files to copy, then the destination. `PROFILE:REF` is a file on a platform; `PROFILE:` is all files of a profile or,
    /// as the destination, the profile itself; anything else is a local path, and - is standard input or output
    #[arg(required = true, num_args = 1.., value_name = "SRC|DST")]
    places: Vec<String>,
    /// Copy folders recursively
    #[arg(short, long)]
    recursive: bool,
    /// Name of the copy
    #[arg(long, value_name = "NAME", allow_hyphen_values = true, value_parser = NonEmptyStringValueParser::new())]
    name: Option<String>,
    /// Purpose of the copies, one of the destination's own values
    #[arg(long, value_name = "WORD", allow_hyphen_values = true)]
    purpose: Option<String>,
    /// If several files have the same name, use the newest
    #[arg(long)]
    latest: bool,
    /// What to do if a file with this name exists. On this machine, skip keeps it, and update and replace overwrite it
    #[arg(long, value_name = "WHAT", default_value = "upload")]
    if_exists: IfExists,
    /// How --if-exists skip and update compare files
    #[arg(long, value_name = "BY", default_value = "auto", hide_short_help = true)]
    compare: Compare,
    /// Do not verify sizes and checksums
    #[arg(long, hide_short_help = true)]
    no_verify: bool,
    /// Do not check local JSONL files for batches and fine-tuning
    #[arg(long, hide_short_help = true)]
    no_lint: bool,
    /// Also try files whose download the platform is known to reject
    #[arg(long, hide_short_help = true)]
    force: bool,
    /// Show what would be copied, and copy nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Print ids only
    #[arg(long, conflicts_with = "dry_run")]
    ids: bool,
    #[command(flatten)]
    folders: FolderArgs,
    #[command(flatten)]
    batch: BatchArgs,
}

/// The source or destination of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// `[PROFILE:]REF`, with the profile and the reference.
    Remote(Option<String>, Ref),
    /// A local path, or `-`.
    Local(PathBuf),
}

impl Place {
    fn of(ctx: &Context, text: &str) -> Self {
        let address = ctx.address(text);
        let is_explicit = matches!(address.reference, Ref::Id(_) | Ref::Name(_)) && !Path::new(text).exists();
        if address.profile.is_some() || is_explicit {
            Self::Remote(address.profile, address.reference)
        } else {
            Self::Local(PathBuf::from(text))
        }
    }
}

impl CpArgs {
    /// Copies files.
    pub async fn run(mut self, ctx: &Context) -> Result<()> {
        let destination = self.places.pop().unwrap_or_default();
        let retried = self.batch.retried()?;
        let sources: Vec<String> = match &retried {
            Some(_) if !self.places.is_empty() => {
                let report = self.batch.retry_from.as_deref().unwrap_or(Path::new("FILE"));
                return Err(Error::usage("--retry-from cannot be combined with files").hint(format!(
                    "give only the destination: `haul cp --retry-from {} {}`",
                    word(&report.to_string_lossy()),
                    word(&destination)
                )));
            }
            Some(entries) => entries.iter().filter_map(|entry| entry.reference.clone()).collect(),
            None => std::mem::take(&mut self.places),
        };
        if sources.is_empty() && retried.is_none() {
            return Err(Error::usage("missing argument DST").hint(format!(
                "to copy it to the profile `local`: `haul cp {} local:`",
                word(&destination)
            )));
        }
        let remote = sources.iter().filter(|text| matches!(Place::of(ctx, text), Place::Remote(..))).count();
        if remote > 0 && remote < sources.len() {
            return Err(Error::usage("local files and files on a platform cannot be copied together")
                .hint("copy them with two commands"));
        }
        match Place::of(ctx, &destination) {
            Place::Local(_) if remote == 0 && !sources.is_empty() => {
                Err(no_platform(ctx, &sources, &destination))
            }
            Place::Local(path) => self.download(ctx, sources, path).await,
            Place::Remote(profile, reference) => {
                self.name = self.target_name(ctx, &destination, profile.as_deref(), reference)?;
                if remote == 0 {
                    self.upload(ctx, sources, profile).await
                } else {
                    Box::pin(self.copy(ctx, &sources, profile.as_deref())).await
                }
            }
        }
    }

    /// The name of the copy, from `--name` or the destination.
    fn target_name(
        &self,
        ctx: &Context,
        destination: &str,
        profile: Option<&str>,
        reference: Ref,
    ) -> Result<Option<String>> {
        let name = match reference {
            Ref::Any(text) if text.is_empty() => return Ok(self.name.clone()),
            Ref::Id(id) => {
                return Err(Error::usage(format!("{destination}: the destination is an id")).hint(format!(
                    "to replace its content: `{} FILE --to {}`",
                    ctx.command("upload", profile),
                    word(&format!("id:{id}"))
                )));
            }
            Ref::Any(text) if text.contains(['*', '?', '[']) => {
                return Err(Error::usage(format!("{destination}: the destination is a pattern")).hint(
                    format!("to keep the names, use the destination `{}:`", profile.unwrap_or_default()),
                ));
            }
            Ref::Any(text) | Ref::Name(text) => text,
        };
        if self.name.is_some() {
            return Err(Error::usage(format!("{destination} already names the copy")).hint("omit `--name`"));
        }
        Ok(Some(name))
    }

    /// Copies local files to a platform.
    async fn upload(self, ctx: &Context, sources: Vec<String>, profile: Option<String>) -> Result<()> {
        let paths = if self.batch.retry_from.is_some() { Vec::new() } else { sources };
        let upload = UploadArgs {
            paths: paths.into_iter().map(PathBuf::from).collect(),
            recursive: self.recursive,
            name: self.name,
            purpose: self.purpose,
            if_exists: self.if_exists,
            compare: self.compare,
            no_verify: self.no_verify,
            no_lint: self.no_lint,
            dry_run: self.dry_run,
            ids: self.ids,
            folders: self.folders,
            batch: self.batch,
            on: profile,
            ..UploadArgs::default()
        };
        upload.run(ctx).await
    }

    /// Copies files on a platform to this machine.
    async fn download(self, ctx: &Context, sources: Vec<String>, path: PathBuf) -> Result<()> {
        if self.ids {
            return Err(Error::usage("--ids requires a destination on a platform")
                .hint("to print the ids of the downloaded files: `--fields id`"));
        }
        let selector = self.selector(ctx, &sources);
        let is_several = selector.refs.len() > 1 || selector.is_pattern(ctx);
        let output = match &self.name {
            Some(name) => path.join(name),
            // A trailing slash marks a folder.
            None if is_several && path != Path::new("-") => path.join(""),
            None => path,
        };
        let get = GetArgs {
            selector: Selector {
                refs: if self.batch.retry_from.is_some() { Vec::new() } else { selector.refs },
                ..selector
            },
            output: Some(output),
            overwrite: matches!(self.if_exists, IfExists::Update | IfExists::Replace),
            skip_existing: self.if_exists == IfExists::Skip,
            flat: self.folders.flat,
            content: ContentArgs { no_verify: self.no_verify, force: self.force, ..ContentArgs::default() },
            dry_run: self.dry_run,
            batch: self.batch,
            ..GetArgs::default()
        };
        get.run(ctx).await
    }

    /// The selector for source files on platforms.
    fn selector(&self, ctx: &Context, sources: &[String]) -> Selector {
        // `PROFILE:` denotes all files of a profile.
        let all = |text: &String| match ctx.address(text).whole_profile() {
            Some(profile) => format!("{profile}:*"),
            None => text.clone(),
        };
        Selector { refs: sources.iter().map(all).collect(), latest: self.latest, ..Selector::default() }
    }

    /// Copies files from platforms to a platform.
    async fn copy(&self, ctx: &Context, sources: &[String], profile: Option<&str>) -> Result<()> {
        let provider = ctx.open(profile)?;
        require(provider.as_ref(), Op::Upload, "REF")?;
        let unfinished = self.batch.unfinished()?.unwrap_or_default();
        let selector = self.selector(ctx, sources);
        let selector = selector.prepare(ctx, &BatchArgs::default(), Some(Op::Download)).await?;
        let entries = unfinished.iter().map(|item| &item.entry);
        let copies = Copies {
            args: self,
            ctx,
            provider: &provider,
            names: entries.filter_map(|entry| entry.reference.clone().zip(entry.name.clone())).collect(),
            ledgers: Ledgers::default(),
            dropped: RefCell::default(),
        };
        copies.refuse_itself(&selector)?;
        let is_several = selector.refs.len() > 1 || selector.is_pattern(ctx);
        if self.name.is_some() && is_several {
            return Err(Error::usage("several files cannot have the same name").hint(to_keep_names(profile)));
        }
        let mut targets = copies.targets();
        if is_several && (targets.names.slash != NameSlash::Kept || targets.places.may_be_shared()) {
            let mut files = selector.files_once(ctx, Some(Op::Download));
            while let Some(chosen) = files.next().await {
                if let Ok(chosen) = chosen
                    && let Err(target) = targets.claim(&copies, &chosen)
                {
                    return Err(copies.same_target(&selector, &chosen, &target).await);
                }
            }
        }
        let names = targets.places.names();
        // The second listing can contain new files, so all targets are claimed again.
        let targets = RefCell::new(copies.targets());
        let (copies, targets) = (&copies, &targets);
        let files = selector.files_once(ctx, Some(Op::Download)).then(async |chosen| {
            let chosen = chosen?;
            let item = chosen.entries().remove(0);
            let name = targets.borrow_mut().claim(copies, &chosen);
            let new = match name {
                Ok(name) => copies.new_file(chosen, name).await,
                Err(target) => Err(copies.same_target(&selector, &chosen, &target).await),
            };
            new.map(|new| vec![new])
                .map_err(|error| error.with_item(item.reference.unwrap_or_default(), item.name))
        });
        let settings = ctx.profile(Some(provider.profile()))?;
        let leftover = |item: &Unfinished| {
            let place = PathBuf::from(item.entry.reference.as_ref()?);
            Some(((place, item.entry.name.clone()?), item.leftover.clone()?))
        };
        let options = UploadOptions {
            if_exists: self.if_exists,
            verify: !self.no_verify,
            compare: self.compare,
            names,
            leftovers: unfinished.iter().filter_map(leftover).collect(),
            ..options_of(&settings)
        };
        let command = format!("{:?}", ("cp", sources, &self.batch.retry_from, &self.name, self.if_exists));
        let copying = Uploading {
            provider: Arc::clone(&provider),
            options,
            ledger: ledger_of(ctx, Some(provider.profile()), &command)?,
            batch: &self.batch,
            words: ["copied", "would be copied", "nothing copied"],
            together: false,
            dry_run: self.dry_run,
            ids: self.ids,
            expires: None,
            is_named: true,
            note: &|| copies.dropped(),
        };
        Box::pin(copying.run(ctx, files)).await
    }
}

/// The copies of one command from platforms to a platform.
struct Copies<'a> {
    args: &'a CpArgs,
    ctx: &'a Context,
    /// The destination.
    provider: &'a Arc<dyn Provider>,
    /// The names of the copies in the report of `--retry-from`, by the reference of the source.
    names: HashMap<String, String>,
    ledgers: Ledgers,
    /// The properties that the destination does not store.
    dropped: RefCell<BTreeSet<&'static str>>,
}

/// The names and places of the copies so far.
struct Claims<'a> {
    names: Names,
    places: Targets<'a>,
}

/// A target that two files share.
struct Shared {
    name: String,
    place: Option<Overwrites>,
}

impl Claims<'_> {
    /// The name of the copy. An error if another file has the same target.
    fn claim(&mut self, copies: &Copies<'_>, chosen: &Chosen) -> Result<String, Shared> {
        let (name, is_free) = self.names.claim(&copies.name_of(chosen));
        if !is_free {
            return Err(Shared { name, place: None });
        }
        let reference = reference(chosen);
        match self.places.claim(Path::new(&reference), &name) {
            Claim::Own | Claim::Repeated => Ok(name),
            Claim::Shared { place, .. } => Err(Shared { name, place }),
        }
    }
}

impl Copies<'_> {
    fn targets(&self) -> Claims<'_> {
        // A name that the user gives is not changed.
        let slash = if self.args.name.is_some() { NameSlash::Kept } else { self.provider.spec().name_slash };
        Claims { names: Names::new(slash), places: Targets::new(self.provider.as_ref(), self.args.if_exists) }
    }

    /// The name of a copy, before the destination's rule for `/` is applied.
    fn name_of(&self, chosen: &Chosen) -> String {
        let given = self.args.name.as_ref().or_else(|| self.names.get(&reference(chosen)));
        given.unwrap_or(&chosen.file.name).clone()
    }

    /// Rejects files that would be copied to themselves, before any request.
    fn refuse_itself(&self, selector: &Selector) -> Result<()> {
        if self.args.name.is_some() || self.args.batch.retry_from.is_some() {
            return Ok(());
        }
        for text in &selector.refs {
            let source = self.ctx.open(self.ctx.address(text).profile.as_deref())?;
            if self.is_same(source.as_ref())? {
                return Err(itself(text));
            }
        }
        Ok(())
    }

    /// Whether `source` reaches the same files as the destination: through the same profile, or the same account and
    /// target.
    fn is_same(&self, source: &dyn Provider) -> Result<bool> {
        if source.profile() == self.provider.profile() {
            return Ok(true);
        }
        let is_same_account = match (source.client(), self.provider.client()) {
            (Some(source), Some(own)) => source.is_same_account(own),
            (source, own) => source.is_none() && own.is_none(),
        };
        let target = |profile| self.ctx.profile(Some(profile)).map(|profile| target_of(&profile));
        Ok(is_same_account && target(source.profile())? == target(self.provider.profile())?)
    }

    /// The error for two files with the same target.
    async fn same_target(&self, selector: &Selector, second: &Chosen, target: &Shared) -> Error {
        let slash = self.targets().names.slash;
        let (mut files, mut first) = (selector.files_once(self.ctx, Some(Op::Download)), None);
        while let Some(chosen) = files.next().await {
            first = chosen.ok().filter(|chosen| slash.flatten(self.name_of(chosen)) == target.name);
            if first.is_some() {
                break;
            }
        }
        let first = first.map_or_else(|| "another file".to_owned(), |first| reference(&first));
        let second = reference(second);
        let both = match &target.place {
            Some(place) => place.place.clone(),
            None => format!("both would have the name {}", target.name),
        };
        let error = Error::usage(format!("{first} and {second} have the same target: {both}"));
        let name = format!("2-{}", target.name);
        let error = error.hint(format!(
            "to copy one under another name: `haul cp {} {} --name {} --if-exists {}`",
            word(&second),
            word(&format!("{}:", self.provider.profile())),
            word(&name),
            self.args.if_exists.word()
        ));
        match &target.place {
            Some(place) => error.hint(place.hint),
            None => error,
        }
    }

    /// The copy of a file. Fails if the source does not return the file or the destination does not accept it.
    async fn new_file(&self, chosen: Chosen, name: String) -> Result<NewFile> {
        let Self { args, ctx, provider, .. } = self;
        if !args.force {
            require_content(ctx, &self.ledgers, &chosen)?;
        }
        let Chosen { provider: source, mut file, .. } = chosen;
        if source.derives(&file) {
            return Err(derived(source.as_ref(), &file));
        }
        if name == file.name && self.is_same(source.as_ref())? {
            return Err(itself(&format!("{}:id:{}", source.profile(), file.id)));
        }
        // Some listings do not contain sizes.
        if file.size.is_none() && !ctx.interrupt.is_stopped() {
            file = ctx.interrupt.until_cancelled(source.stat(&file.id)).await?;
        }
        if !ctx.interrupt.is_stopped() {
            file = ctx.interrupt.until_cancelled(described(source.as_ref(), &file)).await?.into_owned();
        }
        let kind = file.content_type.clone().filter(|kind| !kind.is_empty());
        let mut new = NewFile {
            content_type: kind.unwrap_or_else(|| media::type_of(&name)),
            purpose: args.purpose.clone(),
            keeps_name: true,
            size: file.size.unwrap_or(1),
            name,
            ..NewFile::from_bytes("", "")
        };
        self.keep(&mut new, source.as_ref(), &file);
        let mut new = check_limits(new, provider.as_ref(), ctx)?;
        new.size = file.size.unwrap_or_default();
        new.source = Source::Remote(Arc::new(RemoteFile::new(source, file, !args.no_verify)));
        Ok(new)
    }

    /// Copies to `new` those properties of `file` that the destination stores, and records the others as dropped.
    fn keep(&self, new: &mut NewFile, source: &dyn Provider, file: &File) {
        let can = self.provider.capabilities();
        let mut dropped = self.dropped.borrow_mut();
        let keys = can.annotate.map_or(&[][..], |able| able.keys);
        let is_kept = |key: &String| can.upload.metadata && (keys.is_empty() || keys.contains(&key.as_str()));
        let metadata = file.metadata.iter().filter(|(key, _)| is_kept(key));
        new.metadata = metadata.map(|(key, value)| (key.clone(), value.clone())).collect::<Object>();
        if new.metadata.len() < file.metadata.len() {
            dropped.insert("metadata");
        }
        if let Some(expires_at) = file.expires_at {
            new.expires = can.upload.lifetime.and_then(|(least, most)| {
                // Some platforms count whole hours.
                let left = expires_at.duration_since(self.ctx.clock.now()).as_secs().max(least);
                let rounded = left.saturating_add(3599).div_euclid(3600).saturating_mul(3600).min(most);
                (left <= most).then(|| SignedDuration::from_secs(rounded))
            });
            if new.expires.is_none() {
                dropped.insert("lifetime");
            }
        }
        let is_own_type = file.content_type.as_ref().is_some_and(|kind| *kind != media::type_of(&new.name));
        let keeps_type = states(self.provider.stated(), "content_type")
            || can.annotate.is_some_and(|able| able.content_type);
        if is_own_type && !keeps_type {
            dropped.insert("media type");
        }
        if new.purpose.is_none()
            && let Some(purpose) = &file.purpose
        {
            let able = &can.upload;
            let accepts = able.purposes.is_empty() || able.purposes.contains(&purpose.as_str());
            // Each platform has its own default.
            let is_default = source.capabilities().upload.default_purpose == Some(purpose);
            new.purpose = Some(purpose.clone()).filter(|_| able.purpose && accepts && !is_default);
            if new.purpose.is_none() && !is_default {
                dropped.insert("purpose");
            }
        }
        if file.path.as_ref().is_some_and(|path| !path.is_empty()) {
            dropped.insert("path");
        }
    }

    /// The note about properties that the copies do not have.
    fn dropped(&self) -> Option<String> {
        let dropped = self.dropped.borrow();
        let names: Vec<&str> = dropped.iter().copied().collect();
        let platform = self.provider.spec().name;
        (!names.is_empty()).then(|| format!("not copied: {} (not stored by {platform})", names.join(", ")))
    }
}

/// The reference of a file, `PROFILE:id:ID`.
fn reference(chosen: &Chosen) -> String {
    format!("{}:id:{}", chosen.file.profile, chosen.file.id)
}

/// The hint for a destination that does not keep the names of the files.
fn to_keep_names(profile: Option<&str>) -> String {
    format!("to keep the names, use the destination `{}:` without `--name`", profile.unwrap_or_default())
}

/// The error for a file that would be copied to itself.
fn itself(reference: &str) -> Error {
    let profile = reference.split(':').next().unwrap_or_default();
    Error::usage(format!("{reference}: source and destination are the same"))
        .hint(format!(
            "to copy one file under another name: `haul cp {} {profile}: --name NAME`",
            word(reference)
        ))
        .about(reference)
}

/// The error for a file if the platform returns only content derived from it.
fn derived(source: &dyn Provider, file: &File) -> Error {
    let (platform, reference) = (source.spec().name, format!("{}:id:{}", source.profile(), file.id));
    let message = format!("{platform} returns text derived from {}, not the file", file.name);
    Error::new(Kind::Unsupported, message)
        .hint(format!(
            "to keep the text: `haul get {} -o {}`",
            word(&reference),
            word(&format!("{}.txt", file.name))
        ))
        .about(reference)
}

/// The error for a copy from this machine to this machine.
fn no_platform(ctx: &Context, sources: &[String], destination: &str) -> Error {
    let error = Error::usage(format!("{} and {destination} are local paths", sources.join(", ")));
    let typed = sources.iter().map(String::as_str).chain([destination]);
    let near = typed.filter_map(|text| text.split_once(':')).find_map(|(prefix, _)| {
        nearest(prefix, ctx.settings.profile_names().iter().map(String::as_str)).map(str::to_owned)
    });
    match near {
        Some(profile) => error.hint(format!("did you mean the profile `{profile}:`?")),
        None => error.hint("a file on a platform is `PROFILE:REF`, such as `local:report.pdf`"),
    }
}

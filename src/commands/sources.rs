//! The files to upload, from a report, arguments and lists.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use clap::Args;

use super::report::{Entry, Unfinished};
use crate::context::Context;
use crate::error::{Error, Kind, Result, word};
use crate::files;
use crate::model::{Address, Ref, hash_of};
use crate::providers::{NameSlash, Provider};
use crate::transfer::{self, Claim, IfExists, LeftOut, Leftover, Planned, Selection, Targets};

/// The options that select files in folders.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Folders")]
pub struct FolderArgs {
    /// In folders, upload only files that match this pattern
    #[arg(long, value_name = "GLOB", allow_hyphen_values = true)]
    include: Vec<String>,
    /// In folders, skip files and folders that match this pattern
    #[arg(long, value_name = "GLOB", allow_hyphen_values = true)]
    exclude: Vec<String>,
    /// Include hidden files
    #[arg(long, hide_short_help = true)]
    hidden: bool,
    /// Include files that .haulignore files exclude
    #[arg(long, hide_short_help = true)]
    no_ignore: bool,
    /// Also respect .gitignore files
    #[arg(long, conflicts_with = "no_ignore", hide_short_help = true)]
    gitignore: bool,
    /// Use base names instead of paths as names
    #[arg(long, hide_short_help = true)]
    pub(super) flat: bool,
    /// Follow symbolic links inside folders
    #[arg(long, hide_short_help = true)]
    follow: bool,
}

impl FolderArgs {
    /// The selection of files in folders, which excludes the command's `report`. Hints use `command`.
    pub(super) fn selection(
        &self,
        command: String,
        recursive: bool,
        report: Option<&Path>,
    ) -> Result<Selection> {
        Selection {
            command,
            recursive,
            flat: self.flat,
            follow: self.follow,
            hidden: self.hidden,
            no_ignore: self.no_ignore,
            gitignore: self.gitignore,
            report: report.map(Path::to_owned),
            ..Selection::default()
        }
        .with_globs(&self.include, &self.exclude)
    }
}

/// The sources of one command. Each iteration walks the folders again, so no list of files is kept in memory.
pub(super) struct Sources {
    /// The unfinished items from an earlier command's report.
    pub(super) retried: Vec<Unfinished>,
    pub(super) arguments: Vec<PathBuf>,
    /// The name of a single file, from `--name`.
    pub(super) name: Option<String>,
    pub(super) selection: Selection,
}

/// A file to upload: its source and name.
pub(super) enum Work {
    File(Planned),
    /// Standard input, `-`, or another open descriptor.
    Stream {
        path: PathBuf,
        name: String,
    },
}

impl Work {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::File(planned) => &planned.name,
            Self::Stream { name, .. } => name,
        }
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::File(planned) => &planned.path,
            Self::Stream { path, .. } => path,
        }
    }
}

/// Refuses a profile or a URL among the paths of `haul upload`, unless a file with that name exists.
pub(super) fn check_paths(ctx: &Context, paths: &[PathBuf], recursive: bool) -> Result<()> {
    let addresses = paths.iter().filter_map(|path| path.to_str()).filter(|text| text.contains(':'));
    for text in addresses.filter(|text| Path::new(text).symlink_metadata().is_err()) {
        if text.starts_with("http://") || text.starts_with("https://") {
            let base = text.split(['?', '#']).next().unwrap_or_default();
            let name =
                base.splitn(4, '/').nth(3).and_then(|path| path.rsplit('/').next()).unwrap_or_default();
            let name = if name.is_empty() { "NAME".into() } else { word(name) };
            let command = ctx.command("upload", None);
            return Err(Error::usage(format!("{text}: a URL cannot be uploaded")).hint(format!(
                "download it first: `curl -fsSL {} | {command} - --name {name}`",
                word(text)
            )));
        }
        let Address { profile: Some(profile), reference } = ctx.address(text) else { continue };
        let message = match &reference {
            Ref::Any(name) if name.is_empty() => format!("{text} is a profile, not a file"),
            _ => format!("{text} is a file on the profile {profile}, not a local file"),
        };
        let is_other = |path: &&PathBuf| path.to_str() != Some(text);
        let others: Vec<_> = paths.iter().filter(is_other).map(|path| path.to_string_lossy()).collect();
        let mut command = format!("haul upload -p {}", word(&profile));
        if recursive {
            command.push_str(" -r");
        }
        match (others.as_slice(), &reference) {
            ([], _) => command.push_str(" FILE"),
            ([one], Ref::Any(name)) if !name.is_empty() && !recursive => {
                command.extend([" ", &word(one), " --name ", &word(name)]);
            }
            _ => others.iter().for_each(|other| command.extend([" ", &word(other)])),
        }
        return Err(Error::usage(message).hint(format!("`{command}`")));
    }
    Ok(())
}

impl Sources {
    /// Whether there can be more than one file.
    pub(super) fn are_several(&self) -> bool {
        self.arguments.len() + self.retried.len() > 1 || self.selection.recursive
    }

    /// The earlier uploads whose replaced file still has to be deleted, by path and name.
    pub(super) fn leftovers(&self) -> HashMap<(PathBuf, String), Leftover> {
        let key = |entry: &Entry| Some((PathBuf::from(entry.reference.as_ref()?), entry.name.clone()?));
        let items = self.retried.iter();
        items.filter_map(|item| Some((key(&item.entry)?, item.leftover.clone()?))).collect()
    }

    /// All files, found lazily.
    fn all(&self, left_out: &LeftOut) -> impl Iterator<Item = Result<Work>> {
        let retried = self.retried.iter().map(|item| self.retried(&item.entry));
        retried.chain(self.arguments.iter().flat_map(|argument| self.of(argument, left_out.clone())))
    }

    /// The files to upload, without repeated paths if files can replace each other. Returns an error before anything
    /// is sent if two files have the same target or if the arguments contain no file. In the names of files in
    /// folders, `/` becomes `__` unless the platform keeps it. Also returns the hashes of the names, if there are
    /// several and existing files affect the uploads.
    pub(super) fn distinct<'a>(
        &'a self,
        provider: &'a dyn Provider,
        if_exists: IfExists,
        left_out: &'a LeftOut,
    ) -> Result<(impl Iterator<Item = Result<Work>> + 'a, HashSet<u64>)> {
        let mut claims = Claims::new(self, provider, if_exists);
        if self.are_several() && claims.may_conflict() {
            for work in self.all(&LeftOut::silent()).flatten() {
                claims.add(work)?;
            }
        }
        // The second walk can find new files, so claim all targets again.
        Ok((self.claimed(provider, if_exists, left_out), claims.targets.names()))
    }

    /// Like [`distinct`](Self::distinct), but in a single walk: two files with the same target are detected when the
    /// second one is reached.
    pub(super) fn claimed<'a>(
        &'a self,
        provider: &'a dyn Provider,
        if_exists: IfExists,
        left_out: &'a LeftOut,
    ) -> impl Iterator<Item = Result<Work>> + 'a {
        let mut claims = Claims::new(self, provider, if_exists);
        let is_empty = Rc::new(Cell::new(!self.arguments.is_empty()));
        let found = Rc::clone(&is_empty);
        let works = self
            .all(left_out)
            .inspect(move |_| found.set(false))
            .filter_map(move |work| work.and_then(|work| claims.add(work)).transpose());
        let end = std::iter::once_with(move || {
            left_out.conclude(&self.selection);
            is_empty.get().then(|| Err(self.no_files()))
        });
        works.chain(end.flatten())
    }

    /// The error for arguments that contain no file.
    fn no_files(&self) -> Error {
        match self.arguments.as_slice() {
            [argument] => {
                let argument = argument.display().to_string();
                Error::not_found(format!("{argument}: no files to upload")).about(argument)
            }
            _ => Error::not_found("no files to upload"),
        }
    }

    fn of(&self, argument: &Path, left_out: LeftOut) -> Box<dyn Iterator<Item = Result<Work>> + '_> {
        if is_stream(argument) {
            let path = argument.to_owned();
            let command = &self.selection.command;
            let name = self.name.clone().ok_or_else(|| match argument.to_str() {
                Some("-") => Error::usage("standard input has no name")
                    .hint(format!("add `--name NAME`: `{command} - --name data.json`")),
                _ => Error::usage(format!("{}: has no name", path.display())).hint("add `--name NAME`"),
            });
            return Box::new(std::iter::once(name.map(|name| Work::Stream { path, name })));
        }
        if let Some(name) = &self.name {
            return Box::new(std::iter::once(self.one_named(argument, name)));
        }
        let path = argument.to_owned();
        let planned = transfer::plan(argument, &self.selection, left_out);
        Box::new(
            planned.map(move |planned| planned.map(Work::File).map_err(|error| self.with_hint(error, &path))),
        )
    }

    /// An unfinished file listed in a report, under its original name, or its base name if the report gives none.
    fn retried(&self, entry: &Entry) -> Result<Work> {
        match (entry.reference.as_deref(), self.name.as_deref().or(entry.name.as_deref())) {
            (Some(path), name) if is_stream(Path::new(path)) => {
                let stream = if path == "-" { "standard input" } else { path };
                let error = Error::usage(format!("{stream} cannot be read a second time"));
                Err(error.with_item(path, name.map(str::to_owned)))
            }
            (Some(path), Some(name)) => {
                let work = self.one_named(Path::new(path), name);
                work.map_err(|error| error.with_item(path, Some(name.to_owned())))
            }
            // The file was missing when the report was written, so the report has no name for it.
            (Some(path), None) => {
                let name = Path::new(path).file_name().and_then(OsStr::to_str).unwrap_or(path);
                self.one_named(Path::new(path), name).map_err(|error| error.with_item(path, None))
            }
            (None, _) => {
                Err(Error::usage("the report does not name every item")
                    .hint("run the original command again"))
            }
        }
    }

    /// Adds a hint to the error for a missing path: `--include` for a pattern that the shell did not expand, or the
    /// most similar name.
    fn with_hint(&self, error: Error, path: &Path) -> Error {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return error };
        if error.kind() != Kind::NotFound || path.symlink_metadata().is_ok() {
            return error;
        }
        let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        if name.contains(['*', '?', '[']) {
            return error.hint(format!(
                "`{} -r {} --include {}`",
                self.selection.command,
                word(&folder.to_string_lossy()),
                word(name)
            ));
        }
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().take(1000);
        let siblings = entries
            .filter_map(|entry| path.with_file_name(entry.file_name()).into_os_string().into_string().ok());
        let siblings: Vec<String> = siblings.collect();
        error.did_you_mean(&path.to_string_lossy(), siblings.iter().map(String::as_str))
    }

    /// A file with an explicit name.
    fn one_named(&self, path: &Path, name: &str) -> Result<Work> {
        let found = std::fs::metadata(path).map_err(|error| Error::io("read the metadata", path, error))?;
        if found.is_dir() {
            return Err(Error::usage(format!("{}: is a directory", path.display())));
        }
        transfer::refuse_special(path, &found, &self.selection.command, Some(name))?;
        Ok(Work::File(Planned { path: path.to_owned(), name: name.to_owned(), size: found.len() }))
    }
}

/// The targets claimed by the files of a command.
struct Claims<'a> {
    sources: &'a Sources,
    provider: &'a dyn Provider,
    if_exists: IfExists,
    targets: Targets<'a>,
    names: Names,
}

impl<'a> Claims<'a> {
    fn new(sources: &'a Sources, provider: &'a dyn Provider, if_exists: IfExists) -> Self {
        // A name given by the user is not changed.
        let slash = if sources.name.is_some() { NameSlash::Kept } else { provider.spec().name_slash };
        let targets = Targets::new(provider, if_exists);
        Self { sources, provider, if_exists, targets, names: Names::new(slash) }
    }

    /// Whether two files can have the same target.
    fn may_conflict(&self) -> bool {
        self.names.slash != NameSlash::Kept || self.targets.may_be_shared()
    }

    /// Sets a file's name on the platform and claims its targets. Returns `None` if the same file was already
    /// claimed.
    fn add(&mut self, mut work: Work) -> Result<Option<Work>> {
        if let Work::File(planned) = &mut work {
            let original = planned.name.clone();
            let (name, is_free) = self.names.claim(&original);
            planned.name = name;
            if !is_free {
                let name = work.name();
                let first = self.first(|other| other.name() != original && self.name_of(other) == name);
                return Err(self.same_name(&first, &work));
            }
        }
        match self.targets.claim(work.path(), work.name()) {
            Claim::Own => Ok(Some(work)),
            Claim::Repeated => Ok(None),
            Claim::Shared { target, place } => {
                let first = self.first(|other| self.targets.includes(&self.name_of(other), target));
                let Some(place) = place else {
                    let error = self.same_name(&first, &work);
                    return Err(error.hint("to upload both under one name: `--if-exists upload`"));
                };
                let path = work.path().display();
                let message = format!("{first} and {path} have the same target: {}", place.place);
                Err(Error::usage(message).hint(place.hint))
            }
        }
    }

    fn name_of(&self, work: &Work) -> String {
        self.names.slash.flatten(work.name().to_owned())
    }

    /// The path of the first file for which `is_it` is true. Only hashes are kept, so this walks the files again.
    fn first(&self, is_it: impl Fn(&Work) -> bool) -> String {
        let left_out = LeftOut::silent();
        let found = self.sources.all(&left_out).flatten().find(is_it);
        found.map_or_else(|| "another file".to_owned(), |work| work.path().display().to_string())
    }

    /// The error for two files with the same name.
    fn same_name(&self, first: &str, second: &Work) -> Error {
        let (name, path) = (second.name(), second.path().display().to_string());
        let folders = second.path().components().filter_map(|part| match part {
            Component::Normal(part) => Some(part.to_string_lossy()),
            _ => None,
        });
        let own = self.names.slash.flatten(folders.collect::<Vec<_>>().join("/"));
        let own = if own == name { format!("2-{name}") } else { own };
        let message = format!("{first} and {path} have the same target: both would have the name {name}");
        Error::usage(message).hint(format!(
            "to upload one under another name: `haul upload -p {} {} --name {} --if-exists {}`",
            word(self.provider.profile()),
            word(&path),
            word(&own),
            self.if_exists.word()
        ))
    }
}

/// The names that a command's files get on a platform.
pub(super) struct Names {
    /// How the platform treats `/`.
    pub(super) slash: NameSlash,
    /// Hashes of the names, each with the hash of its original name. Empty if names do not change.
    originals: HashMap<u64, u64>,
}

impl Names {
    pub(super) fn new(slash: NameSlash) -> Self {
        Self { slash, originals: HashMap::new() }
    }

    /// The name on the platform, and whether no other original name has produced it.
    pub(super) fn claim(&mut self, original: &str) -> (String, bool) {
        let name = self.slash.flatten(original.to_owned());
        if self.slash == NameSlash::Kept {
            return (name, true);
        }
        let original = hash_of(&original);
        let is_free = *self.originals.entry(hash_of(&name)).or_insert(original) == original;
        (name, is_free)
    }
}

/// Whether a path denotes standard input or another open descriptor that is not a file, such as bash's `<(COMMAND)`.
fn is_stream(path: &Path) -> bool {
    path == Path::new("-")
        || (files::is_descriptor(path)
            && std::fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir()))
}

/// Reads a list of paths, each terminated by `end`; `-` is standard input.
pub(super) async fn read_paths(ctx: &Context, list: &Path, end: u8) -> Result<Vec<PathBuf>> {
    let list = list.to_owned();
    let read = move || {
        let bytes = if list == Path::new("-") {
            let mut bytes = Vec::new();
            std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
        } else {
            std::fs::read(&list)
        };
        bytes.map_err(|error| Error::io("read", &list, error))
    };
    let bytes = ctx.interrupt.unblock(read).await?;
    // A list from Windows can start with a byte order mark.
    let words = bytes
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(&bytes)
        .split(|byte| *byte == end)
        .map(|word| if end == b'\n' { word.strip_suffix(b"\r").unwrap_or(word) } else { word });
    Ok(words.filter(|word| !word.is_empty()).map(path_of).collect())
}

#[cfg(unix)]
fn path_of(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt as _;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

#[cfg(not(unix))]
fn path_of(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_paths_cannot_become_one_name() {
        let claims = |slash| {
            let mut names = Names::new(slash);
            ["a/b.txt", "a/b.txt", "a__b.txt", "b.txt"].map(|name| names.claim(name))
        };
        let is_free = |claims: &[(String, bool)]| claims.iter().map(|claim| claim.1).collect::<Vec<_>>();
        let kept = claims(NameSlash::Kept);
        assert_eq!((kept[0].0.as_str(), is_free(&kept)), ("a/b.txt", vec![true; 4]));
        for slash in [NameSlash::Stripped, NameSlash::Refused] {
            let changed = claims(slash);
            assert_eq!((changed[0].0.as_str(), changed[3].0.as_str()), ("a__b.txt", "b.txt"));
            assert_eq!(is_free(&changed), [true, true, false, true]);
        }
    }
}

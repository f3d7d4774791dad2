//! The partial file of a download (the *part*), and the *note* that allows another run to resume it.
//!
//! `TARGET.part` holds the bytes received so far. The note, `TARGET.part.json`, identifies the file and version that
//! the bytes belong to and stores their hash. Files that haul did not create are never changed: a note is recognized
//! by its `made_by` value, and a part by its inode and birth time, which the note records. If another file has one of
//! the two names, the pair is named `TARGET.2.part` and `TARGET.2.part.json`, and so on.
//!
//! The note is created before the part and removed after it. The process that writes a part holds a lock on its note.
//! A run resumes only bytes that match the hash, so bytes written after the last update of the note are downloaded
//! again.
//!
//! If the system supports unnamed files, a small file has neither a part nor a note: it appears under its final name
//! once it is complete. A second file for each small download would double the disk operations.

mod note;

use std::fs::{self, File as Handle, Metadata, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

pub(super) use self::note::Version;

use self::note::{Note, Record};
use super::names::LONGEST;
use crate::error::{Error, Result};
use crate::files::{self, Locked};
use crate::model::File;
use crate::source::CHUNK;

/// Files up to this size are hashed without a thread and, if possible, have no note, because a thread or a second file
/// would cost more than it saves.
pub(super) const SMALL: u64 = CHUNK as u64;
/// Maximum number of name pairs to try.
const PAIRS: u32 = 100;
/// Maximum number of times to look at a pair of names that other processes are changing.
const LOOKS: u32 = 1_000;
/// A partial file that only this process writes. When dropped, it is kept for another run unless it is empty or
/// unnamed.
pub(super) struct Part {
    /// The path of the part. For an unnamed file, it is used only in error messages.
    pub(super) path: PathBuf,
    handle: Handle,
    have: u64,
    version: Version,
    /// `None` for an unnamed file, and after the part has been renamed or removed.
    record: Option<Record>,
}

/// A pair of names (part and note) that this process has locked.
struct Pair {
    path: PathBuf,
    note_path: PathBuf,
    note_handle: Locked,
    /// The note left by an earlier run.
    earlier: Option<Note>,
}

impl Part {
    /// Opens or creates the partial file for `target`. Bytes from an earlier run are kept if they belong to the same
    /// version of the file and match the hash in the note.
    pub(super) async fn open(target: &Path, file: &File, resume: bool) -> Result<Self> {
        let (path, note_path) = names(target, 1);
        let is_small = file.size.is_some_and(|size| size <= SMALL);
        if is_small && target.symlink_metadata().is_err() && note_path.symlink_metadata().is_err() {
            let made = files::create_unnamed(files::folder_of(target))
                .map_err(|error| Error::io("write", &path, error))?;
            if let Some(handle) = made {
                return Ok(Self { path, handle, have: 0, version: Version::default(), record: None });
            }
        }
        Self::named(target, state_of(file), resume.then(|| file.size.unwrap_or(u64::MAX))).await
    }

    /// Opens or creates a part that has a name. Keeps at most `kept` bytes from an earlier run.
    async fn named(target: &Path, of: String, kept: Option<u64>) -> Result<Self> {
        // A part must not be more accessible than the file that it replaces.
        let private = target.symlink_metadata().is_ok_and(|old| old.is_file());
        for number in 1..=PAIRS {
            let Some(pair) = Pair::claim(target, number)? else { continue };
            let note = pair.earlier.clone().unwrap_or_default();
            // Derived content is never resumed, because the note does not record how it was derived.
            let fits = note.of == of && !note.version.derived && note.have > 0;
            let fits = fits && kept.is_some_and(|kept| note.have <= kept);
            let found = match pair.find() {
                // Without a birth time, this may be an unrelated file with a reused inode; only its content can tell.
                Found::Part(Some(handle)) if fits || !has_birth_time(&handle) => prove(handle, &note).await?,
                found => found,
            };
            match found {
                Found::Proven(handle, hasher) if fits => {
                    if private {
                        let _ = files::set_private(&handle);
                    }
                    return Ok(Self::new(pair, handle, hasher, note));
                }
                Found::Foreign => pair.drop_note(),
                found => match pair.make(!matches!(found, Found::Nothing), private) {
                    Ok(handle) => {
                        let part = handle.metadata().ok().map(|made| identity(&made));
                        let note = Note { of, part, ..Note::begun() };
                        return Ok(Self::new(pair, handle, Box::default(), note));
                    }
                    Err(error) => {
                        pair.drop_note();
                        if error.kind() != io::ErrorKind::AlreadyExists {
                            return Err(Error::io("write", &pair.path, error));
                        }
                    }
                },
            }
        }
        let (path, _) = names(target, 1);
        Err(Error::failed(format!("{}: already exists and is not a partial download", path.display()))
            .hint("rename it, or choose another path: `-o FILE`"))
    }

    fn new(pair: Pair, handle: Handle, hasher: Box<blake3::Hasher>, note: Note) -> Self {
        let (have, version) = (note.have, note.version.clone());
        let record = Record::new(pair.note_path, pair.note_handle, note, hasher);
        Self { path: pair.path, handle, have, version, record: Some(record) }
    }

    /// The number of bytes received.
    pub(super) fn have(&self) -> u64 {
        self.have
    }

    /// The version of the content that these bytes belong to.
    pub(super) fn version(&self) -> &Version {
        &self.version
    }

    /// Prepares to write content of `version` at offset `start`, which must not exceed [`have`](Self::have).
    pub(super) fn begin(&mut self, start: u64, version: Version) -> Result<()> {
        let restarts = start < self.have || start == 0;
        if start < self.have {
            let failed = |error: io::Error| Error::io("write", &self.path, error);
            self.handle.set_len(start).map_err(failed)?;
            self.handle.seek(SeekFrom::Start(start)).map_err(failed)?;
            self.have = start;
        }
        let changed = restarts || version != self.version;
        self.version = version;
        if let Some(record) = self.record.as_mut().filter(|_| changed) {
            if restarts {
                record.reset();
            }
            // Written after truncation, so that the note never describes bytes of a different version.
            record.note.version.clone_from(&self.version);
            record.write().map_err(|error| Error::io("write", &record.path, error))?;
        }
        Ok(())
    }

    /// Appends bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.handle.write_all(bytes).map_err(|error| Error::io("write", &self.path, error))?;
        self.have += bytes.len() as u64;
        if let Some(record) = self.record.as_mut().filter(|record| record.is_due()) {
            record.take(&self.handle, self.have);
        }
        Ok(())
    }

    /// Atomically renames the complete file to `target`. Without `overwrite`, an existing target is an error.
    pub(super) async fn publish(mut self, target: &Path, overwrite: bool) -> Result<()> {
        if self.record.is_none() {
            return self.link(target, overwrite).await;
        }
        if !self.is_in_place() {
            let message = format!("{}: was removed or replaced during the download", self.path.display());
            return Err(Error::failed(message));
        }
        let given = if overwrite { self.replace(target)? } else { self.rename_anew(target) };
        given.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => exists(target),
            _ => Error::io("write", target, error),
        })?;
        self.end();
        Ok(())
    }

    fn replace(&self, target: &Path) -> Result<io::Result<()>> {
        match fs::symlink_metadata(target) {
            Ok(old) if old.is_file() => files::keep_mode(&self.handle, &old),
            Ok(old) if !old.is_symlink() => return Err(in_the_way(target, &old)),
            _ => {}
        }
        Ok(fs::rename(&self.path, target))
    }

    fn rename_anew(&self, target: &Path) -> io::Result<()> {
        let part = tempfile::TempPath::try_from_path(&self.path)?;
        part.persist_noclobber(target).map_err(|failed| {
            // Keep the part for another run.
            let _ = failed.path.keep();
            failed.error
        })
    }

    /// Links an unnamed file to `target`.
    async fn link(&mut self, target: &Path, overwrite: bool) -> Result<()> {
        match files::link_unnamed(&self.handle, target) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !overwrite => Err(exists(target)),
            Err(_) => {
                // Either the target was created in the meantime, so a rename is required, or `/proc` is not mounted.
                let mut named = Self::named(target, String::new(), None).await?;
                self.handle
                    .seek(SeekFrom::Start(0))
                    .and_then(|_| io::copy(&mut self.handle, &mut named.handle))
                    .map_err(|error| Error::io("write", &named.path, error))?;
                Box::pin(named.publish(target, overwrite)).await
            }
        }
    }

    /// Removes the part because its bytes cannot be resumed.
    pub(super) fn discard(mut self) {
        self.remove();
    }

    fn remove(&mut self) {
        if self.is_in_place() {
            let _ = fs::remove_file(&self.path);
        }
        self.end();
    }

    /// Removes the note.
    fn end(&mut self) {
        if let Some(record) = self.record.take() {
            record.remove();
        }
    }

    /// Whether the part still has its name.
    fn is_in_place(&self) -> bool {
        let found = fs::symlink_metadata(&self.path).ok().map(|found| identity(&found));
        self.record.as_ref().is_some_and(|record| found.is_some() && found == record.note.part)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.have == 0 {
            self.remove();
        } else if let Some(record) = &mut self.record {
            record.take(&self.handle, self.have);
        }
    }
}

/// What exists at the path of a part.
enum Found {
    Nothing,
    /// A file that haul did not create.
    Foreign,
    /// A part from an earlier run; `None` if it cannot be opened.
    Part(Option<Handle>),
    /// A part whose bytes match its note, with their hash.
    Proven(Handle, Box<blake3::Hasher>),
}

/// Checks a part against its note on a blocking thread, and truncates it to the length in the note.
async fn prove(handle: Handle, note: &Note) -> Result<Found> {
    let (have, stated) = (note.have, note.blake3.clone());
    let work = move || {
        let (mut hasher, mut file) = (Box::<blake3::Hasher>::default(), &handle);
        let proven = note::hash(file, have, &mut hasher).is_ok_and(|read| read == have)
            && stated.is_some_and(|stated| stated == hasher.finalize().to_hex().as_str());
        if proven && file.set_len(have).is_ok() && file.seek(SeekFrom::Start(have)).is_ok() {
            Found::Proven(handle, hasher)
        } else if has_birth_time(&handle) {
            Found::Part(Some(handle))
        } else {
            Found::Foreign
        }
    };
    let found = tokio::task::spawn_blocking(work).await;
    found.map_err(|error| Error::failed("cannot read the partial download").caused_by(error))
}

impl Pair {
    /// Creates the note, or locks the one from an earlier run. Returns `None` if another file has one of the names.
    fn claim(target: &Path, number: u32) -> Result<Option<Self>> {
        let (path, note_path) = names(target, number);
        let look = |path: &Path| path.symlink_metadata().ok().map(|found| identity(&found));
        // Another process may create or remove both files at any time. A part has a note as long as it exists, so a
        // file is foreign only if it is still the same one after its note was looked up.
        for _ in 0..LOOKS {
            let Some(note) = look(&note_path) else {
                if let Some(part) = look(&path) {
                    if look(&note_path).is_none() && look(&path) == Some(part) {
                        return Ok(None);
                    }
                    continue;
                }
                match Note::create(&note_path) {
                    Ok(note_handle) => return Ok(Some(Self { path, note_path, note_handle, earlier: None })),
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                    Err(error) => return Err(Error::io("write", &path, error)),
                }
            };
            if Note::at(&note_path).is_none() {
                if look(&note_path) == Some(note) {
                    return Ok(None);
                }
                continue;
            }
            match files::lock_existing(&note_path) {
                Ok(Some(note_handle)) => {
                    // Read the note again, now under the lock.
                    let earlier = Note::read(&note_handle);
                    return Ok(earlier.map(|note| Self {
                        path,
                        note_path,
                        note_handle,
                        earlier: Some(note),
                    }));
                }
                Ok(None) => {
                    let message = format!("{}: another download is writing to it", path.display());
                    return Err(Error::failed(message));
                }
                // Another process has just finished and has removed the note.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(_) => return Ok(None),
            }
        }
        Ok(None)
    }

    fn find(&self) -> Found {
        let Ok(found) = self.path.symlink_metadata() else { return Found::Nothing };
        if !self.earlier.as_ref().is_some_and(|note| is_part_of(&found, note)) {
            return Found::Foreign;
        }
        let opened = OpenOptions::new().read(true).write(true).open(&self.path).ok();
        let same = |handle: &Handle| handle.metadata().is_ok_and(|it| identity(&it) == identity(&found));
        if opened.as_ref().is_none_or(same) { Found::Part(opened) } else { Found::Foreign }
    }

    /// Creates the part, replacing an `old` one. It is recorded in the note when the first bytes arrive.
    fn make(&self, old: bool, private: bool) -> io::Result<Handle> {
        if self.earlier.is_some() {
            let length = self.note_handle.metadata()?.len();
            Note::begun().write(&self.note_handle, usize::try_from(length).unwrap_or_default())?;
        }
        if old {
            fs::remove_file(&self.path)?;
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        if private {
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        }
        options.open(&self.path)
    }

    fn drop_note(&self) {
        note::remove(&self.note_path, &self.note_handle);
    }
}

/// Whether this file is the part that the note describes.
fn is_part_of(found: &Metadata, note: &Note) -> bool {
    found.is_file()
        && match &note.part {
            Some(part) => *part == identity(found),
            // The earlier run ended right after creating the part.
            None => found.len() == 0,
        }
}

/// Whether the file at `path` is a part or a note that haul created, as opposed to another file with such a name.
pub(super) fn is_own(path: &Path) -> bool {
    let name = path.as_os_str().as_encoded_bytes();
    if name.ends_with(b".part") {
        let note = Note::at(&PathBuf::from([path.as_os_str(), ".json".as_ref()].join("".as_ref())));
        return note.is_some_and(|note| path.symlink_metadata().is_ok_and(|found| is_part_of(&found, &note)));
    }
    name.ends_with(b".part.json") && Note::at(path).is_some()
}

/// Removes a note whose part no longer exists, left by a run that was killed after renaming the part.
pub(super) fn sweep(target: &Path) {
    let (path, note_path) = names(target, 1);
    if path.symlink_metadata().is_err()
        && note_path.symlink_metadata().is_ok()
        && let Ok(Some(pair)) = Pair::claim(target, 1)
        && let Found::Nothing = pair.find()
    {
        pair.drop_note();
    }
}

/// The error for a target that must not be overwritten.
pub(super) fn exists(path: &Path) -> Error {
    Error::failed(format!("{}: already exists", path.display()))
        .hint("add `--overwrite` or `--skip-existing`")
}

/// The error for a target that is not a regular file.
pub(super) fn in_the_way(path: &Path, found: &Metadata) -> Error {
    Error::failed(format!("{}: is {}", path.display(), files::kind(found.file_type())))
}

/// A hash of the properties that identify the remote file and its version.
fn state_of(file: &File) -> String {
    let File { profile, id, size, updated_at, checksums, .. } = file;
    let state = format!("{profile}:{id} {size:?} {updated_at:?} {checksums:?}");
    blake3::hash(state.as_bytes()).to_hex().to_string()
}

/// Distinguishes a file from earlier and later ones at the same path by its inode and, because inodes are reused, its
/// birth time if the file system records one.
fn identity(found: &Metadata) -> String {
    let born = found.created().ok().and_then(|born| born.duration_since(UNIX_EPOCH).ok());
    let born = born.unwrap_or_default().as_nanos();
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(found);
    #[cfg(not(unix))]
    let inode = 0;
    format!("{inode}.{born}")
}

fn has_birth_time(handle: &Handle) -> bool {
    handle.metadata().is_ok_and(|found| found.created().is_ok())
}

/// The paths of the `number`th pair. If the names would be too long, the target's name is truncated and a hash of it
/// is appended.
fn names(target: &Path, number: u32) -> (PathBuf, PathBuf) {
    let suffix = if number == 1 { ".part".to_owned() } else { format!(".{number}.part") };
    let with = |end: &str| {
        let mut name = target.file_name().unwrap_or_default().to_owned();
        let room = LONGEST - ".json".len() - suffix.len();
        if name.len() > room {
            let hash = blake3::hash(name.as_encoded_bytes()).to_hex();
            let mut start = name.to_string_lossy().into_owned();
            while start.len() > room - 9 {
                start.pop();
            }
            name = format!("{start}~{}", &hash[..8]).into();
        }
        name.push(&suffix);
        name.push(end);
        target.with_file_name(name)
    };
    (with(""), with(".json"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::model::Checksums;
    use crate::property::holds;

    fn file() -> impl Strategy<Value = File> {
        let size = prop::option::of(0u64..40);
        let text = || {
            prop_oneof![prop::sample::select(&["a", "b", ""][..]).prop_map(str::to_owned), any::<String>()]
        };
        (text(), text(), size, prop::option::of("[0-9a-f]{0,4}")).prop_map(|(profile, id, size, md5)| File {
            profile,
            id: id.into(),
            size,
            checksums: Checksums { md5, ..Checksums::default() },
            ..File::default()
        })
    }

    fn version() -> impl Strategy<Value = Version> {
        (prop::option::of(".{0,8}"), prop::option::of(any::<u64>()), prop::bool::weighted(0.2))
            .prop_map(|(validator, total, derived)| Version { validator, total, derived })
    }

    /// A change to a part or its note between two runs.
    #[derive(Clone, Debug)]
    enum Change {
        Nothing,
        /// One bit of the part is flipped.
        Flipped(prop::sample::Index),
        /// The part is truncated to this length.
        Cut(usize),
        Grown,
        /// The part or the note is replaced by a file that haul did not create.
        Part(Vec<u8>),
        Note(Vec<u8>),
        PartGone,
        NoteGone,
    }

    fn change() -> impl Strategy<Value = Change> {
        let junk = || {
            prop_oneof![
                any::<Vec<u8>>(),
                prop::sample::select(&["{}", "{\"made_by\":\"\"}", "{\"of\":7}", "null", ""][..])
                    .prop_map(|text| text.as_bytes().to_vec()),
            ]
        };
        prop_oneof![
            4 => Just(Change::Nothing),
            1 => any::<prop::sample::Index>().prop_map(Change::Flipped),
            1 => (0usize..30).prop_map(Change::Cut),
            1 => Just(Change::Grown),
            1 => junk().prop_map(Change::Part),
            1 => junk().prop_map(Change::Note),
            1 => Just(Change::PartGone),
            1 => Just(Change::NoteGone),
        ]
    }

    fn snapshot(folder: &Path) -> BTreeMap<String, Vec<u8>> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
        entries
            .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
            .collect()
    }

    #[test]
    fn properties_only_bytes_that_match_the_note_are_resumed() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let open = |target: &Path, file: &File, resume: bool| {
            let kept = resume.then(|| file.size.unwrap_or(u64::MAX));
            runtime.block_on(Part::named(target, state_of(file), kept)).unwrap()
        };
        let inputs = (file(), file(), version(), 1usize..30, change(), any::<bool>(), any::<bool>());
        holds("part: only bytes that match the note are resumed", inputs, |input| {
            let (first, second, version, count, change, resume, again) = input;
            let folder = tempfile::tempdir().unwrap();
            let target = folder.path().join("target");
            let second = if again { first.clone() } else { second };
            let (path, note) = names(&target, 1);
            let mut part = open(&target, &first, true);
            prop_assert_eq!((part.have(), part.version()), (0, &Version::default()));
            part.begin(0, version.clone()).unwrap();
            part.write(&vec![7; count]).unwrap();
            drop(part);
            let before = fs::read(&path).unwrap();
            prop_assert_eq!(before.len(), count);
            prop_assert!(is_own(&path) && is_own(&note));
            match &change {
                Change::Nothing => {}
                Change::Flipped(at) => {
                    let mut bytes = before.clone();
                    bytes[at.index(count)] ^= 1;
                    fs::write(&path, bytes).unwrap();
                }
                Change::Cut(length) => fs::write(&path, &before[..count.min(*length)]).unwrap(),
                Change::Grown => fs::write(&path, [&before[..], b"more"].concat()).unwrap(),
                Change::Part(junk) => {
                    fs::write(folder.path().join("new"), junk).unwrap();
                    fs::rename(folder.path().join("new"), &path).unwrap();
                }
                Change::Note(junk) => fs::write(&note, junk).unwrap(),
                Change::PartGone => fs::remove_file(&path).unwrap(),
                Change::NoteGone => fs::remove_file(&note).unwrap(),
            }
            let is_foreign = matches!(change, Change::Part(_) | Change::Note(_) | Change::NoteGone);
            prop_assert_eq!(is_own(&path), path.exists() && !is_foreign);
            let mut foreign = snapshot(folder.path());
            let (in_name, of_note) = ("target.part".to_owned(), "target.part.json".to_owned());
            match &change {
                // A part without a note counts as a file that haul did not create.
                Change::Part(_) => foreign.retain(|name, _| *name == in_name),
                Change::NoteGone | Change::Note(_) => {}
                _ => foreign.clear(),
            }
            let same = format!("{first:?}") == format!("{second:?}");
            let fits = second.size.is_none_or(|size| count as u64 <= size) && !version.derived;
            let whole = match change {
                Change::Nothing | Change::Grown => true,
                Change::Cut(length) => length >= count,
                _ => false,
            };
            let mut next = open(&target, &second, resume);
            if same && fits && whole && resume {
                prop_assert_eq!((next.have(), next.version()), (count as u64, &version));
            } else if next.have() > 0 {
                // The files differ only in fields that do not affect their content.
                let of = |file: &File| {
                    (file.profile.clone() + ":" + file.id.as_str(), file.size, file.checksums.clone())
                };
                prop_assert!(
                    of(&first) == of(&second) && fits && whole && resume,
                    "{:?} {:?}",
                    first,
                    second
                );
            }
            let kept = next.have();
            next.begin(kept, version).unwrap();
            next.write(b"end").unwrap();
            runtime.block_on(next.publish(&target, false)).unwrap();
            let mut left = snapshot(folder.path());
            let expected = [&vec![7; usize::try_from(kept).unwrap()][..], b"end"].concat();
            prop_assert_eq!(left.remove("target"), Some(expected));
            left.retain(|name, _| *name != of_note || foreign.contains_key(name));
            prop_assert_eq!(left, foreign, "foreign files are kept and nothing else is left");
            Ok(())
        });
    }

    #[test]
    fn properties_the_names_of_a_part_fit_and_differ() {
        let name = prop_oneof!["[a-z]{1,255}", "[xé日]{1,85}", "x{240,255}", ".{1,60}"];
        let name = name.prop_filter("a file name", |name| {
            name.len() <= 255 && !name.contains(['/', '\0']) && !matches!(name.as_str(), "." | "..")
        });
        let inputs = (name.clone(), name, 1u32..100);
        holds("part: the names of a part fit and differ", inputs, |(one, other, number)| {
            let of = |name: &str, number| names(&Path::new("folder").join(name), number);
            for (path, text) in [of(&one, number).0, of(&one, number).1].map(|path| {
                let text = path.file_name().unwrap().to_str().unwrap().to_owned();
                (path, text)
            }) {
                prop_assert!(text.len() <= 255 && path.parent() == Some(Path::new("folder")), "{}", text);
                prop_assert!(text != one);
            }
            if one.len() <= 240 {
                prop_assert_eq!(of(&one, 1).0, Path::new("folder").join(format!("{one}.part")));
            }
            if one != other {
                prop_assert_ne!(of(&one, number), of(&other, number));
            }
            prop_assert_ne!(of(&one, number), of(&one, number + 1));
            Ok(())
        });
    }

    #[tokio::test]
    async fn a_small_file_appears_once_it_is_complete() {
        let file = File { size: Some(4), ..File::default() };
        for (appeared, overwrite) in [(None, false), (None, true), (Some("old"), false), (Some("old"), true)]
        {
            let folder = tempfile::tempdir().unwrap();
            let target = folder.path().join("target");
            // A file that haul did not create, under the name of a part.
            fs::write(folder.path().join("target.part"), "mine").unwrap();
            let mut part = Part::open(&target, &file, true).await.unwrap();
            part.begin(0, Version::default()).unwrap();
            part.write(b"new!").unwrap();
            if cfg!(target_os = "linux") {
                assert_eq!(snapshot(folder.path()).len(), 1);
            }
            if let Some(old) = appeared {
                fs::write(&target, old).unwrap();
            }
            let published = part.publish(&target, overwrite).await;
            assert_eq!(published.is_ok(), appeared.is_none() || overwrite, "{published:?}");
            let mut left = snapshot(folder.path());
            let expected = if published.is_ok() { "new!" } else { "old" };
            assert_eq!(left.remove("target").unwrap(), expected.as_bytes());
            assert_eq!(left, BTreeMap::from([("target.part".to_owned(), b"mine".to_vec())]));
        }
    }

    #[test]
    fn concurrent_downloads_recognize_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        let download = || {
            for _ in 0..2_000 {
                match Pair::claim(&target, 1) {
                    Ok(Some(pair)) => {
                        pair.make(false, false).unwrap();
                        fs::remove_file(&pair.path).unwrap();
                        pair.drop_note();
                    }
                    Ok(None) => panic!("took the other's part for a file that haul did not create"),
                    Err(error) => assert!(error.message().ends_with("another download is writing to it")),
                }
            }
        };
        std::thread::scope(|scope| (0..3).for_each(|_| drop(scope.spawn(download))));
        assert!(snapshot(folder.path()).is_empty());
    }

    #[test]
    fn notes_of_any_length_can_be_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("note");
        let file = fs::File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        let long = Note { blake3: Some("0".repeat(64)), have: u64::MAX, ..Note::begun() };
        let mut length = 0;
        for note in [Note::begun(), long.clone(), Note::begun(), long] {
            length = note.write(&file, length).unwrap();
            assert_eq!(Note::at(&path), Some(note));
        }
    }
}

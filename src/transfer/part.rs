//! The `.part` file of a download: the first bytes so far, a note of whose they are, and how it gets its name.

use std::fs::{self, File as Handle};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::locked;
use crate::error::{Error, Result};
use crate::model::File;

/// Files up to this size are downloaded anew rather than continued in another run: no note is written for them.
const SMALL: u64 = 256 * 1024;

/// A `.part` file that this process alone writes.
pub(super) struct Part {
    pub(super) path: PathBuf,
    pub(super) handle: Handle,
    /// The first bytes that are there already.
    pub(super) have: u64,
    /// What identified the content that they are of.
    pub(super) validator: Option<String>,
    note: PathBuf,
    identity: String,
    small: bool,
}

/// Whose bytes a `.part` file has.
#[derive(Serialize, Deserialize)]
struct Note {
    of: String,
    validator: Option<String>,
}

impl Part {
    /// Opens or makes `TARGET.part`. Bytes of an earlier run stay if they are of this file in this state.
    pub(super) fn open(target: &Path, file: &File, resume: bool) -> Result<Self> {
        let (path, note) = (with(target, ".part"), with(target, ".part.json"));
        let failed = |error: std::io::Error| Error::io("write", &path, &error);
        let Some(mut handle) = locked::open(&path).map_err(failed)? else {
            return Err(Error::failed(format!("{}: another download is writing to it", path.display())));
        };
        let identity = format!(
            "{}:{} {:?} {:?} {:?}",
            file.profile, file.id, file.size, file.updated_at, file.checksums
        );
        let mut have = handle.metadata().map_err(failed)?.len();
        if have > SMALL && note.symlink_metadata().is_err() {
            // A part as large as this has had a note since its first byte: this is somebody's file.
            return Err(Error::failed(format!(
                "{}: exists already, and is no part of a download",
                path.display()
            ))
            .hint("give it another name, or choose another target: `-o FILE`"));
        }
        let noted = if have > 0 && resume { read_note(&note, &identity) } else { None };
        if have > 0 && (noted.is_none() || file.size.is_some_and(|size| have > size)) {
            handle.set_len(0).map_err(failed)?;
            have = 0;
        }
        handle.seek(SeekFrom::Start(have)).map_err(failed)?;
        let validator = noted.and_then(|noted| noted.validator);
        let small = file.size.is_some_and(|size| size <= SMALL);
        Ok(Self { path, handle, have, validator, note, identity, small })
    }

    /// Notes of which content the bytes are from here on. Call it once bytes of another content are gone.
    pub(super) fn note(&self, validator: Option<&str>) -> Result<()> {
        if self.small {
            return Ok(());
        }
        let note = Note { of: self.identity.clone(), validator: validator.map(str::to_owned) };
        let text = serde_json::to_vec(&note).unwrap_or_default();
        // Made anew, so that nothing is written through a link of that name.
        let _ = fs::remove_file(&self.note);
        let made = Handle::create_new(&self.note).and_then(|mut file| file.write_all(&text));
        made.map_err(|error| Error::io("write", &self.note, &error))
    }

    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.handle.metadata().is_ok_and(|metadata| metadata.len() == 0)
    }

    /// Removes it: its bytes are no start for another run.
    pub(super) fn discard(&self) {
        let _ = fs::remove_file(&self.path);
        self.drop_note();
    }

    /// Gives the whole file its name in one step. Without `overwrite` a file that has appeared meanwhile stays.
    pub(super) fn publish(&self, target: &Path, overwrite: bool) -> Result<()> {
        let given = if overwrite { fs::rename(&self.path, target) } else { self.rename_anew(target) };
        given.map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => exists(target),
            _ => Error::io("write", target, &error),
        })?;
        self.drop_note();
        Ok(())
    }

    fn rename_anew(&self, target: &Path) -> std::io::Result<()> {
        let part = tempfile::TempPath::try_from_path(&self.path)?;
        part.persist_noclobber(target).map_err(|failed| {
            // Not a temporary file: what came stays for the next try.
            let _ = failed.path.keep();
            failed.error
        })
    }

    fn drop_note(&self) {
        if !self.small {
            let _ = fs::remove_file(&self.note);
        }
    }
}

/// The refusal to overwrite.
pub(super) fn exists(path: &Path) -> Error {
    Error::failed(format!("{}: exists already", path.display()))
        .hint("add `--overwrite` or `--skip-existing`")
}

fn read_note(note: &Path, identity: &str) -> Option<Note> {
    let note: Note = serde_json::from_slice(&fs::read(note).ok()?).ok()?;
    (note.of == identity).then_some(note)
}

fn with(target: &Path, suffix: &str) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod properties;

//! The store's directory: content by its SHA-256, copies for other programs, and what is in doubt.
//!
//! ```text
//! index.sqlite                the index, with its -wal and -shm
//! generation                  number of changes that the index contains
//! lock                        held while a process opens the store
//! incoming/UNIQUE             content that is being received, locked by whoever receives it
//! blobs/ab/SHA256             content that rows refer to
//! links/LINK/NAME             read-only copies for other programs
//! doubtful/blob.SHA256.UNIQUE content that a change under way is about to refer to, or has ceased to
//! doubtful/link.LINK.UNIQUE   the same of a copy
//! ```
//!
//! A row and a file cannot change in one step. So whoever gives content its place or takes its last row away first
//! leaves a mark that says which content is in doubt; the change is committed; then the mark goes, and the content,
//! too, if nothing refers to it. After a crash the marks tell the next start where to look, however large the store.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::incoming::{self, Temporary};
use crate::error::{Error, Result};

const SHA256_DIGITS: usize = 64;

/// The directory of a store.
pub(super) struct Blobs {
    pub(super) root: PathBuf,
    /// Whether what is written must survive a power failure.
    pub(super) sync: bool,
}

/// What may have to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// The content with this SHA-256.
    Blob(String),
    /// The copy with this id.
    Link(String),
}

impl Subject {
    /// Whether the name is valid in the store.
    pub(super) fn is_valid(&self) -> bool {
        let (Self::Blob(name) | Self::Link(name)) = self;
        is_name(name)
    }
}

/// A mark that something is in doubt. It stays until it is [settled](Doubt::settled).
#[must_use]
pub(super) struct Doubt {
    pub(super) subject: Subject,
    mark: PathBuf,
}

impl Doubt {
    /// There is no doubt any more.
    pub(super) fn settled(self) -> Result<()> {
        gone(fs::remove_file(&self.mark)).map_err(|error| Error::io("remove", &self.mark, error))
    }
}

impl Blobs {
    /// Makes what is missing of the directory.
    pub(super) fn create(root: &Path, sync: bool) -> Result<Self> {
        let blobs = Self { root: root.to_owned(), sync };
        for directory in [root.to_owned(), blobs.incoming(), blobs.blobs(), blobs.links(), blobs.doubtful()] {
            make_private(&directory).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => Error::failed(format!("{}: cannot be made", directory.display())),
                _ => Error::io("make the directory", &directory, error),
            })?;
        }
        Ok(blobs)
    }

    pub(super) fn incoming(&self) -> PathBuf {
        self.root.join("incoming")
    }

    pub(super) fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    fn links(&self) -> PathBuf {
        self.root.join("links")
    }

    fn doubtful(&self) -> PathBuf {
        self.root.join("doubtful")
    }

    /// Where content is. A SHA-256 that is none gets a path at which nothing is.
    pub(super) fn blob(&self, sha256: &str) -> PathBuf {
        let name = if is_name(sha256) { sha256 } else { "none" };
        self.blobs().join(&name[..2]).join(name)
    }

    /// The directory of a copy.
    pub(super) fn link(&self, id: &str) -> PathBuf {
        self.links().join(if is_name(id) { id } else { "none" })
    }

    /// Removes what dead processes were receiving.
    pub(super) fn clear_incoming(&self) -> Result<()> {
        let directory = self.incoming();
        incoming::clear(&directory).map_err(|error| Error::io("clear", &directory, error))
    }

    /// The SHA-256 digests of all blobs on disk.
    pub(super) fn contents(&self) -> Result<HashSet<String>> {
        let mut contents = HashSet::new();
        for directory in entries(&self.blobs())?.into_iter().filter(|path| path.is_dir()) {
            for path in entries(&directory)? {
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                if name.len() == SHA256_DIGITS && self.blob(name) == path {
                    contents.insert(name.to_owned());
                }
            }
        }
        Ok(contents)
    }

    /// Moves content to its final path. An existing blob, which may be damaged, is replaced.
    pub(super) fn place(&self, content: Temporary, sha256: &str) -> Result<()> {
        self.put_in_place(content, &self.blob(sha256))
    }

    /// Gives a file its place, so that it is still there after a power failure.
    pub(super) fn put_in_place(&self, content: Temporary, target: &Path) -> Result<()> {
        let directory = target.parent().expect("a file in the store has a directory");
        let failed = |error: io::Error| Error::failed("the store cannot keep content").caused_by(error);
        let is_new = !directory.exists();
        make_private(directory).map_err(failed)?;
        content.place(target).map_err(failed)?;
        if self.sync {
            sync_directory(directory).map_err(failed)?;
            if let Some(parent) = directory.parent().filter(|_| is_new) {
                sync_directory(parent).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Opens content.
    pub(super) fn open(&self, sha256: &str) -> io::Result<File> {
        File::open(self.blob(sha256))
    }

    /// Removes content or a copy.
    pub(super) fn remove(&self, subject: &Subject) -> Result<()> {
        let (path, removed) = match subject {
            Subject::Blob(sha256) => {
                let path = self.blob(sha256);
                let removed = fs::remove_file(&path);
                (path, removed)
            }
            Subject::Link(id) => {
                let path = self.link(id);
                let removed = fs::remove_dir_all(&path);
                (path, removed)
            }
        };
        gone(removed).map_err(|error| Error::io("remove", &path, error))
    }

    /// Marks something as in doubt.
    pub(super) fn doubt(&self, subject: Subject) -> Result<Doubt> {
        let (kind, name) = match &subject {
            Subject::Blob(sha256) => ("blob", sha256),
            Subject::Link(id) => ("link", id),
        };
        // Unique: two processes may doubt the same content, and each removes its own mark only.
        let mark = self.doubtful().join(format!("{kind}.{name}.{}", Uuid::new_v4().simple()));
        File::create_new(&mark).map_err(|error| Error::io("make", &mark, error))?;
        Ok(Doubt { subject, mark })
    }

    /// All marks.
    pub(super) fn doubts(&self) -> Result<Vec<Doubt>> {
        let mut doubts = Vec::new();
        for mark in entries(&self.doubtful())? {
            let name = mark.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let mut parts = name.splitn(3, '.');
            let subject = match (parts.next(), parts.next()) {
                (Some("blob"), Some(sha256)) => Subject::Blob(sha256.to_owned()),
                (Some("link"), Some(id)) => Subject::Link(id.to_owned()),
                _ => continue,
            };
            if subject.is_valid() {
                doubts.push(Doubt { subject, mark });
            }
        }
        Ok(doubts)
    }
}

/// The paths in a directory.
fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let paths = || fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>();
    paths().map_err(|error| Error::io("read", directory, error))
}

/// Only lower-case letters and digits, so that nothing from the index or a directory listing can lead out of the store.
fn is_name(text: &str) -> bool {
    text.len() >= 2 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// Something that is gone already has been removed.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Makes a directory that only its owner can read: the files in it are the user's own.
fn make_private(directory: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

/// Makes the names in a directory survive a power failure; elsewhere than on Unix the system does so unasked.
fn sync_directory(directory: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}

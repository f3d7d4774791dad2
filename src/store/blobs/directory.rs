//! The store's directory: content stored by its SHA-256, copies for other programs, and marks for pending removals.
//!
//! ```text
//! index.sqlite                the index, with its -wal and -shm
//! reserve                     space that a deletion needs on a full disk
//! generation                  number of changes that the index contains
//! lock                        held while a process opens the store
//! incoming/UNIQUE             content being received, locked by the receiving process
//! blobs/ab/SHA256             content that rows refer to
//! links/LINK/NAME             read-only copies for other programs
//! doubtful/blob.SHA256.UNIQUE mark: a change may leave this content without a row
//! doubtful/link.LINK.UNIQUE   the same for a copy for other programs
//! ```
//!
//! A row and a file cannot be changed in one atomic step. Therefore a mark is written before content is moved to its
//! final path or loses its last row. After the commit, the content is removed if no row refers to it, followed by the
//! mark. After a crash, the next start checks only the marked content.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::error::{Error, Result};
use crate::store::incoming::{self, Temporary};

const SHA256_DIGITS: usize = 64;

/// A store's directory.
#[derive(Clone)]
pub(in crate::store) struct Directory {
    pub(in crate::store) root: PathBuf,
    /// Whether content must survive a power failure.
    pub(in crate::store) sync: bool,
}

/// A blob or a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) enum Subject {
    /// The blob with this SHA-256.
    Blob(String),
    /// The copy with this id.
    Link(String),
}

impl Subject {
    /// Whether the name is a valid name in the store.
    pub(in crate::store) fn is_valid(&self) -> bool {
        let (Self::Blob(name) | Self::Link(name)) = self;
        is_name(name)
    }
}

/// The mark for a pending removal.
#[must_use]
pub(in crate::store) struct Pending {
    pub(in crate::store) subject: Subject,
    mark: PathBuf,
}

impl Pending {
    /// Removes the mark.
    pub(in crate::store) fn clear(self) -> Result<()> {
        ignore_missing(fs::remove_file(&self.mark)).map_err(|error| Error::io("remove", &self.mark, error))
    }
}

impl Directory {
    /// Creates the missing parts of the directory.
    pub(in crate::store) fn create(&self) -> Result<()> {
        for directory in [self.root.clone(), self.incoming(), self.blobs(), self.links(), self.doubtful()] {
            make_private(&directory).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => {
                    Error::failed(format!("{}: cannot create the directory", directory.display()))
                }
                _ => Error::io("create the directory", &directory, error),
            })?;
        }
        Ok(())
    }

    pub(in crate::store) fn incoming(&self) -> PathBuf {
        self.root.join("incoming")
    }

    pub(in crate::store) fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    fn links(&self) -> PathBuf {
        self.root.join("links")
    }

    fn doubtful(&self) -> PathBuf {
        self.root.join("doubtful")
    }

    /// The path of a blob. An invalid SHA-256 maps to a path that never exists.
    pub(in crate::store) fn blob(&self, sha256: &str) -> PathBuf {
        let name = if is_name(sha256) { sha256 } else { "none" };
        self.blobs().join(&name[..2]).join(name)
    }

    /// The directory of a copy. An invalid id maps to a path that never exists.
    pub(in crate::store) fn link(&self, id: &str) -> PathBuf {
        self.links().join(if is_name(id) { id } else { "none" })
    }

    /// Removes content that was being received by processes that are no longer running.
    pub(in crate::store) fn clear_incoming(&self) -> Result<()> {
        let directory = self.incoming();
        incoming::clear(&directory).map_err(|error| Error::io("clear", &directory, error))
    }

    /// The SHA-256 digests of all blobs on disk.
    pub(in crate::store) fn contents(&self) -> Result<HashSet<String>> {
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

    /// The SHA-256 digests of the blobs without a mark. In an intact store, rows refer to all of them.
    pub(in crate::store) fn settled(&self) -> Result<HashSet<String>> {
        let mut contents = self.contents()?;
        for pending in self.pending()? {
            if let Subject::Blob(sha256) = &pending.subject {
                contents.remove(sha256);
            }
        }
        Ok(contents)
    }

    /// Moves content to its final path. An existing blob is replaced because it may be damaged.
    pub(in crate::store) fn place(&self, content: Temporary, sha256: &str) -> Result<()> {
        self.put_in_place(content, &self.blob(sha256))
    }

    /// Moves a file to its final path and, if the store is synced, syncs the directories.
    pub(in crate::store) fn put_in_place(&self, content: Temporary, target: &Path) -> Result<()> {
        let directory = target.parent().expect("a file in the store has a parent directory");
        let failed = |error: io::Error| Error::failed("cannot write content to the store").caused_by(error);
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
    pub(in crate::store) fn open(&self, sha256: &str) -> io::Result<File> {
        File::open(self.blob(sha256))
    }

    /// Removes a blob or a copy.
    pub(in crate::store) fn remove(&self, subject: &Subject) -> Result<()> {
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
        ignore_missing(removed).map_err(|error| Error::io("remove", &path, error))
    }

    /// Writes a mark for a blob or a copy.
    pub(in crate::store) fn mark(&self, subject: Subject) -> Result<Pending> {
        let (kind, name) = match &subject {
            Subject::Blob(sha256) => ("blob", sha256),
            Subject::Link(id) => ("link", id),
        };
        // The name is unique because two processes may mark the same content, and each removes only its own mark.
        let mark = self.doubtful().join(format!("{kind}.{name}.{}", Uuid::new_v4().simple()));
        File::create_new(&mark).map_err(|error| Error::io("create", &mark, error))?;
        Ok(Pending { subject, mark })
    }

    /// All marks.
    pub(in crate::store) fn pending(&self) -> Result<Vec<Pending>> {
        let mut pending = Vec::new();
        for mark in entries(&self.doubtful())? {
            let name = mark.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let mut parts = name.splitn(3, '.');
            let subject = match (parts.next(), parts.next()) {
                (Some("blob"), Some(sha256)) => Subject::Blob(sha256.to_owned()),
                (Some("link"), Some(id)) => Subject::Link(id.to_owned()),
                _ => continue,
            };
            if subject.is_valid() {
                pending.push(Pending { subject, mark });
            }
        }
        Ok(pending)
    }
}

/// The paths in a directory; empty if the directory does not exist.
fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let paths = || fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>();
    match paths() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        paths => paths.map_err(|error| Error::io("read", directory, error)),
    }
}

/// Whether the text consists of lowercase letters and digits, so that nothing from the index or a directory listing
/// can lead outside the store.
pub(in crate::store) fn is_name(text: &str) -> bool {
    text.len() >= 2 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// Treats a missing file as already removed.
pub(in crate::store) fn ignore_missing(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Creates a directory that only its owner can read.
fn make_private(directory: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

/// Syncs the names in a directory, which is necessary only on Unix.
fn sync_directory(directory: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}

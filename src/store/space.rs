//! Stores that cannot be written: full disks and read-only directories.
//!
//! Changing the index needs space even to delete something. The file `reserve` holds that space while the disk has
//! some; on a full disk, it is removed before a deletion and created again afterward.

use std::error::Error as StdError;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::error::Error;

/// Size of the reserve. A deletion writes about 30 pages of 4 KiB to the log of the index, which also has 32 KiB of
/// shared memory.
const RESERVE: usize = 256 * 1024;
/// Number of bytes written to find out why the index cannot be written.
const PROBE: usize = 64 * 1024;

/// Whether a failed operation means that the store is read-only.
pub(super) fn is_unwritable(error: &Error) -> bool {
    use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    is_full(error) || matches!(io_kind(error), Some(PermissionDenied | ReadOnlyFilesystem))
}

/// Whether a failed operation means that no space is left.
pub(super) fn is_full(error: &Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(io_kind(error), Some(StorageFull | QuotaExceeded | FileTooLarge))
}

fn io_kind(error: &Error) -> Option<io::ErrorKind> {
    let mut sources = std::iter::successors(error.source(), |&source| source.source());
    sources.find_map(|source| source.downcast_ref::<io::Error>()).map(io::Error::kind)
}

/// The reason why `directory` cannot be written to, which `SQLite` does not report.
pub(super) fn write_problem(directory: &Path) -> Option<io::Error> {
    let path = directory.join(format!(".probe-{}", Uuid::new_v4().simple()));
    let written = write_filler(&path, PROBE);
    let _ = fs::remove_file(&path);
    written.err()
}

/// The reserve of a store. It is created again when the store is closed, after the log's space has been freed.
pub(super) struct Reserve {
    path: Option<PathBuf>,
}

impl Reserve {
    /// The reserve in `root`. A temporary store has none.
    pub(super) fn new(root: &Path, ephemeral: bool) -> Self {
        Self { path: (!ephemeral).then(|| root.join("reserve")) }
    }

    /// No reserve, for a store that is not in a directory.
    #[cfg(feature = "shared")]
    pub(super) fn none() -> Self {
        Self { path: None }
    }

    /// Creates the file unless it exists or there is no space for it.
    pub(super) fn keep(&self) {
        let Some(path) = &self.path else { return };
        if fs::metadata(path).is_ok_and(|found| found.len() == RESERVE as u64) {
            return;
        }
        if write_filler(path, RESERVE).is_err() {
            let _ = fs::remove_file(path);
        }
    }

    /// Removes the file. Returns false if it does not exist.
    pub(super) fn release(&self) -> bool {
        self.path.as_ref().is_some_and(|path| fs::remove_file(path).is_ok())
    }
}

impl Drop for Reserve {
    fn drop(&mut self) {
        if self
            .path
            .as_ref()
            .and_then(|path| path.parent())
            .is_some_and(|root| root.join("index.sqlite").exists())
        {
            self.keep();
        }
    }
}

/// Writes bytes that a file system cannot compress.
fn write_filler(path: &Path, size: usize) -> io::Result<()> {
    let mut bytes = vec![0; size];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    let mut file = File::create(path)?;
    file.write_all(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_classified_by_their_source() {
        let failed = |kind: io::ErrorKind| Error::failed("x").caused_by(io::Error::from(kind));
        for (kind, full, unwritable) in [
            (io::ErrorKind::StorageFull, true, true),
            (io::ErrorKind::QuotaExceeded, true, true),
            (io::ErrorKind::FileTooLarge, true, true),
            (io::ErrorKind::PermissionDenied, false, true),
            (io::ErrorKind::ReadOnlyFilesystem, false, true),
            (io::ErrorKind::NotFound, false, false),
        ] {
            let error = failed(kind);
            assert_eq!((is_full(&error), is_unwritable(&error)), (full, unwritable), "{kind}");
        }
        assert!(!is_unwritable(&Error::failed("x")));
    }

    #[test]
    fn the_reserve_is_kept_once_and_released_once() {
        let home = tempfile::tempdir().unwrap();
        assert!(write_problem(home.path()).is_none());
        let reserve = Reserve::new(home.path(), false);
        for _ in 0..2 {
            reserve.keep();
            assert_eq!(fs::metadata(home.path().join("reserve")).unwrap().len(), RESERVE as u64);
        }
        assert!(reserve.release() && !reserve.release());
        drop(reserve);
        Reserve::new(home.path(), true).keep();
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
        assert!(write_problem(&home.path().join("missing")).is_some());
    }
}

//! Stamps that show whether a local file has changed, without reading it.

use std::fs;
use std::path::Path;

use super::to_i64;
use crate::model::{File, NewFile, Source};

/// The metadata of a local file that changes when the file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::transfer) struct Stamp {
    pub(super) size: i64,
    /// The modification time, in nanoseconds since 1970.
    pub(super) mtime: i64,
    pub(super) ctime: i64,
    pub(super) inode: i64,
}

impl Stamp {
    /// The stamp of an upload's source; `None` unless the source is a regular file with a path or a file on a platform.
    pub(in crate::transfer) fn of_source(new: &NewFile) -> Option<Self> {
        match &new.source {
            Source::Path(path) => Self::of(path),
            Source::Remote(remote) => Some(Self::of_remote(remote.file())),
            Source::Spooled(_) | Source::Bytes(_) => None,
        }
    }

    fn of_remote(file: &File) -> Self {
        let changed = file.updated_at.or(file.created_at);
        let mtime = changed.and_then(|time| i64::try_from(time.as_nanosecond()).ok()).unwrap_or_default();
        Self { size: to_i64(file.size.unwrap_or_default()), mtime, ctime: 0, inode: 0 }
    }

    /// The stamp of a file; `None` unless it is a regular file.
    #[cfg(unix)]
    pub(in crate::transfer) fn of(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let found = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
        let nanos = |seconds: i64, nanos: i64| seconds.saturating_mul(1_000_000_000).saturating_add(nanos);
        Some(Self {
            size: to_i64(found.len()),
            mtime: nanos(found.mtime(), found.mtime_nsec()),
            ctime: nanos(found.ctime(), found.ctime_nsec()),
            inode: found.ino().cast_signed(),
        })
    }

    /// The stamp of a file; `None` unless it is a regular file.
    #[cfg(not(unix))]
    pub(in crate::transfer) fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
        Some(Self { size: to_i64(found.len()), mtime: nanos(found.modified().ok()?), ctime: 0, inode: 0 })
    }
}

#[cfg(not(unix))]
fn nanos(time: std::time::SystemTime) -> i64 {
    let since = time.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_nanos();
    i64::try_from(since).unwrap_or(i64::MAX)
}

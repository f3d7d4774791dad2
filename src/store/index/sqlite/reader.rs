//! Read-only connections.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;
use url::Url;

use super::{BUSY_TIMEOUT, CACHE_KIB, failed};
use crate::error::{Error, Result};
use crate::store::space;

/// A read-only connection.
pub(super) struct Reader {
    pub(super) connection: Connection,
    /// The state of the files when they were opened, if SQLite does not notice changes to them.
    frozen: Option<Stamp>,
    /// A temporary copy of the index and its log.
    _copy: Option<TempDir>,
}

/// The size and modification time of an index file and the size of its log.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    size: u64,
    modified: Option<SystemTime>,
    log_size: u64,
}

impl Reader {
    /// A connection through which SQLite sees later changes to the index.
    pub(super) fn live(connection: Connection) -> Self {
        Self { connection, frozen: None, _copy: None }
    }

    /// Opens an index that cannot be written. Without a log, the file is complete and is read as is. With a log,
    /// SQLite needs the log's shared memory; if that can be neither opened nor created, copies are read instead.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let stamp = Stamp::of(path);
        if stamp.log_size == 0 {
            let full = std::path::absolute(path).map_err(|error| Error::io("find", path, error))?;
            let url = Url::from_file_path(&full);
            let url = url.map_err(|()| Error::failed(format!("{}: cannot be opened", full.display())))?;
            let name = format!("{url}?immutable=1").into();
            let connection = connect(path, name, OpenFlags::SQLITE_OPEN_URI)?;
            return Ok(Self { connection, frozen: Some(stamp), _copy: None });
        }
        connect(path, path.into(), OpenFlags::empty()).map(Self::live).or_else(|error| {
            if !space::is_unwritable(&error) {
                return Err(error);
            }
            let copy = tempfile::tempdir().map_err(|_| error.clone())?;
            let index = copy.path().join("index.sqlite");
            let copied = fs::copy(path, &index).and_then(|_| fs::copy(log_of(path), log_of(&index)));
            copied.map_err(|_| error)?;
            let connection = connect(path, index.into(), OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            Ok(Self { connection, frozen: Some(stamp), _copy: Some(copy) })
        })
    }

    /// Whether the connection sees the current state of the index.
    pub(super) fn is_current(&self, path: &Path) -> bool {
        self.frozen.is_none_or(|stamp| stamp == Stamp::of(path))
    }
}

impl Stamp {
    fn of(path: &Path) -> Self {
        let found = fs::metadata(path).ok();
        Self {
            size: found.as_ref().map_or(0, Metadata::len),
            modified: found.and_then(|found| found.modified().ok()),
            log_size: fs::metadata(log_of(path)).map_or(0, |found| found.len()),
        }
    }
}

/// The path of the log of an index.
pub(in crate::store) fn log_of(index: &Path) -> PathBuf {
    let mut log = index.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

fn connect(path: &Path, name: OsString, flags: OpenFlags) -> Result<Connection> {
    let writes = flags.contains(OpenFlags::SQLITE_OPEN_READ_WRITE);
    let access = if writes { OpenFlags::empty() } else { OpenFlags::SQLITE_OPEN_READ_ONLY };
    let open = || {
        let connection = Connection::open_with_flags(name, flags | access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        // This query opens the log.
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        Ok(connection)
    };
    open().map_err(|error| failed(path, &error))
}

//! Files that one process at a time may write.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

/// Opens or makes the file and locks it for as long as the handle lives. None if another handle has it, here or in
/// another process. A symbolic link is refused: what it points at is not this file.
pub(super) fn open(path: &Path) -> io::Result<Option<File>> {
    lock(path, OpenOptions::new().read(true).write(true).create(true).truncate(false))
}

/// The same of a file that is there: one that is not is an error, and is not made.
pub(super) fn open_existing(path: &Path) -> io::Result<Option<File>> {
    lock(path, OpenOptions::new().read(true).write(true))
}

/// Waits until no other handle has the file, which is made if it is not there: for what takes a moment.
pub(super) fn wait(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    // A file system without locks: as in `lock`.
    let _ = file.lock();
    Ok(file)
}

fn lock(path: &Path, options: &OpenOptions) -> io::Result<Option<File>> {
    loop {
        if path.symlink_metadata().is_ok_and(|found| found.is_symlink()) {
            return Err(io::Error::other("it is a symbolic link"));
        }
        let file = options.open(path)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(None),
            // A file system without locks: whoever uses it with two processes at once is on their own.
            Err(TryLockError::Error(_)) => return Ok(Some(file)),
            // Between opening and locking, the former owner may have given the file another name: then it is theirs.
            Ok(()) if is_at(&file, path) => return Ok(Some(file)),
            Ok(()) => {}
        }
    }
}

/// Whether this open file is the one at `path`.
#[cfg(unix)]
pub(super) fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let place = |metadata: io::Result<std::fs::Metadata>| metadata.ok().map(|it| (it.dev(), it.ino()));
    place(file.metadata()) == place(path.symlink_metadata())
}

#[cfg(not(unix))]
pub(super) fn is_at(_file: &File, path: &Path) -> bool {
    path.exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_handle_at_a_time_and_only_the_file_of_that_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let first = open(&path).unwrap().unwrap();
        assert!(open(&path).unwrap().is_none());
        drop(first);
        let second = open(&path).unwrap().unwrap();
        std::fs::rename(&path, folder.path().join("b")).unwrap();
        assert!(!is_at(&second, &path));
        assert!(open(&path).unwrap().is_some(), "the renamed file keeps its lock, the name is free");
    }

    #[cfg(unix)]
    #[test]
    fn nothing_is_opened_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (path, elsewhere) = (folder.path().join("a"), folder.path().join("elsewhere"));
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        assert!(open(&path).is_err());
        assert!(!elsewhere.exists());
    }
}

//! Files without a name, which disappear with the process unless they are linked.

use std::fs::File as Handle;
use std::io;
use std::path::Path;

/// Creates an unnamed file in `folder`; None if the file system does not support that.
#[cfg(target_os = "linux")]
pub(super) fn create(folder: &Path) -> io::Result<Option<Handle>> {
    use rustix::fs::{Mode, OFlags, open};
    use rustix::io::Errno;
    let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
    match open(folder, flags, Mode::from_raw_mode(0o666)) {
        Ok(file) => Ok(Some(file.into())),
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn create(_folder: &Path) -> io::Result<Option<Handle>> {
    Ok(None)
}

/// Links an unnamed file to `target`; fails if `target` exists.
#[cfg(target_os = "linux")]
pub(super) fn link(file: &Handle, target: &Path) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;

    use rustix::fs::{AtFlags, CWD, linkat};
    let open = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(linkat(CWD, open, CWD, target, AtFlags::SYMLINK_FOLLOW)?)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn link(_file: &Handle, _target: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

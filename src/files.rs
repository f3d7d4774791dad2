//! Writing files: path resolution, atomic replacement, locks and unnamed files.

use std::ffi::OsStr;
use std::fs::{self, File, FileType, Metadata, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Maximum number of symbolic links to follow, as in the Linux kernel.
const LINKS: usize = 40;

/// Prefix and suffix of temporary file names.
const TEMPORARY: (&str, &str) = (".haul-", ".tmp");

/// Names of standard output.
const STANDARD_OUTPUT: [&str; 4] = ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];

/// Names of standard error.
#[cfg(unix)]
const STANDARD_ERROR: [&str; 3] = ["/dev/stderr", "/dev/fd/2", "/proc/self/fd/2"];

/// The target of a path after symbolic links are resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A regular file at this path, or no file yet.
    File(PathBuf),
    /// A character device, a pipe or an open descriptor such as `/dev/fd/3`, which is written to directly.
    Stream,
}

/// Resolves `path`. Directories, sockets and block devices are errors.
pub fn place(path: &Path) -> io::Result<Place> {
    let Some(path) = follow(path)? else { return Ok(Place::Stream) };
    match fs::symlink_metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Place::File(path)),
        Err(error) => Err(error),
        Ok(found) if found.is_file() => Ok(Place::File(path)),
        Ok(found) if is_stream(found.file_type()) => Ok(Place::Stream),
        Ok(found) => Err(io::Error::other(format!("is {}", kind(found.file_type())))),
    }
}

/// Whether a path refers to standard output: `-`, `/dev/stdout` or an equivalent.
pub fn is_standard_output(path: &Path) -> bool {
    STANDARD_OUTPUT.iter().any(|name| path == Path::new(name))
}

/// Whether the program was started with a closed standard input.
pub fn is_closed_input() -> bool {
    is_closed(&io::stdin())
}

/// Whether the program was started with a closed standard output.
pub fn is_closed_output() -> bool {
    is_closed(&io::stdout())
}

/// Whether a standard stream was closed when the program started. The runtime then opens /dev/null for both reading and
/// writing, whereas a shell redirection opens it for only one of them. Python's `subprocess.DEVNULL` is
/// indistinguishable from a closed stream, so this must not affect commands whose output may be discarded.
#[cfg(target_os = "linux")]
fn is_closed(stream: &impl std::os::fd::AsFd) -> bool {
    use std::os::fd::AsRawFd as _;

    use rustix::fs::{OFlags, fcntl_getfl};
    let stream = stream.as_fd();
    let path = format!("/proc/self/fd/{}", stream.as_raw_fd());
    fcntl_getfl(stream).is_ok_and(|flags| flags.contains(OFlags::RDWR))
        && fs::read_link(path).is_ok_and(|path| path == Path::new("/dev/null"))
}

/// Not detected on this platform.
#[cfg(not(target_os = "linux"))]
fn is_closed<T>(_stream: &T) -> bool {
    false
}

/// Opens a [`Place::Stream`] for writing; a regular file behind a descriptor is appended to. Opening a pipe blocks
/// until it has a reader. Standard output and error are duplicated: a second open file would have its own position, and
/// the two would overwrite each other.
pub fn open_stream(path: &Path) -> io::Result<File> {
    #[cfg(unix)]
    {
        use std::os::fd::AsFd as _;
        if is_standard_output(path) {
            return io::stdout().as_fd().try_clone_to_owned().map(File::from);
        }
        if STANDARD_ERROR.iter().any(|name| path == Path::new(name)) {
            return io::stderr().as_fd().try_clone_to_owned().map(File::from);
        }
    }
    let is_file = fs::metadata(path).is_ok_and(|found| found.is_file());
    OpenOptions::new().write(true).append(is_file).open(path)
}

/// Creates a file or replaces its content atomically. If `path` is a symbolic link, the file that it points to is
/// replaced. A new file has mode 0600; an existing one keeps its mode unless `private` is set. A process killed
/// while it writes the content leaves no temporary file if the file system supports unnamed files.
pub fn replace(path: &Path, content: &[u8], private: bool) -> io::Result<()> {
    replace_with(path, private, |file| file.write_all(content))
}

/// Like [`replace`], but `write` writes the content. If an unnamed file cannot be linked, `write` is called again for a
/// named temporary file.
pub fn replace_with(
    path: &Path,
    private: bool,
    write: impl Fn(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let Place::File(path) = place(path)? else { return Err(io::Error::other("not a regular file")) };
    let folder = folder_of(&path);
    let write_into = |file: &mut File| {
        write(file)?;
        if let Ok(old) = fs::metadata(&path)
            && !private
        {
            keep_mode(file, &old);
        }
        file.sync_all()
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY.0).suffix(TEMPORARY.1);
    if let Some(mut file) = create_unnamed(folder)? {
        set_private(&file)?;
        write_into(&mut file)?;
        // Linking requires /proc.
        if let Ok(linked) = builder.make_in(folder, |name| link_unnamed(&file, name)) {
            return linked.persist(&path).map_err(|error| error.error);
        }
    }
    // A temporary file has mode 0600.
    let mut file = builder.tempfile_in(folder)?;
    write_into(file.as_file_mut())?;
    file.persist(&path).map_err(|error| error.error)?;
    Ok(())
}

/// Sets mode 0600.
pub fn set_private(file: &File) -> io::Result<()> {
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}

/// The mode of a file if it grants any permission to users other than the owner. `None` on systems without modes.
pub fn shared_mode(metadata: &Metadata) -> Option<u32> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = metadata.permissions().mode() & 0o7777;
        (mode & 0o077 != 0).then_some(mode)
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        None
    }
}

/// Whether this is a name that [`replace`] gives to temporary files.
pub fn is_temporary(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(TEMPORARY.0.as_bytes()) && name.ends_with(TEMPORARY.1.as_bytes())
}

/// Copies the mode and, if permitted, the owner of the file `old` to its replacement `new`.
pub fn keep_mode(new: &File, old: &Metadata) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
        let owner = (old.uid(), old.gid());
        let is_same = || new.metadata().is_ok_and(|new| (new.uid(), new.gid()) == owner);
        let is_same = is_same() || (fchown(new, Some(owner.0), Some(owner.1)).is_ok() && is_same());
        // Keep set-user-ID and set-group-ID only for the same owner.
        let kept = if is_same { 0o7777 } else { 0o777 };
        // Some file systems do not support modes.
        let _ = new.set_permissions(fs::Permissions::from_mode(old.mode() & kept));
    }
    #[cfg(not(unix))]
    let _ = new.set_permissions(old.permissions());
}

/// The parent folder of a path; `.` if the path has no parent.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."))
}

/// Follows symbolic links to the final path, which may not exist. Returns `None` if that is an open descriptor of a
/// process.
fn follow(path: &Path) -> io::Result<Option<PathBuf>> {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        if is_in_descriptors(&path) {
            return Ok(None);
        }
        match fs::read_link(&path) {
            Ok(next) => path = path.with_file_name(next),
            Err(_) => return Ok(Some(path)),
        }
    }
    Err(io::Error::other("too many levels of symbolic links"))
}

/// Whether a path denotes an open descriptor, such as `/dev/stdin` or `/dev/fd/3`.
pub fn is_descriptor(path: &Path) -> bool {
    follow(path).is_ok_and(|end| end.is_none())
}

fn is_in_descriptors(path: &Path) -> bool {
    let folder = fs::canonicalize(folder_of(path)).unwrap_or_default();
    folder == Path::new("/dev/fd") || (folder.starts_with("/proc") && folder.ends_with("fd"))
}

#[cfg(unix)]
fn is_stream(found: FileType) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    found.is_char_device() || found.is_fifo()
}

#[cfg(not(unix))]
fn is_stream(_found: FileType) -> bool {
    false
}

/// A name for a file type other than a regular file, for messages.
pub fn kind(found: FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        for (is, name) in [
            (found.is_fifo(), "a pipe"),
            (found.is_char_device(), "a device"),
            (found.is_block_device(), "a block device"),
            (found.is_socket(), "a socket"),
        ] {
            if is {
                return name;
            }
        }
    }
    if found.is_dir() { "a directory" } else { "not a regular file" }
}

/// A locked file or folder. Dropping it releases the lock.
///
/// Closing the handle would not be enough: a process that another thread is starting has a copy of the handle until it
/// runs its program, and the lock lasts until every copy is closed.
#[derive(Debug)]
pub struct Locked(File);

impl Locked {
    /// Waits for the lock of a file. If the file system does not support locks, nothing protects the file from other
    /// processes.
    pub fn wait(file: File) -> Self {
        let _ = file.lock();
        Self(file)
    }

    /// Locks a file with `lock`, for example [`File::try_lock_shared`].
    pub fn by<E>(file: File, lock: impl FnOnce(&File) -> Result<(), E>) -> Result<Self, E> {
        lock(&file).map(|()| Self(file))
    }
}

impl Deref for Locked {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// Opens or creates a file and locks it. Returns `None` if another handle holds the lock, in this process or another
/// one. A symbolic link is an error.
pub fn lock_new(path: &Path) -> io::Result<Option<Locked>> {
    lock(path, OpenOptions::new().read(true).write(true).create(true).truncate(false))
}

/// Whether another handle has locked a file with [`lock_new`]. Several processes can ask at once.
pub fn is_locked(path: &Path) -> io::Result<bool> {
    let file = File::open(path)?;
    Ok(matches!(Locked::by(file, File::try_lock_shared), Err(TryLockError::WouldBlock)))
}

/// Like [`lock_new`], but does not create the file.
pub fn lock_existing(path: &Path) -> io::Result<Option<Locked>> {
    lock(path, OpenOptions::new().read(true).write(true))
}

/// Makes a path absolute without resolving symbolic links.
pub fn absolute(path: &Path) -> PathBuf {
    // The working directory never changes, so one system call is enough.
    static HERE: LazyLock<PathBuf> = LazyLock::new(|| std::env::current_dir().unwrap_or_default());
    std::path::absolute(HERE.join(path)).unwrap_or_else(|_| path.to_owned())
}

/// Opens or creates a file and waits for its lock.
pub fn wait_for_lock(path: &Path) -> io::Result<Locked> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map(Locked::wait)
}

/// Locks a folder. Returns `None` if another handle holds the lock, in this process or another one.
#[cfg(unix)]
pub fn lock_folder(folder: &Path) -> io::Result<Option<Locked>> {
    File::open(folder).map(try_lock)
}

/// Locks a folder by locking a file in it, because folders cannot be locked on this platform.
#[cfg(not(unix))]
pub fn lock_folder(folder: &Path) -> io::Result<Option<Locked>> {
    lock_new(&folder.join(".haul.lock.guard"))
}

fn lock(path: &Path, options: &OpenOptions) -> io::Result<Option<Locked>> {
    loop {
        if path.symlink_metadata().is_ok_and(|found| found.is_symlink()) {
            return Err(io::Error::other("is a symbolic link"));
        }
        let locked = try_lock(options.open(path)?);
        // The previous lock holder may have renamed the file between opening and locking.
        if locked.as_ref().is_none_or(|file| is_at(file, path)) {
            return Ok(locked);
        }
    }
}

/// Locks a file. Returns `None` if another handle holds the lock.
fn try_lock(file: File) -> Option<Locked> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => None,
        // Without lock support in the file system, there is no protection from other processes.
        Err(TryLockError::Error(_)) | Ok(()) => Some(Locked(file)),
    }
}

/// Whether `path` refers to this open file.
#[cfg(unix)]
pub fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let place = |metadata: io::Result<Metadata>| metadata.ok().map(|it| (it.dev(), it.ino()));
    place(file.metadata()) == place(path.symlink_metadata())
}

/// Whether `path` exists.
#[cfg(not(unix))]
pub fn is_at(_file: &File, path: &Path) -> bool {
    path.exists()
}

/// Creates an unnamed file, which disappears with the process unless it is linked. Returns `None` if the file system
/// does not support unnamed files.
#[cfg(target_os = "linux")]
pub fn create_unnamed(folder: &Path) -> io::Result<Option<File>> {
    use rustix::fs::{Mode, OFlags, open};
    use rustix::io::Errno;
    let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
    match open(folder, flags, Mode::from_raw_mode(0o666)) {
        Ok(file) => Ok(Some(file.into())),
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Not supported on this platform.
#[cfg(not(target_os = "linux"))]
pub fn create_unnamed(_folder: &Path) -> io::Result<Option<File>> {
    Ok(None)
}

/// Links an unnamed file to `target`. Returns an error if `target` exists.
#[cfg(target_os = "linux")]
pub fn link_unnamed(file: &File, target: &Path) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;

    use rustix::fs::{AtFlags, CWD, linkat};
    let open = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(linkat(CWD, open, CWD, target, AtFlags::SYMLINK_FOLLOW)?)
}

/// Not supported on this platform.
#[cfg(not(target_os = "linux"))]
pub fn link_unnamed(_file: &File, _target: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::os::unix::net::UnixListener;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn links_are_resolved() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        fs::create_dir(at("folder")).unwrap();
        fs::write(at("folder/file"), "x").unwrap();
        symlink("folder/link", at("link")).unwrap();
        symlink("../folder/file", at("folder/link")).unwrap();
        symlink("folder/new", at("dangling")).unwrap();
        symlink("circle", at("circle")).unwrap();
        symlink("/dev/null", at("null")).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        let canonical = |place: io::Result<Place>| match place.unwrap() {
            Place::File(path) => fs::canonicalize(folder_of(&path)).unwrap().join(path.file_name().unwrap()),
            Place::Stream => PathBuf::from("stream"),
        };
        let real = fs::canonicalize(home.path()).unwrap();
        assert_eq!(canonical(place(&at("none"))), real.join("none"));
        assert_eq!(canonical(place(&at("link"))), real.join("folder/file"));
        assert_eq!(canonical(place(&at("dangling"))), real.join("folder/new"));
        for stream in [at("null").as_path(), Path::new("/dev/null"), Path::new("/dev/fd/2")] {
            assert_eq!(place(stream).unwrap(), Place::Stream, "{}", stream.display());
        }
        for (name, why) in [
            ("folder", "is a directory"),
            ("socket", "is a socket"),
            ("circle", "too many levels of symbolic links"),
        ] {
            assert_eq!(place(&at(name)).unwrap_err().to_string(), why);
        }
    }

    #[test]
    fn open_descriptors_are_appended_to() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("log");
        fs::write(&path, "first\n").unwrap();
        let open = File::options().append(true).open(&path).unwrap();
        let descriptor = format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&open));
        let descriptor = Path::new(&descriptor);
        assert_eq!(place(descriptor).unwrap(), Place::Stream);
        open_stream(descriptor).unwrap().write_all(b"second\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"first\nsecond\n");
    }

    #[test]
    fn replacing_follows_links_and_keeps_the_mode() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        fs::create_dir(at("folder")).unwrap();
        fs::write(at("folder/file"), "old").unwrap();
        fs::set_permissions(at("folder/file"), fs::Permissions::from_mode(0o2754)).unwrap();
        symlink("folder/file", at("link")).unwrap();
        symlink("folder/new", at("dangling")).unwrap();
        replace(&at("link"), b"new", false).unwrap();
        replace(&at("dangling"), b"made", false).unwrap();
        assert!(at("link").is_symlink() && at("dangling").is_symlink());
        assert_eq!((fs::read(at("folder/file")).unwrap(), mode(&at("folder/file"))), (b"new".into(), 0o2754));
        assert_eq!((fs::read(at("folder/new")).unwrap(), mode(&at("folder/new"))), (b"made".into(), 0o600));
        replace(&at("link"), b"secret", true).unwrap();
        assert_eq!(
            (fs::read(at("folder/file")).unwrap(), mode(&at("folder/file"))),
            (b"secret".into(), 0o600)
        );
        assert!(replace(&at("folder"), b"", false).is_err());
        assert!(replace(Path::new("/dev/null"), b"", false).is_err());
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 3, "nothing else is left");
    }

    #[test]
    fn one_handle_at_a_time_locks_the_file_with_this_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let first = lock_new(&path).unwrap().unwrap();
        assert!(lock_new(&path).unwrap().is_none());
        drop(first);
        let second = lock_new(&path).unwrap().unwrap();
        std::fs::rename(&path, folder.path().join("b")).unwrap();
        assert!(!is_at(&second, &path));
        assert!(lock_new(&path).unwrap().is_some(), "the renamed file keeps its lock; the name is free");
    }

    #[test]
    fn a_copy_of_the_handle_does_not_keep_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let lock = lock_new(&path).unwrap().unwrap();
        // A process that another thread is starting has such a copy until it runs its program.
        let _copy = lock.try_clone().unwrap();
        drop(lock);
        assert!(lock_new(&path).unwrap().is_some());
    }

    #[test]
    fn looking_at_a_lock_does_not_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let lock = lock_new(&path).unwrap().unwrap();
        assert!(is_locked(&path).unwrap());
        drop(lock);
        let other = File::open(&path).unwrap();
        other.try_lock_shared().unwrap();
        assert!(!is_locked(&path).unwrap(), "another process is looking at the same time");
        assert!(is_locked(&folder.path().join("b")).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn links_are_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let (path, elsewhere) = (folder.path().join("a"), folder.path().join("elsewhere"));
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        assert!(lock_new(&path).is_err());
        assert!(!elsewhere.exists());
    }
}

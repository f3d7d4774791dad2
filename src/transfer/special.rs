//! Sources of unknown size: pipes, devices, and files whose content the system generates while they are read.

use std::fs::{File, Metadata};
use std::io::Read as _;
use std::path::Path;

use crate::error::{Error, Result, word};

/// Rejects anything but folders and files of a known size: reading a pipe or a device may block or never end, and
/// cannot be repeated. `command` and `name` are the command and the name of the file in the hint.
pub fn refuse_special(path: &Path, found: &Metadata, command: &str, name: Option<&str>) -> Result<()> {
    let reason = match found {
        _ if found.is_dir() => return Ok(()),
        _ if !found.is_file() => "is a pipe or a device, not a file",
        _ if is_generated(path, found) => "has an unknown size",
        _ => return Ok(()),
    };
    let own = path.file_name().map(|name| name.to_string_lossy());
    let name = name.or(own.as_deref()).unwrap_or("NAME");
    Err(Error::usage(format!("{}: {reason}", path.display()))
        .hint(format!("`{command} - --name {} < {}`", word(name), word(&path.to_string_lossy())))
        .about(path.display().to_string()))
}

/// Whether the file has content although its size is 0, such as the files in `/proc`.
fn is_generated(path: &Path, found: &Metadata) -> bool {
    let read = || File::open(path).and_then(|mut file| file.read(&mut [0]));
    found.len() == 0 && read().is_ok_and(|count| count > 0)
}

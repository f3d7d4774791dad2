//! Read-only copies of files for other programs.

use std::fs;
use std::io;
use std::path::PathBuf;

use serde_json::Value;
use uuid::Uuid;

use super::blobs::directory::{Directory, Subject};
use super::incoming::Temporary;
use super::{COPY, Store};
use crate::error::{Error, Kind, Message, Result};
use crate::model::{FileId, Object};

/// A read-only copy of a file's content at the time of copying. It is removed together with the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// The copy's id.
    pub id: String,
    /// The path, inside the store's directory. Its last component is similar to the file's name.
    pub path: PathBuf,
}

impl Store {
    /// Creates a read-only copy of a file's content.
    pub fn copy_out(&self, space: &str, id: &FileId) -> Result<Copy> {
        let blobs = self.directory()?;
        let (file, content) = self.get(space, id)?;
        let failed =
            |error: io::Error| Error::failed(Message::file(id, ": cannot be copied")).caused_by(error);
        let mut temporary = Temporary::create(&blobs.incoming()).map_err(failed)?;
        content.copy_to(&mut temporary.file).map_err(failed)?;
        make_read_only(&temporary.file).map_err(failed)?;
        if blobs.sync {
            temporary.file.sync_all().map_err(failed)?;
        }
        let copy = Uuid::new_v4().simple().to_string();
        let name = safe_name(&file.name);
        let path = blobs.link(&copy).join(&name);
        let note = Object::from_iter([("name".to_owned(), Value::String(name))]);
        self.transaction(space, |change| {
            // Returns an error if the file was deleted in the meantime.
            change.stat(id)?;
            change.note(COPY, &copy, Some(id), &note)?;
            change.mark(Subject::Link(copy.clone()))?;
            blobs.put_in_place(temporary, &path)
        })?;
        Ok(Copy { id: copy, path })
    }

    /// The copies of a file, oldest first.
    pub fn copies(&self, space: &str, id: &FileId) -> Result<Vec<Copy>> {
        let blobs = self.directory()?;
        let notes = self.notes(space, COPY, Some(id))?;
        Ok(notes.into_iter().map(|(copy, note)| found(blobs, copy, &note)).collect())
    }

    /// The copies of all files, oldest first, each with its file.
    pub fn all_copies(&self, space: &str) -> Result<Vec<(FileId, Copy)>> {
        let blobs = self.directory()?;
        let notes = self.inner.index.read(|rows| rows.notes_about_files(space, COPY))?;
        Ok(notes.into_iter().map(|(file, copy, note)| (file, found(blobs, copy, &note))).collect())
    }

    fn directory(&self) -> Result<&Directory> {
        let none = || {
            Error::new(Kind::Unsupported, "a store in object storage cannot create copies for other programs")
        };
        self.inner.blobs.directory().ok_or_else(none)
    }

    /// Removes a copy. Returns whether it existed.
    pub fn remove_copy(&self, space: &str, copy: &str) -> Result<bool> {
        self.freeing(space, |change| {
            let was_there = change.forget(COPY, copy)?;
            if was_there {
                change.mark(Subject::Link(copy.to_owned()))?;
            }
            Ok(was_there)
        })
    }
}

/// The copy that a note describes.
fn found(blobs: &Directory, id: String, note: &Object) -> Copy {
    let name = note.get("name").and_then(Value::as_str).unwrap_or_default();
    Copy { path: blobs.link(&id).join(name), id }
}

fn make_read_only(file: &fs::File) -> io::Result<()> {
    #[cfg(unix)]
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o444);
    #[cfg(not(unix))]
    let permissions = {
        let mut permissions = file.metadata()?.permissions();
        permissions.set_readonly(true);
        permissions
    };
    file.set_permissions(permissions)
}

/// Converts a file's name to a single, safe path component.
fn safe_name(name: &str) -> String {
    let bad = |c: char| c.is_control() || r#"/\:*?"<>|"#.contains(c);
    let mut safe: String = name.chars().map(|c| if bad(c) { '_' } else { c }).collect();
    while safe.len() > 200 {
        safe.pop();
    }
    if safe.chars().all(|c| c == '.' || c == ' ') { "file".to_owned() } else { safe }
}

#[cfg(test)]
mod tests {
    use super::safe_name;

    #[test]
    fn a_safe_name_stays_in_its_directory() {
        for (name, safe) in [
            ("a b.txt", "a b.txt"),
            ("../../etc/passwd", ".._.._etc_passwd"),
            ("..", "file"),
            ("", "file"),
            ("a\nb\0", "a_b_"),
        ] {
            assert_eq!(safe_name(name), safe);
        }
        assert_eq!(safe_name(&"é".repeat(300)), "é".repeat(100));
    }
}

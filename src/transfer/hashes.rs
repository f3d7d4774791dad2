//! Hashes of uploaded files, for platforms that state no checksum: `--if-exists skip` compares with them.
//!
//! Each profile has one file, `hashes-PROFILE.jsonl`, with a line `{"id":…,"blake3":…}` for each file. Only uploads with
//! `--if-exists skip` are recorded, because a hash costs time. The older half is dropped when the file is large. A file
//! that is not recorded is sent again.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::model::FileId;

/// Maximum size of the file in bytes, about 10,000 lines.
const LARGE: usize = 1 << 20;

/// The hashes of a profile's uploads.
#[derive(Default)]
pub(super) struct Hashes {
    /// None if no hashes are kept.
    path: Option<PathBuf>,
    known: OnceLock<HashMap<FileId, String>>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    id: FileId,
    blake3: String,
}

impl Hashes {
    pub(super) fn at(path: PathBuf) -> Self {
        Self { path: Some(path), known: OnceLock::new() }
    }

    /// The BLAKE3 of the file with this id, if it is recorded.
    pub(super) fn of(&self, id: &FileId) -> Option<&str> {
        self.known.get_or_init(|| self.read()).get(id).map(String::as_str)
    }

    /// Records the hash of a file.
    pub(super) fn note(&self, id: &FileId, blake3: &str) {
        let Some(path) = &self.path else { return };
        let line = Line { id: id.clone(), blake3: blake3.to_owned() };
        let Ok(mut text) = serde_json::to_vec(&line) else { return };
        text.push(b'\n');
        let file = OpenOptions::new().append(true).create(true).open(path);
        let _ = file.and_then(|mut file| file.write_all(&text));
    }

    fn read(&self) -> HashMap<FileId, String> {
        let Some(path) = &self.path else { return HashMap::new() };
        let mut text = fs::read(path).unwrap_or_default();
        if text.len() > LARGE {
            let half = text.len() - LARGE / 2;
            let end = text[half..].iter().position(|byte| *byte == b'\n');
            text.drain(..end.map_or(text.len(), |at| half + at + 1));
            // Atomic: another process reads the old file or the new one.
            let shorter = path.with_extension("new");
            let _ = fs::write(&shorter, &text).and_then(|()| fs::rename(&shorter, path));
        }
        let lines =
            text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Line>(line).ok());
        lines.map(|line| (line.id, line.blake3)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_kept_until_the_file_is_too_large() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hashes.jsonl");
        let hashes = || Hashes::at(path.clone());
        assert_eq!(hashes().of(&"a".into()), None);
        hashes().note(&"a".into(), "1");
        fs::write(&path, [fs::read(&path).unwrap(), b"{\"id\":\"torn".to_vec()].concat()).unwrap();
        assert_eq!(hashes().of(&"a".into()), Some("1"));
        fs::write(&path, format!("{}\n", "x".repeat(100)).repeat(LARGE / 100)).unwrap();
        hashes().note(&"new".into(), "2");
        assert_eq!(hashes().of(&"new".into()), Some("2"));
        assert!(fs::metadata(&path).unwrap().len() <= LARGE as u64 / 2);
        assert_eq!(hashes().of(&"new".into()), Some("2"));
    }
}

//! What was in the files that were sent from here, for platforms that state no checksum: `--if-exists skip` compares
//! with it.
//!
//! One file a profile, `hashes-PROFILE.jsonl`, one line a file: `{"id":…,"blake3":…}`. Only uploads with
//! `--if-exists skip` are noted, since a hash costs time. The oldest half goes when the file is large; what is not noted
//! is sent again, no more.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::model::FileId;

/// Bytes after which the oldest half goes: some 10,000 files.
const LARGE: usize = 1 << 20;

/// The hashes of what was sent by one profile.
#[derive(Default)]
pub(super) struct Hashes {
    /// None where nothing is kept.
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

    /// The BLAKE3 of the file that became this id, if it was sent from here.
    pub(super) fn of(&self, id: &FileId) -> Option<&str> {
        self.known.get_or_init(|| self.read()).get(id).map(String::as_str)
    }

    /// Notes what was in a file.
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
            // In one step: another process reads the old file or the new one.
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
    fn what_was_noted_is_known_until_there_is_too_much_of_it() {
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

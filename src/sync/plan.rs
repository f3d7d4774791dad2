//! Compares the rows of a lock file with a listing.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use unicode_normalization::UnicodeNormalization as _;

use super::lock::{Row, Target};
use crate::model::{File, FileId};

/// The files of a listing that concern a folder: those in the lock file, and those with the name of a local file.
#[derive(Debug, Default)]
pub struct Remote {
    /// By the ids of all rows; `None` if the listing did not contain the file.
    rows: HashMap<FileId, Option<Content>>,
    names: HashMap<String, Vec<File>>,
}

/// What a listing returns about the content of a file.
#[derive(Debug)]
struct Content {
    size: Option<u64>,
    sha256: Option<String>,
    expires_at: Option<Timestamp>,
}

/// The state of the file of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum State {
    /// The listing did not contain it.
    #[default]
    Missing,
    /// It exists with the recorded size and checksum, as far as the platform returns them.
    Present(Present),
    /// Its content was changed on the platform.
    Changed,
}

/// A file that exists.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Present {
    /// Its expiry, if it has one.
    pub expires_at: Option<Timestamp>,
}

impl Remote {
    /// An empty listing for the rows of `target` and local files with these names on the platform.
    pub fn new<'a>(target: &Target, names: impl Iterator<Item = &'a str>) -> Self {
        Self {
            rows: target.files.values().map(|row| (row.id.clone(), None)).collect(),
            names: names.map(|name| (name.nfc().collect(), Vec::new())).collect(),
        }
    }

    /// Adds a file of the listing. `is_usable` is false for a deleted, failed or expired one.
    pub fn add(&mut self, file: File, is_usable: bool) {
        if !is_usable {
            return;
        }
        if let Some(content) = self.rows.get_mut(&file.id) {
            *content = Some(Content::of(file));
            return;
        }
        let name: String = file.name.nfc().collect();
        if let Some(files) = self.names.get_mut(&name) {
            files.push(file);
        }
    }

    /// The state of the file of a row.
    pub fn state(&self, row: &Row) -> State {
        let content = self.rows.get(&row.id).and_then(Option::as_ref);
        content.map_or(State::Missing, |content| content.state(row))
    }

    /// Removes and returns the files with this name that belong to no row.
    pub fn take_named(&mut self, name: &str) -> Vec<File> {
        let name: String = name.nfc().collect();
        self.names.get_mut(&name).map(std::mem::take).unwrap_or_default()
    }
}

/// The state of a row whose file exists.
pub fn state_of(row: &Row, file: File) -> State {
    Content::of(file).state(row)
}

impl Content {
    fn of(file: File) -> Self {
        Self { size: file.size, sha256: file.checksums.sha256, expires_at: file.expires_at }
    }

    fn state(&self, row: &Row) -> State {
        let other_size = self.size.is_some_and(|size| size != row.size);
        let other_content = self.sha256.as_ref().is_some_and(|sum| *sum != row.sha256);
        if other_size || other_content {
            return State::Changed;
        }
        State::Present(Present { expires_at: self.expires_at.or(row.expires_at) })
    }
}

impl State {
    /// The state of a row whose file exists as recorded.
    pub fn present(row: &Row) -> Self {
        Self::Present(Present { expires_at: row.expires_at })
    }
}

impl Present {
    /// Whether the file expires within `time`, or within half of its lifetime if that is shorter.
    pub fn is_due(&self, row: &Row, now: Timestamp, time: SignedDuration) -> bool {
        let Some(end) = self.expires_at else { return false };
        let half = end.duration_since(row.uploaded_at) / 2;
        end.duration_since(now) <= time.min(half)
    }
}

#[cfg(test)]
mod tests {
    use super::super::lock::tests::row;
    use super::*;

    #[test]
    fn a_listing_shows_the_state_of_each_row() {
        let files = ["f1", "f2", "f3", "f4"].map(|id| (id.to_owned(), row(id))).into();
        let target = Target { files, ..Target::default() };
        let mut remote = Remote::new(&target, ["e\u{301}.txt", "b.txt"].into_iter());
        let file = |id: &str, name: &str, size| File {
            id: id.into(),
            name: name.to_owned(),
            size: Some(size),
            ..File::default()
        };
        remote.add(file("f1", "a.txt", 5), true);
        remote.add(file("f2", "a.txt", 6), true);
        remote.add(file("f3", "a.txt", 5), false);
        remote.add(file("g1", "\u{e9}.txt", 1), true);
        remote.add(file("g2", "z.txt", 1), true);
        assert_eq!(remote.state(&row("f1")), State::Present(Present { expires_at: None }));
        assert_eq!(remote.state(&row("f2")), State::Changed);
        assert_eq!((remote.state(&row("f3")), remote.state(&row("f4"))), (State::Missing, State::Missing));
        assert_eq!(remote.take_named("\u{e9}.txt").len(), 1);
        assert!(remote.take_named("\u{e9}.txt").is_empty() && remote.take_named("z.txt").is_empty());
    }

    #[test]
    fn a_file_is_due_at_half_of_its_lifetime_at_the_earliest() {
        let hours = SignedDuration::from_hours;
        let at = |hour| Timestamp::UNIX_EPOCH.checked_add(hours(hour)).unwrap();
        let present = Present { expires_at: Some(at(48)) };
        let is_due = |now, within| present.is_due(&row("f"), at(now), hours(within));
        assert!(!is_due(0, 24) && !is_due(23, 24) && is_due(24, 24) && is_due(49, 24));
        assert!(!is_due(23, 1000) && is_due(24, 1000), "capped at half");
        assert!(!Present { expires_at: None }.is_due(&row("f"), at(9), hours(24)));
    }
}

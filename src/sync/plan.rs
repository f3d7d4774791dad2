//! Compares the rows of a lock file with a listing.

use std::collections::{HashMap, HashSet};

use super::lock::{Origin, Row, Sha256, Target};
use super::state::{Present, State};
use crate::model::{File, FileId, hash_of, hash_of_name, nfc};

/// A listing being compared with the rows of a lock file and the names of local files.
#[derive(Debug)]
pub struct Remote<'a> {
    /// Sorted by id.
    rows: Vec<&'a mut Row>,
    /// The hashes of the names, to limit memory use for large folders.
    names: HashSet<u64>,
    named: Named,
}

/// The files from a listing that have the name of a local file and belong to no row.
#[derive(Debug, Default)]
pub struct Named(HashMap<String, Vec<File>>);

/// The ids of all rows, including rows that have been removed. Only hashes are kept.
#[derive(Debug, Default)]
pub struct Ids(HashMap<u64, Id>);

/// A summary of the rows with the same id.
#[derive(Debug, Default)]
struct Id {
    /// The number of rows.
    rows: u32,
    /// Whether one of them has, or had, the origin `uploaded`.
    is_uploaded: bool,
}

impl<'a> Remote<'a> {
    /// An empty listing for the rows of `target` and local files with these names on the platform.
    pub fn new(target: &'a mut Target, names: impl Iterator<Item = String>) -> Self {
        let names = names.map(|name| hash_of_name(&name)).collect();
        let mut rows: Vec<&mut Row> = target.files.values_mut().collect();
        rows.sort_unstable_by(|one, two| one.id.cmp(&two.id));
        Self { rows, names, named: Named::default() }
    }

    /// Adds a file from the listing and sets the state of its rows. A file that is not usable, such as a deleted,
    /// failed or expired one, is ignored.
    pub fn add(&mut self, file: File, is_usable: bool) {
        if !is_usable {
            return;
        }
        let first = self.rows.partition_point(|row| row.id < file.id);
        let rows = self.rows[first..].iter_mut().take_while(|row| row.id == file.id);
        let mut belongs_to_row = false;
        for row in rows {
            row.state = state_of(row, &file);
            belongs_to_row = true;
        }
        if !belongs_to_row && self.names.contains(&hash_of_name(&file.name)) {
            self.named.0.entry(nfc(&file.name).into_owned()).or_default().push(file);
        }
    }

    /// The files that have the name of a local file and belong to no row.
    pub fn finish(self) -> Named {
        self.named
    }
}

impl Named {
    /// Removes and returns the files with this name.
    pub fn take(&mut self, name: &str) -> Vec<File> {
        self.0.remove(&*nfc(name)).unwrap_or_default()
    }

    /// Removes a file.
    pub fn remove(&mut self, name: &str, id: &FileId) {
        if let Some(files) = self.0.get_mut(&*nfc(name)) {
            files.retain(|file| file.id != *id);
        }
    }
}

impl Ids {
    /// The ids of the rows of a target.
    pub fn new(target: &Target) -> Self {
        let mut ids = Self(HashMap::with_capacity(target.files.len()));
        target.files.values().for_each(|row| ids.add(row));
        ids
    }

    /// Whether a row has, had or replaces this id.
    pub fn contains(&self, id: &FileId) -> bool {
        self.0.contains_key(&hash_of(id))
    }

    /// Adds a row.
    pub fn add(&mut self, row: &Row) {
        let id = self.0.entry(hash_of(&row.id)).or_default();
        id.rows += 1;
        id.is_uploaded |= row.origin == Origin::Uploaded;
        if let Some(replaced) = &row.replaces {
            self.0.entry(hash_of(&**replaced)).or_default();
        }
    }

    /// Removes a row. Its id stays [known](Self::contains).
    pub fn remove(&mut self, row: &Row) {
        if let Some(id) = self.0.get_mut(&hash_of(&row.id)) {
            id.rows = id.rows.saturating_sub(1);
        }
    }

    /// The number of rows with this id.
    pub fn rows(&self, id: &FileId) -> u32 {
        self.0.get(&hash_of(id)).map_or(0, |id| id.rows)
    }

    /// Whether a row with this id has, or had, the origin `uploaded`.
    pub fn is_uploaded(&self, id: &FileId) -> bool {
        self.0.get(&hash_of(id)).is_some_and(|id| id.is_uploaded)
    }
}

/// The state of a row whose file exists.
pub fn state_of(row: &Row, file: &File) -> State {
    let sha256 = file.checksums.sha256.as_deref().and_then(Sha256::parse);
    let other_size = file.size.is_some_and(|size| size != row.size);
    let other_content = sha256.is_some_and(|sum| sum != row.sha256);
    if other_size || other_content {
        return State::Changed;
    }
    State::Present(Present { expires_at: file.expires_at.or(row.expires_at) })
}

#[cfg(test)]
mod tests {
    use super::super::lock::tests::row;
    use super::*;

    #[test]
    fn a_listing_shows_the_state_of_each_row() {
        let files = ["f4", "f2", "f3", "f1"].map(|id| (format!("path of {id}"), row(id)));
        let mut target = Target { files: files.into(), ..Target::default() };
        target.files.insert("other".to_owned(), Row { size: 6, ..row("f2") });
        let mut remote = Remote::new(&mut target, ["e\u{301}.txt", "b.txt"].map(str::to_owned).into_iter());
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
        let mut named = remote.finish();
        assert_eq!(named.take("\u{e9}.txt").len(), 1);
        assert!(named.take("\u{e9}.txt").is_empty() && named.take("z.txt").is_empty());
        let present = State::Present(Present { expires_at: None });
        let states: Vec<State> = target.files.values().map(|row| row.state).collect();
        assert_eq!(states, [present, present, State::Changed, State::Missing, State::Missing]);
    }

    #[test]
    fn the_rows_of_an_id_are_counted() {
        let adopted = Row { origin: Origin::Adopted, ..row("f2") };
        let files = [("a".to_owned(), row("f1")), ("b".to_owned(), adopted.clone())].into();
        let mut ids = Ids::new(&Target { files, ..Target::default() });
        let count = |ids: &Ids| ["f1", "f2", "f3"].map(|id| ids.rows(&id.into()));
        ids.add(&row("f1"));
        assert_eq!(count(&ids), [2, 1, 0]);
        ids.remove(&row("f1"));
        ids.remove(&adopted);
        assert_eq!(count(&ids), [1, 0, 0]);
        assert!(ids.is_uploaded(&"f1".into()) && !ids.is_uploaded(&"f2".into()));
    }
}

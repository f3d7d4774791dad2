//! The journal of a command, which allows the next run to continue after a kill.
//!
//! Until a command has sent all its files, running the same command again continues: finished files are not sent again, and
//! a file that was being sent is looked for first. A command that succeeded leaves no journal.
//!
//! A command writes one file, `PROFILE-COMMAND.jsonl` (two hashes), in the state directory and holds its lock. Journals of
//! other commands that have ended show which of their files were being sent. The lines:
//!
//! - `{"start":1,"path":…,"name":…,"size":…,"mtime":…,"at":…,"old":…}`: upload 1 is about to be sent; `old` is the file that
//!   it replaces
//! - `{"finish":1,"id":…}`: the file exists
//! - `{"drop":1}`: the file does not exist and is not being sent
//!
//! Each line is written at once, so that a killed process leaves complete lines; unreadable lines are ignored. Nothing is
//! synced: losing the journal in a power failure is harmless. A journal has no token and no URL.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::hashes::Hashes;
use crate::files;
use crate::model::{FileId, NewFile, Source};

/// How long the journal of an interrupted command is kept.
const KEPT: Duration = Duration::from_hours(7 * 24);

/// The journal of one command.
#[derive(Default)]
pub struct Journal {
    state: Mutex<State>,
    /// Hashes of files that were sent before.
    pub(super) hashes: Hashes,
}

#[derive(Default)]
struct State {
    path: PathBuf,
    /// Locked while a journal is opened. A process that reads the journal of another locks that one for a moment, which must
    /// not look like a second run of the same command.
    opening: PathBuf,
    /// None if no journal is kept.
    file: Option<File>,
    /// The number of the last upload.
    last: u64,
    /// Number of uploads in the file that are finished or begun.
    useful: usize,
    /// Uploads of earlier runs. Each is used once.
    finished: HashMap<Key, Vec<FileId>>,
    begun: HashMap<Key, Vec<Begun>>,
}

/// A version of a local file, under one name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Key {
    path: String,
    name: String,
    size: u64,
    /// Nanoseconds since 1970.
    mtime: u64,
}

/// An upload that began and did not finish.
#[derive(Clone, Debug)]
pub(super) struct Begun {
    number: Option<u64>,
    /// The time by this machine's clock.
    pub(super) at: Timestamp,
    /// The file that it replaces.
    pub(super) old: Option<FileId>,
}

/// The upload of a file by an earlier run.
pub(super) enum Earlier {
    Nothing,
    /// It began.
    Begun(Begun),
    /// It finished.
    Finished(FileId),
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Start {
        start: u64,
        #[serde(flatten)]
        key: Key,
        at: Timestamp,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        old: Option<FileId>,
    },
    Finish {
        finish: u64,
        id: FileId,
    },
    Drop {
        #[serde(rename = "drop")]
        dropped: u64,
    },
}

impl Journal {
    /// Opens the journal of a command, which `profile` and `command` identify, in `folder`. No journal is kept if the folder
    /// is read-only or the same command is running.
    pub fn open(folder: &Path, profile: &str, command: &str) -> Self {
        let profile = short_hash(profile);
        let own = folder.join(format!("{profile}-{}.jsonl", short_hash(command)));
        let hashes = Hashes::at(folder.join(format!("hashes-{profile}.jsonl")));
        if fs::create_dir_all(folder).is_err() {
            return Self::default();
        }
        let mut state = State { opening: folder.with_extension("lock"), ..State::default() };
        let opening = state.lock_opening();
        for path in fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path != own && name.starts_with(&profile) {
                state.learn_of_another(&path);
            }
        }
        // The file is created with the first line, or read if it exists.
        if own.exists() {
            let Ok(Some(mut file)) = files::lock_new(&own) else {
                return Self { hashes, ..Self::default() };
            };
            if is_old(&file) {
                let _ = file.set_len(0);
            }
            state.last = state.learn(&mut file, true);
            state.file = Some(file);
        }
        state.path = own;
        drop(opening);
        Self { state: Mutex::new(state), hashes }
    }

    /// The upload of this file by an earlier run. Each is returned once, so that a file that is named twice is sent twice.
    pub(super) fn earlier(&self, new: &NewFile) -> Earlier {
        let mut state = self.state();
        if state.finished.is_empty() && state.begun.is_empty() {
            return Earlier::Nothing;
        }
        let Some(key) = Key::of(new) else { return Earlier::Nothing };
        if let Some(id) = state.finished.get_mut(&key).and_then(Vec::pop) {
            return Earlier::Finished(id);
        }
        match state.begun.get_mut(&key).and_then(Vec::pop) {
            Some(begun) => Earlier::Begun(begun),
            None => Earlier::Nothing,
        }
    }

    /// Records that a file is about to be sent; None if it is not recorded.
    pub(super) fn start(&self, new: &NewFile, at: Timestamp, old: Option<FileId>) -> Option<u64> {
        let mut state = self.state();
        if state.path.as_os_str().is_empty() {
            return None;
        }
        let key = Key::of(new)?;
        if state.file.is_none() {
            let opening = state.lock_opening();
            state.file = files::lock_new(&state.path).ok().flatten();
            drop(opening);
            if state.file.is_none() {
                // Another process has the lock: this run is not recorded.
                state.path = PathBuf::new();
                return None;
            }
        }
        // A damaged line can have any number.
        state.last = state.last.wrapping_add(1);
        state.useful += 1;
        let start = state.last;
        state.write(&Line::Start { start, key, at, old });
        Some(start)
    }

    /// Records that the file exists.
    pub(super) fn finish(&self, number: Option<u64>, id: &FileId) {
        if let Some(finish) = number {
            self.state().write(&Line::Finish { finish, id: id.clone() });
        }
    }

    /// Records that the file does not exist.
    pub(super) fn forget(&self, number: Option<u64>) {
        if let Some(dropped) = number {
            let mut state = self.state();
            state.useful = state.useful.saturating_sub(1);
            state.write(&Line::Drop { dropped });
        }
    }

    /// Ends the run. The journal is removed if all is done, else kept for the next run.
    pub fn end(&self, all_done: bool) {
        let mut state = self.state();
        if (all_done || state.useful == 0)
            && let Some(file) = state.file.take()
        {
            // Removed under the lock, so that no other process can open it in between.
            let _ = fs::remove_file(&state.path);
            drop(file);
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Begun {
    /// Its number in the journal of this command; None if another command began it.
    pub(super) fn number(&self) -> Option<u64> {
        self.number
    }
}

impl State {
    /// Waits until no other process opens a journal.
    fn lock_opening(&self) -> Option<File> {
        files::wait_for_lock(&self.opening).ok()
    }

    /// Reads the begun uploads of another command of the profile, unless it is running.
    fn learn_of_another(&mut self, path: &Path) {
        let Ok(Some(mut file)) = files::lock_existing(path) else { return };
        if is_old(&file) {
            let _ = fs::remove_file(path);
            return;
        }
        self.learn(&mut file, false);
    }

    /// Reads a journal and returns its highest number. Finished uploads count only for the same command.
    fn learn(&mut self, file: &mut File, own: bool) -> u64 {
        let mut text = Vec::new();
        let _ = file.read_to_end(&mut text);
        let mut open: BTreeMap<u64, (Key, Begun)> = BTreeMap::new();
        let mut last = 0;
        for line in text.split(|byte| *byte == b'\n') {
            match serde_json::from_slice(line) {
                Ok(Line::Start { start, key, at, old }) => {
                    last = last.max(start);
                    open.insert(start, (key, Begun { number: own.then_some(start), at, old }));
                }
                Ok(Line::Finish { finish, id }) => {
                    if let Some((key, _)) = open.remove(&finish).filter(|_| own) {
                        self.useful += 1;
                        self.finished.entry(key).or_default().push(id);
                    }
                }
                Ok(Line::Drop { dropped }) => drop(open.remove(&dropped)),
                // An incomplete line, or one of a later version.
                Err(_) => {}
            }
        }
        self.useful += if own { open.len() } else { 0 };
        for (key, begun) in open.into_values() {
            self.begun.entry(key).or_default().push(begun);
        }
        if own && !text.is_empty() && !text.ends_with(b"\n") {
            let _ = file.seek(SeekFrom::End(0)).and_then(|_| file.write_all(b"\n"));
        }
        last
    }

    fn write(&mut self, line: &Line) {
        let (Some(file), Ok(mut text)) = (&mut self.file, serde_json::to_vec(line)) else { return };
        text.push(b'\n');
        // A full disk must not stop an upload: what is not recorded is sent again after a kill.
        let _ = file.write_all(&text);
    }
}

impl Key {
    /// None unless it is a local file.
    fn of(new: &NewFile) -> Option<Self> {
        let Source::Path(path) = &new.source else { return None };
        let modified = fs::metadata(path).ok()?.modified().ok()?;
        let path = std::path::absolute(path).ok()?.to_string_lossy().into_owned();
        let mtime = modified.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let mtime = u64::try_from(mtime).ok()?;
        Some(Self { path, name: new.name.clone(), size: new.size, mtime })
    }
}

fn is_old(file: &File) -> bool {
    let age = file.metadata().ok().and_then(|metadata| metadata.modified().ok()?.elapsed().ok());
    age.is_some_and(|age| age > KEPT)
}

fn short_hash(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;
    use crate::property::holds;

    struct Home(tempfile::TempDir);

    impl Home {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn journal(&self, command: &str) -> Journal {
            Journal::open(&self.0.path().join("journal"), "xai", command)
        }

        fn file(&self, name: &str, content: &str) -> NewFile {
            let path = self.0.path().join(name);
            fs::write(&path, content).unwrap();
            let size = content.len() as u64;
            NewFile { source: Source::Path(path), size, ..NewFile::from_bytes(name, "") }
        }

        fn left(&self) -> usize {
            fs::read_dir(self.0.path().join("journal")).unwrap().count()
        }
    }

    fn shown(earlier: &Earlier) -> &str {
        match earlier {
            Earlier::Nothing => "nothing",
            Earlier::Begun(_) => "begun",
            Earlier::Finished(id) => id.as_str(),
        }
    }

    #[test]
    fn the_same_command_continues_and_a_finished_one_starts_over() {
        let home = Home::new();
        let (a, b, c) = (home.file("a", "1"), home.file("b", "2"), home.file("c", "3"));
        let journal = home.journal("up");
        let one = journal.start(&a, Timestamp::UNIX_EPOCH, None);
        journal.start(&b, Timestamp::UNIX_EPOCH, Some("old".into()));
        let three = journal.start(&c, Timestamp::UNIX_EPOCH, None);
        journal.finish(one, &"f1".into());
        journal.forget(three);
        drop(journal);

        let again = home.journal("up");
        assert_eq!(shown(&again.earlier(&a)), "f1");
        assert_eq!(shown(&again.earlier(&a)), "nothing", "named twice, it is sent twice");
        let Earlier::Begun(begun) = again.earlier(&b) else { panic!("b was on its way") };
        assert_eq!((begun.number(), begun.old.clone()), (Some(2), Some("old".into())));
        assert_eq!(shown(&again.earlier(&c)), "nothing");
        again.finish(begun.number(), &"f2".into());
        again.end(true);
        assert_eq!(home.left(), 0);
        assert_eq!(shown(&home.journal("up").earlier(&a)), "nothing");
    }

    #[test]
    fn another_command_reads_only_begun_uploads() {
        let home = Home::new();
        let (a, b) = (home.file("a", "1"), home.file("b", "2"));
        let journal = home.journal("up a b");
        let one = journal.start(&a, Timestamp::UNIX_EPOCH, None);
        journal.start(&b, Timestamp::UNIX_EPOCH, None);
        journal.finish(one, &"f1".into());
        assert_eq!(shown(&home.journal("up b").earlier(&b)), "nothing", "it is still running");
        drop(journal);
        let other = home.journal("up b");
        assert_eq!((shown(&other.earlier(&a)), shown(&other.earlier(&b))), ("nothing", "begun"));
    }

    #[test]
    fn a_reader_of_a_journal_is_not_taken_for_its_owner() {
        let home = Home::new();
        let a = home.file("a", "1");
        let journal = home.journal("up a");
        journal.finish(journal.start(&a, Timestamp::UNIX_EPOCH, None), &"f1".into());
        drop(journal);
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    home.journal("up b");
                }
            });
            let known: Vec<bool> =
                (0..300).map(|_| shown(&home.journal("up a").earlier(&a)) == "f1").collect();
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            assert!(known.iter().all(|known| *known), "{known:?}");
        });
        home.journal("up a").end(true);
        assert_eq!(home.left(), 0, "and nothing is made by reading");
    }

    #[test]
    fn a_changed_file_is_another() {
        let home = Home::new();
        let a = home.file("a", "1");
        let journal = home.journal("up");
        journal.finish(journal.start(&a, Timestamp::UNIX_EPOCH, None), &"f1".into());
        drop(journal);
        assert_eq!(shown(&home.journal("up").earlier(&home.file("a", "22"))), "nothing");
    }

    #[test]
    fn an_incomplete_line_is_ignored() {
        let home = Home::new();
        let (a, b) = (home.file("a", "1"), home.file("b", "2"));
        let journal = home.journal("up");
        journal.finish(journal.start(&a, Timestamp::UNIX_EPOCH, None), &"f1".into());
        let path = journal.state().path.clone();
        drop(journal);
        let mut text = fs::read(&path).unwrap();
        text.extend_from_slice(b"{\"start\":7,\"pa");
        fs::write(&path, text).unwrap();
        let again = home.journal("up");
        again.finish(again.start(&b, Timestamp::UNIX_EPOCH, None), &"f2".into());
        drop(again);
        let third = home.journal("up");
        assert_eq!((shown(&third.earlier(&a)), shown(&third.earlier(&b))), ("f1", "f2"));
    }

    #[test]
    fn without_a_folder_nothing_is_recorded() {
        let home = Home::new();
        let a = home.file("a", "1");
        let journal = Journal::open(&home.0.path().join("a"), "xai", "up");
        assert_eq!(journal.start(&a, Timestamp::UNIX_EPOCH, None), None);
        journal.finish(None, &"f1".into());
        journal.end(true);
    }

    const FILES: usize = 3;

    /// A home with a few files to upload.
    struct Files {
        folder: tempfile::TempDir,
        files: Vec<NewFile>,
    }

    impl Files {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let file = |number: usize| {
                let (name, content) = (format!("f{number}"), "x".repeat(number));
                let path = folder.path().join(&name);
                fs::write(&path, &content).unwrap();
                let size = content.len() as u64;
                NewFile { source: Source::Path(path), size, ..NewFile::from_bytes(&name, "") }
            };
            let files = (0..FILES).map(file).collect();
            Self { folder, files }
        }

        fn journal(&self, command: &str) -> Journal {
            Journal::open(&self.folder.path().join("journal"), "xai", command)
        }

        fn path(&self, command: &str) -> PathBuf {
            self.journal(command).state().path.clone()
        }

        /// The ids of each file, and the number of its begun uploads.
        fn uploads(&self, journal: &Journal) -> Vec<(Vec<String>, usize)> {
            let of = |new: &NewFile| {
                let (mut finished, mut begun) = (Vec::new(), 0);
                loop {
                    match journal.earlier(new) {
                        Earlier::Nothing => break,
                        Earlier::Begun(_) => begun += 1,
                        Earlier::Finished(id) => finished.push(id.0),
                    }
                }
                finished.sort();
                (finished, begun)
            };
            self.files.iter().map(of).collect()
        }
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Start(usize),
        Finish(Index),
        Forget(Index),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            2 => (0..FILES).prop_map(Step::Start),
            1 => any::<Index>().prop_map(Step::Finish),
            1 => any::<Index>().prop_map(Step::Forget),
        ];
        prop::collection::vec(step, 0..12)
    }

    /// The meaning of the lines: the file of each number, and its id if finished.
    #[derive(Clone, Debug)]
    enum Meaning {
        Start(u64, usize),
        Finish(u64, String),
        Forget(u64),
    }

    /// Takes the steps, and returns the meaning of each line.
    fn take(home: &Files, journal: &Journal, steps: &[Step]) -> Vec<Meaning> {
        let (mut open, mut meanings) = (Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Start(file) => {
                    let number = journal.start(&home.files[*file], Timestamp::UNIX_EPOCH, None).unwrap();
                    open.push(number);
                    meanings.push(Meaning::Start(number, *file));
                }
                Step::Finish(at) if !open.is_empty() => {
                    let number = open.remove(at.index(open.len()));
                    let id = format!("id-{number}-\"é\\");
                    journal.finish(Some(number), &id.as_str().into());
                    meanings.push(Meaning::Finish(number, id));
                }
                Step::Forget(at) if !open.is_empty() => {
                    let number = open.remove(at.index(open.len()));
                    journal.forget(Some(number));
                    meanings.push(Meaning::Forget(number));
                }
                Step::Finish(_) | Step::Forget(_) => {}
            }
        }
        meanings
    }

    /// The expected uploads after these lines.
    fn expected(meanings: &[Meaning]) -> Vec<(Vec<String>, usize)> {
        let mut open: BTreeMap<u64, usize> = BTreeMap::new();
        let mut found = vec![(Vec::new(), 0); FILES];
        for meaning in meanings {
            match meaning {
                Meaning::Start(number, file) => drop(open.insert(*number, *file)),
                Meaning::Finish(number, id) => found[open.remove(number).unwrap()].0.push(id.clone()),
                Meaning::Forget(number) => drop(open.remove(number)),
            }
        }
        for file in open.into_values() {
            found[file].1 += 1;
        }
        for (ids, _) in &mut found {
            ids.sort();
        }
        found
    }

    #[test]
    fn properties_a_cut_journal_has_its_complete_lines() {
        let home = Files::new();
        let path = home.path("up");
        let inputs = (steps(), any::<Index>(), steps());
        holds("journal: cut anywhere, it has its complete lines", inputs, |(before, cut, after)| {
            let _ = fs::remove_file(&path);
            let journal = home.journal("up");
            let mut meanings = take(&home, &journal, &before);
            drop(journal);
            let whole = fs::read(&path).unwrap_or_default();
            let kept = &whole[..cut.index(whole.len() + 1)];
            if path.exists() {
                fs::write(&path, kept).unwrap();
            }
            // A line counts without its line end.
            let mut ends = whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at);
            let lines = ends.by_ref().take_while(|end| *end <= kept.len()).count();
            meanings.truncate(lines);
            let journal = home.journal("up");
            prop_assert_eq!(home.uploads(&journal), expected(&meanings));
            // The journal can be continued: old and new lines are read.
            meanings.extend(take(&home, &journal, &after));
            drop(journal);
            prop_assert_eq!(home.uploads(&home.journal("up")), expected(&meanings));
            // Another command reads only begun uploads.
            let others: Vec<_> =
                expected(&meanings).into_iter().map(|(_, begun)| (Vec::new(), begun)).collect();
            prop_assert_eq!(home.uploads(&home.journal("another")), others);
            Ok(())
        });
    }

    #[test]
    fn properties_mixed_lines_invent_no_upload() {
        let home = Files::new();
        let path = home.path("up");
        let junk = prop_oneof![
            any::<Vec<u8>>(),
            prop::sample::select(
                &[
                    "{}", "null", "[", "{\"start\":1}", "{\"finish\":1}", "{\"drop\":18446744073709551615}", "{\"drop\":-1}",
                    "{\"finish\":1,\"id\":7}", "\u{feff}", "{\"start\":1,\"path\":\"\",\"name\":\"\",\"size\":0,\"mtime\":0,\"at\":\"x\"}",
                    "{\"start\":18446744073709551615,\"path\":\"\",\"name\":\"\",\"size\":0,\"mtime\":0,\"at\":\"2026-01-01T00:00:00Z\"}",
                ][..]
            )
            .prop_map(|text| text.as_bytes().to_vec()),
        ];
        let edits =
            prop::collection::vec((any::<Index>(), prop_oneof![Just(None), junk.prop_map(Some)]), 0..6);
        let inputs = (steps(), edits, steps());
        holds("journal: nothing is done that was not", inputs, |(steps, edits, after)| {
            let _ = fs::remove_file(&path);
            let journal = home.journal("up");
            let meanings = take(&home, &journal, &steps);
            drop(journal);
            let text = fs::read(&path).unwrap_or_default();
            let mut lines: Vec<Vec<u8>> =
                text.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
            for (at, edit) in edits {
                let at = at.index(lines.len() + 1);
                match (edit, lines.get(at).cloned()) {
                    // A repeated line, or an unknown one.
                    (None, Some(line)) => lines.insert(at, line),
                    (Some(junk), _) => lines.insert(at, junk),
                    (None, None) => {}
                }
            }
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, lines.concat()).unwrap();
            let journal = home.journal("up");
            let truth = expected(&meanings);
            for ((found, _), (done, _)) in home.uploads(&journal).iter().zip(&truth) {
                prop_assert!(found.iter().all(|id| done.contains(id)), "{:?} of {:?}", found, done);
                prop_assert!(found.len() <= done.len(), "{:?} of {:?}", found, done);
            }
            // New uploads are recorded after any content.
            let more = take(&home, &journal, &after);
            drop(journal);
            let found = home.uploads(&home.journal("up"));
            for (file, (done, _)) in expected(&more).iter().enumerate() {
                prop_assert!(
                    done.iter().all(|id| found[file].0.contains(id)),
                    "{:?} of {:?}",
                    found[file],
                    done
                );
            }
            Ok(())
        });
    }

    #[test]
    fn properties_recorded_hashes_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let path: &Path = &folder.path().join("hashes.jsonl");
        let inputs = (any::<Vec<u8>>(), "[a-z]{1,4}", "[0-9a-f]{0,6}", any::<Index>());
        holds("hashes: a torn file tells nothing wrong", inputs, |(junk, id, hash, cut)| {
            fs::write(path, [&junk[..], b"\n"].concat()).unwrap();
            let hashes = super::Hashes::at(path.to_owned());
            hashes.note(&id.as_str().into(), &hash);
            let known = super::Hashes::at(path.to_owned()).of(&id.as_str().into()).map(str::to_owned);
            prop_assert_eq!(known, Some(hash.clone()));
            let whole = fs::read(path).unwrap();
            fs::write(path, &whole[..cut.index(whole.len() + 1)]).unwrap();
            let cut = super::Hashes::at(path.to_owned());
            prop_assert!(cut.of(&id.as_str().into()).is_none_or(|known| known == hash));
            Ok(())
        });
    }
}

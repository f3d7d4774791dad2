//! What holds of every journal, whole, torn or nonsense.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::Index;

use super::{Earlier, Journal};
use crate::model::{NewFile, Source};
use crate::property::holds;

const FILES: usize = 3;

/// A home with a few files to upload.
struct Home {
    folder: tempfile::TempDir,
    files: Vec<NewFile>,
}

impl Home {
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

    /// All that is told of each file: ids that it was sent as, and how often it was on its way.
    fn told(&self, journal: &Journal) -> Vec<(Vec<String>, usize)> {
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

/// What the lines of a journal mean, one after the other: the file of each number, its id once it is there.
#[derive(Clone, Debug)]
enum Meaning {
    Start(u64, usize),
    Finish(u64, String),
    Forget(u64),
}

/// Takes the steps, and tells what each line that was written means.
fn take(home: &Home, journal: &Journal, steps: &[Step]) -> Vec<Meaning> {
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

/// What whoever reads these lines should be told.
fn expected(meanings: &[Meaning]) -> Vec<(Vec<String>, usize)> {
    let mut open: BTreeMap<u64, usize> = BTreeMap::new();
    let mut told = vec![(Vec::new(), 0); FILES];
    for meaning in meanings {
        match meaning {
            Meaning::Start(number, file) => drop(open.insert(*number, *file)),
            Meaning::Finish(number, id) => told[open.remove(number).unwrap()].0.push(id.clone()),
            Meaning::Forget(number) => drop(open.remove(number)),
        }
    }
    for file in open.into_values() {
        told[file].1 += 1;
    }
    for (ids, _) in &mut told {
        ids.sort();
    }
    told
}

#[test]
fn properties_a_journal_that_is_cut_anywhere_tells_of_its_whole_lines() {
    let home = Home::new();
    let path = home.path("up");
    let inputs = (steps(), any::<Index>(), steps());
    holds("journal: cut anywhere, it tells of its whole lines", inputs, |(before, cut, after)| {
        let _ = fs::remove_file(&path);
        let journal = home.journal("up");
        let mut meanings = take(&home, &journal, &before);
        drop(journal);
        let whole = fs::read(&path).unwrap_or_default();
        let kept = &whole[..cut.index(whole.len() + 1)];
        if path.exists() {
            fs::write(&path, kept).unwrap();
        }
        // A line counts when all of it but its end is there.
        let mut ends = whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at);
        let lines = ends.by_ref().take_while(|end| *end <= kept.len()).count();
        meanings.truncate(lines);
        let journal = home.journal("up");
        prop_assert_eq!(home.told(&journal), expected(&meanings));
        // And it can be gone on with: what is written then is read as well as what was there.
        meanings.extend(take(&home, &journal, &after));
        drop(journal);
        prop_assert_eq!(home.told(&home.journal("up")), expected(&meanings));
        // Another command hears of what was on its way, and of nothing else.
        let others: Vec<_> = expected(&meanings).into_iter().map(|(_, begun)| (Vec::new(), begun)).collect();
        prop_assert_eq!(home.told(&home.journal("another")), others);
        Ok(())
    });
}

#[test]
fn properties_nothing_is_done_that_was_not_however_lines_are_mixed() {
    let home = Home::new();
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
    let edits = prop::collection::vec((any::<Index>(), prop_oneof![Just(None), junk.prop_map(Some)]), 0..6);
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
                // A line twice, or something else in between.
                (None, Some(line)) => lines.insert(at, line),
                (Some(junk), _) => lines.insert(at, junk),
                (None, None) => {}
            }
        }
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, lines.concat()).unwrap();
        let journal = home.journal("up");
        let truth = expected(&meanings);
        for ((told, _), (done, _)) in home.told(&journal).iter().zip(&truth) {
            prop_assert!(told.iter().all(|id| done.contains(id)), "{:?} of {:?}", told, done);
            prop_assert!(told.len() <= done.len(), "{:?} of {:?}", told, done);
        }
        // Whatever is in it, what is done from now on is remembered.
        let more = take(&home, &journal, &after);
        drop(journal);
        let told = home.told(&home.journal("up"));
        for (file, (done, _)) in expected(&more).iter().enumerate() {
            prop_assert!(done.iter().all(|id| told[file].0.contains(id)), "{:?} of {:?}", told[file], done);
        }
        Ok(())
    });
}

#[test]
fn properties_what_was_sent_is_known_by_its_hash_whatever_else_is_noted() {
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

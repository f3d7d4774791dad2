//! Properties of `.part` files and their notes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::{Note, Part, Version, names, state_of};
use crate::model::{Checksums, File};
use crate::property::holds;

fn file() -> impl Strategy<Value = File> {
    let size = prop::option::of(0u64..40);
    let text =
        || prop_oneof![prop::sample::select(&["a", "b", ""][..]).prop_map(str::to_owned), any::<String>()];
    (text(), text(), size, prop::option::of("[0-9a-f]{0,4}")).prop_map(|(profile, id, size, md5)| File {
        profile,
        id: id.into(),
        size,
        checksums: Checksums { md5, ..Checksums::default() },
        ..File::default()
    })
}

fn version() -> impl Strategy<Value = Version> {
    (prop::option::of(".{0,8}"), prop::option::of(any::<u64>()), prop::bool::weighted(0.2))
        .prop_map(|(validator, total, derived)| Version { validator, total, derived })
}

/// A change to a part or its note between two runs.
#[derive(Clone, Debug)]
enum Change {
    Nothing,
    /// One bit of the part is flipped.
    Flipped(prop::sample::Index),
    /// The part is truncated to this length.
    Cut(usize),
    Grown,
    /// The part or the note is replaced by a foreign file.
    Part(Vec<u8>),
    Note(Vec<u8>),
    PartGone,
    NoteGone,
}

fn change() -> impl Strategy<Value = Change> {
    let junk = || {
        prop_oneof![
            any::<Vec<u8>>(),
            prop::sample::select(&["{}", "{\"made_by\":\"\"}", "{\"of\":7}", "null", ""][..])
                .prop_map(|text| text.as_bytes().to_vec()),
        ]
    };
    prop_oneof![
        4 => Just(Change::Nothing),
        1 => any::<prop::sample::Index>().prop_map(Change::Flipped),
        1 => (0usize..30).prop_map(Change::Cut),
        1 => Just(Change::Grown),
        1 => junk().prop_map(Change::Part),
        1 => junk().prop_map(Change::Note),
        1 => Just(Change::PartGone),
        1 => Just(Change::NoteGone),
    ]
}

fn snapshot(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

#[test]
fn properties_only_bytes_that_match_the_note_are_resumed() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let open = |target: &Path, file: &File, resume: bool| {
        let kept = resume.then(|| file.size.unwrap_or(u64::MAX));
        runtime.block_on(Part::named(target, state_of(file), kept)).unwrap()
    };
    let inputs = (file(), file(), version(), 1usize..30, change(), any::<bool>(), any::<bool>());
    holds("part: only bytes that match the note are resumed", inputs, |input| {
        let (first, second, version, count, change, resume, again) = input;
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        let second = if again { first.clone() } else { second };
        let (path, note) = names(&target, 1);
        let mut part = open(&target, &first, true);
        prop_assert_eq!((part.have(), part.version()), (0, &Version::default()));
        part.begin(0, version.clone()).unwrap();
        part.write(&vec![7; count]).unwrap();
        drop(part);
        let before = fs::read(&path).unwrap();
        prop_assert_eq!(before.len(), count);
        match &change {
            Change::Nothing => {}
            Change::Flipped(at) => {
                let mut bytes = before.clone();
                bytes[at.index(count)] ^= 1;
                fs::write(&path, bytes).unwrap();
            }
            Change::Cut(length) => fs::write(&path, &before[..count.min(*length)]).unwrap(),
            Change::Grown => fs::write(&path, [&before[..], b"more"].concat()).unwrap(),
            Change::Part(junk) => {
                fs::write(folder.path().join("new"), junk).unwrap();
                fs::rename(folder.path().join("new"), &path).unwrap();
            }
            Change::Note(junk) => fs::write(&note, junk).unwrap(),
            Change::PartGone => fs::remove_file(&path).unwrap(),
            Change::NoteGone => fs::remove_file(&note).unwrap(),
        }
        let mut foreign = snapshot(folder.path());
        let (in_name, of_note) = ("target.part".to_owned(), "target.part.json".to_owned());
        match &change {
            // A part without a note counts as foreign.
            Change::Part(_) => foreign.retain(|name, _| *name == in_name),
            Change::NoteGone | Change::Note(_) => {}
            _ => foreign.clear(),
        }
        let same = format!("{first:?}") == format!("{second:?}");
        let fits = second.size.is_none_or(|size| count as u64 <= size) && !version.derived;
        let whole = match change {
            Change::Nothing | Change::Grown => true,
            Change::Cut(length) => length >= count,
            _ => false,
        };
        let mut next = open(&target, &second, resume);
        if same && fits && whole && resume {
            prop_assert_eq!((next.have(), next.version()), (count as u64, &version));
        } else if next.have() > 0 {
            // The files differ only in fields that do not affect their content.
            let of = |file: &File| {
                (file.profile.clone() + ":" + file.id.as_str(), file.size, file.checksums.clone())
            };
            prop_assert!(of(&first) == of(&second) && fits && whole && resume, "{:?} {:?}", first, second);
        }
        let kept = next.have();
        next.begin(kept, version).unwrap();
        next.write(b"end").unwrap();
        runtime.block_on(next.publish(&target, false)).unwrap();
        let mut left = snapshot(folder.path());
        let expected = [&vec![7; usize::try_from(kept).unwrap()][..], b"end"].concat();
        prop_assert_eq!(left.remove("target"), Some(expected));
        left.retain(|name, _| *name != of_note || foreign.contains_key(name));
        prop_assert_eq!(left, foreign, "foreign files are kept and nothing else is left");
        Ok(())
    });
}

#[test]
fn properties_the_names_of_a_part_fit_and_differ() {
    let name = prop_oneof!["[a-z]{1,255}", "[xé日]{1,85}", "x{240,255}", ".{1,60}"];
    let name = name.prop_filter("a file name", |name| {
        name.len() <= 255 && !name.contains(['/', '\0']) && !matches!(name.as_str(), "." | "..")
    });
    let inputs = (name.clone(), name, 1u32..100);
    holds("part: the names of a part fit and differ", inputs, |(one, other, number)| {
        let of = |name: &str, number| names(&Path::new("folder").join(name), number);
        for (path, text) in [of(&one, number).0, of(&one, number).1].map(|path| {
            let text = path.file_name().unwrap().to_str().unwrap().to_owned();
            (path, text)
        }) {
            prop_assert!(text.len() <= 255 && path.parent() == Some(Path::new("folder")), "{}", text);
            prop_assert!(text != one);
        }
        if one.len() <= 240 {
            prop_assert_eq!(of(&one, 1).0, Path::new("folder").join(format!("{one}.part")));
        }
        if one != other {
            prop_assert_ne!(of(&one, number), of(&other, number));
        }
        prop_assert_ne!(of(&one, number), of(&one, number + 1));
        Ok(())
    });
}

#[tokio::test]
async fn a_small_file_appears_once_it_is_complete() {
    let file = File { size: Some(4), ..File::default() };
    for (appeared, overwrite) in [(None, false), (None, true), (Some("old"), false), (Some("old"), true)] {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        // A foreign file with the name of a part.
        fs::write(folder.path().join("target.part"), "mine").unwrap();
        let mut part = Part::open(&target, &file, true).await.unwrap();
        part.begin(0, Version::default()).unwrap();
        part.write(b"new!").unwrap();
        if cfg!(target_os = "linux") {
            assert_eq!(snapshot(folder.path()).len(), 1);
        }
        if let Some(old) = appeared {
            fs::write(&target, old).unwrap();
        }
        let published = part.publish(&target, overwrite).await;
        assert_eq!(published.is_ok(), appeared.is_none() || overwrite, "{published:?}");
        let mut left = snapshot(folder.path());
        let expected = if published.is_ok() { "new!" } else { "old" };
        assert_eq!(left.remove("target").unwrap(), expected.as_bytes());
        assert_eq!(left, BTreeMap::from([("target.part".to_owned(), b"mine".to_vec())]));
    }
}

#[test]
fn notes_of_any_length_can_be_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("note");
    let mut file = fs::File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    let long = Note { blake3: Some("0".repeat(64)), have: u64::MAX, ..Note::begun() };
    let mut length = 0;
    for note in [Note::begun(), long.clone(), Note::begun(), long] {
        length = note.write(&mut file, length).unwrap();
        assert_eq!(Note::at(&path), Some(note));
    }
}

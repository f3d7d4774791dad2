//! What holds of every `.part` file and its note.

use std::fs;
use std::io::Write as _;

use proptest::prelude::*;

use super::{Part, SMALL, with};
use crate::model::{Checksums, File};
use crate::property::holds;

fn file() -> impl Strategy<Value = File> {
    let size = prop::option::of(prop_oneof![0u64..20, SMALL - 1..SMALL + 2]);
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

#[test]
fn properties_bytes_are_gone_on_with_only_where_the_note_is_of_this_file() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("target");
    let junk = prop_oneof![
        any::<Vec<u8>>(),
        prop::sample::select(
            &["{}", "{\"of\":\"\"}", "{\"of\":7,\"validator\":null}", "null", "{\"of\":\"a:a\""][..]
        )
        .prop_map(|text| text.as_bytes().to_vec()),
    ];
    let inputs =
        (file(), file(), prop::option::of(".{0,8}"), 1usize..30, prop::option::of(junk), any::<bool>());
    holds("part: bytes are gone on with only where the note is of this file", inputs, |input| {
        let (first, second, validator, count, junk, resume) = input;
        for path in [with(&target, ".part"), with(&target, ".part.json")] {
            let _ = fs::remove_file(path);
        }
        let part = Part::open(&target, &first, true).unwrap();
        prop_assert_eq!((part.have, &part.validator), (0, &None));
        part.note(validator.as_deref()).unwrap();
        (&part.handle).write_all(&vec![7; count]).unwrap();
        drop(part);
        if let Some(junk) = &junk {
            fs::write(with(&target, ".part.json"), junk).unwrap();
        }
        let same = format!("{first:?}") == format!("{second:?}");
        let noted = first.size.is_none_or(|size| size > SMALL) && junk.is_none();
        let fits = second.size.is_none_or(|size| count as u64 <= size);
        let again = Part::open(&target, &second, resume).unwrap();
        if same && noted && fits && resume {
            prop_assert_eq!((again.have, &again.validator), (count as u64, &validator));
        } else if again.have > 0 {
            // Files that differ only in what says nothing of their content.
            let of = |file: &File| {
                (file.profile.clone() + ":" + file.id.as_str(), file.size, file.checksums.clone())
            };
            prop_assert!(of(&first) == of(&second) && noted && resume, "{:?} {:?}", first, second);
        } else {
            prop_assert!(again.is_empty() && again.validator.is_none());
        }
        again.discard();
        prop_assert!(
            fs::read_dir(folder.path()).unwrap().all(|entry| !entry.unwrap().path().ends_with("target.part"))
        );
        Ok(())
    });
}

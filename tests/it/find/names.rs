//! References by name: an exact match of bytes takes precedence over an equal NFC form.

use haul::model::NewFile;

use crate::find::support::{LOCAL, finds_names, haul, sandbox};
use crate::platforms::dialects;
use crate::support::rig::Rig;

const COMPOSED: &str = "caf\u{e9}.txt";
const DECOMPOSED: &str = "cafe\u{301}.txt";

/// The id of the file with this name, as printed by `haul info`.
fn id_of(rig: &Rig, name: &str) -> String {
    haul(rig, &["info", &format!("name:{name}"), "--fields", "id"]).ok().stdout().trim_end().to_owned()
}

#[test]
fn names_are_found_in_either_form_and_an_exact_match_wins() {
    // The dialect `served` depends on the address of each server.
    for case in dialects().filter(|case| case.dialect != "served") {
        for (stored, other) in [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)] {
            let rig = Rig::new(case);
            let upload = |name| rig.upload(&NewFile::from_bytes(name, "x")).unwrap().id.0;
            upload("cafe.txt");
            let first = upload(stored);
            assert_eq!([id_of(&rig, other), id_of(&rig, stored)], [&*first, &*first], "{case:?}");
            let second = upload(other);
            assert_eq!([id_of(&rig, other), id_of(&rig, stored)], [&*second, &*first], "{case:?}");
        }
    }
}

#[test]
fn a_decomposed_name_on_disk_finds_its_composed_file() {
    for case in finds_names().chain([LOCAL]) {
        let rig = Rig::new(case);
        let id = rig.upload(&NewFile::from_bytes(COMPOSED, "content")).unwrap().id.0;
        let env = sandbox(&rig);
        env.write(DECOMPOSED, "other");
        // As a shell on macOS completes the name.
        let run = env.shell("haul info caf*.txt --fields id,name").ok();
        assert_eq!(run.stdout(), format!("{id}\t{COMPOSED}\n"), "{case:?}");
        env.haul(["rm", DECOMPOSED, "-q"]).ok();
        env.haul(["info", COMPOSED]).fails(3);
    }
}

/// Platforms that filter by name receive a request for each spelling until one matches exactly.
#[test]
fn only_missing_names_cost_more_requests() {
    for case in finds_names() {
        let rig = Rig::new(case);
        rig.upload(&NewFile::from_bytes(COMPOSED, "x")).unwrap();
        let requests = |name| {
            rig.served.requests();
            id_of(&rig, name);
            rig.served.requests().len()
        };
        assert_eq!([requests(COMPOSED), requests(DECOMPOSED)], [1, 2], "{case:?}");
    }
}

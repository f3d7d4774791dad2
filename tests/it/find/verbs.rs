//! The commands of every platform, as users type them.

use haul::model::NewFile;

use crate::find::support::{haul, sandbox};
use crate::platforms::all;
use crate::support::rig::{Case, Rig};

#[test]
fn every_platform_command_has_the_expected_result() {
    let mut wrong = Vec::new();
    for (case, line, status, part) in all().flat_map(|platform| platform.commands) {
        let rig = Rig::new(*case);
        let new = NewFile {
            content_type: "application/pdf".to_owned(),
            ..NewFile::from_bytes("doc.pdf", "CONTENT")
        };
        let id = rig.upload(&new).unwrap().id.0;
        for name in ["up.txt", "other.txt"] {
            std::fs::write(rig.served.home().join(name), "going up").unwrap();
        }
        // An id may begin with a dash; `id:` keeps it from being parsed as a flag.
        let words: Vec<String> = line.split(' ').map(|word| word.replace('@', &format!("id:{id}"))).collect();
        let ran = haul(&rig, &words.iter().map(String::as_str).collect::<Vec<_>>());
        let said = if *status == 0 { ran.stdout() } else { ran.stderr() };
        if ran.status != *status || !said.contains(&part.replace('@', &id)) {
            wrong.push(format!("{} {}: {line}\n{ran:#?}", case.provider, case.dialect));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn refused_downloads_name_the_uploaded_files_and_open_the_ledger_once() {
    let rig = Rig::new(Case::of("anthropic", "ga"));
    let env = sandbox(&rig);
    for name in ["a.txt", "b.txt"] {
        env.write(name, "content");
    }
    env.haul(["upload", "a.txt", "b.txt"]).ok();
    let get = ["get", "a.txt", "b.txt", "-o", "copies/"];
    let refused = env.haul(get).fails(5);
    for name in ["a.txt", "b.txt"] {
        let path = env.work().join(name);
        assert!(
            refused
                .stderr()
                .contains(&format!("the file was uploaded from {} on this machine", path.display())),
            "{refused}"
        );
    }
    let ledger = rusqlite::Connection::open(env.home().join("state/ledger.db")).unwrap();
    ledger.pragma_update(None, "user_version", 99).unwrap();
    drop(ledger);
    let refused = env.haul(get).fails(5);
    assert_eq!(refused.stderr().matches("a newer version of haul wrote it").count(), 1, "{refused}");
}

//! The commands of every platform, as users type them.

use haul::model::NewFile;

use crate::find::support::haul;
use crate::platforms::all;
use crate::support::rig::Rig;

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

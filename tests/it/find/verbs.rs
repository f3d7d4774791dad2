//! The verbs on every platform, as users type them: each line a cell of the table.

use haul::model::NewFile;

use crate::find::support::{
    ACTIVELOOP, GATEWAY, LEGACY, LLAMACLOUD, LOCAL, MAGNETAR, PULSAR, REPLICATE, SEED, SIGNED, XAI, haul,
};
use crate::support::rig::{Case, Rig};

/// On this platform, with these words (`@` is the file's id): the exit code and a part of the output, stdout for
/// status 0 and stderr for any other.
type Cell = (Case, &'static str, i32, &'static str);

const TABLE: &[Cell] = &[
    // upload
    (LOCAL, "upload up.txt --metadata a=b --expires 24h --purpose p", 0, "up.txt"),
    (REPLICATE, "upload up.txt --metadata a=b", 0, "up.txt"),
    (REPLICATE, "upload up.txt --expires 24h", 5, "replicate has no lifetime for a file"),
    (REPLICATE, "upload up.txt --purpose p", 5, "replicate has no place for a purpose"),
    (ACTIVELOOP, "upload up.txt --metadata a=b --purpose assistants", 0, "up.txt"),
    (ACTIVELOOP, "upload up.txt other.txt --together", 0, "other.txt"),
    (MAGNETAR, "upload up.txt --metadata title=T", 0, "up.txt"),
    (MAGNETAR, "upload up.txt --expires 24h", 5, "metorial has no lifetime for a file"),
    (SEED, "upload up.txt --metadata title=T", 5, "metorial has no place for metadata"),
    (SEED, "upload up.txt --purpose attachment", 0, "up.txt"),
    (LLAMACLOUD, "upload up.txt --purpose parse", 0, "up.txt"),
    (LLAMACLOUD, "upload up.txt --metadata a=b", 5, "llamacloud has no place for metadata"),
    (LEGACY, "upload up.txt", 0, "up.txt"),
    (XAI, "upload up.txt --expires 24h", 0, "up.txt"),
    (XAI, "upload up.txt --metadata a=b", 5, "xai has no place for metadata"),
    (XAI, "upload up.txt other.txt --together", 5, "xai takes one file a request"),
    (GATEWAY, "upload up.txt", 0, "up.txt"),
    // ls, info
    (LOCAL, "ls --ids", 0, "@"),
    (REPLICATE, "ls --ids", 0, "@"),
    (ACTIVELOOP, "ls --ids", 0, "@"),
    (SEED, "ls --ids", 0, "@"),
    (PULSAR, "ls --ids", 0, "@"),
    (MAGNETAR, "ls --ids", 0, "@"),
    (LLAMACLOUD, "ls --ids", 0, "@"),
    (LEGACY, "ls --ids", 0, "@"),
    (XAI, "ls --ids", 0, "@"),
    (GATEWAY, "ls --ids", 0, "@"),
    (LOCAL, "info @", 0, "doc.pdf"),
    (REPLICATE, "info @", 0, "doc.pdf"),
    (ACTIVELOOP, "info @", 0, "doc.pdf"),
    (MAGNETAR, "info @", 0, "doc.pdf"),
    (LLAMACLOUD, "info doc.pdf", 0, "doc.pdf"),
    (LEGACY, "info @", 0, "doc.pdf"),
    (XAI, "info doc.pdf", 0, "doc.pdf"),
    (GATEWAY, "info @", 0, "doc.pdf"),
    (XAI, "info nothing.pdf", 3, "nothing.pdf: no file on xai has this id or name"),
    (LLAMACLOUD, "info nothing.pdf", 3, "nothing.pdf: no file on llamacloud has this id or name"),
    // get
    (LOCAL, "get @ -o -", 0, "CONTENT"),
    (REPLICATE, "get @ -o -", 5, "replicate does not let a caller download an uploaded file"),
    (SIGNED, "get @ -o -", 0, "CONTENT"),
    (ACTIVELOOP, "get @ -o -", 0, "CONTENT"),
    (SEED, "get @ -o -", 0, "CONTENT"),
    (PULSAR, "get @ -o -", 0, "CONTENT"),
    (MAGNETAR, "get @ -o -", 0, "CONTENT"),
    (LLAMACLOUD, "get @ -o -", 0, "CONTENT"),
    (LEGACY, "get @ -o -", 0, "CONTENT"),
    (XAI, "get @ -o -", 0, "CONTENT"),
    (GATEWAY, "get @ -o -", 0, "CONTENT"),
    // meta set
    (
        LOCAL,
        "meta set @ a=b --name n.txt --type text/plain --path p --jsonl",
        0,
        "\"metadata\":{\"a\":\"b\"}",
    ),
    (REPLICATE, "meta set @ a=b", 5, "replicate does not let a caller change a file's metadata"),
    (ACTIVELOOP, "meta set @ a=b --jsonl", 0, "\"a\":\"b\""),
    (ACTIVELOOP, "meta set @ --name n.txt", 5, "activeloop does not let a caller change a file's name"),
    (SEED, "meta set @ title=T", 5, "metorial does not let a caller change a file's metadata"),
    (PULSAR, "meta set @ title=T --jsonl", 0, "\"title\":\"T\""),
    (PULSAR, "meta set @ a=b", 5, "metorial has no place for the metadata key \"a\""),
    (LLAMACLOUD, "meta set @ a=b", 5, "llamacloud does not let a caller change a file's metadata"),
    (XAI, "meta set @ --name n.txt", 5, "xai does not let a caller change a file's metadata"),
    (GATEWAY, "meta set @ --name n.txt --type text/plain --path p --jsonl", 0, "\"name\":\"n.txt\""),
    (GATEWAY, "meta set @ a=b", 5, "xai does not let a caller change a file's metadata"),
    // upload --to
    (LOCAL, "upload up.txt --to @ --ids", 0, "@"),
    (GATEWAY, "upload up.txt --to @ --ids", 0, "@"),
    (XAI, "upload up.txt --to @", 5, "xai does not let a caller replace a file's content"),
    (REPLICATE, "upload up.txt --to @", 5, "replicate does not let a caller replace a file's content"),
    (ACTIVELOOP, "upload up.txt --to @", 5, "activeloop does not let a caller replace a file's content"),
    (MAGNETAR, "upload up.txt --to @", 5, "metorial does not let a caller replace a file's content"),
    (LLAMACLOUD, "upload up.txt --to @", 5, "llamacloud does not let a caller replace a file's content"),
    // link
    (LOCAL, "link @", 0, "file://"),
    (LOCAL, "link @ --expires 1h", 5, "local has no lifetime for a link"),
    (REPLICATE, "link @", 5, "replicate does not let a caller make a link to a file"),
    (SIGNED, "link @ --expires 1h", 0, "signature="),
    (ACTIVELOOP, "link @", 5, "activeloop does not let a caller make a link to a file"),
    (SEED, "link @ --expires 1h", 0, "http"),
    (MAGNETAR, "link @ --expires 1h", 0, "http"),
    (MAGNETAR, "link @ --list", 0, ""),
    (LLAMACLOUD, "link @ --expires 1h", 0, "http"),
    (LLAMACLOUD, "link @ --list", 5, "llamacloud does not let a caller list a file's links"),
    (LLAMACLOUD, "link @ --revoke", 5, "llamacloud does not let a caller revoke a link"),
    (XAI, "link @ --expires 1h", 0, "http"),
    (XAI, "link @ --list", 0, ""),
    (XAI, "link @ --revoke", 3, "it has no public URL"),
    (GATEWAY, "link @", 0, "http"),
    (GATEWAY, "link @ --expires 1h", 5, "xai has no lifetime for a link"),
    (GATEWAY, "link @ --revoke", 5, "xai does not let a caller revoke a link"),
    // rm
    (LOCAL, "rm @", 0, "@"),
    (REPLICATE, "rm @", 0, "@"),
    (ACTIVELOOP, "rm @", 0, "@"),
    (SEED, "rm @", 0, "@"),
    (PULSAR, "rm @", 1, "error: "),
    (MAGNETAR, "rm @", 0, "@"),
    (LLAMACLOUD, "rm doc.pdf", 0, "@"),
    (LEGACY, "rm @", 0, "@"),
    (XAI, "rm doc.pdf", 0, "@"),
    (GATEWAY, "rm @", 0, "@"),
];

#[test]
fn every_cell_of_the_table_holds() {
    let mut wrong = Vec::new();
    for (case, line, status, part) in TABLE.iter().filter(|cell| cell.0.is_emulated()) {
        let rig = Rig::new(*case);
        let new = NewFile {
            content_type: "application/pdf".to_owned(),
            ..NewFile::from_bytes("doc.pdf", "CONTENT")
        };
        let id = rig.upload(&new).unwrap().id.0;
        for name in ["up.txt", "other.txt"] {
            std::fs::write(rig.served.home().join(name), "going up").unwrap();
        }
        // An id may begin with a dash: `id:` keeps it from being a flag.
        let words: Vec<String> = line.split(' ').map(|word| word.replace('@', &format!("id:{id}"))).collect();
        let ran = haul(&rig, &words.iter().map(String::as_str).collect::<Vec<_>>());
        let said = if *status == 0 { ran.stdout() } else { ran.stderr() };
        if ran.status != *status || !said.contains(&part.replace('@', &id)) {
            wrong.push(format!("{} {}: {line}\n{ran:#?}", case.provider, case.dialect));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

//! Two commands at once that mean the same thing: one file, one part, one config file.

use std::fs;

use haul::providers::Download;

use crate::hostile::served::Served;
use crate::hostile::world::plain;
use crate::platforms::{Platform, served};
use crate::support::process::Process;
use crate::support::sandbox::Sandbox;

#[test]
fn two_downloads_of_one_file_to_one_place() {
    let downloads = |platform: &Platform| platform.spec().dialects[0].can.download == Download::Any;
    for platform in served().filter(|(platform, _)| downloads(platform)).map(|(platform, _)| platform.name) {
        let served = Served::start(platform, &["--fault", "drip=3000000 GET **"]);
        let content: Vec<u8> = (0..500_000_u32).flat_map(u32::to_le_bytes).collect();
        served.env.write("big", &content);
        served.haul(&["upload", "big"]).ok();
        fs::remove_file(served.env.work().join("big")).unwrap();
        for wish in ["--quiet", "--overwrite", "--skip-existing"] {
            let both = [0, 1, 2]
                .map(|_| served.env.spawn(&mut served.command(&["get", "name:big", "-o", "copy", wish])));
            let ended = both.map(Process::end);
            assert!(ended.iter().any(|run| run.status == 0), "{platform}: {ended:?}");
            for run in &ended {
                let (status, err) = (run.status, run.stderr());
                let told = err.contains("copy.part: another download is writing to it")
                    || err.contains("copy: already exists");
                assert!(status == 0 || (status == 1 && told), "{platform} {wish}: {ended:?}");
            }
            assert!(served.env.read("copy") == content, "{platform}: the bytes are right whoever wrote them");
            assert_eq!(served.env.files(), ["copy"], "{platform}: nothing else is left");
            fs::remove_file(served.env.work().join("copy")).unwrap();
        }
    }
}

#[test]
fn two_uploads_of_one_file_are_two_files() {
    let served = Served::start(plain().provider, &["--fault", "delay=200 POST"]);
    served.env.write("doc", "content");
    let both = [0, 1, 2, 3].map(|_| served.env.spawn(&mut served.command(&["upload", "doc", "--ids"])));
    let mut ids: Vec<String> = Vec::new();
    for process in both {
        ids.push(process.end().ok().stdout().trim().to_owned());
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4, "each told of its own");
    assert_eq!(served.contents(), vec![b"content".to_vec(); 4]);
    assert_eq!(served.requests("POST", 4), 4);

    // In the store of this machine, too, and the content is there once.
    let env = Sandbox::new();
    env.write("doc", "content");
    let both = [0, 1, 2, 3].map(|_| env.spawn(env.command().args(["upload", "doc", "--ids"])));
    for process in both {
        process.end().ok();
    }
    assert_eq!(env.ids().len(), 4);
    env.blob();
}

#[test]
fn profiles_added_at_once_are_all_there() {
    let env = Sandbox::new();
    let names: Vec<String> = (0..8).map(|number| format!("work{number}")).collect();
    for _ in 0..3 {
        let add = |name: &String| {
            env.spawn(env.command().args(["profile", "add", name, "--provider", plain().provider]))
        };
        let all: Vec<Process> = names.iter().map(add).collect();
        for process in all {
            process.end().ok();
        }
        let there = env.haul(["profile", "ls", "--jsonl", "--fields", "name"]).ok().jsonl();
        for name in &names {
            assert!(there.iter().any(|row| row["name"] == **name), "{name} was lost: {there:?}");
        }
        for name in &names {
            env.haul(["profile", "rm", name]).ok();
        }
    }
}

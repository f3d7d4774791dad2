//! Concurrent commands with the same target: a file, a partial download, the config file.

use std::fs;

use haul::providers::Download;

use crate::hostile::served::Served;
use crate::hostile::world::plain;
use crate::platforms::{Platform, served};
use crate::support::process::Process;
use crate::support::sandbox::Sandbox;

#[test]
fn concurrent_downloads_to_one_path_do_not_mix() {
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
                let reported = err.contains("copy.part: another download is writing to it")
                    || err.contains("copy: already exists");
                assert!(status == 0 || (status == 1 && reported), "{platform} {wish}: {ended:?}");
            }
            assert!(served.env.read("copy") == content, "{platform}: the content is right");
            assert_eq!(served.env.files(), ["copy"], "{platform}: no other file is left");
            fs::remove_file(served.env.work().join("copy")).unwrap();
        }
    }
}

#[test]
fn concurrent_uploads_create_separate_files() {
    let served = Served::start(plain().provider, &["--fault", "delay=200 POST"]);
    served.env.write("doc", "content");
    let both = [0, 1, 2, 3].map(|_| served.env.spawn(&mut served.command(&["upload", "doc", "--ids"])));
    let mut ids: Vec<String> = Vec::new();
    for process in both {
        ids.push(process.end().ok().stdout().trim().to_owned());
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4, "each command reports its own file");
    assert_eq!(served.contents(), vec![b"content".to_vec(); 4]);
    assert_eq!(served.requests("POST", 4), 4);

    // The same in the embedded store, which keeps the content once.
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
fn concurrently_added_profiles_are_all_kept() {
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
        let rows = env.haul(["profile", "ls", "--jsonl", "--fields", "name"]).ok().jsonl();
        for name in &names {
            assert!(rows.iter().any(|row| row["name"] == **name), "{name} was lost: {rows:?}");
        }
        for name in &names {
            env.haul(["profile", "rm", name]).ok();
        }
    }
}

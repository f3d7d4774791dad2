//! Two commands at once that mean the same thing: one file, one part, one config file.

use std::fs;
use std::process::{Child, Output, Stdio};

use crate::hostile::served::Served;
use crate::support::sandbox::TestEnv;

fn start(mut command: std::process::Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn end(child: Child) -> (i32, String, String) {
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[test]
fn two_downloads_of_one_file_to_one_place() {
    for platform in ["xai", "llamacloud", "metorial", "activeloop"] {
        let served = Served::start(platform, &["--fault", "drip=3000000 GET **"]);
        let content: Vec<u8> = (0..500_000_u32).flat_map(u32::to_le_bytes).collect();
        served.env.write("big", &content);
        served.haul(&["upload", "big"]).ok();
        fs::remove_file(served.env.work().join("big")).unwrap();
        for wish in ["--quiet", "--overwrite", "--skip-existing"] {
            let both = [0, 1, 2].map(|_| start(served.command(&["get", "name:big", "-o", "copy", wish])));
            let ended = both.map(end);
            assert!(ended.iter().any(|(status, ..)| *status == 0), "{platform}: {ended:?}");
            for (status, _, err) in &ended {
                let told = err.contains("copy.part: another download is writing to it")
                    || err.contains("copy: exists already");
                assert!(*status == 0 || (*status == 1 && told), "{platform} {wish}: {ended:?}");
            }
            assert!(served.env.read("copy") == content, "{platform}: the bytes are right whoever wrote them");
            assert_eq!(served.env.files(), ["copy"], "{platform}: nothing else is left");
            fs::remove_file(served.env.work().join("copy")).unwrap();
        }
    }
}

#[test]
fn two_uploads_of_one_file_are_two_files() {
    let served = Served::start("xai", &["--fault", "delay=200 POST"]);
    served.env.write("doc", "content");
    let both = [0, 1, 2, 3].map(|_| start(served.command(&["upload", "doc", "--ids"])));
    let mut ids: Vec<String> = Vec::new();
    for child in both {
        let (status, out, err) = end(child);
        assert_eq!(status, 0, "{err}");
        ids.push(out.trim().to_owned());
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4, "each told of its own");
    assert_eq!(served.contents(), vec![b"content".to_vec(); 4]);
    assert_eq!(served.requests("POST", 4), 4);

    // In the store of this machine, too, and the content is there once.
    let env = TestEnv::new();
    env.write("doc", "content");
    let both = [0, 1, 2, 3].map(|_| {
        let mut command = env.command();
        command.args(["upload", "doc", "--ids"]);
        start(command)
    });
    for child in both {
        let (status, _, err) = end(child);
        assert_eq!(status, 0, "{err}");
    }
    assert_eq!(env.ids().len(), 4);
    env.blob();
}

#[test]
fn profiles_added_at_once_are_all_there() {
    let env = TestEnv::new();
    let names: Vec<String> = (0..8).map(|number| format!("work{number}")).collect();
    for _ in 0..3 {
        let all: Vec<Child> = names
            .iter()
            .map(|name| {
                let mut command = env.command();
                command.args(["profile", "add", name, "--provider", "xai"]);
                start(command)
            })
            .collect();
        for (child, name) in all.into_iter().zip(&names) {
            let (status, _, err) = end(child);
            assert_eq!(status, 0, "{name}: {err}");
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

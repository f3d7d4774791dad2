//! Work that has been done before: a folder that is unchanged, by the lock file and by downloading.

use std::fmt::Write as _;
use std::fs;

use crate::job::{Job, Peer};
use crate::measure::Program;
use crate::setup::{Platform, Setup, curl};

const MIB: usize = 1 << 20;

pub fn rows(setup: &Setup, part: usize) -> Vec<Job> {
    vec![unchanged(setup, 10_000 / part), downloaded(setup, 100 / part)]
}

/// A sync of unchanged files, compared with the listing that it needs.
fn unchanged(setup: &Setup, files: usize) -> Job {
    let sync = synced(setup, files);
    let url = setup.url(&format!("n{files}-s4096"));
    let listing = setup.haul(Platform::Activeloop, &url, &["ls", "--jsonl"]);
    Job::new(format!("`haul sync` of {files} unchanged files"), sync)
        .memory(24.0)
        .compare(Peer::new("`haul ls --jsonl` of the same", Some(listing)))
}

/// `haul sync` of a folder that has been synced.
pub fn synced(setup: &Setup, files: usize) -> Program {
    let folder = setup.home.join(format!("synced-{files}"));
    fs::create_dir_all(&folder).unwrap();
    for number in 0..files {
        setup.file(&format!("synced-{files}/{number}.bin"), 4096);
    }
    let url = setup.url(&format!("n{files}-s4096"));
    let (folder, lock) = (folder.display().to_string(), setup.path(&format!("synced-{files}.lock")));
    let sync = |more: &[&str]| {
        let arguments = [&["sync", "-q", &folder, "activeloop:", "--lock", &lock], more].concat();
        setup.haul(Platform::Activeloop, &url, &arguments)
    };
    // The server has the files already.
    sync(&["--compare", "size"]).run(&|| {});
    sync(&[])
}

/// `--if-exists skip` on another machine, compared with the download of all files.
fn downloaded(setup: &Setup, files: usize) -> Job {
    let folder = setup.home.join("compared");
    fs::create_dir_all(&folder).unwrap();
    for number in 0..files {
        setup.file(&format!("compared/{number}.bin"), MIB);
    }
    let url = setup.url(&format!("n{files}-s{MIB}"));
    let mut list = String::new();
    for number in 0..files {
        let next = if number + 1 < files { "next\n" } else { "" };
        let _ = write!(list, "url=\"{url}/files/file-{number}/content\"\noutput=\"/dev/null\"\n{next}");
    }
    let downloads = setup.path("downloads");
    fs::write(&downloads, list).unwrap();
    let home = setup.home.join("haul");
    let folder = folder.display().to_string();
    let haul =
        setup.haul(Platform::Activeloop, &url, &["upload", "-q", "-r", &folder, "--if-exists", "skip"]);
    Job::new(format!("{files} × 1 MiB compared by downloading"), haul)
        .memory(20.0)
        .before(move || drop(fs::remove_dir_all(&home)))
        .compare(Peer::new(
            "`curl --parallel` of the same",
            Some(curl(&["--no-progress-meter", "--parallel", "--parallel-max", "8", "-K", &downloads])),
        ))
}

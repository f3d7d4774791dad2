//! Work that has been done before: a folder found to be unchanged, by its lock file or by downloading it.

use std::fs;

use crate::job::{Job, Peer};
use crate::measure::Program;
use crate::setup::{Platform, Setup};

const MIB: usize = 1 << 20;

pub fn rows(setup: &Setup, part: usize) -> Vec<Job> {
    vec![unchanged(setup, 10_000 / part), downloaded(setup, 100 / part)]
}

/// A sync of unchanged files, compared with the listing that it requires.
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
    let folder = setup.folder(&format!("synced-{files}"), files, 4096);
    let url = setup.url(&format!("n{files}-s4096"));
    let lock = setup.path(&format!("synced-{files}.lock"));
    let sync = |more: &[&str]| {
        let arguments = [&["sync", "-q", &folder, "activeloop:", "--lock", &lock], more].concat();
        setup.haul(Platform::Activeloop, &url, &arguments)
    };
    // The server already has the files, so this run only writes the lock file.
    sync(&["--compare", "size"]).run(&|| {});
    sync(&[])
}

/// `--if-exists skip` on another machine, compared with the download of all files.
fn downloaded(setup: &Setup, files: usize) -> Job {
    let folder = setup.folder("compared", files, MIB);
    let url = setup.url(&format!("n{files}-s{MIB}"));
    let download = |number| format!("url=\"{url}/files/file-{number}/content\"\noutput=\"/dev/null\"\n");
    let downloads = setup.curl_parallel("downloads", (0..files).map(download));
    let home = setup.home.join("haul");
    let haul =
        setup.haul(Platform::Activeloop, &url, &["upload", "-q", "-r", &folder, "--if-exists", "skip"]);
    Job::new(format!("{files} × 1 MiB compared by downloading"), haul)
        .memory(20.0)
        .before(move || drop(fs::remove_dir_all(&home)))
        .compare(Peer::new("`curl --parallel` of the same", Some(downloads)))
}

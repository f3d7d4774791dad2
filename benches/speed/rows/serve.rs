//! `haul serve`: a large upload compared with a synced write of the file, and its download compared with a minimal server.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use crate::job::{Job, Peer};
use crate::measure::Program;
use crate::setup::{Platform, Setup, curl, program};

pub fn rows(setup: &Setup, part: usize) -> Vec<Job> {
    let mib = 1024 / part;
    let (source, copy) = (setup.file("large.bin", mib << 20), setup.path("copy.bin"));
    let (upload_server, download_server) =
        (Served::start(setup, "upload_server"), Served::start(setup, "download_server"));
    let bearer = "Authorization: Bearer any";

    let (files, form) = (format!("{}/files", upload_server.url), format!("file=@{source}"));
    let put = upload_server.counted(curl(&["-H", bearer, "-F", &form, "-o", "/dev/null", &files]));
    let write = program(
        "dd",
        &[&format!("if={source}"), &format!("of={copy}"), "bs=1M", "conv=fsync", "status=none"],
    );
    // Each run starts empty: the store does not rewrite existing content, and `dd` would overwrite an existing file.
    let empty =
        setup.haul(Platform::Activeloop, &upload_server.url, &["rm", "-q", "--filter", "size >= 0", "--yes"]);
    let put = Job::new(format!("`haul serve`: {mib} MiB uploaded, hashed and synced"), put)
        .before(move || {
            let _running = &upload_server;
            let _ = fs::remove_file(&copy);
            empty.run(&|| {});
        })
        .compare(Peer::new("`dd conv=fsync`", Some(write)).wall(1.5));

    setup.haul(Platform::Activeloop, &download_server.url, &["upload", "-q", &source]).run(&|| {});
    let content = format!("{}/files/{}/content", download_server.url, download_server.first_id());
    let get = download_server.counted(curl(&["-H", bearer, "-o", "/dev/null", &content]));
    let neutral = format!("{}/files/file-0/content", setup.url(&format!("n1-s{}", mib << 20)));
    let get = Job::new(format!("`haul serve`: {mib} MiB downloaded"), get)
        .before(move || {
            let _running = &download_server;
        })
        .compare(Peer::new("a minimal server", Some(curl(&["-o", "/dev/null", &neutral]))).wall(1.2));
    vec![put, get]
}

/// A `haul serve` process. It is stopped when dropped.
struct Served {
    child: Child,
    /// The base URL of Activeloop.
    url: String,
}

impl Served {
    fn start(setup: &Setup, name: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_haul"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data", &setup.path(name)])
            // The platform's own limit is half a GiB.
            .args(["--quirk", "activeloop.upload-limit=4294967296"])
            .env_clear()
            .env("HAUL_HOME", setup.path("haul"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        Self { child, url: format!("{}/activeloop", url.trim()) }
    }

    /// The program, but measured by the CPU time and memory of this server.
    fn counted(&self, program: Program) -> Program {
        Program { server: Some(self.child.id()), ..program }
    }

    fn first_id(&self) -> String {
        let files = format!("{}/files", self.url);
        let answer = Command::new("curl").args(["-sS", "-H", "Authorization: Bearer any", &files]).output();
        let page: serde_json::Value = serde_json::from_slice(&answer.unwrap().stdout).unwrap();
        page["data"][0]["id"].as_str().unwrap().to_owned()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

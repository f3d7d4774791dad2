//! `haul serve`: a large file put beside a write of it that reaches the disk, and got beside a server that only sends.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use crate::job::{Job, Peer};
use crate::measure::Program;
use crate::place::{Place, Platform, curl, program};

pub fn rows(place: &Place, part: usize) -> Vec<Job> {
    let mib = 1024 / part;
    let (source, copy) = (place.file("large.bin", mib << 20), place.path("copy.bin"));
    let (putting, getting) = (Served::start(place, "putting"), Served::start(place, "getting"));
    let bearer = "Authorization: Bearer any";

    let (files, form) = (format!("{}/files", putting.url), format!("file=@{source}"));
    let put = putting.counted(curl(&["-H", bearer, "-F", &form, "-o", "/dev/null", &files]));
    let write = program(
        "dd",
        &[&format!("if={source}"), &format!("of={copy}"), "bs=1M", "conv=fsync", "status=none"],
    );
    // What is there already would not be written a second time, and a file that exists is overwritten in place.
    let empty = place.haul(Platform::Activeloop, &putting.url, &["rm", "-q", "*", "--yes"]);
    let put = Job::new(format!("`haul serve`: {mib} MiB put, on disk and hashed"), put)
        .before(move || {
            let _running = &putting;
            let _ = fs::remove_file(&copy);
            empty.run(&|| {});
        })
        .beside(Peer::new("`dd conv=fsync`", Some(write)).wall(1.5));

    place.haul(Platform::Activeloop, &getting.url, &["upload", "-q", &source]).run(&|| {});
    let content = format!("{}/files/{}/content", getting.url, getting.first_id());
    let get = getting.counted(curl(&["-H", bearer, "-o", "/dev/null", &content]));
    let neutral = format!("{}/files/file-0/content", place.url(&format!("n1-s{}", mib << 20)));
    let get = Job::new(format!("`haul serve`: {mib} MiB got"), get)
        .before(move || {
            let _running = &getting;
        })
        .beside(Peer::new("a server that only sends", Some(curl(&["-o", "/dev/null", &neutral]))).wall(1.2));
    vec![put, get]
}

/// A server of haul's own; stopped when dropped.
struct Served {
    child: Child,
    /// The base URL of its Activeloop.
    url: String,
}

impl Served {
    fn start(place: &Place, name: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_haul"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data", &place.path(name)])
            // The platform takes half a GiB.
            .args(["--quirk", "activeloop.upload-limit=4294967296"])
            .env_clear()
            .env("HAUL_HOME", place.path("haul"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        Self { child, url: format!("{}/activeloop", url.trim()) }
    }

    /// A program whose server's CPU time and memory count.
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

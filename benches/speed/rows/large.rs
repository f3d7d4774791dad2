//! One large file up and down, over plain HTTP and TLS, without and with SHA-256.

use std::fs;

use sha2::{Digest as _, Sha256};

use super::PEAK;
use crate::job::{FEW, Job, Peer};
use crate::setup::{Platform, Setup, curl, python, shell};
use crate::world::BYTE;

const MIB: usize = 1 << 20;

/// The platform reports no checksum, so haul computes none.
pub fn rows(setup: &Setup, part: usize) -> Vec<Job> {
    let mib = 1024 / part;
    let (source, target) = (setup.file("large.bin", mib * MIB), setup.path("down.bin"));
    let world = format!("n1-s{}", mib * MIB);
    let form = format!("file=@{source}");
    let mut jobs = Vec::new();
    for (how, url, limits) in [
        ("", setup.url(&world), [(0.9, 0.9), (0.75, 0.75)]),
        (" over TLS", setup.secure_url(&world), [(0.75, 0.8), (0.7, 0.7)]),
    ] {
        let haul = |arguments: &[&str]| setup.haul(Platform::Activeloop, &url, arguments);
        let authority = setup.authority();
        let curl = |arguments: &[&str]| Some(curl(&[&["--cacert", &authority], arguments].concat()));
        let (files, content) = (format!("{url}/files"), format!("{url}/files/file-0/content"));
        let is_plain = how.is_empty();
        let [(up, up_cpu), (down, down_cpu)] = limits;
        let mut sent =
            Job::new(format!("{mib} MiB up{how}"), haul(&["upload", "-q", &source])).memory(PEAK).compare(
                Peer::new("`curl -F`", curl(&["-F", &form, "-o", "/dev/null", &files])).goal(up, up_cpu),
            );
        let mut got =
            Job::new(format!("{mib} MiB down{how}"), haul(&["get", "-q", "id:file-0", "-o", &target]))
                .memory(PEAK)
                .before(fresh(&target))
                .compare(Peer::new("`curl -o`", curl(&["-o", &target, &content])).goal(down, down_cpu));
        if is_plain {
            let openai =
                |arguments: &[&str]| python(setup.openai.as_ref(), "openai_files.py", &url, arguments);
            // The Replicate client accepts only the wire format of its platform.
            let own = setup.url(&format!("{world}-h00"));
            let replicate = python(setup.replicate.as_ref(), "replicate_files.py", &own, &["up", &source]);
            sent = sent
                .compare(Peer::new("Replicate client", replicate).rounds(FEW))
                .compare(Peer::new("OpenAI client", openai(&["up", &source])).rounds(FEW));
            let rclone = setup.rclone(&["copyurl", &content, &target]);
            got = got
                .compare(Peer::new("`rclone copyurl`", rclone))
                .compare(Peer::new("OpenAI client", openai(&["down", &target])).rounds(FEW));
        } else {
            let http1 = curl(&["--http1.1", "-F", &form, "-o", "/dev/null", &files]);
            sent = sent.compare(Peer::new("`curl -F --http1.1`", http1));
            got =
                got.compare(Peer::new("`curl -o --http1.1`", curl(&["--http1.1", "-o", &target, &content])));
        }
        jobs.extend([sent, got]);
    }
    jobs
}

/// The platform reports a SHA-256. It accepts at most 100 MiB per file, so the upload consists of sixteen files, sent
/// sequentially by both programs.
pub fn checked(setup: &Setup, part: usize) -> Vec<Job> {
    let (mib, files) = (1024 / part, 16);
    let each = mib * MIB / files;
    let folder = setup.home.join("pieces");
    fs::create_dir_all(&folder).unwrap();
    let sources: Vec<String> =
        (0..files).map(|number| setup.file(&format!("pieces/{number}.bin"), each)).collect();
    let url = setup.url(&format!("n{files}-s{each}-h{}", sha256(each)));
    let forms: Vec<String> =
        sources.iter().map(|path| format!("-F content=@{path} -o /dev/null {url}/files")).collect();
    let line = format!(
        "openssl dgst -sha256 {} >{} & curl -sS {} && wait",
        sources.join(" "),
        setup.path("sums"),
        forms.join(" --next -sS ")
    );
    let folder = folder.display().to_string();
    let up = Job::new(
        format!("{mib} MiB up in {files} files, SHA-256 compared"),
        setup.haul(Platform::Replicate, &url, &["upload", "-q", "-r", "-j", "1", &folder]),
    )
    .memory(PEAK)
    .compare(
        Peer::new("`curl -F` and `openssl dgst -sha256` at once", shell(&line, &["curl", "openssl"]))
            .goal(1.1, 1.0),
    );

    let target = setup.path("down.bin");
    let url = setup.url(&format!("n1-s{}-h{}", mib * MIB, sha256(mib * MIB)));
    let content = format!("{url}/files/file-0/download");
    let line = format!("curl -sS {content} | tee {target} | openssl dgst -sha256");
    let down = Job::new(
        format!("{mib} MiB down, SHA-256 compared"),
        setup.haul(Platform::Replicate, &url, &["get", "-q", "id:file-0", "--link", &content, "-o", &target]),
    )
    .memory(20.0)
    .before(fresh(&target))
    .compare(
        Peer::new("`curl \\| tee \\| openssl dgst -sha256`", shell(&line, &["curl", "openssl", "tee"]))
            .goal(0.65, 0.7),
    )
    .compare(Peer::new("`curl -o`, unchecked", Some(curl(&["-o", &target, &content]))));
    vec![up, down]
}

/// The delay of each response, in milliseconds.
const DELAY: u64 = 20;

/// OpenAI Uploads. The official client sends one part at a time.
pub fn in_parts(setup: &Setup, part: usize) -> Vec<Job> {
    let mib = 1024 / part;
    let source = setup.file("large.bin", mib * MIB);
    let url = setup.url(&format!("n1-s{}-d{DELAY}", mib * MIB));
    let client = python(setup.openai.as_ref(), "openai_files.py", &url, &["up-chunked", &source]);
    let arguments = ["upload", "-q", "--set", "via=uploads", "--purpose", "assistants", &source];
    vec![
        Job::new(
            format!("{mib} MiB to OpenAI Uploads at {DELAY} ms a request"),
            setup.haul(Platform::Openai, &url, &arguments),
        )
        .memory(24.0)
        .compare(Peer::new("OpenAI client, `upload_file_chunked`", client).wall(0.4).rounds(FEW)),
    ]
}

/// The speed of both servers, in MB/s.
const RATE: u64 = 200;

/// A copy between two servers of limited speed, compared with the slower transfer alone.
pub fn copied(setup: &Setup, part: usize) -> Vec<Job> {
    let mib = 1024 / part;
    let url = setup.url(&format!("n1-s{}-r{RATE}", mib * MIB));
    let mut copy =
        setup.haul(Platform::Activeloop, &url, &["cp", "-q", "--name", "copy.bin", "from:id:file-0", "to:"]);
    for (variable, value) in [
        ("HAUL_PROFILE_FROM_PROVIDER", "activeloop"),
        ("HAUL_PROFILE_FROM_BASE_URL", &url),
        ("HAUL_PROFILE_FROM_TOKEN", "any"),
        ("HAUL_PROFILE_TO_PROVIDER", "activeloop"),
        ("HAUL_PROFILE_TO_BASE_URL", &url),
        ("HAUL_PROFILE_TO_TOKEN", "any"),
    ] {
        copy.variables.push((variable, value.into()));
    }
    let content = format!("{url}/files/file-0/content");
    let alone = curl(&["-o", "/dev/null", &content]);
    vec![
        Job::new(format!("`haul cp` of {mib} MiB between servers of {RATE} MB/s"), copy)
            .memory(20.0)
            .rounds(FEW)
            .compare(Peer::new("`curl -o /dev/null`, one direction", Some(alone)).wall(1.2)),
    ]
}

fn fresh(target: &str) -> impl Fn() + 'static {
    let target = target.to_owned();
    move || drop(fs::remove_file(&target))
}

fn sha256(bytes: usize) -> String {
    let piece = vec![BYTE; MIB];
    let mut hasher = Sha256::new();
    let mut left = bytes;
    while left > 0 {
        let count = left.min(MIB);
        hasher.update(&piece[..count]);
        left -= count;
    }
    haul::model::hex(&hasher.finalize())
}

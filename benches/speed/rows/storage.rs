//! Object storage: a large file, many small files, and a folder that is unchanged.

use std::fs;

use crate::job::{FEW, Job, Peer};
use crate::measure::Program;
use crate::setup::{Setup, installed, program};
use crate::storage::key;

const MIB: usize = 1 << 20;
/// The goals: at most this share of the wall time and CPU time of the best of the other programs.
const UPLOAD: (f64, f64) = (1.05, 0.5);
const SYNC: (f64, f64) = (0.8, 0.5);

pub fn rows(setup: &Setup, part: usize) -> Vec<Job> {
    vec![large(setup, 1024 / part), small(setup, 5000 / part), unchanged(setup, 10_000 / part)]
}

/// One file, which all programs send in parts. haul reads it twice, because the SHA-256 is stored with it, and holds up
/// to four parts of 8 MiB in memory.
fn large(setup: &Setup, mib: usize) -> Job {
    let (bucket, source) = ("n0", setup.file("large.bin", mib * MIB));
    let target = format!("s3://{bucket}/large.bin");
    let remote = format!(":s3:{bucket}/large.bin");
    let job =
        Job::new(format!("{mib} MiB to S3"), haul(setup, bucket, &["upload", "-q", &source])).memory(56.0);
    compared(
        first(setup, job),
        UPLOAD,
        [
            s5cmd(setup, &["cp", &source, &target]),
            // After a multi-threaded copy, rclone looks up the object, which this server does not store.
            rclone(setup, &["copyto", "--multi-thread-streams", "0", &source, &remote]),
            aws(setup, &["cp", &source, &target]),
        ],
    )
}

fn small(setup: &Setup, files: usize) -> Job {
    let (bucket, source) = ("n0", setup.folder("small", files, 4096));
    let (folder, target) = (format!("{source}/"), format!("s3://{bucket}/"));
    let arguments = ["upload", "-q", "-r", "-j", "8", &source];
    let job = Job::new(format!("{files} × 4 KiB to S3, 8 in flight"), haul(setup, bucket, &arguments));
    compared(
        first(setup, job.memory(24.0)),
        UPLOAD,
        [
            s5cmd(setup, &["--numworkers", "8", "cp", &folder, &target]),
            rclone(setup, &["copy", "--transfers", "8", &source, &format!(":s3:{bucket}")]),
            aws(setup, &["cp", "--recursive", &source, &target]).map(|aws| aws.rounds(FEW)),
        ],
    )
}

/// A sync without changes. The other programs compare sizes and times from the listing, without a request per file.
fn unchanged(setup: &Setup, files: usize) -> Job {
    let bucket = format!("n{files}-s4096");
    let source = setup.path("stored");
    fs::create_dir_all(&source).unwrap();
    for number in 0..files as u64 {
        setup.file(&format!("stored/{}", key(number)), 4096);
    }
    let (folder, target) = (format!("{source}/"), format!("s3://{bucket}/"));
    let lock = setup.path("stored.lock");
    let sync = |more: &[&str]| {
        let arguments = [&["sync", "-q", &source, "s3:", "--lock", &lock], more].concat();
        haul(setup, &bucket, &arguments)
    };
    // The server already has the files, so this run only writes the lock file.
    sync(&["--compare", "size"]).run(&|| {});
    let job = Job::new(format!("`haul sync` of {files} unchanged files to S3"), sync(&[])).memory(24.0);
    let times = ["sync", "--update", "--use-server-modtime", &source, &format!(":s3:{bucket}")];
    compared(
        job,
        SYNC,
        [
            s5cmd(setup, &["sync", &folder, &target]),
            rclone(setup, &times),
            aws(setup, &["sync", &source, &target]).map(|aws| aws.rounds(FEW)),
        ],
    )
}

/// Before each run, haul forgets what it knows about the files, such as their hashes.
fn first(setup: &Setup, job: Job) -> Job {
    let home = setup.home.join("haul");
    job.before(move || drop(fs::remove_dir_all(&home)))
}

fn compared(job: Job, (wall, cpu): (f64, f64), peers: [Option<Peer>; 3]) -> Job {
    let names = ["`s5cmd`", "`rclone`", "`aws s3`"];
    let peers = peers.into_iter().zip(names);
    peers.fold(job, |job, (peer, name)| {
        let peer = peer.unwrap_or_else(|| Peer::new(name, None));
        job.compare(peer.goal(wall, cpu))
    })
}

/// haul with a bucket. The service evaluates conditions, so haul does not look up each object first.
fn haul(setup: &Setup, bucket: &str, arguments: &[&str]) -> Program {
    let mut haul = program(env!("CARGO_BIN_EXE_haul"), arguments);
    haul.variables.extend(credentials());
    haul.variables.extend([
        ("HAUL_HOME", setup.home.join("haul").into_os_string()),
        ("HAUL_PROFILE", "s3".into()),
        ("HAUL_BASE_URL", setup.storage_url().into()),
        ("HAUL_SET_BUCKET", bucket.into()),
        ("HAUL_SET_CONDITIONAL", "true".into()),
    ]);
    haul
}

fn s5cmd(setup: &Setup, arguments: &[&str]) -> Option<Peer> {
    let url = setup.storage_url();
    let mut s5cmd = program("s5cmd", &[&["--endpoint-url", &url, "--log", "error"], arguments].concat());
    s5cmd.variables.extend(credentials());
    installed("s5cmd").then(|| Peer::new("`s5cmd`", Some(s5cmd)))
}

fn rclone(setup: &Setup, arguments: &[&str]) -> Option<Peer> {
    let mut rclone = setup.rclone(arguments)?;
    rclone.variables.extend([
        ("RCLONE_S3_PROVIDER", "Other".into()),
        ("RCLONE_S3_ENDPOINT", setup.storage_url().into()),
        ("RCLONE_S3_ACCESS_KEY_ID", "any".into()),
        ("RCLONE_S3_SECRET_ACCESS_KEY", "any".into()),
        ("RCLONE_S3_LIST_VERSION", "2".into()),
        ("RCLONE_S3_NO_CHECK_BUCKET", "true".into()),
        ("RCLONE_S3_NO_HEAD", "true".into()),
    ]);
    Some(Peer::new("`rclone`", Some(rclone)))
}

fn aws(setup: &Setup, arguments: &[&str]) -> Option<Peer> {
    let [verb, arguments @ ..] = arguments else { return None };
    let url = setup.storage_url();
    let start = ["--endpoint-url", &url, "s3", verb, "--only-show-errors"];
    let mut aws = program("aws", &[&start, arguments].concat());
    aws.variables.extend(credentials());
    aws.variables.push(("HOME", setup.home.clone().into_os_string()));
    installed("aws").then(|| Peer::new("`aws s3`", Some(aws)))
}

fn credentials() -> [(&'static str, std::ffi::OsString); 4] {
    [
        ("AWS_ACCESS_KEY_ID", "any".into()),
        ("AWS_SECRET_ACCESS_KEY", "any".into()),
        ("AWS_REGION", "us-east-1".into()),
        ("AWS_EC2_METADATA_DISABLED", "true".into()),
    ]
}

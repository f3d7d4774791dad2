//! Large uploads that are killed at random moments and continue at the byte that the platform confirms, or with the parts
//! whose receipt is not recorded.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use haul::model::Clock;
use rustix::process::Signal;

use super::{machine, remote_cases, stored};
use crate::platforms::some;
use crate::support::connection::Profile;
use crate::support::emulator::{Emulator, Setup};
use crate::support::raw::within;
use crate::support::rig::Case;

const KILLS: usize = 10;
const MIB: u64 = 1 << 20;
/// Requests without file content are smaller.
const SMALL: u64 = 4096;
/// The largest buffer of a request's body on the server.
const BUFFER: u64 = 64 << 10;

/// The maximum number of parts in flight; `None` if another process cannot continue an upload in parts.
fn parallel(case: &Case) -> Option<u64> {
    let url = "http://127.0.0.1:1/".parse().unwrap();
    let profile = Profile { dialect: case.dialect, set: case.set, ..Profile::new(case.spec(), &url) };
    let provider = profile.open().ok()?;
    let platform = provider.multipart()?;
    platform.continues().then(|| platform.parallel() as u64)
}

/// Options for small parts, where parts can have any size.
fn options(case: &Case) -> Vec<String> {
    let Some(parts) = case.facts().parts else { return Vec::new() };
    let set = parts.set.iter().map(|(key, value)| format!("--set={key}={value}"));
    set.chain(parts.purpose.map(|purpose| format!("--purpose={purpose}"))).collect()
}

/// The number of bytes that a kill may cause to be sent again: 0 if the platform confirms each byte, otherwise the size
/// of the parts in flight.
fn repeated_by_a_kill(case: &Case, parallel: u64) -> u64 {
    if parallel == 1 {
        return 0;
    }
    assert!(case.facts().parts.is_some(), "{}: parts of an unknown size", case.name());
    parallel * (MIB + SMALL)
}

/// The total size of the POST requests larger than `SMALL` since the last call, and the number of all POST requests.
fn received(served: &Emulator) -> (u64, usize) {
    let posts = served.log().into_iter().filter(|line| line["method"] == "POST");
    let sizes: Vec<u64> = posts.map(|line| line["bytes_in"].as_u64().unwrap()).collect();
    (sizes.iter().filter(|size| **size > SMALL).sum(), sizes.len())
}

/// Uploads a sparse file and kills the program ten times.
fn check(case: Case, size: u64, seed: u64) {
    // On a busy machine, an upload can finish before this process runs again and kills it for the tenth time.
    let is_killed_often_enough = ["delay=20 POST", "delay=100 POST", "delay=500 POST"]
        .iter()
        .any(|delay| is_killed(case, size, seed, delay));
    assert!(is_killed_often_enough, "{}, seed {seed}: done after fewer than {KILLS} kills", case.name());
}

/// Uploads the file to a server with this delay. Returns whether the program was killed ten times before it finished.
fn is_killed(case: Case, size: u64, seed: u64, delay: &str) -> bool {
    let parallel = parallel(&case).expect("a platform that receives parts");
    let setup = Setup { faults: &[delay], ..case.setup(Clock(None)) };
    let served = Arc::new(Emulator::start(&setup));
    let env = machine(&case, &served, &served.root);
    let file = File::create(env.work().join("big.bin")).unwrap();
    file.set_len(size).unwrap();
    // Makes all parts different, so that a part in the wrong place is detected.
    for at in (0..size).step_by(usize::try_from(MIB).unwrap()) {
        file.write_all_at(&at.to_le_bytes(), at).unwrap();
    }
    drop(file);
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut sent, mut kills) = (0, 0);
    loop {
        let process = env.spawn(env.command().args(["upload", "big.bin", "-q"]).args(options(&case)));
        if kills < KILLS {
            // Each run has sent something before it is killed.
            let is_sending = within(|| {
                let (bytes, posts) = received(&served);
                sent += bytes;
                posts > 0
            });
            assert!(is_sending, "{}, seed {seed}: no request", case.name());
            thread::sleep(Duration::from_millis(random.u64(0..60)));
            process.signal(Signal::KILL);
            kills += 1;
        }
        let run = process.end();
        if run.status == 0 {
            break;
        }
        assert!(run.is_killed(), "{}, seed {seed}: {run}", case.name());
    }
    if kills < KILLS {
        return false;
    }
    // A response may be logged after the program has read it, and the logged size of a killed request may lack the last
    // buffer of its body.
    let all = within(|| {
        sent += received(&served).0;
        sent >= size - (SMALL + BUFFER) * KILLS as u64
    });
    let forms = if parallel == 1 { 0 } else { size.div_ceil(MIB) * SMALL };
    let most = size + forms + repeated_by_a_kill(&case, parallel) * KILLS as u64;
    assert!(all && sent <= most, "{}, seed {seed}: {sent} bytes of {size}", case.name());
    let files = stored(&case, &served);
    assert_eq!(files.len(), 1, "{}, seed {seed}", case.name());
    let mut ours = blake3::Hasher::new();
    ours.update_reader(File::open(env.work().join("big.bin")).unwrap()).unwrap();
    let ours = ours.finalize().to_hex();
    let record = served.store.stat(case.provider, &files[0].id).unwrap();
    assert_eq!(record.checksums.blake3.as_deref(), Some(ours.as_str()), "{}, seed {seed}", case.name());
    true
}

#[test]
fn an_upload_in_parts_survives_kills() {
    for (seed, case) in (1..).zip(some(remote_cases().filter(|case| parallel(case).is_some()))) {
        check(case, 160 * MIB + 12_345, seed);
    }
}

#[test]
#[ignore = "heavy: 1 GiB in every dialect"]
fn a_large_upload_in_parts_survives_kills() {
    for (seed, case) in (100..).zip(some(remote_cases().filter(|case| parallel(case).is_some()))) {
        check(case, 1024 * MIB + 1, seed);
    }
}

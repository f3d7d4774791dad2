//! Memory does not grow with the size of a file or the length of a listing.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::Path;

use haul::model::Clock;

use crate::platforms::{cases, some};
use crate::support::emulator::Emulator;
use crate::support::process::Peak;
use crate::support::rig::TOKEN;
use crate::support::sandbox::Sandbox;

/// The limit in KiB for any transfer by a release build. Most of it is the code.
const TRANSFER: u64 = 20 * 1024;
/// The same for an upload with several parts in flight.
const PARTS: u64 = 24 * 1024;
/// The maximum growth in KiB with the size of a file or the length of a listing.
const GROWTH: u64 = 4 * 1024;
/// The memory in KiB of several parts in flight.
const IN_FLIGHT: u64 = 8 * 1024;

impl Sandbox {
    /// Writes `count` rows straight into the index, all with the same small content.
    pub fn seed(&self, count: u32) {
        self.write("seed", "seed");
        self.haul(["upload", "seed"]).ok();
        let index = rusqlite::Connection::open(self.store().join("index.sqlite")).unwrap();
        index
            .execute_batch(&format!(
                "CREATE TEMP TABLE one AS SELECT * FROM files;
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
                INSERT INTO files (space, id, provider, profile, name, size, content_type, created_at, sha256, blake3,
                    metadata, downloadable, extra)
                SELECT space, printf('f%07d', i), provider, profile, printf('file-%07d.txt', i), size, content_type,
                    created_at - i, sha256, blake3, metadata, downloadable, extra FROM one, n;
                DELETE FROM files WHERE id IN (SELECT id FROM one);"
            ))
            .unwrap();
    }

    /// Runs haul and returns its peak memory.
    fn peak(&self, arguments: &[&str]) -> Peak {
        let (run, peak) = self.measure(self.command().args(arguments));
        run.ok();
        peak
    }

    /// Uploads and downloads a file, checks the copy and returns both peaks.
    fn there_and_back(&self, name: &str) -> [Peak; 2] {
        let copy = self.work().join("copy");
        let up = self.peak(&["upload", name]);
        let down = self.peak(&["get", name, "-o", "copy"]);
        assert!(same(&self.work().join(name), &copy));
        fs::remove_file(copy).unwrap();
        self.haul(["rm", name]).ok();
        [up, down]
    }

    /// Uploads a file in parts of the default size and returns the peak.
    fn in_parts(&self, name: &str) -> Peak {
        let (case, parts) = some(cases().filter_map(|case| Some((case, case.facts().parts?)))).swap_remove(0);
        let served = Emulator::start(&case.setup(Clock(None)));
        let mut env = Self::new().with_real_clock();
        env.use_platform(&case, &served.base(case.provider), TOKEN);
        let set = parts.set.iter().filter(|(key, _)| *key != "part_size");
        let set: Vec<String> = set.map(|(key, value)| format!("--set={key}={value}")).collect();
        let path = self.work().join(name);
        let set = set.iter().map(String::as_str);
        let peak = env.peak(&["upload", path.to_str().unwrap()].into_iter().chain(set).collect::<Vec<_>>());
        let is_part = |line: &&String| line.ends_with("/parts");
        assert!(served.requests().iter().filter(is_part).count() > 1, "it was sent in parts");
        peak
    }

    /// Writes a file whose bytes repeat only after a long period.
    fn noise(&self, name: &str, size: u64) {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut piece = vec![0; 1 << 20];
        let mut file = File::create(self.work().join(name)).unwrap();
        for _ in 0..size >> 20 {
            for word in piece.chunks_exact_mut(8) {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                word.copy_from_slice(&state.to_le_bytes());
            }
            file.write_all(&piece).unwrap();
        }
    }
}

fn same(a: &Path, b: &Path) -> bool {
    let (mut a, mut b) = (File::open(a).unwrap(), File::open(b).unwrap());
    let (mut left, mut right) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        let read = a.read(&mut left).unwrap();
        b.read_exact(&mut right[..read]).unwrap();
        if left[..read] != right[..read] {
            return false;
        }
        if read == 0 {
            return b.read(&mut right).unwrap() == 0;
        }
    }
}

#[test]
fn memory_does_not_grow_with_a_file() {
    let env = Sandbox::new();
    env.noise("small", 1 << 20);
    env.noise("large", 64 << 20);
    let [small_up, small_down] = env.there_and_back("small").map(|peak| peak.data);
    let [up, down] = env.there_and_back("large").map(|peak| peak.data);
    assert!(up < small_up + GROWTH, "up {up} KiB, of a small file {small_up} KiB");
    assert!(down < small_down + GROWTH, "down {down} KiB, of a small file {small_down} KiB");
    let parts = env.in_parts("large").data;
    assert!(parts < up + GROWTH + IN_FLIGHT, "in parts {parts} KiB, in one piece {up} KiB");
}

#[test]
fn a_listing_is_streamed() {
    let env = Sandbox::new();
    env.seed(40_000);
    let few = env.peak(&["ls", "--jsonl", "--limit", "100"]).data;
    let all = env.peak(&["ls", "--jsonl"]).data;
    assert!(all < few + GROWTH, "{all} KiB, for 100 files {few} KiB");
    assert_eq!(env.haul(["ls", "--limit", "5", "--ids"]).ok().lines()[4], "f0000005");
}

#[test]
#[ignore = "heavy: several GiB, and figures of a release build"]
fn memory_of_large_files() {
    let env = Sandbox::new();
    env.noise("random", 1 << 30);
    File::create(env.work().join("sparse")).unwrap().set_len(2 << 30).unwrap();
    for name in ["random", "sparse"] {
        let [up, down] = env.there_and_back(name).map(|peak| peak.resident);
        println!("{name}: up {up} KiB, down {down} KiB");
        assert!(up < TRANSFER && down < TRANSFER, "{name}: up {up} KiB, down {down} KiB");
        let parts = env.in_parts(name).resident;
        println!("{name}: in parts {parts} KiB");
        assert!(parts < PARTS, "{name}: in parts {parts} KiB");
    }
}

#[test]
#[ignore = "heavy: 100,000 files, and figures of a release build"]
fn memory_of_a_long_listing() {
    let env = Sandbox::new();
    env.seed(100_000);
    let all = env.peak(&["ls", "--jsonl"]).resident;
    let start = std::time::Instant::now();
    assert_eq!(env.haul(["ls", "--limit", "5", "--ids"]).ok().lines().len(), 5);
    println!("100,000 files: {all} KiB; five of them in {:?}", start.elapsed());
    assert!(all < TRANSFER, "{all} KiB");
    assert_eq!(env.haul(["ls", "--jsonl"]).ok().lines().len(), 100_000);
}

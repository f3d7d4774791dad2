//! A listing of a million files: memory, time to the first row, CPU time per row, requests. For release builds.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::Instant;

use serde_json::Value;

use crate::find::support::{finds_names, haul, names, sandbox};
use crate::platforms::dialects;
use crate::support::process::peak_memory;
use crate::support::rig::{Case, Rig};

const COUNT: u32 = 1_000_000;

/// A platform with a million files without content, written straight into the store's index, and their number: a
/// random id may equal one of the sequential ids.
fn million(case: Case) -> (Rig, u32) {
    let rig = Rig::new(case);
    // A record made by the platform is the template of the others.
    let first = rig.put("seed.txt", "x");
    let index = rig.served.home().join("data/store/index.sqlite");
    let database = rusqlite::Connection::open(index).unwrap();
    let copied = database.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
         INSERT OR IGNORE INTO files (space, id, provider, profile, name, size, content_type, purpose, path, status, created_at,
             updated_at, expires_at, sha256, blake3, md5, metadata, downloadable, url, extra)
         SELECT space, printf('%s%07x', substr(id, 1, length(id) - 7), i), provider, profile,
             printf('report %d of the year.pdf', i), size + i, content_type, purpose, path, status, created_at - i * 1000,
             updated_at, expires_at, sha256, blake3, md5, metadata, downloadable, url, extra
         FROM n, files WHERE id = ?2",
        rusqlite::params![COUNT - 1, first.id.as_str()],
    );
    let count = u32::try_from(copied.unwrap()).unwrap() + 1;
    assert!(count > COUNT - 10, "{count}");
    (rig, count)
}

/// The measurements of a run.
struct Taken {
    rows: u32,
    first_row: f64,
    wall: f64,
    processor: f64,
    peak_kib: u64,
    sample: Vec<Value>,
}

fn measure(rig: &Rig, arguments: &[&str]) -> Taken {
    let start = Instant::now();
    let mut child = sandbox(rig).command().args(arguments).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::with_capacity(1 << 20, child.stdout.take().unwrap());
    let (mut line, mut rows, mut first_row, mut peak_kib, mut sample) =
        (String::new(), 0, 0.0, 0, Vec::new());
    while out.read_line(&mut line).unwrap() > 0 {
        if rows == 0 {
            first_row = start.elapsed().as_secs_f64();
        }
        if rows % 100 == 0 && sample.len() < 2000 {
            sample.push(serde_json::from_str(&line).unwrap());
        }
        if rows % 5000 == 0 {
            peak_kib = peak_memory(child.id()).unwrap_or(peak_kib);
        }
        rows += 1;
        line.clear();
    }
    // A zombie still has its CPU time.
    let wall = start.elapsed().as_secs_f64();
    std::thread::sleep(std::time::Duration::from_millis(300));
    let processor = processor(child.id());
    assert!(child.wait().unwrap().success());
    Taken { rows, first_row, wall, processor, peak_kib, sample }
}

/// CPU seconds in user and system mode; a tick is a hundredth of a second.
fn processor(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}

/// Seconds to decode a row and encode it again, without anything else.
fn json_alone(sample: &[Value]) -> f64 {
    let lines: Vec<String> = sample.iter().map(Value::to_string).collect();
    let (rounds, start) = (50, Instant::now());
    let mut bytes = 0;
    for _ in 0..rounds {
        for line in &lines {
            let value: Value = serde_json::from_str(line).unwrap();
            bytes += value.to_string().len();
        }
    }
    assert!(bytes > 0);
    start.elapsed().as_secs_f64() / f64::from(rounds) / f64::from(u32::try_from(lines.len()).unwrap())
}

#[test]
#[ignore = "a million files: run it in release"]
fn a_million_files_are_listed_in_little_memory() {
    for case in dialects()
        .filter(|case| case.is_remote() && case.facts().hexadecimal_ids && case.can().list.newest_first)
    {
        let (rig, count) = million(case);
        rig.served.requests();
        let taken = measure(&rig, &["ls", "--jsonl"]);
        let alone = json_alone(&taken.sample);
        let a_row = taken.processor / f64::from(taken.rows);
        println!(
            "{}: {} rows in {:.1} s, first after {:.0} ms; {:.2} µs of CPU time per row, {:.2} times JSON alone; peak {:.1} MiB",
            case.provider,
            taken.rows,
            taken.wall,
            taken.first_row * 1000.0,
            a_row * 1e6,
            a_row / alone,
            f64::from(u32::try_from(taken.peak_kib).unwrap()) / 1024.0,
        );
        assert_eq!(taken.rows, count);
        assert!(taken.peak_kib < 32 * 1024, "{} KiB", taken.peak_kib);
        assert!(taken.first_row < 2.0, "{} s", taken.first_row);
        // Without optimization the comparison is meaningless.
        if !cfg!(debug_assertions) {
            assert!(a_row < 2.0 * alone, "{} µs, JSON alone {} µs", a_row * 1e6, alone * 1e6);
        }
    }
}

#[test]
#[ignore = "a million files: run it in release"]
fn one_of_a_million_is_one_request() {
    for case in finds_names().filter(|case| case.facts().hexadecimal_ids) {
        let (rig, _) = million(case);
        rig.served.requests();
        let filter = "name = \"report 777777 of the year.pdf\"";
        let ran = haul(&rig, &["ls", "--jsonl", "--filter", filter, "--limit", "1"]);
        assert_eq!(names(&ran.files()), ["report 777777 of the year.pdf"]);
        assert_eq!(rig.served.requests().len(), 1);
        let ran = haul(&rig, &["info", "--jsonl", "report 777777 of the year.pdf"]);
        assert_eq!(names(&ran.files()), ["report 777777 of the year.pdf"]);
        assert!(rig.served.requests().len() <= 3);
    }
}

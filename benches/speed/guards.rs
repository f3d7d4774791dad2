//! Limits that do not depend on the machine's speed: numbers of connections, growth of memory and of CPU time.

use std::{fs, io};

use crate::job::with_goal;
use crate::measure::Sample;
use crate::plain;
use crate::rows::synced;
use crate::setup::{Platform, Setup};

const MIB: usize = 1 << 20;
/// The maximum growth of CPU time per unit for a task whose cost is linear. Samples vary by a fifth.
const LINEAR: f64 = 1.2;

/// The lines of the second table; `part` divides the sizes.
pub fn lines(setup: &Setup, part: usize) -> Vec<String> {
    let files = 5000 / part;
    let mut lines =
        vec![connections(setup, files, "up", &["-j", "8"], 8), connections(setup, files, "up", &[], 32)];
    // One more, because the listing uses a separate connection, which may use HTTP/2.
    lines.push(connections(setup, files, "down", &["-j", "8"], 9));
    lines.push(upload_growth(setup, part));
    lines.push(listing_growth(setup, part));
    lines.extend(size_growth(setup, part));
    lines.extend(listing_count_growth(setup, part));
    lines.extend(sync_growth(setup, part));
    lines
}

/// The number of connections that the transfer of `files` files opens.
fn connections(setup: &Setup, files: usize, way: &str, in_flight: &[&str], most: usize) -> String {
    let source = setup.folder("small", files, 4096);
    let target = setup.home.join("guarded");
    let _ = fs::remove_dir_all(&target);
    let target = format!("{}/", target.display());
    // The delay makes haul use as many connections as permitted.
    let url = setup.url(&format!("n{files}-s4096-d16"));
    let arguments: &[&str] =
        if way == "up" { &["upload", "-q", "-r", &source] } else { &["get", "-q", "*", "-o", &target] };
    let before = plain::accepted();
    setup.haul(Platform::Activeloop, &url, &[arguments, in_flight].concat()).run(&|| {});
    let opened = plain::accepted() - before;
    let how = if in_flight.is_empty() { "default" } else { "`-j 8`" };
    format!(
        "| connections for {files} files {way}, {how} | {} |",
        with_goal(&opened.to_string(), opened <= most, &most.to_string())
    )
}

/// The growth of memory from a small to a large upload.
fn upload_growth(setup: &Setup, part: usize) -> String {
    let gib = 4.0 / f64::from(u32::try_from(part).unwrap());
    // The delay of the response allows sampling the peak.
    let url = setup.url("n1-s5-d200");
    let peak = |mib: usize| {
        let path = setup.home.join("sparse.bin");
        fs::File::create(&path).unwrap().set_len((mib * MIB) as u64).unwrap();
        let haul = setup.haul(Platform::Activeloop, &url, &["upload", "-q", &path.display().to_string()]);
        haul.times(3).run(&|| {}).peak
    };
    growth(&format!("memory of an upload, from 1 MiB to {gib} GiB"), peak(1), peak(4096 / part), 1.0)
}

/// The growth of memory from a short to a long listing.
fn listing_growth(setup: &Setup, part: usize) -> String {
    let peak = |files: usize| {
        let url = setup.url(&format!("n{files}-s5"));
        setup.haul(Platform::Activeloop, &url, &["ls", "--jsonl"]).times(2).run(&|| {}).peak
    };
    let (few, many) = (100_000 / part, 1_000_000 / part);
    growth(&format!("memory of a listing, from {few} to {many}"), peak(few), peak(many), 2.0)
}

/// Sparse files of 1, 4 and 16 GiB.
fn size_growth(setup: &Setup, part: usize) -> Vec<String> {
    let url = setup.url("n1-s5");
    let sample = |gib: usize| {
        let path = setup.home.join("sparse.bin");
        let file = fs::File::create(&path).unwrap();
        file.set_len((gib * 1024 * MIB / part) as u64).unwrap();
        // The first read fills the page cache, which must not count as the program's CPU time.
        io::copy(&mut fs::File::open(&path).unwrap(), &mut io::sink()).unwrap();
        setup.haul(Platform::Activeloop, &url, &["upload", "-q", &path.display().to_string()]).run(&|| {})
    };
    series("an upload", "GiB", &[1, 4, 16].map(|gib| (gib, sample(gib))), 1.0)
}

/// Listings of 10,000 to 1,000,000 files.
fn listing_count_growth(setup: &Setup, part: usize) -> Vec<String> {
    let sample = |files: usize| {
        let url = setup.url(&format!("n{}-s5", files * 1000 / part));
        setup.haul(Platform::Activeloop, &url, &["ls", "--jsonl"]).times(2).run(&|| {})
    };
    series("a listing", "thousand files", &[10, 100, 1000].map(|files| (files, sample(files))), 2.0)
}

/// Syncs of 1,000 to 100,000 unchanged files. Memory has no limit: the lock file, with one row per file, is held in it.
fn sync_growth(setup: &Setup, part: usize) -> Vec<String> {
    let sample = |files: usize| synced(setup, files * 1000 / part).times(2).run(&|| {});
    series(
        "a sync without changes",
        "thousand files",
        &[1, 10, 100].map(|files| (files, sample(files))),
        f64::INFINITY,
    )
}

/// The growth of CPU time per unit and of memory from each step to the next. `memory` is the goal for memory in MiB, or
/// infinity without a goal.
fn series(what: &str, unit: &str, samples: &[(usize, Sample)], memory: f64) -> Vec<String> {
    let steps = samples.windows(2).map(|pair| {
        let [(small, before), (large, after)] = pair else { unreachable!("windows of two") };
        #[allow(clippy::cast_precision_loss, reason = "the counts are small")]
        let (small_count, large_count) = (*small as f64, *large as f64);
        let per_unit = (after.cpu / large_count) / (before.cpu / small_count).max(f64::MIN_POSITIVE);
        let grown = after.peak - before.peak;
        let memory = match memory {
            f64::INFINITY => format!("{grown:+.1} MiB"),
            most => with_goal(&format!("{grown:+.1} MiB"), grown <= most, &most.to_string()),
        };
        format!(
            "| {what}, from {small} to {large} {unit}: CPU {:.2} → {:.2} s | {} of the CPU time per unit; {memory} |",
            before.cpu,
            after.cpu,
            with_goal(&format!("{per_unit:.2}"), per_unit <= LINEAR, &LINEAR.to_string()),
        )
    });
    steps.collect()
}

fn growth(what: &str, small: f64, large: f64, most: f64) -> String {
    let grown = large - small;
    let figure = with_goal(&format!("{grown:+.1} MiB"), grown <= most, &most.to_string());
    format!("| {what}: {small:.1} → {large:.1} MiB | {figure} |")
}

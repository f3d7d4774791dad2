//! Limits that do not depend on time: numbers of connections, growth of memory.

use std::fs;

use crate::job::with_goal;
use crate::plain;
use crate::setup::{Platform, Setup};

const MIB: usize = 1 << 20;

/// The lines of the second table; `part` divides the sizes.
pub fn lines(setup: &Setup, part: usize) -> Vec<String> {
    let files = 5000 / part;
    let mut lines =
        vec![connections(setup, files, "up", &["-j", "8"], 8), connections(setup, files, "up", &[], 32)];
    // One more, because the listing uses a separate connection, which may use HTTP/2.
    lines.push(connections(setup, files, "down", &["-j", "8"], 9));
    lines.push(upload_growth(setup, part));
    lines.push(listing_growth(setup, part));
    lines
}

/// The number of connections that the transfer of `files` files opens.
fn connections(setup: &Setup, files: usize, way: &str, in_flight: &[&str], most: usize) -> String {
    let folder = setup.home.join("small");
    fs::create_dir_all(&folder).unwrap();
    for number in 0..files {
        setup.file(&format!("small/{number}.bin"), 4096);
    }
    let target = setup.home.join("guarded");
    let _ = fs::remove_dir_all(&target);
    let (source, target) = (folder.display().to_string(), format!("{}/", target.display()));
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

fn growth(what: &str, small: f64, large: f64, most: f64) -> String {
    let grown = large - small;
    let figure = with_goal(&format!("{grown:+.1} MiB"), grown <= most, &most.to_string());
    format!("| {what}: {small:.1} → {large:.1} MiB | {figure} |")
}

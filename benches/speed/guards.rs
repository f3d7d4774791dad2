//! What must hold whatever the clock says: connections counted, memory compared.

use std::fs;

use crate::job::held;
use crate::place::{Place, Platform};
use crate::plain;

const MIB: usize = 1 << 20;

/// The lines of a table of its own; `part` divides the sizes.
pub fn lines(place: &Place, part: usize) -> Vec<String> {
    let files = 5000 / part;
    let mut lines =
        vec![connections(place, files, "up", &["-j", "8"], 8), connections(place, files, "up", &[], 32)];
    // One more: the listing has a connection of its own, which may speak HTTP/2.
    lines.push(connections(place, files, "down", &["-j", "8"], 9));
    lines.push(upload_growth(place, part));
    lines.push(listing_growth(place, part));
    lines
}

/// How many connections so many files open.
fn connections(place: &Place, files: usize, way: &str, in_flight: &[&str], most: usize) -> String {
    let folder = place.home.join("small");
    fs::create_dir_all(&folder).unwrap();
    for number in 0..files {
        place.file(&format!("small/{number}.bin"), 4096);
    }
    let target = place.home.join("guarded");
    let _ = fs::remove_dir_all(&target);
    let (source, target) = (folder.display().to_string(), format!("{}/", target.display()));
    // A delay, so that as many are in flight as may be.
    let url = place.url(&format!("n{files}-s4096-d16"));
    let arguments: &[&str] =
        if way == "up" { &["upload", "-q", "-r", &source] } else { &["get", "-q", "*", "-o", &target] };
    let before = plain::accepted();
    place.haul(Platform::Activeloop, &url, &[arguments, in_flight].concat()).run(&|| {});
    let opened = plain::accepted() - before;
    let how = if in_flight.is_empty() { "default" } else { "`-j 8`" };
    format!(
        "| connections for {files} files {way}, {how} | {} |",
        held(&opened.to_string(), opened <= most, &most.to_string())
    )
}

/// What memory an upload takes beyond that of a small one.
fn upload_growth(place: &Place, part: usize) -> String {
    let gib = 4.0 / f64::from(u32::try_from(part).unwrap());
    // The answer comes late enough for the peak to be seen.
    let url = place.url("n1-s5-d200");
    let peak = |mib: usize| {
        let path = place.home.join("sparse.bin");
        fs::File::create(&path).unwrap().set_len((mib * MIB) as u64).unwrap();
        let haul = place.haul(Platform::Activeloop, &url, &["upload", "-q", &path.display().to_string()]);
        haul.times(3).run(&|| {}).peak
    };
    growth(&format!("memory of an upload, from 1 MiB to {gib} GiB"), peak(1), peak(4096 / part), 1.0)
}

/// What memory a long listing takes beyond that of a shorter one.
fn listing_growth(place: &Place, part: usize) -> String {
    let peak = |files: usize| {
        let url = place.url(&format!("n{files}-s5"));
        place.haul(Platform::Activeloop, &url, &["ls", "--jsonl"]).times(2).run(&|| {}).peak
    };
    let (few, many) = (100_000 / part, 1_000_000 / part);
    growth(&format!("memory of a listing, from {few} to {many}"), peak(few), peak(many), 2.0)
}

fn growth(what: &str, small: f64, large: f64, most: f64) -> String {
    let grown = large - small;
    let figure = held(&format!("{grown:+.1} MiB"), grown <= most, &most.to_string());
    format!("| {what}: {small:.1} → {large:.1} MiB | {figure} |")
}

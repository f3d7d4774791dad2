//! Many small files up and down, at once and at 20 ms a request.

use std::fmt::Write as _;
use std::fs;

use crate::job::{FEW, Job, Peer};
use crate::measure::Program;
use crate::place::{Place, Platform, curl, python};

const BYTES: usize = 4096;

pub fn rows(place: &Place, part: usize) -> Vec<Job> {
    let files = 5000 / part;
    fs::create_dir_all(place.home.join("small")).unwrap();
    for number in 0..files {
        place.file(&format!("small/{number}.bin"), BYTES);
    }
    let mut jobs = Vec::from(rows_at(place, files, 0, &["-j", "8"]));
    jobs.extend(rows_at(place, files, 20, &["-j", "8"]));
    jobs.extend(rows_at(place, files, 20, &[]));
    jobs
}

/// Both directions, at so many milliseconds a request. curl has eight in flight whatever haul has.
fn rows_at(place: &Place, files: usize, delay: u64, in_flight: &[&str]) -> [Job; 2] {
    let world = format!("n{files}-s{BYTES}-d{delay}");
    let url = place.url(&world);
    let (source, target) = (place.path("small"), place.path("copies"));
    let (up, down) = curl_lists(place, &url, files, delay);
    let haul = |arguments: &[&str]| place.haul(Platform::Activeloop, &url, &[arguments, in_flight].concat());
    let how = match (delay, in_flight) {
        (0, _) => String::new(),
        (_, []) => format!(" at {delay} ms a request, as many in flight as haul likes"),
        _ => format!(" at {delay} ms a request"),
    };
    let wall = |at_once, waiting| match (delay, in_flight) {
        (0, _) => at_once,
        (_, []) => 0.4,
        _ => waiting,
    };
    let cpu = |at_once| if delay == 0 { at_once } else { 0.9 };
    let parallel = |list| Peer::new("`curl --parallel`", Some(list));
    let mut jobs = [
        Job::new(format!("{files} × 4 KiB up, 8 in flight{how}"), haul(&["upload", "-q", "-r", &source]))
            .memory(16.0)
            .beside(parallel(up).goal(wall(0.8, 1.02), cpu(0.9))),
        Job::new(
            format!("{files} × 4 KiB down, 8 in flight{how}"),
            haul(&["get", "-q", "*", "-o", &format!("{target}/")]),
        )
        .memory(16.0)
        .before(move || {
            let _ = fs::remove_dir_all(&target);
            fs::create_dir(&target).unwrap();
        })
        .beside(parallel(down).goal(wall(1.1, 1.02), cpu(1.1))),
    ];
    if in_flight.is_empty() {
        jobs = jobs.map(|job| Job { name: job.name.replace(", 8 in flight", ""), ..job });
    }
    if delay > 0 {
        return jobs.map(|job| job.rounds(FEW));
    }
    let (source, target, count) = (place.path("small"), place.path("copies"), files.to_string());
    let openai = |arguments: &[&str]| python(place.openai.as_ref(), "openai_files.py", &url, arguments);
    let [up, down] = jobs;
    let client = |program| Peer::new("OpenAI client, 8 threads", program).rounds(FEW);
    [
        up.beside(client(openai(&["up-many", &source, "8"])).wall(0.05)),
        down.beside(client(openai(&["down-many", &target, "8", &count])).wall(0.07)),
    ]
}

/// curl's own files of what to do, for both directions.
fn curl_lists(place: &Place, url: &str, files: usize, delay: u64) -> (Program, Program) {
    let (mut up, mut down) = (String::new(), String::new());
    for number in 0..files {
        let source = place.path(&format!("small/{number}.bin"));
        let copy = place.path(&format!("copies/{number}.bin"));
        let next = if number + 1 < files { "next\n" } else { "" };
        let _ = write!(up, "url=\"{url}/files\"\nform=\"file=@{source}\"\noutput=\"/dev/null\"\n{next}");
        let _ = write!(down, "url=\"{url}/files/file-{number}/content\"\noutput=\"{copy}\"\n{next}");
    }
    let list = |name: &str, text| {
        let path = place.path(&format!("{name}-{delay}"));
        fs::write(&path, text).unwrap();
        curl(&["--no-progress-meter", "--parallel", "--parallel-max", "8", "-K", &path])
    };
    (list("up", up), list("down", down))
}

//! Many small files up and down, without delay and with 20 ms per request.

use std::fs;

use super::PEAK;
use crate::job::{FEW, Job, Peer};
use crate::measure::Program;
use crate::setup::{Platform, Setup, python};

const BYTES: usize = 4096;

pub fn rows(setup: &Setup, part: usize) -> Vec<Job> {
    let files = 5000 / part;
    setup.folder("small", files, BYTES);
    let mut jobs = Vec::from(rows_at(setup, files, 0, &["-j", "8"]));
    jobs.extend(rows_at(setup, files, 20, &["-j", "8"]));
    jobs.extend(rows_at(setup, files, 20, &[]));
    jobs
}

/// Both directions, with a delay in milliseconds per request. curl always has eight requests in flight.
fn rows_at(setup: &Setup, files: usize, delay: u64, in_flight: &[&str]) -> [Job; 2] {
    let world = format!("n{files}-s{BYTES}-d{delay}");
    let url = setup.url(&world);
    let (source, target) = (setup.path("small"), setup.path("copies"));
    let (up, down) = curl_lists(setup, &url, files, delay);
    let haul = |arguments: &[&str]| setup.haul(Platform::Activeloop, &url, &[arguments, in_flight].concat());
    let how = match (delay, in_flight) {
        (0, _) => String::new(),
        (_, []) => format!(" at {delay} ms a request, haul's default concurrency"),
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
            .memory(PEAK)
            .compare(parallel(up).goal(wall(0.8, 1.02), cpu(0.9))),
        Job::new(
            format!("{files} × 4 KiB down, 8 in flight{how}"),
            haul(&["get", "-q", "*", "-o", &format!("{target}/")]),
        )
        .memory(PEAK)
        .before(move || {
            let _ = fs::remove_dir_all(&target);
            fs::create_dir(&target).unwrap();
        })
        .compare(parallel(down).goal(wall(1.1, 1.02), cpu(1.1))),
    ];
    if in_flight.is_empty() {
        jobs = jobs.map(|job| Job { name: job.name.replace(", 8 in flight", ""), ..job });
    }
    if delay > 0 {
        return jobs.map(|job| job.rounds(FEW));
    }
    let (source, target, count) = (setup.path("small"), setup.path("copies"), files.to_string());
    let openai = |arguments: &[&str]| python(setup.openai.as_ref(), "openai_files.py", &url, arguments);
    let [up, down] = jobs;
    let client = |program| Peer::new("OpenAI client, 8 threads", program).rounds(FEW);
    [
        up.compare(client(openai(&["up-many", &source, "8"])).wall(0.05)),
        down.compare(client(openai(&["down-many", &target, "8", &count])).wall(0.07)),
    ]
}

/// curl in each direction.
fn curl_lists(setup: &Setup, url: &str, files: usize, delay: u64) -> (Program, Program) {
    let up = |number| {
        let source = setup.path(&format!("small/{number}.bin"));
        format!("url=\"{url}/files\"\nform=\"file=@{source}\"\noutput=\"/dev/null\"\n")
    };
    let down = |number| {
        let copy = setup.path(&format!("copies/{number}.bin"));
        format!("url=\"{url}/files/file-{number}/content\"\noutput=\"{copy}\"\n")
    };
    (
        setup.curl_parallel(&format!("up-{delay}"), (0..files).map(up)),
        setup.curl_parallel(&format!("down-{delay}"), (0..files).map(down)),
    )
}

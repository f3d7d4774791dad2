//! haul beside curl: the same work, on the same server, in the same run, in turn.
//!
//! `cargo bench --bench speed` prints one Markdown table: the medians, their ratio, CPU time and peak memory.
//! `cargo bench --bench speed -- --quick` does a tenth of the work; words after `--` choose rows by their names.
//! `HAUL_BENCH_ROUNDS` says how many rounds (5). Needs curl; linux.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench talks and may fail"
)]

mod measure;
mod server;
mod work;

use measure::{Figures, Sample, median};
use work::{Job, jobs};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let quick = words.iter().any(|word| word == "--quick");
    let chosen: Vec<&String> = words.iter().filter(|word| !word.starts_with("--")).collect();
    let rounds = std::env::var("HAUL_BENCH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    let home = tempfile::tempdir().unwrap();
    let address = server::start();
    println!("| work | haul | curl | haul ÷ curl | CPU | haul's peak | curl's peak |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    for job in jobs(address, home.path(), quick) {
        if chosen.is_empty() || chosen.iter().any(|word| job.name.contains(word.as_str())) {
            println!("{}", row(&job, rounds));
        }
    }
}

/// Does a job so many rounds, both programs in turn, after one round to warm both alike.
fn row(job: &Job, rounds: usize) -> String {
    let (mut haul, mut curl): (Vec<Sample>, Vec<Sample>) = Default::default();
    for round in 0..=rounds {
        let ours = job.haul.run(job.times, &job.before);
        let theirs = job.curl.as_ref().map(|curl| curl.run(job.times, &job.before));
        if round > 0 {
            haul.push(ours);
            curl.extend(theirs);
        }
    }
    let ours = median(&haul);
    let Some(theirs) = (!curl.is_empty()).then(|| median(&curl)) else {
        return format!("| {} | {} | | | | {} | |", job.name, ours.wall_text(), ours.peak_text());
    };
    let cpu = if theirs.cpu > 0.0 { format!("{:.2}", ours.cpu / theirs.cpu) } else { String::new() };
    format!(
        "| {} | {} | {} | **{:.2}** | {cpu} | {} | {} |",
        job.name,
        ours.wall_text(),
        theirs.wall_text(),
        ours.wall / theirs.wall,
        ours.peak_text(),
        theirs.peak_text()
    )
}

impl Figures {
    fn wall_text(&self) -> String {
        if self.wall < 0.1 { format!("{:.1} ms", self.wall * 1000.0) } else { format!("{:.2} s", self.wall) }
    }

    fn peak_text(&self) -> String {
        format!("{:.1} MiB", self.peak)
    }
}

//! Compares haul with other programs that do the same work on the same server, alternating within one run.
//!
//! `cargo bench --bench speed` prints two Markdown tables: medians, their ratio, CPU time and peak memory, each with its
//! goal; and limits that do not depend on the clock.
//! After `--`: `--quick` does a tenth of the work; words select rows by their names (`guards` selects the second table);
//! `--markdown` also writes both tables to docs/speed.md. `HAUL_TEST_BENCH_ROUNDS` sets the number of rounds (5).
//!
//! Requires Linux and curl. openssl, jq, rclone, s5cmd, aws, and Python with the clients `openai` and `replicate`, are used
//! if they are installed; `tests/clients/run` installs the clients.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench prints results and may panic"
)]

mod guards;
mod job;
mod measure;
mod plain;
mod rows;
mod secure;
mod setup;
mod storage;
mod world;

use setup::Setup;

/// The markers around the tables in docs/speed.md.
const BEGIN: &str = "<!-- measured: speed -->\n";
const END: &str = "<!-- end -->";

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let has = |flag: &str| words.iter().any(|word| word == flag);
    let part = if has("--quick") { 10 } else { 1 };
    let chosen: Vec<&String> = words.iter().filter(|word| !word.starts_with("--")).collect();
    let is_chosen = |name: &str| chosen.is_empty() || chosen.iter().any(|word| name.contains(word.as_str()));
    let rounds = std::env::var("HAUL_TEST_BENCH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    let home = tempfile::tempdir().unwrap();
    let setup = Setup::new(home.path());

    let mut tables = String::new();
    let mut print = |lines: &str| {
        print!("{lines}");
        tables.push_str(lines);
    };
    let load = setup::load();
    print("| work | haul | peak | compared with | other | time ratio | CPU ratio | other's peak |\n");
    print("| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: |\n");
    for group in rows::GROUPS {
        for job in group(&setup, part) {
            if is_chosen(&job.name) {
                print(&job.run(rounds));
            }
        }
    }
    if is_chosen("guards") {
        print("\n| independent of the clock | |\n| --- | ---: |\n");
        for line in guards::lines(&setup, part) {
            print(&format!("{line}\n"));
        }
    }
    print(&format!(
        "\n{}; medians of {rounds} alternating rounds, or of as many as (1×) or (2×) states; load average {load} before, {} after. \
         ≤ precedes a goal that was met, ✗ one that was missed.\n",
        setup::description(),
        setup::load(),
    ));
    if has("--markdown") {
        write_to_document(&tables);
    }
}

fn write_to_document(tables: &str) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/speed.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("docs/speed.md has a marker before the tables");
    let (_, after) = rest.split_once(END).expect("docs/speed.md has a marker after the tables");
    std::fs::write(path, format!("{before}{BEGIN}\n{tables}\n{END}{after}")).unwrap();
}

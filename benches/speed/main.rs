//! haul beside others: the same work, on the same server, in the same run, in turn.
//!
//! `cargo bench --bench speed` prints two Markdown tables: medians, their ratio, CPU time and peak memory, each with its
//! goal; and what must hold whatever the clock says.
//! After `--`: `--quick` does a tenth of the work; words choose rows by their names (`guards` the second table);
//! `--markdown` also writes both tables into README.md. `HAUL_BENCH_ROUNDS` says how many rounds (5).
//!
//! Needs curl, on Linux. openssl, jq, rclone and Python with the clients `openai` and `replicate` are used where they are
//! installed; `tests/clients/run` installs the clients.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench talks and may fail"
)]

mod guards;
mod job;
mod measure;
mod place;
mod plain;
mod rows;
mod secure;
mod world;

use place::Place;

/// What stands around the tables in README.md.
const BEGIN: &str = "<!-- measured: speed -->\n";
const END: &str = "<!-- end -->";

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let has = |flag: &str| words.iter().any(|word| word == flag);
    let part = if has("--quick") { 10 } else { 1 };
    let chosen: Vec<&String> = words.iter().filter(|word| !word.starts_with("--")).collect();
    let is_chosen = |name: &str| chosen.is_empty() || chosen.iter().any(|word| name.contains(word.as_str()));
    let rounds = std::env::var("HAUL_BENCH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    let home = tempfile::tempdir().unwrap();
    let place = Place::new(home.path());

    let mut tables = String::new();
    let mut say = |lines: &str| {
        print!("{lines}");
        tables.push_str(lines);
    };
    let load = place::load();
    say("| work | haul | its peak | beside it | that one | haul ÷ it | CPU ÷ | its peak |\n");
    say("| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: |\n");
    for group in rows::GROUPS {
        for job in group(&place, part) {
            if is_chosen(&job.name) {
                say(&job.run(rounds));
            }
        }
    }
    if is_chosen("guards") {
        say("\n| whatever the clock says | |\n| --- | ---: |\n");
        for line in guards::lines(&place, part) {
            say(&format!("{line}\n"));
        }
    }
    say(&format!(
        "\n{}; medians of {rounds} rounds in turn, fewer where it says so; load of the machine {load} before, {} after. \
         ≤ is a goal that is kept, ✗ one that is missed.\n",
        place::description(),
        place::load(),
    ));
    if has("--markdown") {
        write_into_readme(&tables);
    }
}

fn write_into_readme(tables: &str) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("README.md says where the tables go");
    let (_, after) = rest.split_once(END).expect("README.md says where the tables end");
    std::fs::write(path, format!("{before}{BEGIN}\n{tables}\n{END}{after}")).unwrap();
}

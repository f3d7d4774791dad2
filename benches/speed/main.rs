//! Compares haul with other programs: the same work, on the same server, in the same run, in turn.
//!
//! `cargo bench --bench speed` prints two Markdown tables: medians, their ratio, CPU time and peak memory, each with its
//! goal; and limits that do not depend on the clock.
//! After `--`: `--quick` does a tenth of the work; words choose rows by their names (`guards` the second table);
//! `--markdown` also writes both tables into docs/speed.md. `HAUL_BENCH_ROUNDS` sets the number of rounds (5).
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

/// The marks around the tables in docs/speed.md.
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
    say("| work | haul | peak | compared with | other | time ratio | CPU ratio | other's peak |\n");
    say("| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: |\n");
    for group in rows::GROUPS {
        for job in group(&place, part) {
            if is_chosen(&job.name) {
                say(&job.run(rounds));
            }
        }
    }
    if is_chosen("guards") {
        say("\n| independent of the clock | |\n| --- | ---: |\n");
        for line in guards::lines(&place, part) {
            say(&format!("{line}\n"));
        }
    }
    say(&format!(
        "\n{}; medians of {rounds} rounds in turn, fewer where marked; load of the machine {load} before, {} after. \
         ≤ marks a goal that is met, ✗ one that is missed.\n",
        place::description(),
        place::load(),
    ));
    if has("--markdown") {
        write_into_document(&tables);
    }
}

fn write_into_document(tables: &str) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/speed.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("docs/speed.md marks where the tables begin");
    let (_, after) = rest.split_once(END).expect("docs/speed.md marks where the tables end");
    std::fs::write(path, format!("{before}{BEGIN}\n{tables}\n{END}{after}")).unwrap();
}

//! Commands that are run again: how many copies of a file exist afterwards, counted at the server.

mod apart;
mod kept;
mod lost;
mod modes;
mod parts;
mod proxy;
mod signals;
mod sync;

use std::sync::Arc;

use haul::model::File;

use crate::platforms::{dialects, emulated};
use crate::support::emulator::Emulator;
use crate::support::rig::{Case, Rig, TOKEN};
use crate::support::sandbox::Sandbox;

/// One case of each dialect that `haul serve` emulates.
fn remote_cases() -> impl Iterator<Item = Case> {
    dialects().filter(|case| emulated(case.provider).is_some())
}

/// Each remote case once per round, each time with a different seed.
fn seeded(rounds: u64) -> Vec<(Case, u64)> {
    let of_case = |(seed, case): (u64, Case)| (0..rounds).map(move |round| (case, seed + round));
    (100..).zip(remote_cases()).flat_map(of_case).collect()
}

/// A fresh machine that uses the platform at this origin.
fn machine(case: &Case, served: &Emulator, origin: &str) -> Sandbox {
    let mut env = Sandbox::new().with_real_clock();
    env.use_platform(case, &served.base(case.provider).replace(&served.root, origin), TOKEN);
    env
}

/// A machine whose commands are stopped. The server may store the file of a stopped command some time later, more so
/// while other tests run.
fn machine_to_stop(case: &Case, served: &Emulator) -> Sandbox {
    let mut env = machine(case, served, &served.root);
    env.set("HAUL_APPEARS_WITHIN", "300ms");
    env
}

/// Prints a table row, which `--nocapture` shows: the platform, what was done, and what was counted at the server.
fn tally(case: &Case, done: &str, counted: &str) {
    println!("| {} | {done} | {counted} |", case.name());
}

/// The files at the server, oldest first.
fn stored(case: &Case, served: &Arc<Emulator>) -> Vec<File> {
    let mut files = Rig::on(*case, Arc::clone(served)).pages(None).concat();
    files.retain(|file| !matches!(file.status.as_deref(), Some("deleted" | "failed")));
    files.sort_by_key(|file| file.created_at);
    files
}

fn names(files: &[File]) -> Vec<&str> {
    let mut names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    names.sort_unstable();
    names
}

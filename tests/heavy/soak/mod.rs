//! Many commands at once against one `haul serve` that fails at random, some of them killed; in the end everybody believes
//! the same: the commands by what they reported, the server by what it lists and serves, the store by what is on disk.
//!
//! `HAUL_SOAK_OPERATIONS` says how many operations the long one has (one a file), `HAUL_SOAK_SEED` which.

mod belief;
mod commands;
mod comparison;
mod random;
mod server;
mod totals;
mod worker;

use std::sync::atomic::Ordering;
use std::thread;

use commands::Commands;
use random::Random;
use server::Server;
use worker::Worker;

use crate::support::sandbox::Sandbox;

/// Processes that run at once, about; fewer where there is little to do.
const WORKERS: u64 = 6;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect(variable))
}

fn soak(operations: u64, seed: u64) {
    println!("soak of {operations} operations, HAUL_SOAK_SEED={seed}");
    let env = Sandbox::new().with_real_clock();
    let server = Server::start(&env, &server::faults(seed), seed);
    let commands = Commands::new(&env, &server, seed);
    let beliefs = thread::scope(|scope| {
        let run = |number| {
            let mut worker = Worker::new(&commands, number, Random::new(seed.wrapping_add(number << 32)));
            while commands.totals.operations.load(Ordering::Relaxed) < operations {
                worker.step();
            }
            worker.belief
        };
        let workers: Vec<_> =
            (0..WORKERS.min(operations / 100)).map(|number| scope.spawn(move || run(number))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect::<Vec<_>>()
    });
    let requests = server.stop();
    comparison::compare(&env, &commands, beliefs, seed);
    print!("{}", commands.totals.table());
    print!("{requests}");
    let differences = commands.totals.differences.lock().unwrap();
    println!("differences: {}", differences.len());
    assert!(differences.is_empty(), "HAUL_SOAK_SEED={seed}\n{}", differences.join("\n"));
}

#[test]
fn a_short_soak_leaves_no_difference() {
    soak(300, number("HAUL_SOAK_SEED").unwrap_or(1));
}

#[test]
#[ignore = "takes minutes"]
fn a_long_soak_leaves_no_difference() {
    let seed = number("HAUL_SOAK_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    soak(number("HAUL_SOAK_OPERATIONS").unwrap_or(100_000), seed);
}

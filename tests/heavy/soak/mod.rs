//! Concurrent commands against one `haul serve` with random faults; some commands are killed. At the end three states must
//! agree: the reports of the commands, the listings and content of the server, and the files of the store.
//!
//! `HAUL_TEST_SOAK_OPERATIONS` is the number of operations of the long run (one per file), `HAUL_TEST_SOAK_SEED` its seed.

mod commands;
mod comparison;
mod expectation;
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

/// The maximum number of concurrent processes.
const WORKERS: u64 = 6;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect(variable))
}

fn soak(operations: u64, seed: u64) {
    println!("soak of {operations} operations, HAUL_TEST_SOAK_SEED={seed}");
    let env = Sandbox::new().with_real_clock();
    let server = Server::start(&env, &server::faults(seed), seed);
    let commands = Commands::new(&env, &server, seed);
    let expectations = thread::scope(|scope| {
        let run = |number| {
            let mut worker = Worker::new(&commands, number, Random::new(seed.wrapping_add(number << 32)));
            while commands.totals.operations.load(Ordering::Relaxed) < operations {
                worker.step();
            }
            worker.expectation
        };
        let workers: Vec<_> =
            (0..WORKERS.min(operations / 100)).map(|number| scope.spawn(move || run(number))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect::<Vec<_>>()
    });
    let requests = server.stop();
    comparison::compare(&env, &commands, expectations, seed);
    print!("{}", commands.totals.table());
    print!("{requests}");
    let differences = commands.totals.differences.lock().unwrap();
    println!("differences: {}", differences.len());
    assert!(differences.is_empty(), "HAUL_TEST_SOAK_SEED={seed}\n{}", differences.join("\n"));
}

#[test]
fn a_short_soak_leaves_no_difference() {
    soak(300, number("HAUL_TEST_SOAK_SEED").unwrap_or(1));
}

#[test]
#[ignore = "heavy: takes minutes"]
fn a_long_soak_leaves_no_difference() {
    let seed = number("HAUL_TEST_SOAK_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    soak(number("HAUL_TEST_SOAK_OPERATIONS").unwrap_or(100_000), seed);
}

//! How a property is checked: with few inputs in an ordinary run, with as many as fit into a time in a long one.

use std::cell::Cell;
use std::time::{Duration, Instant};

use proptest::prelude::Strategy;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

/// Inputs between two looks at the clock.
const BATCH: u32 = 2000;

/// Checks a property with `PROPTEST_CASES` inputs (256 unless said), or for `HAUL_PROPERTY_SECONDS`, and prints how many
/// there were. A case that was found is kept as a test of its own, so nothing is written to disk.
#[allow(clippy::print_stdout, reason = "the number is what a long run is for")]
pub fn holds<S: Strategy>(name: &str, inputs: S, property: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let seconds = std::env::var("HAUL_PROPERTY_SECONDS").ok().map(|text| text.parse().expect("seconds"));
    let usual = Config { failure_persistence: None, ..Config::default() };
    let cases = if seconds.is_some() { BATCH } else { usual.cases };
    // What an assumption leaves out is no failure, however often.
    let config = Config { cases, max_global_rejects: u32::MAX, max_local_rejects: u32::MAX, ..usual };
    let (begun, executions) = (Instant::now(), Cell::new(0u64));
    loop {
        // A runner counts its cases over all its runs: each batch has its own, and its own randomness.
        let mut runner = TestRunner::new(config.clone());
        let checked = runner.run(&inputs, |input| {
            executions.set(executions.get() + 1);
            property(input)
        });
        if let Err(error) = checked {
            panic!("{name}, after {} executions: {error}", executions.get());
        }
        if seconds.is_none_or(|seconds| begun.elapsed() >= Duration::from_secs(seconds)) {
            break;
        }
    }
    println!("property: {name}: {} executions", executions.get());
}

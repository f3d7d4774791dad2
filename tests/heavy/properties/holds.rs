//! Checks a property with a few inputs by default, or with as many as fit in a time limit.

use std::cell::Cell;
use std::time::{Duration, Instant};

use proptest::prelude::Strategy;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

/// The number of inputs between checks of the time.
const BATCH: u32 = 2000;

/// Checks a property with `PROPTEST_CASES` inputs (default 256), or for `HAUL_TEST_PROPERTY_SECONDS`, and prints their number.
/// Failures are not persisted to disk: add a separate test for each.
#[allow(clippy::print_stdout, reason = "a long run reports its number of inputs")]
pub fn holds<S: Strategy>(name: &str, inputs: S, property: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let seconds = std::env::var("HAUL_TEST_PROPERTY_SECONDS").ok().map(|text| text.parse().expect("seconds"));
    let default = Config { failure_persistence: None, ..Config::default() };
    let cases = if seconds.is_some() { BATCH } else { default.cases };
    // Any number of inputs may be rejected by assumptions.
    let config = Config { cases, max_global_rejects: u32::MAX, max_local_rejects: u32::MAX, ..default };
    let (start, executions) = (Instant::now(), Cell::new(0u64));
    loop {
        // A runner counts its cases over all of its runs, so each batch has a new runner with a new seed.
        let mut runner = TestRunner::new(config.clone());
        let checked = runner.run(&inputs, |input| {
            executions.set(executions.get() + 1);
            property(input)
        });
        if let Err(error) = checked {
            panic!("{name}, after {} executions: {error}", executions.get());
        }
        if seconds.is_none_or(|seconds| start.elapsed() >= Duration::from_secs(seconds)) {
            break;
        }
    }
    println!("property: {name}: {} executions", executions.get());
}

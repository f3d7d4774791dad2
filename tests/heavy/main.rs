//! Repeated commands, fault injection, hostile servers, properties and soak runs. Slow tests are ignored by default;
//! `.ci/run` runs them.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a panic fails the test, in helpers as well")]
#![allow(clippy::print_stdout, reason = "the tests print their counts")]

#[path = "../it/platforms/mod.rs"]
mod platforms;
#[path = "../it/support/mod.rs"]
mod support;

mod again;
mod faults;
mod hostile;
mod properties;
mod soak;

use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs `work` on every item, on this many threads. The first items start first.
fn in_parallel<T: Sync>(threads: usize, items: &[T], work: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(item);
                }
            });
        }
    });
}

//! Where a change to the store is, for the test that kills it there.

use std::sync::OnceLock;

/// A moment in the life of a change, in the order in which they come. What a crash leaves differs between them.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// All bytes are written, not yet synced.
    Written,
    /// All bytes are synced.
    Synced,
    /// The row of a new file or of new content is written, not committed.
    Inserted,
    /// Its content has got its final name.
    Placed,
    /// The row is committed; its content is still marked as doubtful.
    Added,
    /// The row of a file is removed, not committed.
    Removing,
    /// That is committed; its content is still there.
    Removed,
    /// Its content is gone, too; still marked as doubtful.
    Freed,
}

static OBSERVER: OnceLock<fn(Phase)> = OnceLock::new();

/// Calls `observer` at every phase of every store of this process. The first observer stays.
#[doc(hidden)]
pub fn observe(observer: fn(Phase)) {
    let _ = OBSERVER.set(observer);
}

pub(super) fn reached(phase: Phase) {
    if let Some(observer) = OBSERVER.get() {
        observer(phase);
    }
}

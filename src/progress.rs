//! The progress of transfers, reported to [`Progress`] and displayed by `ui`.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

/// The outcome of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Outcome {
    /// The item was transferred.
    Done,
    /// The item already existed and was not transferred.
    Skipped,
    /// The transfer failed.
    Failed,
}

/// Receives the progress of a transfer or of one of its items.
///
/// Positions are absolute: an attempt that starts over reports a smaller number.
pub trait Progress: Send + Sync {
    /// Reports the total number of items and bytes known so far.
    fn expect(&self, _items: u64, _bytes: u64) {}

    /// Starts an item. The returned value receives the progress of this item.
    fn item(&self, _name: &str, _size: Option<u64>) -> Arc<dyn Progress> {
        Arc::new(Silent)
    }

    /// Reports how many bytes of this item have been transferred so far.
    fn at(&self, _bytes: u64) {}

    /// Reports the size of this item, if it was unknown at the start.
    fn size(&self, _bytes: u64) {}

    /// Reports that this item resumes after this many bytes, which were transferred earlier.
    fn resume(&self, _bytes: u64) {}

    /// Receives the bytes of an upload as they are read, with their `offset` in the file. Called on the reading
    /// thread. An attempt that starts over begins at offset 0 again.
    fn read(&self, _offset: u64, _bytes: &[u8]) {}

    /// Reports that this item has ended.
    fn finish(&self, _outcome: Outcome) {}
}

/// A receiver that ignores all progress.
pub struct Silent;

impl Progress for Silent {}

/// Creates a receiver that ignores all progress.
pub fn silent() -> Arc<dyn Progress> {
    Arc::new(Silent)
}

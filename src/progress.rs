//! What a transfer tells about how far it is. The ui decides how that looks.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

/// How an item ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Outcome {
    /// All of it arrived.
    Done,
    /// There was nothing to send: it was there already.
    Skipped,
    /// It did not arrive.
    Failed,
}

/// Listens to a transfer, or to one item of it.
///
/// Positions are absolute, so an attempt that starts over simply reports a smaller number.
pub trait Progress: Send + Sync {
    /// Says how much there is to do in all, as far as it is known yet: items and bytes.
    fn expect(&self, _items: u64, _bytes: u64) {}

    /// Begins an item; what is reported to the returned value is about that item.
    fn item(&self, _name: &str, _size: Option<u64>) -> Arc<dyn Progress> {
        Arc::new(Silent)
    }

    /// Reports that `bytes` of this item have moved.
    fn at(&self, _bytes: u64) {}

    /// Hears the bytes of an upload as they are read, `offset` from the start of the file, on the reading thread. An
    /// attempt that starts over begins at 0 again.
    fn read(&self, _offset: u64, _bytes: &[u8]) {}

    /// Ends this item.
    fn finish(&self, _outcome: Outcome) {}
}

/// Listens and says nothing.
pub struct Silent;

impl Progress for Silent {}

/// A listener that says nothing.
pub fn silent() -> Arc<dyn Progress> {
    Arc::new(Silent)
}

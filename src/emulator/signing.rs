//! Signed, expiring links.

use std::sync::Arc;

use crate::error::Result;
use crate::store::Store;

/// Signs text with HMAC-SHA256 under a key that the store keeps, and compares in constant time.
#[derive(Clone)]
pub struct Signer {
    _key: Arc<[u8]>,
}

impl Signer {
    /// The signer of a store: its key is made once and kept as a note.
    pub fn of(_store: &Store) -> Result<Self> {
        todo!()
    }

    /// A signer with a given key.
    pub fn with_key(key: &[u8]) -> Self {
        Self { _key: key.into() }
    }

    /// The signature of `text`.
    pub fn sign(&self, _text: &str) -> [u8; 32] {
        todo!()
    }

    /// Whether `signature` is that of `text`, in constant time.
    pub fn verify(&self, _text: &str, _signature: &[u8]) -> bool {
        todo!()
    }
}

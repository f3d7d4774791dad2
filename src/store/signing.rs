//! Signatures for links served by the emulator.

use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Store, hex};
use crate::error::{Error, Result};
use crate::model::Object;
use crate::signing::Signer;

impl Store {
    /// The key for signed links: 64 random hex digits, created once and stored as a note.
    pub fn signing_key(&self) -> Result<String> {
        let make = || {
            let (a, b) = (Uuid::new_v4(), Uuid::new_v4());
            // A version 4 UUID has 122 random bits; the digest spreads the bits of two UUIDs over the key.
            let key = hex(&Sha256::new().chain_update(a).chain_update(b).finalize());
            Object::from_iter([("key".to_owned(), Value::String(key))])
        };
        let note = self.note_once("local", "signing-key", "key", &make)?;
        let key = note.get("key").and_then(Value::as_str);
        key.map(str::to_owned).ok_or_else(|| Error::failed("the store's signing key is not a string"))
    }
}

/// The query of a signed link to a file in the `local` space: `expires=SECONDS&signature=HEX`. The signature is the
/// HMAC-SHA256 of `"{id} {expires}"`, using the key's text as the key; `expires` is in seconds since 1970.
pub fn sign_link(key: &str, id: &str, expires: i64) -> String {
    let signature = Signer::with_key(key.as_bytes()).sign_hex(&format!("{id} {expires}"));
    format!("expires={expires}&signature={signature}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_created_once() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(home.path(), crate::store::Options::default()).unwrap();
        let key = store.signing_key().unwrap();
        assert_eq!(key.len(), 64);
        assert_eq!(store.signing_key().unwrap(), key);
        let other = tempfile::tempdir().unwrap();
        let other = Store::open(other.path(), crate::store::Options::default()).unwrap();
        assert_ne!(other.signing_key().unwrap(), key);
    }
}

//! Signatures of links that the emulator serves.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Store, hex};
use crate::error::{Error, Result};
use crate::model::Object;

impl Store {
    /// The key that links are signed with: 32 random bytes, made once and kept as a note, in hex.
    pub fn signing_key(&self) -> Result<Vec<u8>> {
        let make = || {
            let (a, b) = (Uuid::new_v4(), Uuid::new_v4());
            // A version 4 UUID has 122 random bits; the digest spreads those of two over all of the key.
            let key = Sha256::new().chain_update(a).chain_update(b).finalize();
            Object::from_iter([("key".to_owned(), Value::String(hex(&key)))])
        };
        let note = self.note_once("local", "signing-key", "key", &make)?;
        let key = note.get("key").and_then(Value::as_str).and_then(from_hex);
        key.ok_or_else(|| Error::failed("the store's signing key is not hexadecimal"))
    }
}

/// The query of a signed link to a file of the space `local`: `expires=SECONDS&signature=HEX`. What is signed, with
/// HMAC-SHA256, is `"{id} {expires}"`; `expires` is in seconds since 1970.
pub fn sign_link(key: &[u8], id: &str, expires: i64) -> String {
    let signature = hex(&sign(key, &format!("{id} {expires}")));
    format!("expires={expires}&signature={signature}")
}

fn sign(key: &[u8], text: &str) -> [u8; 32] {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.chain_update(text).finalize().into_bytes().into()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
    text.len().is_multiple_of(2).then(|| text.as_bytes().chunks(2).map(byte).collect())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_hmac_sha256() {
        // RFC 4231, test case 2.
        assert_eq!(
            hex(&sign(b"Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn the_key_is_made_once() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(home.path(), crate::store::Options::default()).unwrap();
        let key = store.signing_key().unwrap();
        assert_eq!(key.len(), 32);
        assert_eq!(store.signing_key().unwrap(), key);
        let other = tempfile::tempdir().unwrap();
        let other = Store::open(other.path(), crate::store::Options::default()).unwrap();
        assert_ne!(other.signing_key().unwrap(), key);
    }
}

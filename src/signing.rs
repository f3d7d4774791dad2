//! HMAC-SHA256 signatures for expiring links.

use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::model::hex;

/// Signs text and compares signatures in constant time.
#[derive(Clone)]
pub struct Signer {
    key: Arc<[u8]>,
}

impl Signer {
    /// Creates a signer with a key of any length.
    pub fn with_key(key: &[u8]) -> Self {
        Self { key: key.into() }
    }

    /// Creates a signer for one purpose. Its signatures are not valid for any other purpose.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> Self {
        Self::with_key(&self.sign(purpose))
    }

    /// The signature of `text`.
    pub fn sign(&self, text: &str) -> [u8; 32] {
        self.mac(text).finalize().into_bytes().into()
    }

    /// The signature of `text` in lowercase hex.
    pub fn sign_hex(&self, text: &str) -> String {
        hex(&self.sign(text))
    }

    /// Checks in constant time whether `signature` is the signature of `text`.
    pub fn verify(&self, text: &str, signature: &[u8]) -> bool {
        self.mac(text).verify_slice(signature).is_ok()
    }

    /// Like [`verify`](Self::verify), for a signature in uppercase or lowercase hex.
    pub fn verify_hex(&self, text: &str, signature: &str) -> bool {
        from_hex(signature).is_some_and(|signature| self.verify(text, &signature))
    }

    fn mac(&self, text: &str) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new_from_slice(&self.key);
        mac.expect("HMAC accepts keys of any length").chain_update(text)
    }
}

/// Decodes uppercase or lowercase hex. Returns `None` if the text is not hex.
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2.
    #[test]
    fn it_is_hmac_sha256() {
        let signer = Signer::with_key(b"Jefe");
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(signer.sign_hex("what do ya want for nothing?"), expected);
        assert!(signer.verify_hex("what do ya want for nothing?", &expected.to_uppercase()));
    }

    #[test]
    fn any_difference_invalidates_a_signature() {
        let signer = Signer::with_key(b"key");
        let signature = signer.sign("a 1");
        assert!(signer.verify("a 1", &signature));
        assert!(!signer.verify("a 2", &signature));
        assert!(!signer.verify("a 1", &signature[..16]));
        assert!(!signer.verify("a 1", b""));
        assert!(!Signer::with_key(b"kez").verify("a 1", &signature));
        assert!(!signer.derive("xai").verify("a 1", &signature));
        assert!(!signer.verify_hex("a 1", &(hex(&signature) + "0")));
        assert!(!signer.verify_hex("a 1", "not hex"));
    }
}

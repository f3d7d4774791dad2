//! Hashes in the same pass as the bytes, and only where a stated checksum can be compared.

use std::sync::Mutex;

use md5::Digest as _;

use crate::error::{Error, Kind, Result};
use crate::model::{Checksums, hex};

/// A running hash.
pub(super) enum Hasher {
    Blake3(Box<blake3::Hasher>),
    Sha256(sha2::Sha256),
    Md5(md5::Md5),
}

impl Hasher {
    /// The cheapest of the named ones: BLAKE3 before SHA-256 before MD5.
    pub(super) fn cheapest(stated: &[&str]) -> Option<Self> {
        if stated.contains(&"blake3") {
            Some(Self::Blake3(Box::default()))
        } else if stated.contains(&"sha256") {
            Some(Self::Sha256(sha2::Sha256::default()))
        } else if stated.contains(&"md5") {
            Some(Self::Md5(md5::Md5::default()))
        } else {
            None
        }
    }

    /// The cheapest of those that are stated for one file.
    pub(super) fn for_checksums(checksums: &Checksums) -> Option<Self> {
        let stated = [("blake3", &checksums.blake3), ("sha256", &checksums.sha256), ("md5", &checksums.md5)];
        let stated: Vec<&str> =
            stated.iter().filter(|(_, sum)| sum.is_some()).map(|(name, _)| *name).collect();
        Self::cheapest(&stated)
    }

    /// Hears more bytes.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Blake3(hasher) => drop(hasher.update(bytes)),
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Md5(hasher) => hasher.update(bytes),
        }
    }

    /// The same kind of hash from the start.
    pub(super) fn fresh(&self) -> Self {
        match self {
            Self::Blake3(_) => Self::Blake3(Box::default()),
            Self::Sha256(_) => Self::Sha256(sha2::Sha256::default()),
            Self::Md5(_) => Self::Md5(md5::Md5::default()),
        }
    }

    /// The digest, under its name.
    pub(super) fn finish(self) -> Checksums {
        match self {
            Self::Blake3(hasher) => {
                Checksums { blake3: Some(hasher.finalize().to_hex().to_string()), ..Checksums::default() }
            }
            Self::Sha256(hasher) => {
                Checksums { sha256: Some(hex(&hasher.finalize())), ..Checksums::default() }
            }
            Self::Md5(hasher) => Checksums { md5: Some(hex(&hasher.finalize())), ..Checksums::default() },
        }
    }
}

/// Compares what was computed with what is stated; a kind that only one side has is no difference.
pub(super) fn compare(name: &str, computed: &Checksums, stated: &Checksums) -> Result<()> {
    let pairs = [
        ("blake3", &computed.blake3, &stated.blake3),
        ("sha256", &computed.sha256, &stated.sha256),
        ("md5", &computed.md5, &stated.md5),
    ];
    for (kind, ours, theirs) in pairs {
        if let (Some(ours), Some(theirs)) = (ours, theirs)
            && !ours.eq_ignore_ascii_case(theirs)
        {
            return Err(Error::new(
                Kind::Mismatch,
                format!("{name}: the {kind} is {ours} here and {theirs} there"),
            ));
        }
    }
    Ok(())
}

/// A hash that listens to an upload: it starts over when the upload does.
pub(super) struct Listener {
    state: Mutex<State>,
}

struct State {
    hasher: Hasher,
    heard: u64,
    /// Whether every byte was heard in order.
    whole: bool,
}

impl Listener {
    pub(super) fn new(hasher: Hasher) -> Self {
        Self { state: Mutex::new(State { hasher, heard: 0, whole: true }) }
    }

    pub(super) fn hear(&self, offset: u64, bytes: &[u8]) {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if offset == 0 {
            state.hasher = state.hasher.fresh();
            (state.heard, state.whole) = (0, true);
        }
        state.whole &= offset == state.heard;
        state.heard = offset + bytes.len() as u64;
        state.hasher.update(bytes);
    }

    /// The digest of the last attempt, if it heard all `size` bytes.
    pub(super) fn finish(&self, size: u64) -> Option<Checksums> {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let fresh = state.hasher.fresh();
        (state.whole && state.heard == size).then(|| std::mem::replace(&mut state.hasher, fresh).finish())
    }
}

//! Checksums of uploads, compared with those that the platform reports.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Kind, Result};
use crate::hash::Hasher;
use crate::model::{Checksums, Source};
use crate::source::Opened;

/// Computes the checksum of a source on a blocking thread.
pub(super) async fn digest_of(source: &Source, mut hasher: Hasher) -> Result<Checksums> {
    let source = source.clone();
    let hashing = tokio::task::spawn_blocking(move || {
        Opened::open(&source)?.read_all(|chunk| {
            hasher.update(chunk);
            Ok(())
        })?;
        Ok::<_, Error>(hasher.finish())
    });
    hashing.await.map_err(|error| Error::failed(format!("hashing stopped: {error}")))?
}

/// Compares computed checksums with reported ones. Algorithms that only one side provides are not compared.
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
                format!("{name}: the {kind} does not match: {ours} here, {theirs} on the platform"),
            ));
        }
    }
    Ok(())
}

/// The hash of an upload, computed while the file is sent. It restarts when the upload does.
pub(super) struct UploadHash(Mutex<State>);

struct State {
    hasher: Hasher,
    /// Number of bytes hashed.
    position: u64,
    /// Whether the bytes have arrived in order from the start.
    in_order: bool,
}

impl UploadHash {
    pub(super) fn new(hasher: Hasher) -> Self {
        Self(Mutex::new(State { hasher, position: 0, in_order: true }))
    }

    /// A new hasher for the same algorithm.
    pub(super) fn hasher(&self) -> Hasher {
        self.state().hasher.fresh()
    }

    /// Adds the bytes at `offset`.
    pub(super) fn update(&self, offset: u64, bytes: &[u8]) {
        let mut state = self.state();
        if offset == 0 {
            *state = State { hasher: state.hasher.fresh(), position: 0, in_order: true };
        }
        state.in_order &= offset == state.position;
        state.position = offset + bytes.len() as u64;
        state.hasher.update(bytes);
    }

    /// The digest of the last attempt, if it covers all `size` bytes.
    pub(super) fn finish(&self, size: u64) -> Option<Checksums> {
        let mut state = self.state();
        let fresh = state.hasher.fresh();
        (state.in_order && state.position == size)
            .then(|| std::mem::replace(&mut state.hasher, fresh).finish())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

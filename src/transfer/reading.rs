//! A whole file read for its checksum.

use super::digest::Hasher;
use crate::error::{Error, Result};
use crate::model::{Checksums, Source};
use crate::source::Opened;

/// Bytes read at once.
const PIECE: usize = 256 * 1024;

/// The checksum of a source, computed where it may block.
pub(super) async fn digest_of(source: &Source, mut hasher: Hasher) -> Result<Checksums> {
    let source = source.clone();
    let hashing = tokio::task::spawn_blocking(move || {
        read_all(&source, &mut |bytes| hasher.update(bytes))?;
        Ok::<_, Error>(hasher.finish())
    });
    hashing.await.map_err(|error| Error::failed(format!("hashing stopped: {error}")))?
}

fn read_all(source: &Source, hear: &mut dyn FnMut(&[u8])) -> Result<()> {
    if let Source::Bytes(bytes) = source {
        hear(bytes);
        return Ok(());
    }
    let mut source = Opened::open(source)?;
    let mut piece = vec![0; PIECE];
    loop {
        match source.read(&mut piece)? {
            0 => return Ok(()),
            count => hear(&piece[..count]),
        }
    }
}

//! A whole file read for its checksum.

use std::fs;
use std::io::Read as _;

use super::digest::Hasher;
use crate::error::{Error, Result};
use crate::model::{Checksums, Source};

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
    let path = match source {
        Source::Bytes(bytes) => {
            hear(bytes);
            return Ok(());
        }
        Source::Path(path) => path.as_path(),
        Source::Spooled(file) => file.path(),
    };
    let failed = |error: std::io::Error| Error::io("read", path, &error);
    let mut file = fs::File::open(path).map_err(failed)?;
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(count) => hear(&piece[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
}

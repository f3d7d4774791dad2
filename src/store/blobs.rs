//! Content, addressed by its hash.
use crate::error::Result;
use std::io;

/// Content on its way into the store.
pub struct Incoming {}

/// Content that has arrived whole and is not referred to yet.
pub struct Blob {
    /// Size in bytes.
    pub size: u64,
    /// Checksums of it.
    pub checksums: crate::model::Checksums,
}

impl Incoming {
    /// Ends it: everything written is on disk.
    pub fn finish(self) -> Result<Blob> {
        todo!()
    }
}

impl io::Write for Incoming {
    fn write(&mut self, _buf: &[u8]) -> io::Result<usize> {
        todo!()
    }

    fn flush(&mut self) -> io::Result<()> {
        todo!()
    }
}

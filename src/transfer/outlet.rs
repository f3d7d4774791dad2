//! Writes to a device or a pipe, which can block for any length of time.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::thread;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::error::{Error, Result};
use crate::files;

/// Maximum number of chunks that wait to be written.
const WAITING: usize = 4;

/// A device or a pipe that a thread of its own opens and writes. Opening a pipe blocks until it has a reader; on the thread,
/// that does not prevent Ctrl-C.
pub(super) struct Outlet {
    pub(super) path: PathBuf,
    /// None after [`finish`](Self::finish).
    pieces: Option<mpsc::Sender<Bytes>>,
    outcome: oneshot::Receiver<io::Result<()>>,
}

impl Outlet {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let (pieces, mut waiting) = mpsc::channel::<Bytes>(WAITING);
        let (tell, outcome) = oneshot::channel();
        let place = path.to_owned();
        let work = move || {
            let mut write = || {
                let mut file = files::open_stream(&place)?;
                while let Some(piece) = waiting.blocking_recv() {
                    file.write_all(&piece)?;
                }
                Ok(())
            };
            // The receiver is dropped on Ctrl-C.
            let _ = tell.send(write());
        };
        thread::Builder::new()
            .name("write".to_owned())
            .spawn(work)
            .map_err(|error| Error::failed("no thread can be started").caused_by(error))?;
        Ok(Self { path: path.to_owned(), pieces: Some(pieces), outcome })
    }

    /// Queues bytes for writing.
    pub(super) async fn write(&mut self, bytes: Bytes) -> Result<()> {
        match &self.pieces {
            Some(pieces) if pieces.send(bytes).await.is_ok() => Ok(()),
            _ => self.finish().await,
        }
    }

    /// Waits until all bytes are written.
    pub(super) async fn finish(&mut self) -> Result<()> {
        self.pieces = None;
        let outcome = (&mut self.outcome).await.unwrap_or_else(|_| Err(io::Error::other("writing stopped")));
        outcome.map_err(|error| {
            // A broken pipe is a failure here: unlike a reader of standard output, this one needs the whole file.
            Error::failed(format!("{}: cannot write", self.path.display())).caused_by(error)
        })
    }
}

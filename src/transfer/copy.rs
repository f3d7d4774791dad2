//! Files on a platform as the sources of uploads: downloads that run while another platform receives the content.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::future::{BoxFuture, join_all};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::download::relay;
use super::job::Job;
use super::upload::Uploads;
use crate::error::{Error, Result, Signal};
use crate::interrupt::Interrupt;
use crate::model::{File, NewFile, Remote, Source};
use crate::providers::{Provider, require_upload};
use crate::source::{CHUNK, read_chunks, unreadable};
use crate::spool::Spool;

/// Maximum number of chunks that wait to be sent.
const QUEUE: usize = 2;
/// Content up to this size is downloaded before it is sent, because a second download after a failed upload would take
/// longer.
const SMALL: u64 = 64 * 1024;

/// A file on a platform, as the source of an upload.
pub struct RemoteFile {
    provider: Arc<dyn Provider>,
    file: File,
    place: PathBuf,
    /// Whether the size and the reported checksums are verified.
    verify: bool,
    runtime: Handle,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The content, once it is downloaded.
    spooled: Option<Spooled>,
    /// Cancels the running download.
    current: Option<Interrupt>,
    /// Downloads that may still hold a link. Each sender is dropped once the link is revoked.
    ending: Vec<oneshot::Receiver<()>>,
}

/// Downloaded content.
#[derive(Clone)]
enum Spooled {
    Memory(Bytes),
    Disk(Arc<Spool>, u64),
}

impl RemoteFile {
    /// Creates the source of an upload from a file on a platform. Must be called within a Tokio runtime.
    pub fn new(provider: Arc<dyn Provider>, file: File, verify: bool) -> Self {
        let place = PathBuf::from(format!("{}:id:{}", provider.profile(), file.id));
        Self { provider, file, place, verify, runtime: Handle::current(), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn end_current(&mut self) {
        if let Some(current) = self.current.take() {
            current.cancel(Signal::default());
        }
    }
}

impl fmt::Debug for RemoteFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteFile({})", self.place.display())
    }
}

impl Remote for RemoteFile {
    fn file(&self) -> &File {
        &self.file
    }

    fn place(&self) -> &Path {
        &self.place
    }

    fn size(&self) -> Option<u64> {
        match &self.state().spooled {
            Some(Spooled::Memory(bytes)) => Some(bytes.len() as u64),
            Some(Spooled::Disk(_, size)) => Some(*size),
            None => self.file.size,
        }
    }

    fn open(&self, from: u64) -> io::Result<Box<dyn Read + Send>> {
        let mut state = self.state();
        match state.spooled.clone() {
            Some(Spooled::Memory(bytes)) => {
                let mut reader = io::Cursor::new(bytes);
                reader.set_position(from);
                return Ok(Box::new(reader));
            }
            Some(Spooled::Disk(spool, _)) => return Ok(Box::new(spool.reader(from)?)),
            None => {}
        }
        state.end_current();
        let (sender, chunks) = mpsc::channel(QUEUE);
        let (held, ended) = oneshot::channel::<()>();
        let interrupt = Interrupt::default();
        state.ending.push(ended);
        state.current = Some(interrupt.clone());
        drop(state);
        let (provider, file, verify) = (Arc::clone(&self.provider), self.file.clone(), self.verify);
        self.runtime.spawn(async move {
            let result = relay(&provider, &file, &sender, verify, &interrupt).await;
            drop(held);
            // An empty chunk marks the end of content that has been verified.
            let _ = sender.send(result.map(|()| Bytes::new())).await;
        });
        let mut reader = Incoming { chunks, chunk: Bytes::new(), is_ended: false };
        // The download begins at the first byte, because its checksum covers all bytes.
        io::copy(&mut reader.by_ref().take(from), &mut io::sink())?;
        Ok(Box::new(reader))
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        let mut state = self.state();
        state.end_current();
        let ending = std::mem::take(&mut state.ending);
        Box::pin(async {
            // Each receiver returns an error once its sender is dropped.
            join_all(ending).await;
        })
    }

    fn spool(&self) -> io::Result<()> {
        if self.state().spooled.is_some() {
            return Ok(());
        }
        let content = self.open(0)?;
        let spooled = if self.file.size.is_some_and(|size| size <= SMALL) {
            let mut bytes = Vec::new();
            let mut content = content;
            content.read_to_end(&mut bytes)?;
            Spooled::Memory(bytes.into())
        } else {
            let spool = Spool::new()?;
            let (mut copy, mut size) = (spool.writer()?, 0_u64);
            read_chunks(
                content,
                CHUNK,
                |error| error,
                |chunk| {
                    size = size.saturating_add(chunk.len() as u64);
                    copy.write_all(chunk)
                },
            )?;
            Spooled::Disk(Arc::new(spool), size)
        };
        self.state().spooled = Some(spooled);
        Ok(())
    }
}

/// A running download.
struct Incoming {
    chunks: mpsc::Receiver<Result<Bytes>>,
    chunk: Bytes,
    is_ended: bool,
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() && !self.is_ended {
            match self.chunks.blocking_recv() {
                Some(Ok(chunk)) => (self.is_ended, self.chunk) = (chunk.is_empty(), chunk),
                Some(Err(error)) => return Err(io::Error::other(error)),
                None => return Err(io::Error::other(Error::interrupted(Signal::default()))),
            }
        }
        let count = buffer.len().min(self.chunk.len());
        buffer[..count].copy_from_slice(&self.chunk.split_to(count));
        Ok(count)
    }
}

impl Uploads {
    /// The file with its size. If its platform does not report one, the content is downloaded.
    pub(super) async fn sized<'a>(&self, new: &'a NewFile) -> Result<Cow<'a, NewFile>> {
        match &new.source {
            Source::Remote(remote) if remote.size().is_none() => {
                let size = self.spool(new, remote).await?;
                Ok(Cow::Owned(NewFile { size, ..new.clone() }))
            }
            _ => Ok(Cow::Borrowed(new)),
        }
    }

    /// Downloads the content of a file that cannot be sent while it is being downloaded: the destination needs its
    /// SHA-256 first and the source does not report it, or the destination receives it in parts. Small content is
    /// always downloaded.
    pub(super) async fn stage(&self, job: &mut Job) -> Result<()> {
        let Source::Remote(remote) = job.new.source.clone() else { return Ok(()) };
        let needs_hash = self.provider.capabilities().upload.mark && remote.file().checksums.sha256.is_none();
        if needs_hash || self.in_parts(&job.new).is_some() || job.new.size <= SMALL {
            self.spool(&job.new, &remote).await?;
        }
        Ok(())
    }

    /// Downloads the content of a file, checks that the destination accepts a file of this size, and returns the size.
    async fn spool(&self, new: &NewFile, remote: &Arc<dyn Remote>) -> Result<u64> {
        let (content, name) = (Arc::clone(remote), new.name.clone());
        let spooling = move || content.spool().map_err(|error| unreadable(&name, error));
        self.interrupt.unblock(spooling).await?;
        let size = remote.size().unwrap_or_default();
        let (spec, can) = (self.provider.spec(), self.provider.capabilities());
        require_upload(spec, can, &NewFile { size, ..new.clone() })?;
        Ok(size)
    }
}

//! Disk ↔ provider: plan, parallelism, resume, check.

mod digest;
mod download;
mod names;
mod plan;
mod upload;

use std::future::Future;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, Stream, StreamExt as _};

pub use download::{DownloadOptions, Existing, Target, download};
pub use names::{base_name, safe_path};
pub use plan::{Planned, Selection, plan, refuse_special};
pub use upload::{Action, IfExists, UploadOptions, Uploaded, upload, wait_until_processed};

use crate::error::{Error, Kind, Result};
use crate::interrupt::Interrupt;

/// How long running work may take to put itself in order after Ctrl-C.
const GRACE: Duration = Duration::from_millis(800);

/// How many at a time, and when to stop early.
#[derive(Clone, Debug)]
pub struct Pool {
    /// At most so many in flight.
    pub jobs: usize,
    /// Whether the first failure stops the rest from being started.
    pub fail_fast: bool,
    /// The user's wish to stop.
    pub interrupt: Interrupt,
}

impl Pool {
    /// Does `work` on every item, so many at a time on this one thread, and tells `done` each result as it comes.
    /// Items are taken only when there is room, so that a listing or a walk can still be under way.
    ///
    /// A refused token stops the rest from being started: it would be refused for all. An error from `done` stops
    /// everything. Returns whether every item was started.
    pub async fn run<T, R, F>(
        &self,
        items: impl Stream<Item = Result<T>>,
        mut work: impl FnMut(T) -> F,
        mut done: impl FnMut(Result<R>) -> Result<()>,
    ) -> Result<bool>
    where
        F: Future<Output = Result<R>>,
    {
        let mut items = std::pin::pin!(items.fuse());
        let mut running: FuturesUnordered<F> = FuturesUnordered::new();
        let mut stopping = false;
        loop {
            let room = !stopping && !items.is_done() && running.len() < self.jobs.max(1);
            if !room && running.is_empty() {
                return Ok(!stopping || items.is_done());
            }
            tokio::select! {
                biased;
                () = self.interrupt.wanted() => break,
                Some(result) = running.next() => {
                    if let Err(error) = &result {
                        stopping |= self.fail_fast || error.kind() == Kind::Auth;
                    }
                    done(result)?;
                }
                item = items.next(), if room => match item {
                    Some(Ok(item)) => running.push(work(item)),
                    Some(Err(error)) => {
                        stopping |= self.fail_fast;
                        done(Err(error))?;
                    }
                    None => {}
                },
            }
        }
        // What runs watches the interrupt itself and only puts things in order.
        let tidy = async {
            while let Some(result) = running.next().await {
                if !matches!(&result, Err(error) if error.kind() == Kind::Interrupted) {
                    done(result)?;
                }
            }
            Ok::<(), Error>(())
        };
        if let Ok(result) = tokio::time::timeout(GRACE, tidy).await {
            result?;
        }
        Err(Error::new(Kind::Interrupted, "interrupted"))
    }
}

//! The runtime that drives the connections of a shared store.

use std::future::Future;

use tokio::runtime::{Builder, Runtime};

use crate::error::{Error, Result};

/// Number of threads. They move bytes; the store's callers wait on their own threads.
const THREADS: usize = 2;

/// A runtime that can be dropped anywhere, even in async code.
pub(super) struct Background(Option<Runtime>);

impl Background {
    pub(super) fn start() -> Result<Self> {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(THREADS).thread_name("store").enable_all();
        let runtime = builder.build();
        let failed =
            |error: std::io::Error| Error::failed("cannot start the threads of the store").caused_by(error);
        Ok(Self(Some(runtime.map_err(failed)?)))
    }

    fn runtime(&self) -> &Runtime {
        self.0.as_ref().expect("the runtime is taken only on drop")
    }

    /// Waits for `work`. Must not be called on a thread that runs async code.
    pub(super) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime().block_on(work)
    }

    /// Starts `work`, which is dropped when the store is closed.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        drop(self.runtime().spawn(work));
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // A plain drop waits for blocking tasks, which async code must not do.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

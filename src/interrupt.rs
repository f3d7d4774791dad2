//! Ctrl-C as a value: set once, waited for by whatever has something to put in order first.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::watch;

/// Whether the user wants to stop. Cheap to clone; clones share the wish.
#[derive(Clone, Debug)]
pub struct Interrupt(Arc<watch::Sender<bool>>);

impl Default for Interrupt {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Interrupt {
    /// Says that the user wants to stop.
    pub fn set(&self) {
        self.0.send_replace(true);
    }

    /// Whether the user wants to stop.
    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until the user wants to stop.
    pub async fn wanted(&self) {
        // The sender lives as long as this value, so waiting cannot fail.
        let _ = self.0.subscribe().wait_for(|set| *set).await;
    }

    /// Does `work` until the user wants to stop; None then, with the work dropped.
    pub async fn or<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.wanted() => None,
            done = work => Some(done),
        }
    }
}

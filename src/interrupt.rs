//! Cancellation after Ctrl-C: one token, and one deadline for all cleanup.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

/// Time for cleanup between the first Ctrl-C and the end of the process.
const GRACE: Duration = Duration::from_millis(900);

/// A cancellation token with the deadline for cleanup. Clones share both.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    token: CancellationToken,
    deadline: Arc<OnceLock<Instant>>,
}

impl Interrupt {
    /// Cancels running work. The first call sets the deadline.
    pub fn cancel(&self) {
        self.deadline();
        self.token.cancel();
    }

    /// Waits for [`cancel`](Self::cancel).
    pub async fn cancelled(&self) {
        self.token.cancelled().await;
    }

    /// Runs `work`. Returns None and drops it if it is cancelled first.
    pub async fn run_until_cancelled<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.token.run_until_cancelled(work).await
    }

    /// Runs cleanup after a cancellation. Returns None if it does not end before the deadline.
    pub async fn clean_up<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        timeout_at(self.deadline(), work).await.ok()
    }

    /// Waits for the deadline. Pending [`clean_up`](Self::clean_up) calls end at the same time: poll them first.
    pub async fn past_deadline(&self) {
        sleep_until(self.deadline()).await;
    }

    fn deadline(&self) -> Instant {
        *self.deadline.get_or_init(|| Instant::now().checked_add(GRACE).unwrap_or_else(Instant::now))
    }
}

//! `/healthz`, which load balancers query to select the servers that receive requests.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::sync::Mutex;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

/// The path, which needs neither a token nor a known host.
pub(super) const PATH: &str = "/healthz";
/// Time limit for the store.
const LIMIT: Duration = Duration::from_secs(2);

/// Checks whether the store answers.
pub(super) struct Health {
    /// Reads from the store, on a thread that may block.
    read: Arc<dyn Fn() -> bool + Send + Sync>,
    limit: Duration,
    /// The running read. It is shared by all requests, because a store that does not answer blocks a thread.
    running: Mutex<Option<JoinHandle<bool>>>,
}

impl Health {
    /// `read` returns whether it could read from the store.
    pub(super) fn of(read: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { read: Arc::new(read), limit: LIMIT, running: Mutex::default() }
    }

    /// The response to a request.
    pub(super) async fn respond(&self, is_draining: bool) -> Response {
        let (status, word) = if is_draining {
            (StatusCode::SERVICE_UNAVAILABLE, "draining")
        } else if self.is_answering().await {
            (StatusCode::OK, "ok")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
        };
        (status, [(CACHE_CONTROL, "no-store")], Json(json!({ "status": word }))).into_response()
    }

    async fn is_answering(&self) -> bool {
        let answers = async {
            let mut running = self.running.lock().await;
            let read = Arc::clone(&self.read);
            let ended = running.get_or_insert_with(|| spawn_blocking(move || read())).await;
            *running = None;
            ended.unwrap_or(false)
        };
        timeout(self.limit, answers).await.unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc;

    use super::*;

    async fn status(health: &Health, is_draining: bool) -> u16 {
        health.respond(is_draining).await.status().as_u16()
    }

    #[tokio::test]
    async fn a_store_that_fails_or_hangs_is_unavailable() {
        assert_eq!(status(&Health::of(|| false), false).await, 503);
        let reads = Arc::<AtomicU32>::default();
        let (unblock, blocked) = mpsc::channel::<()>();
        let (count, blocked) = (Arc::clone(&reads), std::sync::Mutex::new(blocked));
        let health = Health::of(move || {
            count.fetch_add(1, Ordering::Relaxed);
            blocked.lock().unwrap().recv().is_ok()
        });
        let health = Health { limit: Duration::from_millis(20), ..health };
        for _ in 0..3 {
            assert_eq!(status(&health, false).await, 503);
        }
        assert_eq!(reads.load(Ordering::Relaxed), 1, "one thread is blocked");
        let health = Health { limit: Duration::from_mins(1), ..health };
        unblock.send(()).unwrap();
        assert_eq!(status(&health, false).await, 200);
        assert_eq!(status(&health, true).await, 503);
        assert_eq!(reads.load(Ordering::Relaxed), 1);
    }
}

//! Cancellation by a signal, with one deadline for all cleanup.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result, Signal};

/// Time for cleanup between the first signal and process exit.
const GRACE: Duration = Duration::from_millis(900);

/// A cancellation token with the signal and the cleanup deadline. Clones share their state.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    token: CancellationToken,
    signal: Arc<OnceLock<Signal>>,
    deadline: Arc<OnceLock<Instant>>,
    stopped: Arc<AtomicBool>,
}

impl Interrupt {
    /// Cancels running work. The first call sets the signal and the deadline.
    pub fn cancel(&self, signal: Signal) {
        self.signal.get_or_init(|| signal);
        self.deadline();
        self.token.cancel();
    }

    /// Lets running work finish but starts nothing new. Remaining items from a source are only listed in the report.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether new work must not be started, after [`stop`](Self::stop) or [`cancel`](Self::cancel).
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed) || self.is_cancelled()
    }

    /// Whether [`cancel`](Self::cancel) was called.
    pub fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Waits for [`cancel`](Self::cancel).
    pub async fn cancelled(&self) {
        self.token.cancelled().await;
    }

    /// The error for cancelled work.
    pub fn error(&self) -> Error {
        Error::interrupted(self.signal.get().copied().unwrap_or_default())
    }

    /// Runs `work`. After a cancellation, drops it and returns [`error`](Self::error).
    pub async fn until_cancelled<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.token.run_until_cancelled(work).await.unwrap_or_else(|| Err(self.error()))
    }

    /// Runs `work`, which may block forever, on its own thread. A cancellation stops waiting for the thread, which
    /// may keep running until the process exits.
    pub async fn unblock<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if self.is_cancelled() {
            return Err(self.error());
        }
        let work = tokio::task::spawn_blocking(work);
        self.until_cancelled(async {
            work.await
                .unwrap_or_else(|error| Err(Error::failed("a background thread failed").caused_by(error)))
        })
        .await
    }

    /// Runs cleanup after a cancellation. Returns `None` if it does not finish before the deadline.
    pub async fn clean_up<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        timeout_at(self.deadline(), work).await.ok()
    }

    /// Waits for the deadline. Pending calls of [`clean_up`](Self::clean_up) end at the same time, so poll them first.
    pub async fn past_deadline(&self) {
        sleep_until(self.deadline()).await;
    }

    fn deadline(&self) -> Instant {
        *self.deadline.get_or_init(|| Instant::now().checked_add(GRACE).unwrap_or_else(Instant::now))
    }
}

/// The signals that stop the program. A signal that was ignored when the program started, for example because of
/// `nohup`, stays ignored.
pub struct Signals(system::Signals);

impl Signals {
    /// Starts listening for signals.
    pub fn listen() -> Self {
        Self(system::Signals::listen())
    }

    /// Also listens for SIGHUP if it was ignored when the program started.
    #[must_use]
    pub fn with_hangup(self) -> Self {
        Self(self.0.with_hangup())
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) -> Signal {
        self.0.next().await
    }
}

#[cfg(unix)]
mod system {
    use tokio::signal::unix::{Signal as Listener, SignalKind, signal};

    use super::Signal;

    /// A field is `None` if its signal is ignored.
    pub(super) struct Signals {
        interrupt: Option<Listener>,
        terminate: Option<Listener>,
        hangup: Option<Listener>,
    }

    impl Signals {
        pub(super) fn listen() -> Self {
            let ignored = ignored();
            let listen = |kind: SignalKind| {
                let bit = u32::try_from(kind.as_raw_value().saturating_sub(1)).ok()?;
                let is_ignored = ignored.checked_shr(bit).unwrap_or(0) & 1 == 1;
                if is_ignored { None } else { signal(kind).ok() }
            };
            Self {
                interrupt: listen(SignalKind::interrupt()),
                terminate: listen(SignalKind::terminate()),
                hangup: listen(SignalKind::hangup()),
            }
        }

        pub(super) fn with_hangup(self) -> Self {
            Self { hangup: signal(SignalKind::hangup()).ok(), ..self }
        }

        pub(super) async fn next(&mut self) -> Signal {
            tokio::select! {
                () = receive(&mut self.interrupt) => Signal::Interrupt,
                () = receive(&mut self.terminate) => Signal::Terminate,
                () = receive(&mut self.hangup) => Signal::Hangup,
            }
        }
    }

    async fn receive(listener: &mut Option<Listener>) {
        let received = match listener {
            Some(listener) => listener.recv().await,
            None => None,
        };
        if received.is_none() {
            std::future::pending::<()>().await;
        }
    }

    /// The mask of ignored signals. Without unsafe code, it is only available on Linux; on other systems it is empty.
    fn ignored() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
    }
}

#[cfg(not(unix))]
mod system {
    use super::Signal;

    pub(super) struct Signals;

    impl Signals {
        pub(super) fn listen() -> Self {
            Self
        }

        pub(super) fn with_hangup(self) -> Self {
            self
        }

        pub(super) async fn next(&mut self) -> Signal {
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
            Signal::Interrupt
        }
    }
}

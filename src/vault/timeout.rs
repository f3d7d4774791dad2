//! Time limits for calls to keyrings.
//!
//! A keyring can wait for the user (because of its unlock prompt) or forever (if its service hangs), and a call
//! cannot be cancelled. Each call therefore runs on its own thread, which is never joined; the program exits without
//! waiting for it.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// How long to wait before printing the notice.
const QUIET: Duration = Duration::from_secs(1);

/// The time limit for calls to a keyring.
pub struct Timeout<'a> {
    pub(super) limit: Duration,
    notice: Option<&'a dyn Fn(&str)>,
}

impl<'a> Timeout<'a> {
    /// Waits for at most `limit`, without a notice.
    pub fn after(limit: Duration) -> Self {
        Self { limit, notice: None }
    }

    /// Calls `notice` once if the work takes a long time.
    #[must_use]
    pub fn with_notice(self, notice: &'a dyn Fn(&str)) -> Self {
        Self { notice: Some(notice), ..self }
    }

    /// Runs `work`. Returns `None` if it does not finish in time.
    pub(super) fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            // Fails if the receiver was dropped after the time limit.
            let _ = sender.send(work());
        });
        let quiet = if self.notice.is_some() { QUIET.min(self.limit) } else { self.limit };
        match receiver.recv_timeout(quiet) {
            Ok(result) => return Some(result),
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => {}
        }
        let notice = self.notice?;
        notice("waiting for the keyring to be unlocked");
        receiver.recv_timeout(self.limit.saturating_sub(quiet)).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn a_call_that_never_ends_is_abandoned() {
        let (keep, never) = mpsc::channel::<()>();
        let timeout = Timeout::after(Duration::from_millis(20));
        assert_eq!(timeout.run(move || never.recv()), None);
        drop(keep);
    }

    #[test]
    fn only_a_long_wait_has_a_notice() {
        let said = RefCell::new(Vec::new());
        let notice = |text: &str| said.borrow_mut().push(text.to_owned());
        let timeout = Timeout::after(Duration::from_millis(20)).with_notice(&notice);
        assert_eq!(timeout.run(|| 1), Some(1));
        assert!(said.borrow().is_empty());
        let (keep, never) = mpsc::channel::<()>();
        assert_eq!(timeout.run(move || never.recv()), None);
        assert_eq!(*said.borrow(), ["waiting for the keyring to be unlocked"]);
        drop(keep);
    }
}

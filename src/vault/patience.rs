//! How long a keyring may take.
//!
//! A keyring can wait for a person (its prompt to unlock) or for nobody at all (a service that is stuck). Neither call
//! can be taken back, so it runs on a thread of its own that is never joined: the program ends without it.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// How long it takes before somebody wonders.
const QUIET: Duration = Duration::from_secs(1);

/// How long a keyring may take, and how the wait is told.
pub struct Patience<'a> {
    limit: Duration,
    /// Told once, where the wait is for a person.
    notice: Option<&'a dyn Fn(&str)>,
}

impl<'a> Patience<'a> {
    /// Where nobody can answer a prompt: 3 seconds.
    pub fn short() -> Self {
        Self { limit: Duration::from_secs(3), notice: None }
    }

    /// Where nobody is meant to notice: so long, without a word.
    pub fn brief(limit: Duration) -> Self {
        Self { limit, notice: None }
    }

    /// Where somebody can: a minute, and word of it.
    pub fn long(notice: &'a dyn Fn(&str)) -> Self {
        Self { limit: Duration::from_mins(1), notice: Some(notice) }
    }

    /// The longest wait.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// What `work` gives; None if that takes too long.
    pub(super) fn wait<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            // Nobody may be left to hear it.
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
    fn a_call_that_never_ends_is_left_behind() {
        let (keep, never) = mpsc::channel::<()>();
        let patience = Patience { limit: Duration::from_millis(20), notice: None };
        assert_eq!(patience.wait(move || never.recv()), None);
        drop(keep);
    }

    #[test]
    fn a_long_wait_is_told_and_a_short_one_is_not() {
        let said = RefCell::new(Vec::new());
        let notice = |text: &str| said.borrow_mut().push(text.to_owned());
        let patience = Patience { limit: Duration::from_millis(20), notice: Some(&notice) };
        assert_eq!(patience.wait(|| 1), Some(1));
        assert!(said.borrow().is_empty());
        let (keep, never) = mpsc::channel::<()>();
        assert_eq!(patience.wait(move || never.recv()), None);
        assert_eq!(*said.borrow(), ["waiting for the keyring to be unlocked"]);
        drop(keep);
    }
}

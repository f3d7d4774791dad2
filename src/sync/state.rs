//! The states of files in a lock file.

use jiff::{SignedDuration, Timestamp};

/// The state of a row's file.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum State {
    /// The listing did not contain it.
    #[default]
    Missing,
    /// It exists with the recorded size and checksum, as far as the platform returns them.
    Present(Present),
    /// Its content was changed on the platform.
    Changed,
}

/// A file that exists.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Present {
    /// Its expiry, if it has one.
    pub expires_at: Option<Timestamp>,
}

impl State {
    /// The state of a file that exists as recorded.
    pub fn present(expires_at: Option<Timestamp>) -> Self {
        Self::Present(Present { expires_at })
    }
}

impl Present {
    /// Whether the file expires within `time`, or within half of its lifetime if that is shorter. Returns false if
    /// the file does not expire.
    pub fn is_due(&self, uploaded_at: Timestamp, now: Timestamp, time: SignedDuration) -> bool {
        let Some(end) = self.expires_at else { return false };
        let half = end.duration_since(uploaded_at) / 2;
        end.duration_since(now) <= time.min(half)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_due_at_half_of_its_lifetime_at_the_earliest() {
        let hours = SignedDuration::from_hours;
        let at = |hour| Timestamp::UNIX_EPOCH.checked_add(hours(hour)).unwrap();
        let present = Present { expires_at: Some(at(48)) };
        let is_due = |now, within| present.is_due(Timestamp::UNIX_EPOCH, at(now), hours(within));
        assert!(!is_due(0, 24) && !is_due(23, 24) && is_due(24, 24) && is_due(49, 24));
        assert!(!is_due(23, 1000) && is_due(24, 1000), "capped at half");
        assert!(!Present { expires_at: None }.is_due(Timestamp::UNIX_EPOCH, at(9), hours(24)));
    }
}

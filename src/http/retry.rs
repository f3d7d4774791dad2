//! When a request may go again, and after how long.

use std::time::Duration;

/// Limits of trying again, by count and by elapsed time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Attempts in all, the first included.
    pub attempts: u32,
    /// No new attempt after this long.
    pub elapsed: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self { attempts: 5, elapsed: Duration::from_secs(300) }
    }
}

//! A platform's published rate limit.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lets so many requests through in each window of time. A window begins with its first request.
#[derive(Clone)]
pub struct RateLimiter {
    limit: u32,
    window: Duration,
    state: Arc<Mutex<Option<(Instant, u32)>>>,
}

/// What a limiter says of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Whether it may go through.
    pub allowed: bool,
    /// Requests allowed in a window.
    pub limit: u32,
    /// Requests left in this window.
    pub remaining: u32,
    /// Until the next window begins.
    pub reset: Duration,
}

impl Rate {
    /// Whole seconds until the next window, at least 1: what `Retry-After` says.
    pub fn retry_after(&self) -> u64 {
        self.reset.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX).max(1)
    }
}

impl RateLimiter {
    /// Allows `limit` requests in each `window`.
    pub fn new(limit: u32, window: Duration) -> Self {
        Self { limit, window, state: Arc::default() }
    }

    /// Counts a request.
    pub fn take(&self) -> Rate {
        self.take_at(Instant::now())
    }

    fn take_at(&self, now: Instant) -> Rate {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (start, used) = match *state {
            Some((start, used)) if self.left_of_window(start, now) > Duration::ZERO => (start, used),
            _ => (now, 0),
        };
        let allowed = used < self.limit;
        let used = used + u32::from(allowed);
        *state = Some((start, used));
        let reset = self.left_of_window(start, now);
        Rate { allowed, limit: self.limit, remaining: self.limit - used, reset }
    }

    /// Until the window that began at `start` ends. A window may be longer than any instant is away.
    fn left_of_window(&self, start: Instant, now: Instant) -> Duration {
        self.window.saturating_sub(now.saturating_duration_since(start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_lets_so_many_through_and_the_next_starts_afresh() {
        let limiter = RateLimiter::new(2, Duration::from_secs(5));
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        assert_eq!(limiter.take_at(start).remaining, 1);
        assert_eq!(limiter.clone().take_at(after(1500)).remaining, 0, "clones share a count");
        let refused = limiter.take_at(after(1500));
        assert!(!refused.allowed && refused.remaining == 0 && refused.retry_after() == 4, "{refused:?}");
        assert!(limiter.take_at(after(5000)).allowed);
    }

    #[test]
    fn a_window_may_have_no_end() {
        let limiter = RateLimiter::new(1, Duration::MAX);
        assert!(limiter.take().allowed);
        let refused = limiter.take();
        assert!(!refused.allowed && refused.retry_after() > u64::MAX / 2, "{refused:?}");
    }
}

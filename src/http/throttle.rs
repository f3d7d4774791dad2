//! A client's throttle, which enforces the published rate limit and delays all requests after a 429.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::RateLimit;

/// Limits the rate of requests. Shared by all clones of a client.
#[derive(Debug)]
pub(super) struct Throttle {
    rate: Option<RateLimit>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When the throttle was closed, and for how long.
    closed: Option<(Instant, Duration)>,
    /// When the latest requests were sent; at most as many entries as the rate limit allows requests.
    left: VecDeque<Instant>,
}

impl Throttle {
    pub(super) fn new(rate: Option<RateLimit>) -> Self {
        Self { rate, state: Mutex::default() }
    }

    /// Delays all requests for `time` from now, unless a longer delay is already set. Returns whether this extends
    /// the delay by more than a second. Smaller extensions do not count: the responses to concurrent requests ask
    /// for about the same delay.
    pub(super) fn close(&self, time: Duration) -> bool {
        let now = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let left = state.closed_for(now);
        if time > left {
            state.closed = Some((now, time));
        }
        time.saturating_sub(left) > Duration::from_secs(1)
    }

    /// Waits until a request may be sent. `counts` is true if the rate limit applies. If the throttle stays closed
    /// for longer than `limit`, returns the remaining time as an error.
    pub(super) async fn pass(&self, counts: bool, limit: Duration) -> Result<(), Duration> {
        while let Some(wait) = self.try_pass(counts, limit)? {
            sleep(wait).await;
        }
        Ok(())
    }

    fn try_pass(&self, counts: bool, limit: Duration) -> Result<Option<Duration>, Duration> {
        let now = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = state.closed_for(now);
        if !wait.is_zero() {
            return if wait > limit { Err(wait) } else { Ok(Some(wait)) };
        }
        let Some(rate) = self.rate.filter(|_| counts) else { return Ok(None) };
        if state.left.len() >= rate.requests.max(1) as usize
            && let Some(first) = state.left.front()
        {
            // The server counts requests when they arrive; 5 % more time compensates for differences in latency.
            let wait = left_of(rate.per.saturating_add(rate.per / 20), *first, now);
            if !wait.is_zero() {
                return Ok(Some(wait));
            }
            state.left.pop_front();
        }
        state.left.push_back(now);
        Ok(None)
    }
}

impl State {
    /// How long the throttle remains closed.
    fn closed_for(&self, now: Instant) -> Duration {
        self.closed.map_or(Duration::ZERO, |(since, time)| left_of(time, since, now))
    }
}

/// The part of `time` that remains at `now` if it began at `since`. Instants are subtracted because adding a duration
/// to an instant may overflow.
fn left_of(time: Duration, since: Instant, now: Instant) -> Duration {
    time.saturating_sub(now.saturating_duration_since(since))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(1000);

    #[tokio::test]
    async fn a_rate_holds_in_every_window() {
        let per = Duration::from_millis(50);
        let throttle = Throttle::new(Some(RateLimit { requests: 3, per }));
        let mut times = Vec::new();
        for _ in 0..10 {
            throttle.pass(true, LONG).await.unwrap();
            times.push(Instant::now());
        }
        assert!(times.windows(4).all(|four| four[3] - four[0] >= per), "{times:?}");
        let throttle = Throttle::new(Some(RateLimit { requests: 1, per: LONG }));
        throttle.pass(true, LONG).await.unwrap();
        assert_eq!(throttle.try_pass(false, LONG), Ok(None), "an exempt request does not wait");
        assert!(
            throttle.try_pass(true, Duration::ZERO).unwrap().is_some(),
            "the rate limit ignores the limit"
        );
    }

    #[tokio::test]
    async fn a_closed_throttle_delays_or_refuses_requests() {
        let throttle = Throttle::new(None);
        let begun = Instant::now();
        assert!(!throttle.close(Duration::from_millis(80)) && !throttle.close(Duration::from_millis(1)));
        let left = throttle.pass(true, Duration::from_millis(5)).await.unwrap_err();
        assert!(left > Duration::from_millis(5) && left <= Duration::from_millis(80), "{left:?}");
        let (one, two) = tokio::join!(throttle.pass(true, LONG), throttle.pass(false, LONG));
        assert!(one.is_ok() && two.is_ok());
        assert!(begun.elapsed() >= Duration::from_millis(80));
    }

    #[tokio::test]
    async fn a_throttle_can_be_closed_forever() {
        let throttle = Throttle::new(Some(RateLimit { requests: 1, per: Duration::MAX }));
        throttle.pass(true, LONG).await.unwrap();
        assert!(throttle.try_pass(true, LONG).unwrap().is_some_and(|wait| wait > LONG));
        assert!(throttle.close(Duration::MAX) && !throttle.close(Duration::MAX));
        throttle.close(Duration::from_millis(1));
        assert!(throttle.pass(false, LONG).await.unwrap_err() > LONG);
    }
}

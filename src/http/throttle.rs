//! The throttle that every request of a client passes: a published pace is kept, and a 429 stops them all.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::RateLimit;

/// Shared by all clones of a client.
#[derive(Debug)]
pub(super) struct Throttle {
    rate: Option<RateLimit>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When the throttle was closed, and for how long.
    closed: Option<(Instant, Duration)>,
    /// When the latest requests left: as many as the rate allows in one period.
    left: VecDeque<Instant>,
}

impl Throttle {
    pub(super) fn new(rate: Option<RateLimit>) -> Self {
        Self { rate, state: Mutex::default() }
    }

    /// Keeps every request back for `time` from now on, or for longer if that was said before.
    pub(super) fn close(&self, time: Duration) {
        let now = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if time > state.closed_for(now) {
            state.closed = Some((now, time));
        }
    }

    /// Waits for a request's turn. `counts` says whether it falls under the rate. A throttle that stays closed for longer
    /// than `patience` is an error, the time that is left.
    pub(super) async fn pass(&self, counts: bool, patience: Duration) -> Result<(), Duration> {
        while let Some(wait) = self.try_pass(counts, patience)? {
            sleep(wait).await;
        }
        Ok(())
    }

    fn try_pass(&self, counts: bool, patience: Duration) -> Result<Option<Duration>, Duration> {
        let now = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = state.closed_for(now);
        if !wait.is_zero() {
            return if wait > patience { Err(wait) } else { Ok(Some(wait)) };
        }
        let Some(rate) = self.rate.filter(|_| counts) else { return Ok(None) };
        if state.left.len() >= rate.requests.max(1) as usize
            && let Some(first) = state.left.front()
        {
            // The server counts arrivals, not departures: a twentieth more keeps the two from disagreeing.
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
    /// How much longer the throttle stays closed.
    fn closed_for(&self, now: Instant) -> Duration {
        self.closed.map_or(Duration::ZERO, |(since, time)| left_of(time, since, now))
    }
}

/// The rest of `time`, which began at `since`. It subtracts instants: adding a duration to an instant may overflow.
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
        assert_eq!(throttle.try_pass(false, LONG), Ok(None), "what does not count does not wait");
        assert!(throttle.try_pass(true, Duration::ZERO).unwrap().is_some(), "a pace tries nobody's patience");
    }

    #[tokio::test]
    async fn a_closed_throttle_stops_everyone_or_says_for_how_long() {
        let throttle = Throttle::new(None);
        let begun = Instant::now();
        throttle.close(Duration::from_millis(80));
        throttle.close(Duration::from_millis(1));
        let left = throttle.pass(true, Duration::from_millis(5)).await.unwrap_err();
        assert!(left > Duration::from_millis(5) && left <= Duration::from_millis(80), "{left:?}");
        let (one, two) = tokio::join!(throttle.pass(true, LONG), throttle.pass(false, LONG));
        assert!(one.is_ok() && two.is_ok());
        assert!(begun.elapsed() >= Duration::from_millis(80));
    }

    #[tokio::test]
    async fn a_throttle_can_be_closed_for_longer_than_time_goes_on() {
        let throttle = Throttle::new(Some(RateLimit { requests: 1, per: Duration::MAX }));
        throttle.pass(true, LONG).await.unwrap();
        assert!(throttle.try_pass(true, LONG).unwrap().is_some_and(|wait| wait > LONG));
        throttle.close(Duration::MAX);
        throttle.close(Duration::from_millis(1));
        assert!(throttle.pass(false, LONG).await.unwrap_err() > LONG);
    }
}

//! The gate that every request of a client passes: a published pace is kept, and a 429 stops them all.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Rate;

/// Shared by all clones of a client.
#[derive(Debug)]
pub(super) struct Gate {
    rate: Option<Rate>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Nothing leaves before this.
    closed_until: Option<Instant>,
    /// When the latest requests left: as many as the rate allows in one period.
    left: VecDeque<Instant>,
}

impl Gate {
    pub(super) fn new(rate: Option<Rate>) -> Self {
        Self { rate, state: Mutex::default() }
    }

    /// Keeps every request back for `time` from now on, or for longer if that was said before.
    pub(super) fn close(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.closed_until = state.closed_until.max(Some(until));
    }

    /// Waits for a request's turn. `counts` says whether it falls under the rate. A gate that stays closed for longer
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
        if let Some(wait) = state.closed_until.map(|until| until.saturating_duration_since(now))
            && !wait.is_zero()
        {
            return if wait > patience { Err(wait) } else { Ok(Some(wait)) };
        }
        let Some(rate) = self.rate.filter(|_| counts) else { return Ok(None) };
        if state.left.len() >= rate.requests.max(1) as usize
            && let Some(first) = state.left.front()
        {
            // The server counts arrivals, not departures: a twentieth more keeps the two from disagreeing.
            let wait = (*first + rate.per + rate.per / 20).saturating_duration_since(now);
            if !wait.is_zero() {
                return Ok(Some(wait));
            }
            state.left.pop_front();
        }
        state.left.push_back(now);
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(1000);

    #[tokio::test]
    async fn a_rate_holds_in_every_window() {
        let per = Duration::from_millis(50);
        let gate = Gate::new(Some(Rate { requests: 3, per }));
        let mut times = Vec::new();
        for _ in 0..10 {
            gate.pass(true, LONG).await.unwrap();
            times.push(Instant::now());
        }
        assert!(times.windows(4).all(|four| four[3] - four[0] >= per), "{times:?}");
        let gate = Gate::new(Some(Rate { requests: 1, per: LONG }));
        gate.pass(true, LONG).await.unwrap();
        assert_eq!(gate.try_pass(false, LONG), Ok(None), "what does not count does not wait");
        assert!(gate.try_pass(true, Duration::ZERO).unwrap().is_some(), "a pace tries nobody's patience");
    }

    #[tokio::test]
    async fn a_closed_gate_stops_everyone_or_says_for_how_long() {
        let gate = Gate::new(None);
        let begun = Instant::now();
        gate.close(Duration::from_millis(80));
        gate.close(Duration::from_millis(1));
        let left = gate.pass(true, Duration::from_millis(5)).await.unwrap_err();
        assert!(left > Duration::from_millis(5) && left <= Duration::from_millis(80), "{left:?}");
        let (one, two) = tokio::join!(gate.pass(true, LONG), gate.pass(false, LONG));
        assert!(one.is_ok() && two.is_ok());
        assert!(begun.elapsed() >= Duration::from_millis(80));
    }
}

//! Runs work on many items concurrently, on a single thread.

use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::stream::{FuturesUnordered, Stream, StreamExt as _};

use crate::error::{Error, Kind, Result};
use crate::interrupt::Interrupt;

/// Default range of concurrent transfers: initial and maximum.
const USUAL: (usize, usize) = (8, 32);
/// An item whose duration is in this range is limited by latency, not by bandwidth, so more items can run
/// concurrently.
const WAITING: std::ops::Range<Duration> = Duration::from_millis(15)..Duration::from_secs(2);

/// How many items run concurrently.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Jobs {
    /// A fixed number.
    Fixed(usize),
    /// Eight, growing to 32 while responses are slow. The first "too many requests" permanently resets it to eight.
    #[default]
    Usual,
}

/// How many items run concurrently, and when to stop early.
pub struct Pool<'a> {
    /// How many items run concurrently.
    pub jobs: Jobs,
    /// Whether the first failure prevents further items from starting.
    pub fail_fast: bool,
    /// Stops the pool early.
    pub interrupt: Interrupt,
    /// The number of "too many requests" responses so far.
    pub throttled: &'a dyn Fn() -> u64,
}

impl Pool<'_> {
    /// Runs `work` on every item concurrently and passes each result to `done` as it completes. `done` returns
    /// whether the item succeeded. Items are taken from the stream only when they can start, so the listing or walk
    /// that produces them can still be in progress.
    ///
    /// A rejected token prevents further items from starting, because it would be rejected for all of them. An error
    /// from `done` stops everything. Returns whether every item was started.
    pub async fn run<T, R, F>(
        &self,
        items: impl Stream<Item = Result<T>>,
        mut work: impl FnMut(T) -> F,
        mut done: impl FnMut(Result<R>) -> Result<bool>,
    ) -> Result<bool>
    where
        F: Future<Output = Result<R>>,
    {
        let mut items = pin!(items.fuse());
        let mut interrupted = pin!(self.interrupt.cancelled());
        let mut running = FuturesUnordered::new();
        let mut limit = Limit::new(self.jobs);
        let mut stopping = false;
        loop {
            let room = !stopping && !items.is_done() && running.len() < limit.jobs;
            if !room && running.is_empty() {
                return Ok(!stopping || items.is_done());
            }
            tokio::select! {
                biased;
                () = &mut interrupted => break,
                Some((took, result)) = running.next() => {
                    limit.learn(took, self.throttled);
                    stopping |= matches!(&result, Err(error) if is_refused_token(error));
                    stopping |= !done(result)? && self.fail_fast;
                }
                item = items.next(), if room => match item {
                    Some(Ok(item)) => {
                        let begun = Instant::now();
                        // An async block would store the future twice.
                        running.push(work(item).map(move |result| (begun.elapsed(), result)));
                    }
                    Some(Err(error)) => {
                        stopping |= is_refused_token(&error);
                        stopping |= !done(Err(error))? && self.fail_fast;
                    }
                    None => {}
                },
            }
        }
        // Running items watch the interrupt themselves, so only their cleanup remains.
        let tidy = async {
            while let Some((_, result)) = running.next().await {
                done(result)?;
            }
            Ok::<(), Error>(())
        };
        if let Some(result) = self.interrupt.clean_up(tidy).await {
            result?;
        }
        Err(self.interrupt.error())
    }
}

/// Whether no further request of this command can succeed. A 403 may concern a single file.
fn is_refused_token(error: &Error) -> bool {
    error.kind() == Kind::Auth && error.status() != Some(403)
}

/// The current limit on concurrent items.
struct Limit {
    jobs: usize,
    most: usize,
}

impl Limit {
    fn new(jobs: Jobs) -> Self {
        match jobs {
            Jobs::Fixed(jobs) => Self { jobs: jobs.max(1), most: jobs.max(1) },
            Jobs::Usual => Self { jobs: USUAL.0, most: USUAL.1 },
        }
    }

    /// Raises the limit by one for every item that waited for a slow response, which doubles the limit in each round.
    fn learn(&mut self, took: Duration, throttled: &dyn Fn() -> u64) {
        if self.jobs >= self.most && self.most <= USUAL.0 {
            return;
        }
        if throttled() > 0 && self.most == USUAL.1 {
            (self.jobs, self.most) = (self.jobs.min(USUAL.0), USUAL.0);
        } else if self.jobs < self.most && WAITING.contains(&took) {
            self.jobs += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::stream;

    use super::*;

    /// The maximum number of items that run concurrently if there are `count` items and each takes `time`.
    async fn most(jobs: Jobs, count: usize, time: Duration, throttled: u64) -> usize {
        let (now, most) = (Cell::new(0), Cell::new(0));
        let (now, most) = (&now, &most);
        let pool =
            Pool { jobs, fail_fast: false, interrupt: Interrupt::default(), throttled: &move || throttled };
        let work = |_: usize| async move {
            now.set(now.get() + 1);
            most.set(most.get().max(now.get()));
            tokio::time::sleep(time).await;
            now.set(now.get() - 1);
            Ok(())
        };
        let whole =
            pool.run(stream::iter((0..count).map(Ok)), work, |result| Ok(result.is_ok())).await.unwrap();
        assert!(whole);
        most.get()
    }

    #[tokio::test]
    async fn slow_responses_increase_concurrency_up_to_a_limit() {
        let slow = Duration::from_millis(25);
        assert_eq!(most(Jobs::Usual, 150, slow, 0).await, 32);
        assert_eq!(most(Jobs::Usual, 40, slow, 1).await, 8, "not after too many requests");
        assert_eq!(most(Jobs::Usual, 60, Duration::ZERO, 0).await, 8);
        assert_eq!(most(Jobs::Fixed(3), 20, slow, 0).await, 3);
    }

    #[tokio::test]
    async fn a_refused_token_stops_the_pool_but_a_forbidden_file_does_not() {
        for (status, started) in [(401, 1), (403, 5)] {
            let count = Cell::new(0);
            let pool = Pool {
                jobs: Jobs::Fixed(1),
                fail_fast: false,
                interrupt: Interrupt::default(),
                throttled: &|| 0,
            };
            let work = async |_: usize| {
                count.set(count.get() + 1);
                Err::<(), _>(Error::new(Kind::Auth, "no").with_status(status))
            };
            let whole =
                pool.run(stream::iter((0..5).map(Ok)), work, |result| Ok(result.is_ok())).await.unwrap();
            assert_eq!((count.get(), whole), (started, started == 5));
        }
    }
}

//! Decides whether and when to retry a request.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{HeaderMap, Method, Request, server_time};
use crate::error::{Error, Kind};
use crate::human::waiting_time;

/// Limits on the number and duration of retries, and on the delays between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Maximum number of attempts, including the first.
    pub attempts: u32,
    /// Time allowed for retries, starting at the first failure so that a long upload that fails late is also retried.
    /// If the platform requests a longer wait, that is an error.
    pub elapsed: Duration,
    /// Maximum delay before the first retry. Each delay is a random fraction of a maximum that doubles every time.
    pub base: Duration,
    /// Maximum delay.
    pub cap: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            attempts: 5,
            elapsed: Duration::from_mins(5),
            base: Duration::from_millis(500),
            cap: Duration::from_secs(30),
        }
    }
}

/// The cause of a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The request was not sent: unknown host or refused connection.
    NeverLeft,
    /// The request was sent, but the response is missing or incomplete.
    Lost,
    /// A response with this status.
    Status(u16),
    /// A failure that a retry cannot resolve.
    Final,
}

/// A failed attempt.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: Error,
    pub(super) cause: Cause,
    /// Whether the platform may have received the whole request.
    pub(super) fully_sent: bool,
    /// The wait requested by the platform.
    pub(super) wait: Option<Duration>,
}

impl Failure {
    /// A failure that must not be retried.
    pub(super) fn end(error: Error) -> Self {
        Self { error, cause: Cause::Final, fully_sent: false, wait: None }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Send the request again.
    Again,
    /// Return the error.
    Never,
    /// Return the error: the request may have taken effect and must not be sent twice.
    Unanswered,
}

/// Decides what to do about a failed attempt.
fn judge(cause: Cause, repeatable: bool, fully_sent: bool) -> Verdict {
    let once_more = repeatable || !fully_sent;
    match cause {
        Cause::NeverLeft | Cause::Status(429) => Verdict::Again,
        // The server does not implement the method or HTTP version, so the request had no effect.
        Cause::Final | Cause::Status(501 | 505) => Verdict::Never,
        // Proxies in front of a platform return these statuses, even instead of the platform's response: 499 when a
        // connection is closed early, 520 to 530 and 598 when the platform's response is late or unreadable.
        Cause::Lost | Cause::Status(408 | 425 | 499 | 500..=599) => {
            if once_more {
                Verdict::Again
            } else {
                Verdict::Unanswered
            }
        }
        Cause::Status(_) => Verdict::Never,
    }
}

/// The attempts made for a request.
pub(super) struct Tries {
    policy: Policy,
    repeatable: bool,
    retries: Option<u16>,
    is_delete: bool,
    count: u32,
    begun: Instant,
    first_failure: Option<Instant>,
    /// Maximum for the next delay. It doubles with each attempt, up to the policy's maximum.
    ceiling: Duration,
    maybe_done: bool,
}

impl Tries {
    pub(super) fn new(policy: Policy, request: &Request) -> Self {
        Self {
            policy,
            repeatable: request.repeatable,
            retries: request.retries,
            is_delete: request.method == Method::DELETE,
            count: 0,
            begun: Instant::now(),
            first_failure: None,
            ceiling: policy.base.min(policy.cap),
            maybe_done: false,
        }
    }

    /// The number of the next attempt, starting at 1.
    pub(super) fn number(&self) -> u32 {
        self.count + 1
    }

    /// Whether this failure shows that an earlier attempt, whose response was lost, deleted the file.
    pub(super) fn was_deleted(&self, failure: &Failure) -> bool {
        let is_answer = matches!(failure.cause, Cause::Status(_));
        self.is_delete && self.maybe_done && is_answer && failure.error.kind() == Kind::NotFound
    }

    /// Counts a failed attempt. Returns the delay before the next one, or the error if this was the last attempt.
    pub(super) fn next(&mut self, failure: Failure) -> Result<Duration, Error> {
        self.count += 1;
        let Failure { error, cause, fully_sent, wait } = failure;
        match judge(cause, self.repeatable, fully_sent) {
            Verdict::Again => {}
            Verdict::Never if matches!(cause, Cause::Status(status) if self.retries == Some(status)) => {}
            // An earlier attempt may have taken effect.
            Verdict::Never if self.is_delete && self.maybe_done => {
                return Err(self.with_attempts(error).unanswered());
            }
            Verdict::Never => return Err(self.with_attempts(error)),
            Verdict::Unanswered => return Err(self.with_attempts(error).unanswered()),
        }
        self.maybe_done |= fully_sent && !matches!(cause, Cause::NeverLeft | Cause::Status(429));
        let spent = self.first_failure.get_or_insert_with(Instant::now).elapsed();
        let left = self.policy.elapsed.saturating_sub(spent);
        if let Some(requested) = wait.filter(|requested| *requested > left) {
            return Err(self.with_attempts(retry_later(error, requested)));
        }
        if self.count >= self.policy.attempts {
            return Err(self.with_attempts(error));
        }
        let ceiling = self.ceiling;
        self.ceiling = ceiling.saturating_mul(2).min(self.policy.cap);
        let time = wait.unwrap_or_else(|| part_of(ceiling));
        if time > left {
            return Err(self.with_attempts(error));
        }
        Ok(time)
    }

    /// Adds the number of attempts to the error, if there was more than one.
    fn with_attempts(&self, error: Error) -> Error {
        if self.count < 2 {
            return error;
        }
        let time = waiting_time(self.begun.elapsed());
        error.with_suffix(&format!(" (gave up after {} attempts in {time})", self.count))
    }
}

/// The error for a wait longer than the policy permits.
pub(super) fn retry_later(error: Error, requested: Duration) -> Error {
    let at = Timestamp::now().checked_add(requested).and_then(|at| at.round(jiff::Unit::Second));
    let error = error.with_kind(Kind::RateLimited);
    let cause = |wait: &str| format!("the platform asked haul to wait {wait}, which exceeds haul's limit");
    match at {
        Ok(at) => error.cause(cause(&waiting_time(requested))).hint(format!("try again after {at}")),
        // The time is beyond the range of timestamps.
        Err(_) => error.cause(cause("until after the year 9999")),
    }
}

/// A random fraction of `ceiling` (full jitter), so that clients that failed together do not retry together.
fn part_of(ceiling: Duration) -> Duration {
    ceiling.mul_f64(fastrand::f64())
}

/// The wait that a response requests: `retry-after-ms`, `Retry-After` in seconds or as an HTTP date (relative to the
/// `Date` header, otherwise to this machine's clock), or, only with status 429, `RateLimit-Reset` in seconds from now
/// or since 1970. A number too large for a `Duration` becomes `Duration::MAX`.
pub(super) fn requested_wait(status: u16, headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    // `f64` would also parse `inf` and `nan`.
    let is_numeric = |text: &str| text.bytes().all(|c| c.is_ascii_digit() || b"+-.eE".contains(&c));
    let number = |text: &str| text.parse::<f64>().ok().filter(|_| is_numeric(text));
    let of_seconds = |seconds: f64| Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX);
    let until = |at: Timestamp| {
        let now = server_time(headers).unwrap_or_else(Timestamp::now);
        Duration::try_from(at.duration_since(now)).unwrap_or_default()
    };
    if let Some(milliseconds) = text("retry-after-ms").and_then(number) {
        return Some(of_seconds(milliseconds / 1000.0));
    }
    if let Some(requested) = text("retry-after") {
        return match number(requested) {
            Some(seconds) => Some(of_seconds(seconds)),
            None => super::http_date(requested).map(until),
        };
    }
    if status != 429 {
        return None;
    }
    let reset = number(text("ratelimit-reset")?)?;
    // Numbers from 1e9 are seconds since 1970; smaller numbers are seconds from now.
    let since_1970 = of_seconds(reset);
    if reset < 1e9 {
        return Some(since_1970);
    }
    Some(Timestamp::UNIX_EPOCH.checked_add(since_1970).map_or(since_1970, until))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn the_wait_is_parsed_in_every_form() {
        let requested = |pairs: &[_]| requested_wait(429, &headers(pairs));
        let seconds = |seconds| Some(Duration::from_secs_f64(seconds));
        assert_eq!(requested(&[("retry-after", "3")]), seconds(3.0));
        assert_eq!(requested(&[("retry-after", " 0.25 ")]), seconds(0.25));
        assert_eq!(requested(&[("retry-after-ms", "1500"), ("retry-after", "9")]), seconds(1.5));
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(requested(&[date, ("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")]), seconds(30.0));
        assert_eq!(
            requested(&[date, ("retry-after", "Sun, 06 Nov 1994 08:49:00 GMT")]),
            seconds(0.0),
            "past"
        );
        let now = ("date", "Wed, 01 Jul 2026 00:00:00 GMT");
        assert_eq!(requested(&[now, ("ratelimit-reset", "1782864012")]), seconds(12.0));
        assert_eq!(requested(&[("ratelimit-reset", "12")]), seconds(12.0));
        assert_eq!(requested_wait(503, &headers(&[("ratelimit-reset", "12")])), None);
        for nonsense in ["soon", "", "NaN", "inf", "-"] {
            assert_eq!(requested(&[("retry-after", nonsense)]), None, "{nonsense}");
        }
        assert_eq!(requested(&[("retry-after", "-5")]), seconds(0.0));
        let longest = Some(Duration::MAX);
        let digits = "9".repeat(400);
        for absurd in ["1e300", "18446744073709551616000", digits.as_str()] {
            for header in ["retry-after", "retry-after-ms", "ratelimit-reset"] {
                assert_eq!(requested(&[(header, absurd)]), longest, "{header}: {absurd}");
            }
        }
    }

    #[test]
    fn properties_any_header_is_accepted() {
        let numbers = "[+-]?[0-9]{1,40}([.][0-9]{0,5})?(e[+-]?[0-9]{1,4})?";
        let dates =
            "(Mon, )?[0-9]{1,2} (Jan|Feb|Dec) [0-9]{1,6} [0-9]{1,2}:[0-9]{2}:[0-9]{2} (GMT|[+-][0-9]{4})";
        let value = || proptest::option::of(proptest::prop_oneof![numbers, dates, "[ -~]{0,40}"]);
        let values = (value(), value(), value(), value());
        let status = proptest::sample::select(vec![408, 429, 500, 503, 529]);
        crate::property::holds("retry: headers", (status, values), |(status, values)| {
            let (after, after_ms, reset, date) = &values;
            let given = [("retry-after", after), ("retry-after-ms", after_ms), ("ratelimit-reset", reset)];
            let given = given.into_iter().chain([("date", date)]);
            let given: Vec<_> = given.filter_map(|(name, value)| Some((name, value.as_deref()?))).collect();
            let wait = requested_wait(status, &headers(&given));
            let request = Request::get("http://h/".parse().unwrap()).repeatable();
            let error = Error::platform("x").with_status(status);
            let failure = Failure { error, cause: Cause::Status(status), fully_sent: true, wait };
            let throttle = crate::http::throttle::Throttle::new(None);
            if let Some(wait) = wait {
                let _ = throttle.close(wait);
            }
            // Accepted and rejected waits: only the limit affects the decision.
            match (Tries::new(Policy::default(), &request).next(failure), wait) {
                (Ok(pause), Some(wait)) => proptest::prop_assert_eq!(pause, wait),
                (Ok(pause), None) => proptest::prop_assert!(pause <= Policy::default().base),
                (Err(error), wait) => {
                    proptest::prop_assert!(wait.is_some_and(|wait| wait > Policy::default().elapsed));
                    proptest::prop_assert_eq!(error.kind(), Kind::RateLimited);
                    proptest::prop_assert!(error.to_string().contains("which exceeds haul's limit"));
                }
            }
            Ok(())
        });
    }

    #[test]
    fn pauses_are_random_fractions_of_a_doubling_maximum() {
        let policy = Policy { attempts: 12, ..Policy::default() };
        let request = Request::get("http://h/".parse().unwrap());
        let rounds: Vec<Vec<Duration>> = (0..200)
            .map(|_| {
                let mut tries = Tries::new(policy, &request);
                let failure = || Failure {
                    error: Error::platform("x"),
                    cause: Cause::Status(500),
                    fully_sent: true,
                    wait: None,
                };
                (0..11).map(|_| tries.next(failure()).unwrap()).collect()
            })
            .collect();
        for (step, limit) in [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0].into_iter().enumerate() {
            let pauses: Vec<f64> = rounds.iter().map(|round| round[step].as_secs_f64()).collect();
            assert!(pauses.iter().all(|pause| (0.0..=limit).contains(pause)), "{step}");
            assert!(pauses.iter().any(|pause| *pause < limit * 0.2), "{step}: full jitter, not a little");
            assert!(pauses.iter().any(|pause| *pause > limit * 0.8), "{step}");
        }
    }
}

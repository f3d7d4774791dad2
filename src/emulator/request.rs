//! Query parameters, tokens and rate limits of requests.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri};

/// The decoded parameters of a query, in order. As an extractor, it never fails.
///
/// A list can be sent as `id=a&id=b`, `id[]=a&id[]=b` or `id[0]=a&id[1]=b`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// Parses the text after the `?`. Both `+` and `%20` decode to a space.
    pub fn parse(query: &str) -> Self {
        Self(url::form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// The last value with this name, as in most servers.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All values of a list, in any of the three forms.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let listed = |key: &str| match key.strip_prefix(name).map(str::as_bytes) {
            Some([]) => true,
            Some([b'[', index @ .., b']']) => index.iter().all(u8::is_ascii_digit),
            _ => false,
        };
        self.0.iter().filter(|(key, _)| listed(key)).map(|(_, value)| value.as_str()).collect()
    }

    /// The value of `name[key]`, such as `created_at[gt]`.
    pub fn nested(&self, name: &str, key: &str) -> Option<&str> {
        self.get(&format!("{name}[{key}]"))
    }

    /// Whether a parameter with this name exists, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// All names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

/// The places where a platform's clients send their token, in the order in which they are checked.
#[derive(Clone, Copy, Debug)]
pub struct Gate {
    /// Schemes that precede the token in `Authorization`, compared case-insensitively unless `exact` is set.
    pub schemes: &'static [&'static str],
    /// Headers that contain only the token, such as `api-key`.
    pub headers: &'static [&'static str],
    /// Query parameters that contain the token, such as `key`.
    pub params: &'static [&'static str],
    /// Whether the scheme is case-sensitive and the token must be a single word after a single space.
    pub exact: bool,
}

/// The reason why a token was rejected. Not `Debug`, because it contains the token that the client sent.
#[derive(Clone, PartialEq, Eq)]
pub enum Denied {
    /// There is no token, or it is empty.
    Missing,
    /// The `Authorization` header is malformed.
    Malformed,
    /// This token is not accepted.
    Wrong(String),
}

impl Gate {
    /// `Authorization: Bearer TOKEN`.
    pub const BEARER: Self = Self { schemes: &["Bearer"], headers: &[], params: &[], exact: false };

    /// Returns the request's token.
    pub(super) fn token(&self, headers: &HeaderMap, uri: &Uri) -> Result<String, Denied> {
        let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
        if let Some(value) = text(AUTHORIZATION.as_str()).filter(|_| !self.schemes.is_empty()) {
            return self.authorization(value).map(str::to_owned).ok_or(Denied::Malformed);
        }
        let in_header = self.headers.iter().find_map(|name| text(name)).map(str::to_owned);
        let in_query = || {
            let params = Params::parse(uri.query().unwrap_or_default());
            self.params.iter().find_map(|name| params.get(name).map(str::to_owned))
        };
        in_header.or_else(in_query).filter(|token| !token.is_empty()).ok_or(Denied::Missing)
    }

    /// The token that follows one of the schemes.
    fn authorization<'a>(&self, value: &'a str) -> Option<&'a str> {
        let (scheme, token) = if self.exact { value } else { value.trim() }.split_once(' ')?;
        let is_known = |known: &&str| {
            if self.exact { **known == *scheme } else { known.eq_ignore_ascii_case(scheme) }
        };
        self.schemes.iter().find(|known| is_known(known))?;
        let token = if self.exact { token } else { token.trim() };
        let is_token = !token.is_empty() && (!self.exact || !token.contains(' '));
        is_token.then_some(token)
    }
}

/// Allows a number of requests in each time window. A window starts with its first request.
#[derive(Clone)]
pub struct RateLimiter {
    limit: u32,
    window: Duration,
    state: Arc<Mutex<Option<(Instant, u32)>>>,
}

/// The rate limit's result for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Whether the request is allowed.
    pub allowed: bool,
    /// The number of requests allowed in a window.
    pub limit: u32,
    /// The number of requests left in this window.
    pub remaining: u32,
    /// The time until the next window starts.
    pub reset: Duration,
}

impl Rate {
    /// The number of whole seconds until the next window, at least 1: the value for `Retry-After`.
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

    /// The time left in the window that started at `start`. A window may be too long for its end to be an `Instant`.
    fn left_of_window(&self, start: Instant, now: Instant) -> Duration {
        self.window.saturating_sub(now.saturating_duration_since(start))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    #[test]
    fn tokens_are_found_in_all_places() {
        let gate = Gate { headers: &["api-key"], params: &["key"], ..Gate::BEARER };
        let token = |gate: Gate, name: &'static str, value: &str, uri: &str| {
            let headers = HeaderMap::from_iter([(HeaderName::from_static(name), value.parse().unwrap())]);
            gate.token(&headers, &uri.parse().unwrap()).map_err(|denied| match denied {
                Denied::Malformed => "malformed",
                _ => "missing",
            })
        };
        let found = Ok("a b".to_owned());
        assert_eq!(token(gate, "authorization", " bearer  a b ", "/?key=c"), found);
        assert_eq!(token(gate, "api-key", "a b", "/?key=c"), found);
        assert_eq!(token(gate, "x-none", "", "/?key=a+b"), found);
        assert_eq!(token(gate, "authorization", "Basic c", "/?key=c"), Err("malformed"));
        assert_eq!(token(gate, "authorization", "Bearer ", "/?key=c"), Err("malformed"));
        assert_eq!(token(gate, "x-none", "", "/?key="), Err("missing"));
        let exact = Gate { exact: true, ..gate };
        assert_eq!(token(exact, "authorization", "Bearer c", "/"), Ok("c".to_owned()));
        for wrong in ["bearer c", "Bearer  c", "Bearer c d", "Bearer", "c"] {
            assert_eq!(token(exact, "authorization", wrong, "/"), Err("malformed"), "{wrong}");
        }
    }

    #[test]
    fn a_window_allows_its_limit_and_the_next_one_starts_over() {
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

    #[test]
    fn lists_come_in_three_forms() {
        for query in ["id=a&x=1&id=b", "id[]=a&id[]=b", "id%5B0%5D=a&id%5B1%5D=b"] {
            assert_eq!(Params::parse(query).all("id"), ["a", "b"], "{query}");
        }
        assert!(Params::parse("id[gt]=a&ids=b").all("id").is_empty());
    }

    #[test]
    fn single_and_nested_values() {
        let params = Params::parse("a=1&a=2&created_at[gt]=2026-01-01&q=x+y%20z&download");
        assert_eq!(params.get("a"), Some("2"));
        assert_eq!(params.nested("created_at", "gt"), Some("2026-01-01"));
        assert_eq!(params.get("q"), Some("x y z"));
        assert!(params.has("download") && !params.has("b"));
    }
}

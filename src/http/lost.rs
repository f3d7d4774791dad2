//! Errors of requests without a complete answer.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use url::Url;

use super::retry::{Cause, Failure};
use super::{Config, tls, transport};
use crate::error::{Error, Kind};
use crate::human::waiting_time;

/// The failure of a request that the transport gave up.
pub(super) fn failure_of(config: &Config, url: &Url, error: reqwest::Error, fully_sent: bool) -> Failure {
    let (place, platform) = (place(url), config.platform);
    let never_left = error.is_connect();
    let timed_out = error.is_timeout();
    // Without the URL: its query may hold a signature.
    let error = error.without_url();
    if let Some(why) = find::<rustls::Error>(&error).filter(|_| never_left) {
        let (reason, other_authority) = tls::explain(why);
        let mut error = unreachable(format!("no secure connection to {platform} at {place}"))
            .caused_by(Explained { reason, source: error });
        if other_authority {
            error = error.hint("`--cacert FILE` trusts another authority");
        }
        return Failure::end(error);
    }
    let reason = if timed_out { "no connection in time".to_owned() } else { innermost(&error) };
    let cause = Explained { reason, source: error };
    if never_left {
        let error = unreachable(format!("could not reach {platform} at {place}")).caused_by(cause);
        return Failure { error, cause: Cause::NeverLeft, fully_sent: false, wait: None };
    }
    let error = unreachable(format!("{platform} at {place} broke off")).caused_by(cause);
    Failure { error, cause: Cause::Lost, fully_sent, wait: None }
}

/// The failure of a request that was answered by silence.
pub(super) fn silence(config: &Config, url: &Url, limit: Duration, fully_sent: bool) -> Failure {
    let error = unreachable(format!(
        "{} at {} did not answer within {}",
        config.platform,
        place(url),
        waiting_time(limit)
    ))
    .hint("`--timeout` gives it longer");
    Failure { error, cause: Cause::Lost, fully_sent, wait: None }
}

/// The error of a content that broke off: a new request may go on where it stopped.
pub(super) fn broken(platform: &str, error: reqwest::Error) -> Error {
    let source = error.without_url();
    unreachable(format!("{platform} broke off in the middle of the content"))
        .caused_by(Explained { reason: innermost(&source), source })
}

/// Whether a broken body was nonsense, not merely cut: a wrong chunk header, bad gzip.
pub(super) fn is_nonsense(error: &reqwest::Error) -> bool {
    find::<io::Error>(error)
        .is_some_and(|io| matches!(io.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput))
}

pub(super) fn unreachable(message: String) -> Error {
    Error::new(Kind::Unreachable, message)
}

/// Scheme, host and port: what may be shown of any URL.
pub(super) fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// The same, with what stands between: who cannot reach it has to know whom to ask.
fn place(url: &Url) -> String {
    match transport::proxy_of(url) {
        Some(proxy) => format!("{} through the proxy {proxy}", origin(url)),
        None => origin(url),
    }
}

/// An error of the transport that displays as its reason alone.
#[derive(Debug)]
struct Explained {
    reason: String,
    /// Without its URL, which may hold a signature.
    source: reqwest::Error,
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl StdError for Explained {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.source)
    }
}

/// The first error of type `T` in a chain, also inside an [`io::Error`], whose own `source` skips what it wraps.
fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        if let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref)
            && let Some(found) = find(inner)
        {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// The sentence of the error at the bottom, which is the one that says why.
fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut last = error;
    while let Some(next) = last.source() {
        last = next;
    }
    last.to_string()
}

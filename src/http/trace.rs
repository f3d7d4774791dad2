//! Client events for `-vv` and `-vvv`, without tokens and signatures.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::{HeaderMap, Method};
use crate::human;
use crate::secret::Secret;

/// A client event, with secrets hidden. Displayed as one line.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// The end of one attempt at a request.
    Attempt {
        /// The method.
        method: &'a Method,
        /// The URL.
        url: Url,
        /// The number of the attempt, starting at 1.
        number: u32,
        /// The time until the response headers arrived or the client gave up.
        took: Duration,
        /// The response status, if any.
        status: Option<u16>,
    },
    /// A delay of several seconds before another attempt.
    Pause {
        /// The platform's name.
        platform: &'a str,
        /// The status that the failed attempt received, if any.
        status: Option<u16>,
        /// The length of the delay.
        pause: Duration,
        /// The number of the next attempt, and the maximum number.
        attempt: (u32, u32),
    },
    /// A header of a request or response.
    Header {
        /// `sent` or `received`.
        direction: &'static str,
        /// The name.
        name: &'a str,
        /// The value, or `***`.
        value: &'a str,
    },
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attempt { method, url, number, took, status } => {
                write!(f, "{method} {url}: ")?;
                match status {
                    Some(status) => write!(f, "{status} in {took:.1?}")?,
                    None => write!(f, "no response in {took:.1?}")?,
                }
                if *number > 1 { write!(f, ", attempt {number}") } else { Ok(()) }
            }
            Self::Pause { platform, status, pause, attempt: (next, most) } => {
                match status {
                    Some(429) => write!(f, "rate limited by {platform}")?,
                    Some(status) => write!(f, "{platform} returned {status}")?,
                    None => write!(f, "no response from {platform}")?,
                }
                // Round up, so that the next attempt is not later than printed.
                let seconds = pause.as_secs().saturating_add(u64::from(pause.subsec_nanos() > 0));
                let pause = human::duration(Duration::from_secs(seconds));
                write!(f, ", trying again in {pause} ({next} of {most})")
            }
            Self::Header { direction, name, value } => write!(f, "{direction} {name}: {value}"),
        }
    }
}

/// Receives a client's events. The default value discards them.
#[derive(Clone, Default)]
pub struct Trace {
    listener: Option<Arc<Listener>>,
    /// Whether only delays are passed on.
    only_pauses: bool,
}

type Listener = dyn Fn(&Event) + Send + Sync;

impl Trace {
    /// Creates a receiver that passes each event to `listener`.
    pub fn to(listener: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        Self { listener: Some(Arc::new(listener)), only_pauses: false }
    }

    /// Creates a receiver that passes only delays before another attempt to `listener`.
    pub fn of_pauses(listener: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        Self { only_pauses: true, ..Self::to(listener) }
    }

    fn all(&self) -> Option<&Listener> {
        self.listener.as_deref().filter(|_| !self.only_pauses)
    }

    /// Reports a delay.
    pub(super) fn pause(&self, event: &Event) {
        if let Some(listener) = &self.listener {
            listener(event);
        }
    }

    /// Reports the end of an attempt.
    pub(super) fn attempt(
        &self,
        method: &Method,
        url: &Url,
        number: u32,
        took: Duration,
        status: Option<u16>,
    ) {
        if let Some(listener) = self.all() {
            listener(&Event::Attempt { method, url: redacted(url), number, took, status });
        }
    }

    /// Reports headers one by one. A server may repeat the token in any of them.
    pub(super) fn headers(&self, direction: &'static str, headers: &HeaderMap, token: Option<&Secret>) {
        let Some(listener) = self.all() else { return };
        for (name, value) in headers {
            let text = value.to_str().unwrap_or("(not text)");
            let repeats =
                token.map(Secret::expose).is_some_and(|token| !token.is_empty() && text.contains(token));
            let hidden = repeats || value.is_sensitive() || is_credential(name.as_str());
            let value = if hidden { "***" } else { text };
            listener(&Event::Header { direction, name: name.as_str(), value });
        }
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trace")
    }
}

/// The URL without user name and password, and with `***` for query values that may be secret.
pub(super) fn redacted(url: &Url) -> Url {
    let mut shown = url.clone();
    // Fails only for a URL without a host, which has no user name.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    let Some(query) = url.query() else { return shown };
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((key, _)) if is_secret(key) => format!("{key}=***"),
        _ => pair.to_owned(),
    });
    shown.set_query(Some(&pairs.collect::<Vec<_>>().join("&")));
    shown
}

fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let named =
        ["signature", "sig", "token", "key", "auth", "authorization", "upload_id"].contains(&key.as_str());
    let ends = ["_key", "-key", "apikey", "access_token", "password", "secret"];
    named
        || key.starts_with("x-amz-")
        || key.starts_with("x-goog-")
        || ends.iter().any(|end| key.ends_with(end))
}

fn is_credential(name: &str) -> bool {
    ["authorization", "proxy-authorization", "cookie", "set-cookie", "location"].contains(&name)
        // The URL or the id of an upload session grants access to it.
        || ["key", "token", "secret", "signature", "upload-url", "upload-control-url", "uploadid"]
            .iter()
            .any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_secret_values_are_hidden() {
        let url =
            "http://u:p@h/f?limit=2&token=a&page_token=b&X-Amz-Signature=c&api_key=d&sig=e&monkey=f&flag";
        let shown = redacted(&Url::parse(url).unwrap());
        let expected =
            "http://h/f?limit=2&token=***&page_token=b&X-Amz-Signature=***&api_key=***&sig=***&monkey=f&flag";
        assert_eq!(shown.as_str(), expected);
    }
}

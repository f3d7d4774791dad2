//! What is told about requests, for `-v`: never a token, never a signature.

use std::time::Duration;

use url::Url;

use super::{HeaderMap, Method};
use crate::secret::Secret;

/// A URL whose secret-looking query values are hidden.
pub(super) fn redacted(url: &Url) -> Url {
    let mut shown = url.clone();
    // Cannot fail where there is a host, and without one there is no user either.
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
    let named = ["signature", "sig", "token", "key", "auth", "authorization"].contains(&key.as_str());
    let ends = ["_key", "-key", "apikey", "access_token", "password", "secret"];
    named
        || key.starts_with("x-amz-")
        || key.starts_with("x-goog-")
        || ends.iter().any(|end| key.ends_with(end))
}

/// Tells how an attempt ended.
pub(super) fn attempt(method: &Method, url: &Url, number: u32, took: Duration, status: Option<u16>) {
    let url = redacted(url);
    // No status is no answer.
    tracing::debug!(target: "haul::http", %method, %url, status, attempt = number, ?took, "request");
}

/// Tells headers, one by one. A server may repeat the token in any of them.
pub(super) fn headers(direction: &'static str, headers: &HeaderMap, token: Option<&Secret>) {
    for (name, value) in headers {
        let text = value.to_str().unwrap_or("(not text)");
        let repeats =
            token.map(Secret::expose).is_some_and(|token| !token.is_empty() && text.contains(token));
        let hidden = repeats || value.is_sensitive() || is_credential(name.as_str());
        let value = if hidden { "***" } else { text };
        tracing::trace!(target: "haul::http", %name, value, "{direction}");
    }
}

fn is_credential(name: &str) -> bool {
    ["authorization", "proxy-authorization", "cookie", "set-cookie", "location"].contains(&name)
        || ["key", "token", "secret", "signature"].iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_values_are_hidden_and_others_stay() {
        let url =
            "http://u:p@h/f?limit=2&token=a&page_token=b&X-Amz-Signature=c&api_key=d&sig=e&monkey=f&flag";
        let shown = redacted(&Url::parse(url).unwrap());
        let expected =
            "http://h/f?limit=2&token=***&page_token=b&X-Amz-Signature=***&api_key=***&sig=***&monkey=f&flag";
        assert_eq!(shown.as_str(), expected);
    }
}

//! A real request made from a described one: who is told what.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use url::Url;

use super::{Config, HeaderMap, Method, Request, content, lost, transport};
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;

/// RFC 3986's unreserved characters stay, all others are encoded.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// A request without its body. `home` says that no redirect has led to another origin, `trusted` that the token and the
/// profile's headers belong there.
pub(super) fn head(
    config: &Config,
    request: &Request,
    url: &Url,
    home: bool,
    trusted: bool,
) -> Result<reqwest::Request> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Error::usage(format!("{} is not an http or https URL", bare(url))));
    }
    let mut built = reqwest::Request::new(request.method.clone(), url.clone());
    let headers = built.headers_mut();
    if trusted {
        for (name, value) in &config.headers {
            set(headers, name, value)?;
        }
        if let Some(token) = &config.token {
            guard_plain(config, url)?;
            headers.insert(AUTHORIZATION, bearer(config, token)?);
        } else if !transport::is_loopback(url) {
            // The platform could only refuse it. On this machine an emulator may ask for none.
            let error = Error::new(Kind::Auth, format!("no token for {}", config.platform));
            return Err(config.token_hints.iter().fold(error, |error, hint| error.hint(hint.clone())));
        }
    }
    // What was said to one host is not repeated to another.
    if home {
        for (name, value) in &request.headers {
            set(headers, name, value)?;
        }
    }
    for (name, value) in request.range.iter().flat_map(content::range_headers) {
        set(headers, name, &value)?;
    }
    if !request.body.is_empty() || matches!(request.method, Method::POST | Method::PUT | Method::PATCH) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(request.body.wire_len()));
    }
    if let Some(kind) = &request.body.content_type {
        set(headers, CONTENT_TYPE.as_str(), kind)?;
    }
    Ok(built)
}

fn bearer(config: &Config, token: &Secret) -> Result<HeaderValue> {
    let value = HeaderValue::try_from(format!("Bearer {}", token.expose()));
    let mut value = value.map_err(|_| {
        let error = Error::new(Kind::Auth, "the token has characters that no token has");
        config.token_hints.iter().fold(error, |error, hint| error.hint(hint.clone()))
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn guard_plain(config: &Config, url: &Url) -> Result<()> {
    if url.scheme() != "http" || config.insecure_http || transport::is_loopback(url) {
        return Ok(());
    }
    let place = lost::origin(url);
    Err(Error::usage(format!("{place} is not secure: anyone on the way could read the token"))
        .hint("start the base URL with https://")
        .hint("`--insecure-http` sends it all the same"))
}

fn set(headers: &mut HeaderMap, name: &str, value: &str) -> Result<()> {
    let known = HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value).ok());
    let (name, value) = known.ok_or_else(|| Error::usage(format!("`{name}` cannot be sent as a header")))?;
    headers.insert(name, value);
    Ok(())
}

/// The URL with its query, without user and password.
pub(super) fn full_url(request: &Request) -> Url {
    let mut url = without_user(request.url.clone());
    if !request.query.is_empty() {
        let encode = |text: &str| utf8_percent_encode(text, QUERY).to_string();
        let added = request.query.iter().map(|(key, value)| format!("{}={}", encode(key), encode(value)));
        let mut pairs: Vec<String> =
            url.query().filter(|q| !q.is_empty()).map(str::to_owned).into_iter().collect();
        pairs.extend(added);
        url.set_query(Some(&pairs.join("&")));
    }
    url
}

pub(super) fn without_user(mut url: Url) -> Url {
    // Cannot fail where there is a host, and without one there is no user either.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_fragment(None);
    url
}

/// A URL as it may be shown in an error: without query.
pub(super) fn bare(url: &Url) -> String {
    let mut url = without_user(url.clone());
    url.set_query(None);
    url.to_string()
}

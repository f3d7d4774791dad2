//! Responses: their JSON, the errors in them, and the errors for requests without a complete response.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use url::Url;

use super::retry::{Cause, Failure};
use super::{Config, Problem, Reply, tls, transport};
use crate::error::{Error, Kind};
use crate::human::waiting_time;

/// Maximum length of a platform's message, in characters.
const LONGEST: usize = 300;

/// Maximum size of a decoded response in memory, in bytes. A decoded value can take a hundred times its size on the
/// wire.
pub(super) const MAX_DECODED: usize = 512 * 1024 * 1024;
/// Size of a decoded value, including spare capacity in the array or object that contains it.
const VALUE: usize = 144;
/// Additional size of an object key, including its text and index entry.
const KEY: usize = 72;
/// Minimum size of an object.
const OBJECT: usize = 416;
/// Responses up to this size are decoded without estimating their decoded size.
const SMALL: usize = 1024 * 1024;

/// Common headers that contain the request id, most reliable first.
const REQUEST_IDS: [&str; 6] =
    ["x-request-id", "request-id", "x-amz-request-id", "x-correlation-id", "x-trace-id", "cf-ray"];

/// The error kind for a status.
fn kind_of(status: u16) -> Kind {
    match status {
        401 | 403 => Kind::Auth,
        404 | 410 => Kind::NotFound,
        402 | 429 => Kind::RateLimited,
        407 => Kind::Unreachable,
        413 => Kind::Unsupported,
        405 | 408 | 425 | 499 => Kind::Platform,
        400..=499 => Kind::Failed,
        _ => Kind::Platform,
    }
}

/// The server that sent a response.
#[derive(Clone, Copy)]
pub(super) enum Sender<'a> {
    /// One of the profile's own origins, for a request with the token.
    Platform,
    /// One of the profile's own origins, for a link or another request without the token.
    Link,
    /// Another host, such as an object store.
    Host(&'a Url),
}

/// The error in a response, and whether retrying is pointless.
pub(super) fn error_of(config: &Config, reply: &Reply, sender: Sender) -> (Error, bool) {
    let own = matches!(sender, Sender::Platform);
    let problem = (config.read_problem)(reply).or_else(|| read(reply)).unwrap_or_default();
    let kind = match problem.kind.unwrap_or_else(|| kind_of(reply.status)) {
        // Only a server that receives the token can reject it.
        Kind::Auth if !own => Kind::Platform,
        kind => kind,
    };
    let mut sentence = clean(&problem.message);
    if let Some(token) = config.token.as_ref().map(crate::secret::Secret::expose).filter(|t| !t.is_empty()) {
        // Some platforms include the rejected token.
        sentence = sentence.replace(token, "***");
    }
    if sentence.is_empty() {
        sentence = reason(reply.status);
    }
    let host = if let Sender::Host(url) = sender { Some(origin(url)) } else { None };
    let platform = host.as_deref().unwrap_or(config.platform);
    let message = match reply.status {
        400 | 422 => format!("{platform} rejected the request: {sentence}"),
        407 => format!("the proxy returned 407: {sentence}"),
        status => format!("{platform} returned {status}: {sentence}"),
    };
    let mut error = Error::new(kind, message)
        .with_status(reply.status)
        .with_request_id(reply.request_id.clone())
        .with_existing(problem.existing);
    if let Some(hint) = problem.hint {
        error = error.hint(hint);
    }
    if kind == Kind::Auth {
        for hint in &config.token_hints {
            error = error.hint(hint.clone());
        }
    }
    (error, problem.is_final)
}

/// The platform's id for the request, from its `own` headers or the common ones.
pub(super) fn request_id(own: &[&str], headers: &super::HeaderMap) -> Option<String> {
    own.iter().chain(&REQUEST_IDS).find_map(|name| {
        let id = clean(headers.get(*name)?.to_str().ok()?);
        (!id.is_empty()).then_some(id)
    })
}

fn reason(status: u16) -> String {
    let known = reqwest::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    known.unwrap_or("no reason given").to_lowercase()
}

/// Reads an error body in any common format. Returns `None` if it contains no message.
pub(super) fn read(reply: &Reply) -> Option<Problem> {
    let message = match serde_json::from_slice::<Value>(&reply.body) {
        Ok(value) => sentence_of(&value)?,
        Err(_) => first_line(&String::from_utf8_lossy(&reply.body)),
    };
    let is_final = reply.status == 429 && is_spent(&reply.body);
    (!message.is_empty()).then_some(Problem { message, is_final, ..Problem::default() })
}

/// Whether a body contains OpenAI's code for an exhausted quota, which other platforms also use.
fn is_spent(body: &[u8]) -> bool {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    [&body["error"]["code"], &body["error"]["type"], &body["code"]]
        .into_iter()
        .any(|word| word == "insufficient_quota")
}

/// The message in a JSON error.
fn sentence_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => return Some(text.clone()),
        Value::Array(items) => return join(items.iter().filter_map(item_of)),
        Value::Object(_) => {}
        _ => return None,
    }
    let text = |key: &str| value[key].as_str().filter(|text| !text.trim().is_empty()).map(str::to_owned);
    let nested = |key: &str| if value[key].is_null() { None } else { sentence_of(&value[key]) };
    if let Some(detail) = nested("detail") {
        return Some(match text("title") {
            Some(title) if title != detail => format!("{title}: {detail}"),
            _ => detail,
        });
    }
    if let Some(message) = text("message").or_else(|| text("msg")) {
        let mut message = message;
        if let Some(errors) =
            value["errors"].as_array().and_then(|items| join(items.iter().filter_map(item_of)))
        {
            message = format!("{message}: {errors}");
        }
        if let Some(hint) = text("hint") {
            message = format!("{message} ({hint})");
        }
        return Some(message);
    }
    nested("error")
        .or_else(|| nested("errors"))
        .or_else(|| text("error_description"))
        .or_else(|| text("title"))
}

/// One of several messages, with its location.
fn item_of(item: &Value) -> Option<String> {
    let message = ["msg", "message", "detail"].iter().find_map(|key| item[*key].as_str());
    let Some(message) = message else { return sentence_of(item) };
    let place = match item.get("loc").or_else(|| item.get("path")) {
        Some(Value::Array(steps)) => steps.iter().map(plain).collect::<Vec<_>>().join("."),
        Some(place) => plain(place),
        None => String::new(),
    };
    Some(if place.is_empty() { message.to_owned() } else { format!("{place}: {message}") })
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn join(parts: impl Iterator<Item = String>) -> Option<String> {
    let all: Vec<String> = parts.collect();
    (!all.is_empty()).then(|| all.join("; "))
}

/// The first meaningful line of text, HTML or XML: the title, an XML message, or the first line outside the tags that
/// contains a letter or digit.
fn first_line(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    for tag in ["title", "message"] {
        let Some(start) = lower.find(&format!("<{tag}>")).map(|at| at + tag.len() + 2) else { continue };
        let end = lower[start..].find("</").map_or(text.len(), |at| start + at);
        let inside = text[start..end].trim();
        if !inside.is_empty() {
            return unescape(inside);
        }
    }
    let mut bare = String::new();
    let mut in_tag = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            // A `<` that does not start a tag is text.
            '<' => {
                let begins = |next: &char| next.is_ascii_alphabetic() || matches!(next, '/' | '!' | '?');
                in_tag |= characters.peek().is_some_and(begins);
                if !in_tag {
                    bare.push('<');
                }
            }
            // A tag ends the line.
            '>' if in_tag => {
                in_tag = false;
                bare.push('\n');
            }
            _ if !in_tag => bare.push(character),
            _ => {}
        }
    }
    let line = bare.lines().map(str::trim).find(|line| line.chars().any(char::is_alphanumeric));
    unescape(line.unwrap_or_default())
}

fn unescape(text: &str) -> String {
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'");
    text.replace("&nbsp;", " ").replace("&amp;", "&")
}

/// Cleans up a platform's message: one line of limited length without control characters.
fn clean(text: &str) -> String {
    let mut clean = String::new();
    for (count, character) in text.trim().trim_end_matches('.').chars().enumerate() {
        if count == LONGEST {
            clean.push('…');
            break;
        }
        match character {
            '\r' => {}
            '\n' | '\t' => clean.push(' '),
            control if control.is_control() => clean.extend(control.escape_default()),
            other => clean.push(other),
        }
    }
    clean
}

/// Whether a decoded response would exceed [`MAX_DECODED`]. The estimate counts separators, including those inside
/// strings, without parsing the response.
pub(super) fn is_too_large_to_decode(body: &[u8]) -> bool {
    let count = |byte| memchr::memchr_iter(byte, body).count();
    body.len() > SMALL && {
        let objects = count(b'{');
        let values = objects + count(b'[') + count(b',');
        body.len() + values * VALUE + count(b':') * KEY + objects * OBJECT > MAX_DECODED
    }
}

/// The JSON text with invalid UTF-8 and unpaired surrogates replaced by U+FFFD. Returns `None` if nothing has to be
/// replaced.
pub(super) fn repaired(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let unit = |at: usize| {
        let digits = text.get(at..at.checked_add(6)?)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let mut repaired = String::new();
    let (mut done, mut at) = (0, 0);
    while let Some(next) = memchr::memchr(b'\\', &text.as_bytes()[at..]) {
        at += next;
        // For any other escape, skip two characters, the second of which may be a backslash.
        at += match (unit(at), unit(at + 6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                repaired.push_str(&text[done..at]);
                repaired.push(char::REPLACEMENT_CHARACTER);
                done = at + 6;
                6
            }
            _ => 2,
        };
        if at >= text.len() {
            break;
        }
    }
    if done == 0 {
        return matches!(text, Cow::Owned(_)).then(|| text.into_owned());
    }
    repaired.push_str(&text[done..]);
    Some(repaired)
}

/// A struct that is decoded only from a JSON object. Serde also accepts an array with one element per field, so
/// `[null,null]` would be an empty list.
pub(super) struct JsonObject<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for JsonObject<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = T;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members))
            }
        }
        from.deserialize_map(Members(PhantomData)).map(Self)
    }
}

/// The failure for a transport error.
pub(super) fn failure_of(config: &Config, url: &Url, error: reqwest::Error, fully_sent: bool) -> Failure {
    let (place, platform) = (place(url), config.platform);
    let never_left = error.is_connect();
    let timed_out = error.is_timeout();
    // Drop the URL, because its query may contain a signature.
    let error = error.without_url();
    if let Some(why) = find::<rustls::Error>(&error).filter(|_| never_left) {
        let (reason, other_authority) = tls::explain(why);
        let mut error =
            unreachable(format!("could not establish a secure connection to {platform} at {place}"))
                .caused_by(Explained { reason, source: error });
        if other_authority {
            error = error.hint("to trust another certificate authority: `--cacert FILE`");
        }
        return Failure::end(error);
    }
    let reason = if timed_out { "connection timed out".to_owned() } else { innermost(&error) };
    let cause = Explained { reason, source: error };
    if never_left {
        let error = unreachable(format!("could not reach {platform} at {place}")).caused_by(cause);
        return Failure { error, cause: Cause::NeverLeft, fully_sent: false, wait: None };
    }
    let error = unreachable(format!("{platform} at {place} closed the connection")).caused_by(cause);
    Failure { error, cause: Cause::Lost, fully_sent, wait: None }
}

/// The hint to set a longer time limit than this one.
pub(super) fn to_wait_longer(limit: Duration) -> String {
    let minutes = limit.as_secs().div_ceil(60).saturating_mul(2).max(5);
    format!("to wait longer: `--timeout {minutes}m`")
}

/// The failure of a request whose response did not arrive in time. `received` is true if part of the response
/// arrived.
pub(super) fn silence(
    config: &Config,
    url: &Url,
    limit: Duration,
    received: bool,
    fully_sent: bool,
) -> Failure {
    let what = if received { "did not complete its response within" } else { "did not respond within" };
    let error = unreachable(format!("{} at {} {what} {}", config.platform, place(url), waiting_time(limit)))
        .hint(to_wait_longer(limit));
    Failure { error, cause: Cause::Lost, fully_sent, wait: None }
}

/// The error for an incomplete response body. Another request can resume the download.
pub(super) fn broken(platform: &str, error: reqwest::Error) -> Error {
    let source = error.without_url();
    unreachable(format!("{platform} closed the connection partway through the content"))
        .caused_by(Explained { reason: innermost(&source), source })
}

/// Whether a body is invalid rather than incomplete, for example because of a wrong chunk header or bad gzip data.
pub(super) fn is_nonsense(error: &reqwest::Error) -> bool {
    find::<io::Error>(error)
        .is_some_and(|io| matches!(io.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput))
}

pub(super) fn unreachable(message: String) -> Error {
    Error::new(Kind::Unreachable, message)
}

/// Scheme, host and port, which are never secret.
pub(super) fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// The origin, and the proxy used to reach it, if any.
fn place(url: &Url) -> String {
    match transport::proxy_of(url) {
        Some(proxy) => format!("{} through the proxy {proxy}", origin(url)),
        None => origin(url),
    }
}

/// A transport error that displays only its reason.
#[derive(Debug)]
struct Explained {
    reason: String,
    /// The error without its URL, which may contain a signature.
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

/// The first error of type `T` in a chain, including errors wrapped in an [`io::Error`], whose `source` skips the
/// wrapped error.
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

/// The message of the innermost error, which contains the reason.
fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut last = error;
    while let Some(next) = last.source() {
        last = next;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message_of(body: &str) -> Option<String> {
        let reply = Reply { status: 400, body: body.to_owned().into(), ..Reply::default() };
        read(&reply).map(|problem| clean(&problem.message))
    }

    #[test]
    fn every_common_error_body_is_read() {
        for (body, expected) in [
            (r#"{"detail":"File not found"}"#, "File not found"),
            (
                r#"{"detail":[{"loc":["body","file",0],"msg":"field required"},{"loc":[],"msg":"bad"}]}"#,
                "body.file.0: field required; bad",
            ),
            (
                r#"{"title":"Unauthenticated","detail":"You did not pass a token.","status":401}"#,
                "Unauthenticated: You did not pass a token",
            ),
            (r#"{"error":"no such file"}"#, "no such file"),
            (
                r#"{"error":{"message":"No such File object: f1","type":"invalid_request_error"}}"#,
                "No such File object: f1",
            ),
            (r#"{"code":"not-found","error":"The file is gone"}"#, "The file is gone"),
            (
                r#"{"message":"invalid","hint":"see docs","errors":[{"path":["purpose"],"message":"required"}]}"#,
                "invalid: purpose: required (see docs)",
            ),
            (r#"{"errors":[{"message":"a"},{"message":"b"}]}"#, "a; b"),
            (r#""just text""#, "just text"),
            ("Internal Server Error\n  at x.js", "Internal Server Error"),
            ("<html><head><title>502 Bad Gateway</title></head><body>x</body></html>", "502 Bad Gateway"),
            ("<html><body><hr><h1>Sorry &amp; bye</h1><p>more</p></body></html>", "Sorry & bye"),
            (
                "<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>",
                "Request has expired",
            ),
            (r#"{"detail": "cut off in the mid"#, r#"{"detail": "cut off in the mid"#),
            ("5 < 6", "5 < 6"),
        ] {
            assert_eq!(message_of(body).as_deref(), Some(expected), "{body}");
        }
        for silent in ["", "  \n", "{}", "[]", "null", "42", "<html></html>", r#"{"error":null}"#] {
            assert_eq!(message_of(silent), None, "{silent}");
        }
    }

    #[test]
    fn an_exhausted_quota_is_final() {
        let is_final = |status, code: &str| {
            let body = format!(r#"{{"error":{{"message":"too much","type":"{code}","code":"{code}"}}}}"#);
            read(&Reply { status, body: body.into(), ..Reply::default() }).unwrap().is_final
        };
        assert!(is_final(429, "insufficient_quota"));
        assert!(!is_final(429, "rate_limit_exceeded"));
        assert!(!is_final(400, "insufficient_quota"), "a 400 is never retried");
    }

    #[test]
    fn a_message_is_one_short_line_without_control_characters() {
        assert_eq!(clean("a\r\nb\tc\u{1b}[31m."), "a b c\\u{1b}[31m");
        assert_eq!(clean(&"x".repeat(1000)).chars().count(), LONGEST + 1);
    }

    proptest::proptest! {
        #[test]
        fn any_body_is_accepted(body in proptest::prelude::any::<Vec<u8>>()) {
            let reply = Reply { status: 500, body: body.into(), ..Reply::default() };
            if let Some(problem) = read(&reply) {
                proptest::prop_assert!(!clean(&problem.message).chars().any(char::is_control));
            }
        }

        #[test]
        fn any_body_can_be_repaired(body in proptest::prelude::any::<Vec<u8>>(), text in r#"(\\|u|d8|dc|00|é|"| ){0,20}"#) {
            repaired(&body);
            if let Some(text) = repaired(text.as_bytes()) {
                proptest::prop_assert_eq!(repaired(text.as_bytes()), None);
            }
        }

        #[test]
        fn any_markup_is_accepted(body in "(<|>|/|title|message|&amp;|ß|İ| |\n|x){0,30}") {
            first_line(&body);
        }
    }

    #[test]
    fn the_size_of_a_decoded_answer_is_limited() {
        let is_too_large = |item: &str, count: usize| is_too_large_to_decode(item.repeat(count).as_bytes());
        let file = r#"{"id":"file_0123456789","filename":"report.pdf","bytes":1234,"created_at":"2026-11-21T10:00:00Z","purpose":"assistants","status":"processed"},"#;
        assert!(!is_too_large(file, 200_000), "200,000 files");
        assert!(is_too_large(file, 60 * 1024 * 1024 / file.len()));
        for item in ["1,", "[],", "{},", "[", "{\"a\":1},", "\"a\":1,"] {
            assert!(is_too_large(item, 60 * 1024 * 1024 / item.len()), "{item}");
        }
        assert!(!is_too_large("x", 60 * 1024 * 1024), "one text");
    }

    #[test]
    fn invalid_text_is_replaced() {
        for (body, expected) in [
            (r#"{"a":"\ud800abc"}"#, r#"{"a":"�abc"}"#),
            (r#"["\uDFFF\ud83d\ude00\uD800\ud83d"]"#, r#"["�\ud83d\ude00��"]"#),
            (r#"["\ud800\n\\ud800\\\ud800"]"#, r#"["�\n\\ud800\\�"]"#),
        ] {
            assert_eq!(repaired(body.as_bytes()).as_deref(), Some(expected));
            assert!(serde_json::from_str::<Value>(expected).is_ok());
        }
        assert_eq!(repaired(b"[\"\xff\"]").as_deref(), Some("[\"\u{fffd}\"]"));
        for valid in [r#"["\u0041\ud83d\ude00é\\ud800"]"#, r#"["\"#, "", r#"["\ud8"#] {
            assert_eq!(repaired(valid.as_bytes()), None, "{valid}");
        }
    }

    #[test]
    fn an_array_is_not_an_object() {
        #[derive(serde::Deserialize)]
        struct Page {
            data: Option<Vec<u8>>,
        }
        let read = |text: &str| serde_json::from_str::<JsonObject<Page>>(text).map(|page| page.0.data);
        assert_eq!(read(r#"{"data":[1]}"#).unwrap(), Some(vec![1]));
        for other in ["[null]", "[[1]]", "null", "1", "\"data\""] {
            assert!(read(other).unwrap_err().to_string().contains("expected an object"), "{other}");
        }
    }
}

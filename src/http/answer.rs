//! What an answer that is no success means.

use serde_json::Value;

use super::{Config, Problem, Reply};
use crate::error::{Error, Kind};

/// The longest sentence of a platform that is shown, in characters.
const LONGEST: usize = 300;

/// Headers that carry the platform's id of a request, the surest first.
const REQUEST_IDS: [&str; 7] = [
    "x-request-id",
    "request-id",
    "metorial-req-id",
    "x-amz-request-id",
    "x-correlation-id",
    "x-trace-id",
    "cf-ray",
];

/// The kind that a status alone tells.
fn kind_of(status: u16) -> Kind {
    match status {
        401 | 403 => Kind::Auth,
        404 | 410 => Kind::NotFound,
        402 | 429 => Kind::RateLimited,
        407 => Kind::Unreachable,
        413 => Kind::Unsupported,
        405 | 408 | 501 => Kind::Platform,
        400..=499 => Kind::Failed,
        _ => Kind::Platform,
    }
}

/// The error of an answer, and whether waiting cannot help. `own` says whether the token belongs there.
pub(super) fn error_of(config: &Config, reply: &Reply, own: bool) -> (Error, bool) {
    let problem = (config.read_problem)(reply).or_else(|| read(reply)).unwrap_or_default();
    let kind = problem.kind.unwrap_or_else(|| kind_of(reply.status));
    let mut sentence = clean(&problem.message);
    if let Some(token) = config.token.as_ref().map(crate::secret::Secret::expose).filter(|t| !t.is_empty()) {
        // Some platforms repeat the key that they refuse.
        sentence = sentence.replace(token, "***");
    }
    if sentence.is_empty() {
        sentence = reason(reply.status);
    }
    let platform = config.platform;
    let message = match reply.status {
        400 | 422 => format!("{platform} refused the request: {sentence}"),
        407 => format!("the proxy answered 407: {sentence}"),
        status => format!("{platform} answered {status}: {sentence}"),
    };
    let mut error =
        Error::new(kind, message).with_status(reply.status).with_request_id(request_id(&reply.headers));
    if kind == Kind::Auth && own {
        for hint in &config.token_hints {
            error = error.hint(hint.clone());
        }
    }
    (error, problem.is_final)
}

/// The platform's id of the request, for its support.
pub(super) fn request_id(headers: &super::HeaderMap) -> Option<String> {
    REQUEST_IDS.iter().find_map(|name| {
        let id = clean(headers.get(*name)?.to_str().ok()?);
        (!id.is_empty()).then_some(id)
    })
}

fn reason(status: u16) -> String {
    let known = reqwest::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    known.unwrap_or("no reason given").to_lowercase()
}

/// Reads an error body of any common shape; None where it says nothing.
pub(super) fn read(reply: &Reply) -> Option<Problem> {
    let message = match serde_json::from_slice::<Value>(&reply.body) {
        Ok(value) => sentence_of(&value)?,
        Err(_) => first_line(&String::from_utf8_lossy(&reply.body)),
    };
    let is_final = reply.status == 429 && is_spent(&reply.body);
    (!message.is_empty()).then_some(Problem { message, is_final, kind: None })
}

/// Whether a body says in OpenAI's words, which others borrow, that money is short and not patience.
fn is_spent(body: &[u8]) -> bool {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    [&body["error"]["code"], &body["error"]["type"], &body["code"]]
        .into_iter()
        .any(|word| word == "insufficient_quota")
}

/// The sentence in a JSON error.
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

/// One of several complaints: where, and what.
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

/// The first line of text or HTML that says something: a title, an XML message, else the first words between tags.
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
            // A `<` before anything else is a sign of text.
            '<' => {
                let begins = |next: &char| next.is_ascii_alphabetic() || matches!(next, '/' | '!' | '?');
                in_tag |= characters.peek().is_some_and(begins);
                if !in_tag {
                    bare.push('<');
                }
            }
            // A tag ends a line: what stands in two paragraphs is two sentences.
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

/// Makes a platform's sentence fit for a message: one line, no control characters, not too long.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn told(body: &str) -> Option<String> {
        let reply =
            Reply { status: 400, headers: super::super::HeaderMap::new(), body: body.to_owned().into() };
        read(&reply).map(|problem| clean(&problem.message))
    }

    #[test]
    fn every_common_shape_is_read() {
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
            assert_eq!(told(body).as_deref(), Some(expected), "{body}");
        }
        for silent in ["", "  \n", "{}", "[]", "null", "42", "<html></html>", r#"{"error":null}"#] {
            assert_eq!(told(silent), None, "{silent}");
        }
    }

    #[test]
    fn a_quota_is_no_matter_of_patience() {
        let is_final = |status, code: &str| {
            let body = format!(r#"{{"error":{{"message":"too much","type":"{code}","code":"{code}"}}}}"#);
            read(&Reply { status, headers: super::super::HeaderMap::new(), body: body.into() })
                .unwrap()
                .is_final
        };
        assert!(is_final(429, "insufficient_quota"));
        assert!(!is_final(429, "rate_limit_exceeded"));
        assert!(!is_final(400, "insufficient_quota"), "which is final by itself");
    }

    #[test]
    fn a_sentence_is_one_short_line_without_control_characters() {
        assert_eq!(clean("a\r\nb\tc\u{1b}[31m."), "a b c\\u{1b}[31m");
        assert_eq!(clean(&"x".repeat(1000)).chars().count(), LONGEST + 1);
    }

    proptest::proptest! {
        #[test]
        fn no_body_is_too_strange(body in proptest::prelude::any::<Vec<u8>>()) {
            let reply = Reply { status: 500, headers: super::super::HeaderMap::new(), body: body.into() };
            if let Some(problem) = read(&reply) {
                proptest::prop_assert!(!clean(&problem.message).chars().any(char::is_control));
            }
        }

        #[test]
        fn no_markup_is_too_strange(body in "(<|>|/|title|message|&amp;|ß|İ| |\n|x){0,30}") {
            first_line(&body);
        }
    }
}

//! What holds of every `Content-Range`, `Retry-After` and error body.

use std::time::Duration;

use proptest::prelude::*;

use super::super::{Config, HeaderMap, Reply, answer, retry};
use super::{Range, check_range, is_complete, validator};
use crate::property::holds;
use crate::secret::Secret;

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0u64..20, Just(u64::MAX), Just(u64::MAX - 1), any::<u64>()]
}

/// Texts that look like a header of numbers more or less.
fn soup() -> impl Strategy<Value = String> {
    const PARTS: &[&str] = &[
        "bytes",
        "Bytes",
        " ",
        "=",
        "-",
        "/",
        "*",
        "0",
        "5",
        "9",
        "10",
        "18446744073709551615",
        "18446744073709551616",
        "+1",
        "x",
        ",",
        "1e3",
        ".",
        "inf",
        "nan",
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "GMT",
        "-5",
        "\t",
        "\"a\"",
        "W/",
    ];
    let part = prop_oneof![12 => prop::sample::select(PARTS).prop_map(str::to_owned), 1 => "\\PC{0,4}"];
    prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        if let Ok(value) = value.parse() {
            headers.insert(*name, value);
        }
    }
    headers
}

#[test]
fn properties_a_range_is_taken_only_from_where_it_was_asked_to_the_end() {
    let inputs = (number(), number(), number(), prop::option::of(number()));
    holds("content-range: from where it was asked to the end", inputs, |(asked, first, last, whole)| {
        let text =
            format!("bytes {first}-{last}/{}", whole.map_or("*".to_owned(), |whole| whole.to_string()));
        let length = u128::from(last) + 1;
        let fits = first == asked && first <= last && whole.is_none_or(|whole| u128::from(whole) == length);
        let expected = fits.then(|| u64::try_from(length - u128::from(first)).ok()).flatten();
        prop_assert_eq!(check_range(asked, &text), expected, "{} of {}", text, asked);
        Ok(())
    });
}

#[test]
fn properties_no_header_is_too_strange() {
    let inputs = (number(), soup(), soup(), 100u16..600);
    holds(
        "content-range, retry-after, etag: no header is too strange",
        inputs,
        |(from, one, other, status)| {
            if let Some(length) = check_range(from, &one) {
                // What is taken is of the one form that the standard has for it.
                let span = one.trim().strip_prefix("bytes ").and_then(|rest| rest.split_once('/'));
                let (first, last) = span.and_then(|(span, _)| span.split_once('-')).unwrap_or_default();
                let number = |text: &str| text.trim().parse::<u64>().ok();
                prop_assert_eq!(
                    (number(first), number(last)),
                    (Some(from), from.checked_add(length - 1)),
                    "{}",
                    one
                );
            }
            let names = [
                "content-range",
                "retry-after",
                "retry-after-ms",
                "date",
                "etag",
                "last-modified",
                "x-request-id",
            ];
            let headers =
                headers(&names.map(|name| (name, if name.len() % 2 == 0 { one.as_str() } else { &other })));
            is_complete(&Range { from, ..Range::default() }, &headers);
            let _ = validator(&headers);
            let _ = retry::asked_wait(status, &headers);
            let _ = answer::request_id(&headers);
            Ok(())
        },
    );
}

#[test]
fn properties_no_error_body_is_too_strange_for_any_platform() {
    let words = prop::sample::select(
        &[
            "detail", "error", "message", "code", "title", "errors", "loc", "msg", "file_id", "hint", "path",
            "status", "reason",
        ][..],
    )
    .prop_map(str::to_owned);
    let key = prop_oneof![6 => words, 1 => any::<String>()];
    let leaf = prop_oneof![
        any::<String>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        any::<bool>().prop_map(serde_json::Value::from),
        Just(serde_json::Value::Null),
    ];
    let json = leaf.prop_recursive(6, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            prop::collection::vec((key.clone(), inner), 0..5)
                .prop_map(|pairs| serde_json::Value::Object(pairs.into_iter().collect())),
        ]
    });
    let inputs = (json, 400u16..600, any::<prop::sample::Index>(), any::<Vec<u8>>());
    holds("error bodies: none is too strange for any platform", inputs, |(json, status, cut, junk)| {
        let whole = json.to_string().into_bytes();
        let cut = whole[..cut.index(whole.len() + 1)].to_vec();
        for body in [whole, cut, junk] {
            let reply = Reply { status, headers: HeaderMap::new(), body: body.into() };
            for spec in crate::providers::REGISTRY {
                let config = Config {
                    platform: spec.name,
                    own: Vec::new(),
                    token: Some(Secret::new("a-token")),
                    token_hints: Vec::new(),
                    timeout: Duration::from_secs(1),
                    policy: retry::Policy::default(),
                    cacert: None,
                    insecure_http: false,
                    rate: None,
                    headers: Vec::new(),
                    trace: crate::http::Trace::default(),
                    read_problem: spec.read_problem,
                };
                let (error, _) = answer::error_of(&config, &reply, true);
                prop_assert!(
                    !error.message().chars().any(char::is_control),
                    "{}: {:?}",
                    spec.name,
                    error.message()
                );
                prop_assert!(error.message().chars().count() < 400 && error.status() == Some(status));
            }
        }
        Ok(())
    });
}

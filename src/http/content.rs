//! A file's content in a response: its range, version and bytes.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use reqwest::Response;
use tokio::time::Instant;

use super::body::{LEAST_RATE, is_too_slow};
use super::request::{is_weak, opaque};
use super::{Config, ContentStream, HeaderMap, Range, answer};
use crate::error::{Error, Result};
use crate::human;

/// Whether a 416 confirms that the content ends where the range starts, so that no bytes are missing. The validators
/// must not differ and, unless the validator is strong, the size that an earlier response declared must match as well.
pub(super) fn is_complete(range: &Range, headers: &HeaderMap) -> bool {
    let whole: Option<u64> =
        text(headers, "content-range").and_then(|text| text.strip_prefix("bytes */")?.trim().parse().ok());
    let ours = range.validator.as_deref();
    let differs = ours.zip(validator(headers)).is_some_and(|(ours, theirs)| opaque(ours) != opaque(&theirs));
    // A server evaluates `If-Range` before the range, and would send all bytes of a different version.
    let is_same = ours.is_some_and(|validator| !is_weak(validator));
    whole == Some(range.from) && !differs && (is_same || range.total.is_none_or(|total| total == range.from))
}

/// Empty content, for a caller that already has all bytes.
pub(super) fn nothing_left(range: &Range, headers: &HeaderMap) -> ContentStream {
    ContentStream {
        start: range.from,
        length: Some(0),
        validator: validator(headers),
        content_type: None,
        encoding: None,
        origin: String::new(),
        stream: stream::empty().boxed(),
        release: None,
        derived: false,
    }
}

/// The content of a successful response. Returns `None` if it does not continue the range.
pub(super) fn of_response(
    config: &Config,
    range: Option<&Range>,
    response: Response,
) -> Result<Option<ContentStream>> {
    let headers = response.headers();
    let announced = text(headers, "content-length").and_then(|length| length.parse::<u64>().ok());
    let validator = validator(headers);
    let (start, length) = match (response.status().as_u16(), range) {
        (200, _) => (0, announced),
        (206, Some(range)) => {
            let stated = text(headers, "content-range").unwrap_or_default();
            let rest = check_range(range.from, stated).filter(|rest| announced.is_none_or(|a| a == *rest));
            let total = rest.and_then(|rest| range.from.checked_add(rest));
            if rest.is_none() || !range.continues(validator.as_deref(), total) {
                return Ok(None);
            }
            (range.from, rest)
        }
        (status, _) => {
            return Err(nonsense(config, headers, &format!("returned {status} instead of the content"))
                .with_status(status));
        }
    };
    Ok(Some(ContentStream {
        start,
        length,
        validator,
        content_type: text(headers, "content-type").map(str::to_owned),
        encoding: encoding(headers),
        origin: answer::origin(response.url()),
        stream: stream_of(config.platform, config.timeout, response),
        release: None,
        derived: false,
    }))
}

/// The number of bytes in a `Content-Range` that extends from `from` to the end. Returns `None` for any other range.
fn check_range(from: u64, stated: &str) -> Option<u64> {
    let (span, whole) = stated.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = span.split_once('-')?;
    let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    let to_the_end = match whole.trim() {
        "*" => true,
        whole => last.checked_add(1) == Some(whole.parse().ok()?),
    };
    // The offset after the last byte must fit into a `u64` as well.
    last.checked_add(1)?;
    (first == from && last >= first && to_the_end).then(|| last - first)?.checked_add(1)
}

fn stream_of(
    platform: &'static str,
    silence: Duration,
    response: Response,
) -> stream::BoxStream<'static, Result<Bytes>> {
    let late = move |what: &str| {
        let limit = human::waiting_time(silence);
        let message = format!("{platform} sent {what} {limit} partway through the content");
        Err(answer::unreachable(message).hint(answer::to_wait_longer(silence)))
    };
    // The time spent waiting and the number of bytes received in the current period. Time during which the caller does
    // not request bytes does not count.
    let (waited, received) = (Duration::ZERO, 0_usize);
    stream::try_unfold((response, waited, received), move |(mut response, waited, received)| async move {
        let begun = Instant::now();
        let Ok(next) = tokio::time::timeout(silence, response.chunk()).await else {
            return late("no data for");
        };
        let Some(bytes) = next.map_err(|error| answer::broken(platform, error))? else { return Ok(None) };
        let (waited, received) =
            (waited.saturating_add(begun.elapsed()), received.saturating_add(bytes.len()));
        let state = match waited < silence {
            true => (response, waited, received),
            false if is_too_slow(received as u64, waited) => {
                return late(&format!("less than {LEAST_RATE} bytes a second for"));
            }
            false => (response, Duration::ZERO, 0),
        };
        Ok(Some((bytes, state)))
    })
    .boxed()
}

/// The encoding of the bytes, unless it is `identity`.
fn encoding(headers: &HeaderMap) -> Option<String> {
    let encoding = text(headers, "content-encoding").map(str::trim);
    encoding.filter(|text| !text.is_empty() && !text.eq_ignore_ascii_case("identity")).map(str::to_owned)
}

/// The validator of the content: a strong `ETag`, otherwise `Last-Modified`, otherwise a weak `ETag`.
fn validator(headers: &HeaderMap) -> Option<String> {
    let tag = text(headers, "etag").filter(|tag| !tag.is_empty());
    let (strong, weak) = (tag.filter(|tag| !is_weak(tag)), tag);
    strong.or_else(|| text(headers, "last-modified")).or(weak).map(str::to_owned)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn nonsense(config: &Config, headers: &HeaderMap, what: &str) -> Error {
    let request_id = answer::request_id(config.request_ids, headers);
    Error::platform(format!("{} {what}", config.platform)).with_request_id(request_id)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Reply, retry};
    use super::*;
    use crate::property::holds;
    use crate::secret::Secret;

    #[test]
    fn a_content_range_must_start_at_the_requested_byte_and_end_at_the_end() {
        assert_eq!(check_range(5, "bytes 5-9/10"), Some(5));
        assert_eq!(check_range(5, "bytes 5-9/*"), Some(5));
        for wrong in [
            "bytes 4-9/10",
            "bytes 5-8/10",
            "bytes 9-5/10",
            "bytes */10",
            "5-9/10",
            "bytes 5-9",
            "",
            "bytes x-y/z",
        ] {
            assert_eq!(check_range(5, wrong), None, "{wrong}");
        }
        for from in [0, 5] {
            let range = format!("bytes {from}-18446744073709551615/*");
            assert_eq!(check_range(from, &range), None, "the end is not a number");
        }
    }

    fn number() -> impl Strategy<Value = u64> {
        prop_oneof![0u64..20, Just(u64::MAX), Just(u64::MAX - 1), any::<u64>()]
    }

    /// Texts that resemble a header with numbers.
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
    fn properties_a_range_is_accepted_only_from_the_requested_byte_to_the_end() {
        let inputs = (number(), number(), number(), prop::option::of(number()));
        holds(
            "content-range: from the requested byte to the end",
            inputs,
            |(requested, first, last, whole)| {
                let text = format!(
                    "bytes {first}-{last}/{}",
                    whole.map_or("*".to_owned(), |whole| whole.to_string())
                );
                let length = u128::from(last) + 1;
                let fits = first == requested
                    && first <= last
                    && last < u64::MAX
                    && whole.is_none_or(|whole| u128::from(whole) == length);
                let expected = fits.then(|| u64::try_from(length - u128::from(first)).ok()).flatten();
                prop_assert_eq!(check_range(requested, &text), expected, "{} of {}", text, requested);
                Ok(())
            },
        );
    }

    #[test]
    fn properties_any_header_is_accepted() {
        let inputs = (number(), soup(), soup(), 100u16..600);
        holds(
            "content-range, retry-after, etag: any header is accepted",
            inputs,
            |(from, one, other, status)| {
                if let Some(length) = check_range(from, &one) {
                    // An accepted header has the form that the standard requires.
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
                let headers = headers(
                    &names.map(|name| (name, if name.len() % 2 == 0 { one.as_str() } else { &other })),
                );
                is_complete(&Range { from, ..Range::default() }, &headers);
                let _ = validator(&headers);
                let _ = retry::requested_wait(status, &headers);
                let _ = answer::request_id(&[], &headers);
                Ok(())
            },
        );
    }

    #[test]
    fn properties_every_platform_accepts_any_error_body() {
        let words = prop::sample::select(
            &[
                "detail", "error", "message", "code", "title", "errors", "loc", "msg", "file_id", "hint",
                "path", "status", "reason",
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
        holds("error bodies: every platform accepts any body", inputs, |(json, status, cut, junk)| {
            let whole = json.to_string().into_bytes();
            let cut = whole[..cut.index(whole.len() + 1)].to_vec();
            for body in [whole, cut, junk] {
                let reply = Reply { status, body: body.into(), ..Reply::default() };
                for spec in crate::providers::REGISTRY {
                    let config = Config {
                        platform: spec.name,
                        own: Vec::new(),
                        token: Some(Secret::new("a-token")),
                        auth_header: None,
                        token_hints: Vec::new(),
                        timeout: Duration::from_secs(1),
                        policy: retry::Policy::default(),
                        bundle: None,
                        cacert: None,
                        insecure_http: false,
                        rate: None,
                        trace: crate::http::Trace::default(),
                        read_problem: spec.read_problem,
                        request_ids: spec.request_ids,
                    };
                    let (error, _) = answer::error_of(&config, &reply, answer::Sender::Platform);
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
}

//! Scripted faults: `WORD[=VALUE] [METHOD] [PATH] [KEY=VALUE…]`, such as `lose POST xai/v1/files times=1`.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use globset::{GlobBuilder, GlobMatcher};
use http_body::Body as _;
use jiff::{SignedDuration, Timestamp};

use crate::error::{Error, Result};

/// The faults, each with its word, value and help text.
pub const WORDS: [(&str, &str, &str); 14] = [
    ("refuse", "STATUS", "returns STATUS before reading the body and closes the connection [default: 503]"),
    ("fail", "STATUS", "reads the whole body, stores nothing and returns STATUS [default: 500]"),
    ("429", "", "returns 429 before reading the body"),
    ("html", "STATUS", "like `fail`, with a proxy's HTML error page [default: 502]"),
    ("lose", "", "carries out the request, then closes the connection without a response"),
    (
        "done",
        "STATUS",
        "carries out the request, then returns STATUS with a proxy's HTML error page [default: 524]",
    ),
    ("reset", "", "resets the connection before reading the body"),
    ("cut", "BYTES", "closes the connection after BYTES of the response body [default: 0]"),
    ("truncate-json", "", "returns half of the body as a complete response"),
    ("wrong-bytes", "OFFSET", "flips a bit of the response body at OFFSET [default: 0]"),
    ("ignore-range", "", "ignores a requested range and sends the whole file"),
    ("slow", "MS", "waits MS before handling the request [default: 1000]"),
    ("delay", "MS", "carries out the request, then waits MS before responding [default: 1000]"),
    ("drip", "BYTES", "sends the response body at BYTES per second [default: 1024]"),
];

/// The keys that restrict a fault to some requests, with their help texts.
pub const KEYS: [(&str, &str); 6] = [
    ("times=N", "only the first N matching requests"),
    ("nth=N", "only the Nth matching request, counted from 1"),
    ("every=N", "every Nth matching request"),
    ("chance=P", "each matching request with probability P, from 0 to 1"),
    ("seed=N", "seed of `chance`; the same seed selects the same requests"),
    (
        "retry-after=SECONDS",
        "adds a Retry-After header to the response; `retry-after=date:SECONDS` sends it as a date",
    ),
];

/// Maximum size of a body that `truncate-json` cuts in half, in bytes. A larger body is replaced with an empty one.
const MAX_JSON: usize = 64 * 1024 * 1024;
/// Number of pieces per second in which `drip` sends a body.
const DRIPS: u64 = 20;

/// The scripted faults. Clones share their counts.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Vec<Fault>>);

/// A fault and the requests that it applies to.
#[derive(Debug)]
struct Fault {
    word: &'static str,
    trouble: Trouble,
    method: Option<Method>,
    path: Option<GlobMatcher>,
    times: u64,
    nth: Option<u64>,
    every: u64,
    chance: f64,
    seed: u64,
    seen: AtomicU64,
    done: AtomicU64,
}

/// What a fault does to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    Refuse { status: StatusCode, close: bool, retry_after: Option<RetryAfter> },
    Fail { status: StatusCode, html: bool, retry_after: Option<RetryAfter> },
    Lose,
    Done { status: StatusCode, retry_after: Option<RetryAfter> },
    Reset,
    Cut(u64),
    TruncateJson,
    WrongByte(u64),
    IgnoreRange,
    Slow(Duration),
    Delay(Duration),
    Drip(u64),
}

/// The two forms of the `Retry-After` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RetryAfter {
    Seconds(u64),
    Date(u64),
}

impl Faults {
    /// Parses scripts. A path is a pattern for the whole path, starting with the platform's name: `*` matches within
    /// a segment, and `**` matches any number of segments. A platform's name alone matches all of its paths, and a
    /// script without a path applies to all requests.
    pub fn parse<'a>(scripts: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let faults: Result<Vec<_>> = scripts.into_iter().map(Fault::parse).collect();
        Ok(Self(Arc::new(faults?)))
    }

    /// Counts a request and returns the word and effect of the first script that applies to it. `path` starts with
    /// the platform's name.
    pub(super) fn choose(&self, method: &Method, path: &str) -> Option<(&'static str, Trouble)> {
        let path = path.trim_matches('/');
        let fault = self.0.iter().find(|fault| fault.applies(method, path))?;
        Some((fault.word, fault.trouble.clone()))
    }
}

impl Fault {
    fn parse(script: &str) -> Result<Self> {
        let wrong = |what: String| Error::usage(format!("fault `{script}`: {what}")).hint(vocabulary());
        let mut tokens = script.split_whitespace();
        let first = tokens.next().ok_or_else(|| wrong("missing word".to_owned()))?;
        let (name, value) = first.split_once('=').map_or((first, None), |(name, value)| (name, Some(value)));
        let (word, takes, _) = *WORDS.iter().find(|(word, ..)| *word == name).ok_or_else(|| {
            let words = WORDS.iter().map(|(word, ..)| *word);
            wrong(format!("unknown word `{name}`")).did_you_mean(name, words)
        })?;
        if takes.is_empty() && value.is_some() {
            return Err(wrong(format!("`{word}` does not take a value")));
        }
        let number = |key: &str, text: &str| {
            text.parse::<u64>().map_err(|_| wrong(format!("{key}: `{text}` is not a whole number")))
        };
        let mut fault = Self {
            word,
            trouble: Trouble::Lose,
            method: None,
            path: None,
            times: u64::MAX,
            nth: None,
            every: 1,
            chance: 1.0,
            seed: 0,
            seen: AtomicU64::new(0),
            done: AtomicU64::new(0),
        };
        let mut retry_after = None;
        for token in tokens {
            if let Some((key, value)) = token.split_once('=') {
                match key {
                    "times" => fault.times = number(key, value)?,
                    "nth" => fault.nth = Some(number(key, value)?),
                    "every" => fault.every = number(key, value)?.max(1),
                    "seed" => fault.seed = number(key, value)?,
                    "chance" => {
                        let chance = value.parse().ok().filter(|chance| (0.0..=1.0).contains(chance));
                        fault.chance = chance
                            .ok_or_else(|| wrong(format!("chance: `{value}` is not between 0 and 1")))?;
                    }
                    "retry-after" => {
                        retry_after = Some(match value.strip_prefix("date:") {
                            Some(value) => RetryAfter::Date(number(key, value)?),
                            None => RetryAfter::Seconds(number(key, value)?),
                        });
                    }
                    _ => return Err(wrong(format!("unknown key `{key}`"))),
                }
            } else if token.bytes().all(|byte| byte.is_ascii_uppercase()) && fault.method.is_none() {
                fault.method = Some(Method::from_bytes(token.as_bytes()).map_err(|e| wrong(e.to_string()))?);
            } else if fault.path.is_none() {
                fault.path = Some(pattern(token).map_err(wrong)?);
            } else {
                return Err(wrong(format!("unexpected second path `{token}`")));
            }
        }
        let number_or = |default: u64| value.map_or(Ok(default), |value| number(word, value));
        let status = |default: u64| {
            let status = number_or(default)?;
            let known = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok());
            known
                .filter(|status| status.as_u16() >= 200)
                .ok_or_else(|| wrong(format!("`{status}` is not a valid response status")))
        };
        let millis = || number_or(1000).map(Duration::from_millis);
        fault.trouble = match word {
            "refuse" => Trouble::Refuse { status: status(503)?, close: true, retry_after },
            "429" => Trouble::Refuse { status: StatusCode::TOO_MANY_REQUESTS, close: false, retry_after },
            "fail" => Trouble::Fail { status: status(500)?, html: false, retry_after },
            "done" => Trouble::Done { status: status(524)?, retry_after },
            "html" => Trouble::Fail { status: status(502)?, html: true, retry_after },
            _ if retry_after.is_some() => {
                return Err(wrong(format!("`retry-after` does not apply to `{word}`")));
            }
            "reset" => Trouble::Reset,
            "cut" => Trouble::Cut(number_or(0)?),
            "truncate-json" => Trouble::TruncateJson,
            "wrong-bytes" => Trouble::WrongByte(number_or(0)?),
            "ignore-range" => Trouble::IgnoreRange,
            "slow" => Trouble::Slow(millis()?),
            "delay" => Trouble::Delay(millis()?),
            "drip" => Trouble::Drip(number_or(1024)?.max(1)),
            _ => Trouble::Lose,
        };
        Ok(fault)
    }

    /// Whether the fault applies to a request. The request is counted if its method and path match.
    fn applies(&self, method: &Method, path: &str) -> bool {
        if self.method.as_ref().is_some_and(|wanted| wanted != method)
            || self.path.as_ref().is_some_and(|pattern| !pattern.is_match(path))
        {
            return false;
        }
        let number = self.seen.fetch_add(1, Ordering::Relaxed) + 1;
        if self.nth.is_some_and(|nth| nth != number)
            || !number.is_multiple_of(self.every)
            || chance(self.seed, number) >= self.chance
        {
            return false;
        }
        let left = |done: u64| (done < self.times).then_some(done + 1);
        self.done.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).is_ok()
    }
}

/// Compiles a path pattern.
fn pattern(text: &str) -> std::result::Result<GlobMatcher, String> {
    let text = text.trim_matches('/');
    let all = if text.contains(['/', '*']) { text.to_owned() } else { format!("{text}{{,/**}}") };
    let glob = GlobBuilder::new(&all).literal_separator(true).empty_alternates(true).build();
    glob.map(|glob| glob.compile_matcher()).map_err(|error| format!("`{text}`: {}", error.kind()))
}

/// A pseudorandom number between 0 and 1, computed from a seed and the number of a request (splitmix64).
#[allow(clippy::cast_precision_loss)] // A float holds 53 bits exactly.
fn chance(seed: u64, number: u64) -> f64 {
    let mut mixed = seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Sets `Retry-After`. A date uses the real time even if the clock is fixed, because clients compare it with their
/// own clock.
pub(super) fn set_retry_after(response: &mut Response, retry_after: Option<RetryAfter>) {
    let text = match retry_after {
        None => return,
        Some(RetryAfter::Seconds(seconds)) => seconds.to_string(),
        Some(RetryAfter::Date(seconds)) => {
            let wait = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
            let date = Timestamp::now().checked_add(wait).unwrap_or(Timestamp::MAX);
            date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
        }
    };
    if let Ok(value) = HeaderValue::try_from(text) {
        response.headers_mut().insert(RETRY_AFTER, value);
    }
}

/// A complete response with only the first half of the body.
pub(super) async fn truncated(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, MAX_JSON).await else { return Response::from_parts(parts, Body::empty()) };
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(bytes.slice(..bytes.len() / 2)))
}

/// The response with one bit of the body flipped at `offset`.
pub(super) fn flipped(response: Response, offset: u64) -> Response {
    let response = with_length(response);
    response.map(|body| {
        let mut before = 0;
        Body::from_stream(body.into_data_stream().map(move |piece| {
            let piece: Bytes = piece?;
            let at = usize::try_from(offset - before.min(offset)).ok().filter(|at| *at < piece.len());
            let hit = at.filter(|_| before <= offset);
            before += piece.len() as u64;
            let Some(at) = hit else { return Ok(piece) };
            let mut wrong = piece.to_vec();
            wrong[at] ^= 1;
            Ok::<_, axum::Error>(Bytes::from(wrong))
        }))
    })
}

/// The response with its body sent at `rate` bytes per second.
pub(super) fn dripping(response: Response, rate: u64) -> Response {
    let drop = usize::try_from(rate.div_ceil(DRIPS)).unwrap_or(usize::MAX);
    let response = with_length(response);
    response.map(|body| {
        let slow = stream::try_unfold(
            (body.into_data_stream(), Bytes::new()),
            move |(mut body, mut rest)| async move {
                while rest.is_empty() {
                    match body.next().await {
                        Some(piece) => rest = piece?,
                        None => return Ok::<_, axum::Error>(None),
                    }
                }
                let piece = rest.split_to(drop.min(rest.len()));
                let rate = u32::try_from(rate).unwrap_or(u32::MAX);
                let pause = Duration::from_secs(piece.len() as u64).checked_div(rate);
                tokio::time::sleep(pause.unwrap_or_default()).await;
                Ok(Some((piece, (body, rest))))
            },
        );
        Body::from_stream(slow)
    })
}

/// Adds `Content-Length`, so that a streamed body is framed like the original one.
fn with_length(mut response: Response) -> Response {
    if let Some(length) = response.body().size_hint().exact() {
        response.headers_mut().entry(CONTENT_LENGTH).or_insert(length.into());
    }
    response
}

/// The HTML page of a proxy in front of a service.
pub(super) fn proxy_page(status: StatusCode, title: &str, proxy: &str) -> Response {
    let page = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n\
        <hr><center>{proxy}</center>\r\n</body>\r\n</html>\r\n"
    );
    (status, [(CONTENT_TYPE, "text/html")], page).into_response()
}

fn vocabulary() -> String {
    let mut text = String::from("WORD[=VALUE] [METHOD] [PATH] [KEY=VALUE…]; words: ");
    for (at, (word, value, _)) in WORDS.iter().enumerate() {
        let (comma, equals) = (if at == 0 { "" } else { ", " }, if value.is_empty() { "" } else { "=" });
        let _ = write!(text, "{comma}{word}{equals}{value}");
    }
    let keys: Vec<_> = KEYS.iter().map(|(key, _)| *key).collect();
    let _ = write!(text, "; keys: {}", keys.join(", "));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers of the requests that a script applies to.
    fn hits(script: &str, method: &Method, path: &str, requests: u64) -> Vec<u64> {
        let faults = Faults::parse([script]).expect(script);
        (1..=requests).filter(|_| faults.choose(method, path).is_some()).collect()
    }

    #[test]
    fn counts_select_requests() {
        let hit = |script| hits(script, &Method::POST, "/xai/v1/files", 9);
        assert_eq!(hit("lose"), (1..=9).collect::<Vec<_>>());
        assert_eq!(hit("lose times=2"), [1, 2]);
        assert_eq!(hit("lose nth=3"), [3]);
        assert_eq!(hit("lose every=4"), [4, 8]);
        assert_eq!(hit("lose every=4 times=1"), [4]);
        assert!(hit("lose chance=0").is_empty());
        let some = hit("lose chance=0.5 seed=7");
        assert!(!some.is_empty() && some.len() < 9 && some == hit("lose chance=0.5 seed=7"), "{some:?}");
    }

    #[test]
    fn methods_and_paths_select_requests() {
        let hit = |script, path| !hits(script, &Method::GET, path, 1).is_empty();
        assert!(hit("lose GET xai/v1/files", "/xai/v1/files"));
        assert!(hit("lose /xai/v1/files", "/xai/v1/files/"));
        assert!(!hit("lose xai/v1/files", "/xai/v1/files/f1"));
        assert!(!hit("lose POST xai/v1/files", "/xai/v1/files"));
        assert!(hit("lose xai/v1/files/*", "/xai/v1/files/f1"));
        assert!(!hit("lose xai/v1/files/*", "/xai/v1/files/f1/content"));
        assert!(hit("lose **/content GET", "/xai/v1/files/f1/content"));
        assert!(hit("lose xai", "/xai/v1/files") && hit("lose xai", "/xai") && !hit("lose xai", "/xaix"));
    }

    #[test]
    fn the_first_script_that_applies_wins() {
        let faults = Faults::parse(["fail=502 times=1", "429 times=1 retry-after=date:3"]).unwrap();
        let words: Vec<_> = (0..3).map(|_| faults.choose(&Method::GET, "/x").map(|(word, _)| word)).collect();
        assert_eq!(words, [Some("fail"), Some("429"), None]);
    }

    #[test]
    fn values_have_defaults() {
        let trouble = |script| Faults::parse([script]).unwrap().choose(&Method::GET, "/").unwrap().1;
        let retry_after = Some(RetryAfter::Seconds(2));
        let status = StatusCode::SERVICE_UNAVAILABLE;
        assert_eq!(trouble("refuse retry-after=2"), Trouble::Refuse { status, close: true, retry_after });
        assert_eq!(trouble("cut=10"), Trouble::Cut(10));
        assert_eq!(trouble("slow"), Trouble::Slow(Duration::from_secs(1)));
    }

    #[test]
    fn errors_name_the_script_and_list_the_words() {
        for (script, what) in [
            ("", "missing word"),
            ("explode", "unknown word `explode`"),
            ("lose=3", "`lose` does not take a value"),
            ("fail=42", "`42` is not a valid response status"),
            ("cut=x", "cut: `x` is not a whole number"),
            ("lose times=x", "times: `x` is not a whole number"),
            ("lose chance=2", "chance: `2` is not between 0 and 1"),
            ("lose foo=1", "unknown key `foo`"),
            ("lose a b", "unexpected second path `b`"),
            ("lose retry-after=1", "`retry-after` does not apply to `lose`"),
        ] {
            let error = Faults::parse([script]).unwrap_err();
            assert_eq!(error.message(), format!("fault `{script}`: {what}"));
            assert!(error.hints()[0].contains("lose, done=STATUS, reset, cut=BYTES"), "{:?}", error.hints());
        }
    }
}

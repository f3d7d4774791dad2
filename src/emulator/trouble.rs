//! What a scripted fault does to an answer.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body::Body as _;
use jiff::{SignedDuration, Timestamp};

use super::faults::RetryAfter;

/// Answers larger than this are not cut in half: they are not JSON.
const MAX_JSON: usize = 64 * 1024 * 1024;
/// A dripping answer is sent so many times a second.
const DRIPS: u64 = 20;

/// Says when to come back. The date is a real one even where the clock is fixed: clients compare it with their own.
pub(super) fn say_retry_after(response: &mut Response, retry_after: Option<RetryAfter>) {
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

/// The page of a proxy whose server is not there.
pub(super) fn html(status: StatusCode) -> Response {
    let title = status.to_string();
    let page = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n\
        <hr><center>proxy</center>\r\n</body>\r\n</html>\r\n"
    );
    (status, [(CONTENT_TYPE, "text/html")], page).into_response()
}

/// Half of the body, as if that were all.
pub(super) async fn truncated(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, MAX_JSON).await else { return Response::from_parts(parts, Body::empty()) };
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(bytes.slice(..bytes.len() / 2)))
}

/// The body with one bit flipped at `offset`.
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

/// The body at `rate` bytes a second.
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

/// The answer with its length in a header, so that a body put in its place by a stream has the same framing.
fn with_length(mut response: Response) -> Response {
    if let Some(length) = response.body().size_hint().exact() {
        response.headers_mut().entry(CONTENT_LENGTH).or_insert(length.into());
    }
    response
}
